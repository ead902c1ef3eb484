//! Calls that fit no outcome: Marketo accepted a merge and did nothing, or all leads of one are
//! gone.
//!
//! Each stays open in the ledger and begins the next run, until a look shows that nothing is
//! missing. Never: sends anything, or takes the absence of a lead for an explanation.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::settle::{Finding, Settled};
use crate::lead::{Lead, LeadId};
use crate::ledger::{self, FindingId, FindingKind};

/// So long after its call was seen to fit no outcome nothing of it can be under way, however late
/// Marketo is.
const LONG_AFTER: TimeDelta = TimeDelta::hours(1);

/// What is kept of a settled call that fits no outcome.
pub(super) fn contradiction(settled: &Settled<'_>, at: &str) -> Option<ledger::Finding> {
    let Finding::Contradicted(what) = &settled.finding else { return None };
    let pending = &settled.pending;
    Some(ledger::Finding {
        key: pending.group.key.as_str().to_owned(),
        lead: pending.group.winner,
        field: String::new(),
        kind: FindingKind::Merge,
        wanted: json!({"winner": pending.group.winner, "losers": pending.losers}),
        found: json!({"what": what, "at": at}),
    })
}

impl<M: MergeClient> Merge<'_, M> {
    /// Closes the findings of calls that fitted no outcome where a look explains them by now.
    pub(super) async fn review_contradictions(
        &mut self,
        findings: Vec<(FindingId, String, ledger::Finding)>,
    ) -> Result<(), Error> {
        let ids: Vec<LeadId> =
            findings.iter().flat_map(|(_, _, finding)| leads_of(finding)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let Some(look) = self.look(&ids).await? else { return Ok(()) };
        let into = self.ledger.merged_into()?;
        for (id, _, finding) in findings {
            if let Some(how) = explained(&finding, &look.leads, &into, (self.now)()) {
                self.ledger.close_finding(id, how, &self.at())?;
            }
        }
        Ok(())
    }
}

fn leads_of(finding: &ledger::Finding) -> Vec<LeadId> {
    let losers = finding.wanted.get("losers").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(finding.lead).chain(losers.filter_map(Value::as_u64)).collect()
}

/// How a call that fitted no outcome is explained by now; `into` has the merges of this program
/// that were settled.
fn explained(
    finding: &ledger::Finding,
    live: &BTreeMap<LeadId, Lead>,
    into: &BTreeMap<LeadId, LeadId>,
    now: DateTime<Utc>,
) -> Option<&'static str> {
    // What Marketo's own record says otherwise no look at the leads explains.
    let is_marked = |of: &Value| of.get("witness") == Some(&Value::Bool(true));
    if is_marked(&finding.wanted) || is_marked(&finding.found) {
        return None;
    }
    let leads = leads_of(finding);
    let (_, losers) = leads.split_first()?;
    if losers.iter().all(|loser| !live.contains_key(loser) && into.contains_key(loser)) {
        return Some("a later call merged its leads, and was settled");
    }
    let at = finding
        .found
        .get("at")
        .and_then(Value::as_str)
        .and_then(|at| at.parse::<DateTime<Utc>>().ok())?;
    let all_are_here = leads.iter().all(|lead| live.contains_key(lead));
    (all_are_here && now - at >= LONG_AFTER)
        .then_some("all its leads were there an hour later, so that nothing was merged")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::TimeDelta;
    use serde_json::json;

    use super::explained;
    use crate::lead::{Lead, LeadId};
    use crate::ledger::{Finding, FindingKind};

    #[test]
    fn only_a_later_merge_or_the_sight_of_every_lead_explains_it() {
        let finding = Finding {
            key: "a@example.com".to_owned(),
            lead: 1,
            field: String::new(),
            kind: FindingKind::Merge,
            wanted: json!({"winner": 1, "losers": [2, 3]}),
            found: json!({"what": "words", "at": "2026-11-24T12:00:00.000Z"}),
        };
        for (live, into, minutes, is_explained) in [
            (vec![1, 2, 3], vec![], 61, true),
            (vec![1, 2, 3], vec![], 59, false),
            (vec![1], vec![], 600, false),
            (vec![1, 2], vec![], 600, false),
            (vec![], vec![], 600, false),
            (vec![1], vec![2, 3], 1, true),
            (vec![1], vec![2], 1, false),
            (vec![1, 3], vec![2, 3], 1, false),
        ] {
            let leads: BTreeMap<LeadId, Lead> =
                live.iter().map(|id| (*id, Lead::new(*id))).collect();
            let merged = into.iter().map(|id| (*id, 1)).collect();
            let now = "2026-11-24T12:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap()
                + TimeDelta::minutes(minutes);
            let found = explained(&finding, &leads, &merged, now);
            assert_eq!(found.is_some(), is_explained, "{live:?} {into:?} {minutes}");
        }
    }
}
