//! How a group ended, told from its settled calls. Pure.

use std::collections::BTreeMap;

use super::leads::members;
use super::report::shown;
use super::report::{Fate, GroupReport, Outcome, Surprise};
use super::settle::Finding;
use super::work::Work;
use crate::lead::LeadId;

/// How a group ended, from its settled calls, and from why the rest was left where it was cut
/// short.
pub(super) fn ending(work: &Work<'_>, not_shown: Option<&str>) -> GroupReport {
    let group = work.group;
    let settled = &work.settled;
    let merged: Vec<LeadId> =
        settled.iter().flat_map(|settled| settled.finding.gone()).copied().collect();
    let survivor = settled.iter().rev().find_map(|settled| settled.finding.survivor());
    let (outcome, reason) = outcome(work, &merged, not_shown);
    let winner = survivor.map_or(group.winner, |survivor| survivor.id);
    let losers = members(group).filter(|id| *id != winner).collect();
    let losers = if winner == group.winner { group.losers.clone() } else { losers };
    GroupReport {
        winner: Some(winner),
        losers,
        merged,
        marketo: settled.iter().rev().find_map(|settled| settled.pending.said.clone()),
        rows: rows_moved(work),
        surprises: settled.iter().flat_map(|settled| settled.surprises.clone()).collect(),
        ..GroupReport::ended(group, outcome, reason)
    }
}

/// How many rows of each custom object were moved and seen on the survivor.
fn rows_moved(work: &Work<'_>) -> BTreeMap<String, usize> {
    let mut moved = BTreeMap::new();
    for proof in work.settled.iter().flat_map(|settled| &settled.rows) {
        *moved.entry(proof.object.clone()).or_default() += proof.verified;
    }
    moved
}

fn outcome(
    work: &Work<'_>,
    merged: &[LeadId],
    not_shown: Option<&str>,
) -> (Outcome, Option<String>) {
    let group = work.group;
    let total = group.losers.len();
    let in_part = |why: &str| {
        (Outcome::Failed, Some(format!("{} of {total} records were merged: {why}", merged.len())))
    };
    if work.under_way.is_some() {
        let why = "a merge was sent, and the run stopped before its outcome was known; run the same command again, it looks first";
        return (Outcome::Unknown, Some(not_shown.unwrap_or(why).to_owned()));
    }
    let Some(last) = work.settled.last() else {
        return (Outcome::Unknown, Some("Marketo was not asked to merge it".to_owned()));
    };
    if let Some(alarm) = last.alarm() {
        return (Outcome::Unknown, Some(alarm));
    }
    let said = last.pending.said.as_ref().map(|said| {
        let request =
            said.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
        format!("Marketo refused it: {} {}{request}", said.code, said.message)
    });
    match &last.finding {
        Finding::Merged { .. } if merged.len() == total => (Outcome::Merged, notes(work)),
        Finding::Merged { survivor, .. } if survivor.id != group.winner => {
            in_part("another lead than the plan's survived; plan the rest anew")
        }
        Finding::Merged { .. } => {
            let why = work.cut_short.as_deref();
            in_part(why.unwrap_or("the run stopped before the rest; run it again"))
        }
        Finding::Partly { .. } => in_part(
            &said.unwrap_or_else(|| "Marketo did not merge the others; run it again".to_owned()),
        ),
        Finding::NotDone(why) => {
            let why = match said {
                Some(said) => format!("{said}; {why}"),
                None => format!("Marketo did not merge it, {why}"),
            };
            if merged.is_empty() { (Outcome::Failed, Some(why)) } else { in_part(&why) }
        }
        Finding::Contradicted(what) => (Outcome::Unknown, Some(what.clone())),
    }
}

/// What there is to say of a group that is merged.
fn notes(work: &Work<'_>) -> Option<String> {
    let survivor = work.settled.iter().rev().find_map(|settled| settled.finding.survivor());
    let mut notes: Vec<String> =
        work.settled.iter().flat_map(|settled| &settled.surprises).map(in_words).collect();
    if survivor.is_some_and(|survivor| survivor.id != work.group.winner) {
        notes.push(format!(
            "the CRM's precedence let it survive in place of lead {}",
            work.group.winner
        ));
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

pub(super) fn in_words(surprise: &Surprise) -> String {
    let difference = &surprise.difference;
    let (name, lead) = (&difference.name, difference.lead);
    let (wanted, found) = (shown(&difference.wanted), shown(&difference.found));
    match surprise.fate {
        Fate::Mended => {
            format!(
                "the merge made `{name}` of lead {lead} {found}, and it was set to {wanted} again"
            )
        }
        Fate::Changed => {
            format!(
                "`{name}` of lead {lead} is {found} where {wanted} was expected: somebody changed it meanwhile, and it stays"
            )
        }
        Fate::NotSetBack => format!("`{name}` of lead {lead} was {wanted} and is {found}"),
        Fate::Lost => format!("`{name}` of lead {lead} is {found} and should be {wanted}"),
    }
}
