//! Extra records before and after a run, in all and by how they came about and who made them.
//!
//! Before is what the last scan before the run counted; after is the same without the records that
//! the run removed. Those are told apart by what the cache said of them when the run began.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::CertifiedGroup;
use crate::ledger::{Error, ExtraRecord, Ledger, PastRun, PastTotals};

/// How many extra records there were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// When the scan ended that this is by.
    pub scanned_at: DateTime<Utc>,
    /// Records then.
    pub records: u64,
    /// Extra records then.
    pub extra_before: u64,
    /// Extra records without those that the run removed.
    pub extra_after: u64,
    /// The same by cause, the most extra records first.
    pub by_cause: Vec<SourceRate>,
    /// The same by the API user that made them; none where the scan did not read the activity log.
    pub by_source: Option<Vec<SourceRate>>,
    /// Removed records of which neither is known.
    pub unattributed: u64,
}

/// The extra records of one cause or one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRate {
    /// The code of the cause; the login of the API user, empty for none.
    pub source: String,
    /// Extra records before.
    pub extra_before: u64,
    /// Extra records after.
    pub extra_after: u64,
}

/// By the last scan before the run; none where there is none.
pub(super) fn rate_of(
    ledger: &Ledger,
    run: &PastRun,
    scans_of: &str,
    groups: &[CertifiedGroup],
    removed: u64,
) -> Result<Option<Rate>, Error> {
    let before =
        ledger.past_scans(scans_of)?.into_iter().filter(|scan| scan.ended_at <= run.begun_at);
    let Some(scan) = before.max_by_key(|scan| scan.ended_at) else { return Ok(None) };
    let extra = run.plan.as_deref().map(|plan| ledger.extra_of(plan)).transpose()?;
    let gone = removed_of(groups, &extra.unwrap_or_default());
    let by_source = scan.by_user.as_ref().map(|totals| rates(totals, &gone.by_source));
    Ok(Some(Rate {
        scanned_at: scan.ended_at,
        records: scan.records,
        extra_before: scan.excess,
        extra_after: scan.excess.saturating_sub(removed),
        by_cause: rates(&scan.by_cause, &gone.by_cause),
        by_source,
        unattributed: gone.unattributed,
    }))
}

/// Removed records by what they came from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Removed {
    by_cause: BTreeMap<String, u64>,
    by_source: BTreeMap<String, u64>,
    unattributed: u64,
}

/// Of each group as many extra records are gone as records: those that are gone themselves, and
/// where an extra one stayed in the place of an older one, that one.
fn removed_of(groups: &[CertifiedGroup], extra: &[ExtraRecord]) -> Removed {
    let by_lead: BTreeMap<u64, &ExtraRecord> =
        extra.iter().map(|record| (record.lead, record)).collect();
    let mut removed = Removed::default();
    for group in groups {
        let leads = group.removed.iter().copied().chain(group.winner);
        let known: Vec<&&ExtraRecord> =
            leads.filter_map(|lead| by_lead.get(&lead)).take(group.removed.len()).collect();
        removed.unattributed += (group.removed.len() - known.len()) as u64;
        for record in known {
            *removed.by_cause.entry(record.cause.clone()).or_default() += 1;
            let login = record.login.clone().unwrap_or_default();
            *removed.by_source.entry(login).or_default() += 1;
        }
    }
    removed
}

fn rates(before: &BTreeMap<String, PastTotals>, gone: &BTreeMap<String, u64>) -> Vec<SourceRate> {
    let mut rates: Vec<SourceRate> = before
        .iter()
        .map(|(source, totals)| {
            let gone = gone.get(source).copied().unwrap_or_default();
            SourceRate {
                source: source.clone(),
                extra_before: totals.excess,
                extra_after: totals.excess.saturating_sub(gone),
            }
        })
        .collect();
    rates.sort_by(|a, b| b.extra_before.cmp(&a.extra_before).then(a.source.cmp(&b.source)));
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(winner: u64, removed: &[u64]) -> CertifiedGroup {
        CertifiedGroup {
            key: winner.to_string(),
            outcome: "merged".to_owned(),
            reason: None,
            winner: Some(winner),
            removed: removed.to_vec(),
            leads: vec![],
            left_alone_at: None,
            written: None,
            merged_at: None,
            request_ids: vec![],
            calls: vec![1],
            decided: None,
            decisions: None,
            fields: vec![],
            others: vec![],
            rows: vec![],
            compared: true,
            hash: String::new(),
        }
    }

    #[test]
    fn a_removed_record_counts_for_whoever_made_the_extra_one() {
        let extra = |lead, login: Option<&str>| ExtraRecord {
            lead,
            cause: "race".to_owned(),
            login: login.map(str::to_owned),
        };
        let extra = [extra(2, Some("shop")), extra(4, Some("forms")), extra(5, None)];
        // Of the second group the younger record stayed; of the third nothing is known.
        let groups = [group(1, &[2]), group(4, &[3]), group(5, &[6]), group(8, &[9])];
        let removed = removed_of(&groups, &extra);
        assert_eq!(
            removed,
            Removed {
                by_cause: [("race".to_owned(), 3)].into(),
                by_source: [("shop".to_owned(), 1), ("forms".to_owned(), 1), (String::new(), 1)]
                    .into(),
                unattributed: 1,
            }
        );
        let before = [("shop".to_owned(), PastTotals { groups: 1, excess: 1 })].into();
        let rates = rates(&before, &removed.by_source);
        assert_eq!((rates[0].extra_before, rates[0].extra_after), (1, 0));
    }
}
