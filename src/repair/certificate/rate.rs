//! Extra records before and after a run, in all and by how they came about and who made them.
//!
//! Before is what the last scan before the run counted, without what earlier runs have removed since
//! that scan; after is the same without the records that the run removed. Those are told apart by
//! what the cache said of them when their runs began. Never: knows what others did since the scan.

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
    /// Records then, without those that earlier runs have removed since.
    pub records: u64,
    /// How many these were.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub removed_since: u64,
    /// Extra records then, without those too.
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
    let of_run = groups.iter().map(|group| (group.winner, group.removed.as_slice()));
    let gone = removed_of(of_run, &extra.unwrap_or_default());
    let since = since(ledger, run, scan.ended_at)?;
    let by_source =
        scan.by_user.as_ref().map(|totals| rates(totals, &since.by_source, &gone.by_source));
    let extra_before = scan.excess.saturating_sub(since.all);
    Ok(Some(Rate {
        scanned_at: scan.ended_at,
        records: scan.records.saturating_sub(since.all),
        removed_since: since.all,
        extra_before,
        extra_after: extra_before.saturating_sub(removed),
        by_cause: rates(&scan.by_cause, &since.by_cause, &gone.by_cause),
        by_source,
        unattributed: gone.unattributed,
    }))
}

/// What merges of this ledger removed after a scan and before a run.
fn since(ledger: &Ledger, run: &PastRun, scanned_at: DateTime<Utc>) -> Result<Removed, Error> {
    let mut by_plan: BTreeMap<String, BTreeMap<u64, Vec<u64>>> = BTreeMap::new();
    for merged in ledger.merged_leads()? {
        let is_since = merged.at >= scanned_at && merged.run.is_none_or(|of| of < run.id);
        if is_since && merged.at < run.begun_at {
            by_plan
                .entry(merged.plan)
                .or_default()
                .entry(merged.winner)
                .or_default()
                .push(merged.loser);
        }
    }
    let mut all = Removed::default();
    for (plan, groups) in by_plan {
        let groups = groups.iter().map(|(winner, gone)| (Some(*winner), gone.as_slice()));
        all.add(removed_of(groups, &ledger.extra_of(&plan)?));
    }
    Ok(all)
}

/// Removed records by what they came from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Removed {
    all: u64,
    by_cause: BTreeMap<String, u64>,
    by_source: BTreeMap<String, u64>,
    unattributed: u64,
}

impl Removed {
    fn add(&mut self, more: Self) {
        self.all += more.all;
        self.unattributed += more.unattributed;
        for (sums, more) in
            [(&mut self.by_cause, more.by_cause), (&mut self.by_source, more.by_source)]
        {
            for (source, removed) in more {
                *sums.entry(source).or_default() += removed;
            }
        }
    }
}

/// Of each group as many extra records are gone as records: those that are gone themselves, and
/// where an extra one stayed in the place of an older one, that one.
fn removed_of<'g>(
    groups: impl Iterator<Item = (Option<u64>, &'g [u64])>,
    extra: &[ExtraRecord],
) -> Removed {
    let by_lead: BTreeMap<u64, &ExtraRecord> =
        extra.iter().map(|record| (record.lead, record)).collect();
    let mut removed = Removed::default();
    for (winner, gone) in groups {
        let leads = gone.iter().copied().chain(winner);
        let known: Vec<&&ExtraRecord> =
            leads.filter_map(|lead| by_lead.get(&lead)).take(gone.len()).collect();
        removed.all += gone.len() as u64;
        removed.unattributed += (gone.len() - known.len()) as u64;
        for record in known {
            *removed.by_cause.entry(record.cause.clone()).or_default() += 1;
            let login = record.login.clone().unwrap_or_default();
            *removed.by_source.entry(login).or_default() += 1;
        }
    }
    removed
}

fn rates(
    scanned: &BTreeMap<String, PastTotals>,
    since: &BTreeMap<String, u64>,
    gone: &BTreeMap<String, u64>,
) -> Vec<SourceRate> {
    let mut rates: Vec<SourceRate> = scanned
        .iter()
        .map(|(source, totals)| {
            let of = |removed: &BTreeMap<String, u64>| removed.get(source).copied().unwrap_or(0);
            let extra_before = totals.excess.saturating_sub(of(since));
            SourceRate {
                source: source.clone(),
                extra_before,
                extra_after: extra_before.saturating_sub(of(gone)),
            }
        })
        .collect();
    rates.sort_by(|a, b| b.extra_before.cmp(&a.extra_before).then(a.source.cmp(&b.source)));
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_record_counts_for_whoever_made_the_extra_one() {
        let extra = |lead, login: Option<&str>| ExtraRecord {
            lead,
            cause: "race".to_owned(),
            login: login.map(str::to_owned),
        };
        let extra = [extra(2, Some("shop")), extra(4, Some("forms")), extra(5, None)];
        // Of the second group the younger record stayed; of the third nothing is known.
        let groups: [(u64, &[u64]); 4] = [(1, &[2]), (4, &[3]), (5, &[6]), (8, &[9])];
        let groups = groups.into_iter().map(|(winner, gone)| (Some(winner), gone));
        let removed = removed_of(groups, &extra);
        assert_eq!(
            removed,
            Removed {
                all: 4,
                by_cause: [("race".to_owned(), 3)].into(),
                by_source: [("shop".to_owned(), 1), ("forms".to_owned(), 1), (String::new(), 1)]
                    .into(),
                unattributed: 1,
            }
        );
        let scanned = [("shop".to_owned(), PastTotals { groups: 3, excess: 3 })].into();
        let earlier = [("shop".to_owned(), 1)].into();
        let rates = rates(&scanned, &earlier, &removed.by_source);
        assert_eq!((rates[0].extra_before, rates[0].extra_after), (2, 1));
    }
}
