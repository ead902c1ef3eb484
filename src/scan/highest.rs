//! The highest id that a lead has, found out from the instance itself.
//!
//! Ids only grow, so the newest New Lead activities name the highest, and New Lead is the one activity that Marketo keeps
//! for ever. Three things can lie above what they show, and the paging that follows goes beyond it to meet them: leads
//! whose activity is not visible yet, leads that are born during the scan, and visitors who became known in the order of
//! their visits and not of their ids.

use chrono::{DateTime, TimeDelta, Utc};

use super::Error;
use crate::lead::LeadId;
use crate::marketo::{ActivityPage, ReadLeads};

/// How far back is looked, one after another, until enough is found. A busy instance is answered by its last hour; the
/// server reads all activities of that time to find those of one type, so that more would cost many calls.
const LOOK_BACK: [TimeDelta; 5] = [
    TimeDelta::hours(1),
    TimeDelta::hours(24),
    TimeDelta::days(7),
    TimeDelta::days(90),
    TimeDelta::days(366 * 20),
];

/// So many births say where ids stand, even if some of them are of old visitors.
const ENOUGH: usize = 100;

/// The highest id that New Lead activities name; 0 where there are none.
pub(super) async fn highest_id(marketo: &impl ReadLeads, now: DateTime<Utc>) -> Result<LeadId, Error> {
    let new_lead = new_lead_type(marketo).await?;
    let mut highest = 0;
    for look_back in LOOK_BACK {
        let mut births = 0;
        let mut token = marketo.paging_token(now - look_back).await?;
        loop {
            let ActivityPage { activities, next, more } =
                marketo.activities(&token, &[new_lead], &[]).await?;
            births += activities.len();
            // A merge moves an activity to the winner, and leaves the id at birth where it was: either may be higher.
            let ids = activities.iter().flat_map(|activity| [Some(activity.lead), activity.primary]);
            highest = ids.flatten().fold(highest, LeadId::max);
            token = next;
            if !more {
                break;
            }
        }
        if births >= ENOUGH {
            break;
        }
    }
    Ok(highest)
}

/// The number of the activity type *New Lead*, which is looked up by its name.
pub(super) async fn new_lead_type(marketo: &impl ReadLeads) -> Result<u32, Error> {
    let types = marketo.activity_types().await?;
    let new_lead = types.iter().find(|kind| kind.name.eq_ignore_ascii_case("New Lead"));
    new_lead.map(|kind| kind.id).ok_or(Error::NoNewLeadType)
}
