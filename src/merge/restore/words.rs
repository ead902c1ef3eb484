//! What never comes back, in the words that are told before and after. Pure.

use super::report::Missing;
use crate::lead::Lead;

/// What no restore brings back, whatever the lead.
pub fn never() -> Vec<Missing> {
    [
        (
            "id, createdAt, original source, registration and inferred fields",
            "Marketo makes them anew for a new record, and lets nobody write them",
        ),
        ("activities", "they stay with the record that took this one"),
        ("campaign membership, stream position, wait steps", "Marketo has no call that sets them"),
        (
            "rows of custom objects that did not go with it",
            "what a merge leaves behind stays where it is; link it in Marketo",
        ),
        ("cookies", "they stay with the record that took this one"),
    ]
    .into_iter()
    .map(|(what, why)| Missing::new(what, why))
    .collect()
}

/// That a record which could be mailed may come back unsubscribed: Marketo has an unsubscription
/// hold for the address, and so for each record with it.
pub(super) fn spreading_no(lost: Option<&Lead>, survivor: Option<&Lead>) -> Option<Missing> {
    let said_no = |lead: &Lead| lead.flag("unsubscribed");
    let could_be_mailed = lost.is_some_and(|lead| !said_no(lead));
    (could_be_mailed && survivor.is_some_and(said_no)).then(|| {
        let why = "a record of this person unsubscribed, and Marketo may unsubscribe every record with the address; that is never taken back";
        Missing::new("`unsubscribed`", why)
    })
}

/// What making a record anew sets off, told before it is done.
pub const SETS_OFF: &str =
    "a New Lead activity: campaigns that wait for new people, and a CRM sync, may take it up";

/// What linking rows of custom objects back sets off, told before it is done.
pub const ROWS_SET_OFF: &str = "rows of custom objects are linked to the new record and taken from the record that has them now. Each is an update of the row: campaigns that listen to the object may run";
