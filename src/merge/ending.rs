//! How a group ended, told from its settled calls. Pure.

use super::call::Ready;
use super::recheck::members;
use super::report::{GroupReport, Outcome};
use super::settle::{Finding, Settled};
use crate::lead::LeadId;

/// How a group ended, from its settled calls, and from why the rest was left where it was cut short.
pub(super) fn ending(ready: &Ready<'_>, settled: &[Settled<'_>], cut_short: Option<&str>) -> GroupReport {
    let group = ready.group;
    let of_group: Vec<&Settled<'_>> =
        settled.iter().filter(|settled| settled.pending.group.winner == group.winner).collect();
    let merged: Vec<LeadId> = of_group.iter().flat_map(|settled| settled.finding.gone()).copied().collect();
    let survivor = of_group.iter().rev().find_map(|settled| settled.finding.survivor());
    let (outcome, reason) = outcome(ready, &of_group, &merged, cut_short);
    let winner = survivor.map_or(group.winner, |survivor| survivor.id);
    let losers = members(group).filter(|id| *id != winner).collect();
    let losers = if winner == group.winner { group.losers.clone() } else { losers };
    GroupReport { winner: Some(winner), losers, merged, ..GroupReport::ended(group, outcome, reason) }
}

fn outcome(
    ready: &Ready<'_>,
    settled: &[&Settled<'_>],
    merged: &[LeadId],
    cut_short: Option<&str>,
) -> (Outcome, Option<String>) {
    let group = ready.group;
    let total = group.losers.len();
    let in_part =
        |why: &str| (Outcome::Failed, Some(format!("{} of {total} losers are merged: {why}", merged.len())));
    let Some(last) = settled.last() else {
        let why = "a merge was sent, and the run stopped before it was clear what came of it; the next run looks first";
        return (Outcome::Unknown, Some(why.to_owned()));
    };
    if let Some(alarm) = last.alarm() {
        return (Outcome::Unknown, Some(alarm));
    }
    match &last.finding {
        Finding::Merged { .. } if merged.len() == total => {
            let mut notes = Vec::new();
            if !last.lost.is_empty() {
                notes.push(format!("these fields are not as planned: {}", last.lost.join(", ")));
            }
            if last.finding.survivor().is_some_and(|survivor| survivor.id != group.winner) {
                notes.push(format!("the CRM's precedence let it survive in place of lead {}", group.winner));
            }
            (Outcome::Merged, (!notes.is_empty()).then(|| notes.join("; ")))
        }
        Finding::Merged { survivor, .. } if survivor.id != group.winner => {
            in_part("another lead than the plan's survived; plan the rest anew")
        }
        Finding::Merged { .. } => {
            in_part(cut_short.unwrap_or("the run stopped before the rest; run it again"))
        }
        Finding::Partly { .. } => in_part("Marketo did not merge the others; run it again"),
        Finding::NotDone(why) if merged.is_empty() => {
            (Outcome::Failed, Some(format!("Marketo did not merge it, {why}")))
        }
        Finding::NotDone(why) => in_part(why),
        Finding::Contradicted(what) => (Outcome::Unknown, Some(what.clone())),
    }
}
