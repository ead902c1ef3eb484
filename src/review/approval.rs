//! Approvals: which plans need one, and when one counts. Pure but for the ledger.
//!
//! An approval is of one digest, and any later decision voids it for good, also one that is taken
//! back. A run takes it up; what the run did not come to may still be carried out under it, and
//! nothing else.

use std::collections::BTreeSet;

use super::error::Error;
use super::loaded::Loaded;
use super::model::Approval;
use crate::ledger::{ApprovalRow, Ledger};

fn of(row: ApprovalRow) -> Approval {
    let ApprovalRow { digest, by, at, note, .. } = row;
    Approval { digest, by, at, note }
}

/// The approval of exactly what the plan is now, which no run took up.
pub(super) fn valid(ledger: &Ledger, loaded: &Loaded) -> Result<Option<Approval>, Error> {
    valid_of(ledger, &loaded.head.plan, &loaded.digest())
}

/// The approval of a plan under this digest, which no run took up.
pub(super) fn valid_of(
    ledger: &Ledger,
    plan: &str,
    digest: &str,
) -> Result<Option<Approval>, Error> {
    let row = ledger.approval_of(plan)?;
    let row = row.filter(|row| row.digest == digest && row.used_at.is_none() && !row.is_void);
    Ok(row.map(of))
}

/// Approves what the plan is now, which has to have this digest.
pub(super) fn approve(
    ledger: &mut Ledger,
    loaded: &Loaded,
    (digest, by, note): (&str, &str, Option<&str>),
    two_people: bool,
    at: &str,
) -> Result<Approval, Error> {
    let by = by.trim();
    if by.is_empty() {
        return Err(Error::Nameless { what: "approves" });
    }
    same_digest(ledger, loaded, digest)?;
    if two_people && deciders(ledger, loaded)?.contains(&folded(by)) {
        return Err(Error::SamePerson { plan: loaded.head.plan.clone(), by: by.to_owned() });
    }
    ledger.approve(&loaded.head.plan, digest, by, at, note)?;
    let row = ledger.approval_of(&loaded.head.plan)?;
    row.map(of).ok_or(Error::Nameless { what: "approves" })
}

/// Refuses another digest than that of the plan as things stand.
pub(super) fn same_digest(ledger: &Ledger, loaded: &Loaded, asked: &str) -> Result<(), Error> {
    let Some(who) = loaded.decided_since(ledger, asked)? else { return Ok(()) };
    let (plan, asked, now) = (loaded.head.plan.clone(), asked.to_owned(), loaded.digest());
    Err(Error::OtherDigest { plan, who, asked, now })
}

/// Who decided about the plan, as names are compared: everybody who did, whatever became of it,
/// since a later decision may rest on theirs; and whose word from an earlier plan changes a merge.
pub(super) fn deciders(ledger: &Ledger, loaded: &Loaded) -> Result<BTreeSet<String>, Error> {
    let here = ledger.who_decided(&loaded.head.plan)?;
    let earlier = loaded.index.in_force().filter(|(_, made)| !made.decisions.is_left_alone());
    let earlier = earlier.filter_map(|(_, made)| made.taken_over.as_ref());
    Ok(here.iter().map(String::as_str).chain(earlier.map(|word| &*word.by)).map(folded).collect())
}

/// A name as it is compared: case and blanks do not make two people of one.
pub(in crate::review) fn folded(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
