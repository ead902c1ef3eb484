//! Marketo's own record of merges, the activity Merge Leads, as a second witness beside our looks.
//!
//! A merge is settled without it: its rows come seconds to minutes late. So it is looked for at the
//! end of a run, by the next run, and by whoever asks for it, and each look is kept as a record of
//! its own. What contradicts our own account stays open as a finding, and stops the run.
//!
//! ```text
//! not seen => (seen | contradicts)
//! ```
//!
//! Never: takes the absence of a row for anything, or ends a run because the log cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::leads::{end_of, leads_of};
use super::report::Stopped;
use super::run::Run;
use crate::lead::LeadId;
use crate::ledger::{Finding, FindingKind, Ledger, Unwitnessed, WitnessKind};
use crate::marketo::{self, MergeRecord, ReadHistory};

/// After so many merges of a run the log is read first: what contradicts all of them is found
/// early.
const FIRST: usize = 10;

/// How many merges one later reading serves at least while a run goes on.
const MERGES: usize = 250;

/// So old are the merges at most that are looked for while a run goes on.
const RECENT: TimeDelta = TimeDelta::minutes(15);

/// And those that the next run looks for; of older ones whoever asks for the certificate.
pub(super) const BY_NEXT_RUN: TimeDelta = TimeDelta::hours(24);

/// The log has whole seconds, and clocks differ.
const CLOCKS: TimeDelta = TimeDelta::minutes(5);

/// What Marketo's log says of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// It names the merge, with the records that went and the one that stayed.
    Seen,
    /// No row of it is there yet.
    NotSeen,
    /// It tells of another merge than ours.
    Contradicts,
}

impl Witness {
    /// The word of JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::NotSeen => "not_seen",
            Self::Contradicts => "contradicts",
        }
    }
}

/// What the rows say that tell of a merge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessRecord {
    /// When, to the second.
    pub at: Option<DateTime<Utc>>,
    /// The record that stayed, by the log.
    pub winner: Option<LeadId>,
    /// The records that went, by the log.
    pub losers: Vec<LeadId>,
    /// Who made it, where the log says so.
    pub user: Option<String>,
    /// Marketo's id of the call, where the log says so.
    pub request_id: Option<String>,
    /// What contradicts our own account, in words.
    pub why: Option<String>,
}

/// What the log says that our own account of a merge does not agree with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) survivor: LeadId,
    pub(crate) what: String,
}

/// What these rows say of a merge. `into` tells where survivors went since.
pub(super) fn judge(
    merge: &Unwitnessed,
    records: &[MergeRecord],
    into: &BTreeMap<LeadId, LeadId>,
) -> (Witness, WitnessRecord) {
    let is_our_call =
        |record: &MergeRecord| merge.request_id.is_some() && record.request_id == merge.request_id;
    let concerns = |record: &&MergeRecord| {
        !record.losers.is_empty()
            && (is_our_call(record) || record.losers.iter().any(|lead| merge.gone.contains(lead)))
    };
    let rows: Vec<&MergeRecord> = records.iter().filter(concerns).collect();
    let Some(first) = rows.first() else { return (Witness::NotSeen, WitnessRecord::default()) };
    let mut said = WitnessRecord {
        at: first.at,
        winner: Some(first.then.unwrap_or(first.winner)),
        losers: leads_of(rows.iter().flat_map(|row| row.losers.iter().copied())),
        user: rows.iter().find_map(|row| row.user.clone()),
        request_id: rows.iter().find_map(|row| row.request_id.clone()),
        why: None,
    };
    said.why = rows.iter().find_map(|row| contradiction(merge, row, into));
    if said.why.is_some() {
        return (Witness::Contradicts, said);
    }
    let named: BTreeSet<&LeadId> = said.losers.iter().collect();
    let is_whole = merge.gone.iter().all(|lead| named.contains(lead));
    (if is_whole { Witness::Seen } else { Witness::NotSeen }, said)
}

/// What a row says otherwise than our own account of the merge, in words.
fn contradiction(
    merge: &Unwitnessed,
    row: &MergeRecord,
    into: &BTreeMap<LeadId, LeadId>,
) -> Option<String> {
    let winner = row.then.unwrap_or(row.winner);
    let lives_in = |lead: LeadId| row.then.is_none() && end_of(merge.survivor, into) == Some(lead);
    if winner != merge.survivor && !lives_in(winner) {
        return Some(format!(
            "Marketo's log says that lead {winner} stayed, not lead {}",
            merge.survivor
        ));
    }
    let is_ours = |lead: &LeadId| *lead != merge.survivor && merge.leads.contains(lead);
    let strangers: Vec<String> =
        row.losers.iter().filter(|lead| !is_ours(lead)).map(ToString::to_string).collect();
    if !strangers.is_empty() {
        return Some(format!(
            "Marketo's log says that it took lead {} too, which was no part of it",
            strangers.join(", ")
        ));
    }
    if row.by_another_user {
        let user = row.user.as_deref().unwrap_or_default();
        return Some(format!("Marketo's log says that another user made it: {user}"));
    }
    match (&merge.request_id, &row.request_id) {
        (Some(ours), Some(theirs)) if ours != theirs => {
            Some(format!("Marketo's log says that it was made by the call {theirs}, not by {ours}"))
        }
        _ => None,
    }
}

/// Reads Marketo's log for these merges, and keeps what it shows. Gives what contradicts our own
/// account, which is open as a finding from then on.
pub(crate) async fn look_for(
    marketo: &impl ReadHistory,
    ledger: &mut Ledger,
    merges: &[Unwitnessed],
    at: &str,
) -> Result<Vec<Contradiction>, LookError> {
    let Some(since) = merges.iter().map(|merge| merge.left_at).min() else {
        return Ok(Vec::new());
    };
    let into = ledger.merged_into().map_err(Error::from)?;
    let of = |merge: &Unwitnessed| {
        let now = end_of(merge.survivor, &into);
        merge.leads.iter().copied().chain([merge.survivor]).chain(now).collect::<Vec<_>>()
    };
    let leads = leads_of(merges.iter().flat_map(of));
    let records = marketo.merges_since(since - CLOCKS, &leads).await.map_err(LookError::Marketo)?;
    let (mut seen, mut contradictions) = (Vec::new(), Vec::new());
    for merge in merges {
        let (witness, record) = judge(merge, &records, &into);
        if let (Witness::Contradicts, Some(why)) = (witness, &record.why) {
            let ids: Vec<String> = merge.gone.iter().map(ToString::to_string).collect();
            let what = format!("{why}; look at it in Marketo before more is merged");
            let finding = Finding {
                key: merge.key.clone(),
                lead: merge.survivor,
                field: String::new(),
                kind: FindingKind::Merge,
                wanted: json!({"winner": merge.survivor, "losers": merge.gone}),
                found: json!({"what": what, "at": at, "witness": true}),
            };
            ledger.open_findings_with(&merge.plan, &[finding], at).map_err(Error::from)?;
            let what =
                format!("of the merge of {} into {}: {what}", ids.join(", "), merge.survivor);
            contradictions.push(Contradiction { survivor: merge.survivor, what });
        }
        seen.push((merge.call, witness.as_str(), body_of(&record)));
    }
    ledger.keep_witness(WitnessKind::Log, &seen, at).map_err(Error::from)?;
    Ok(contradictions)
}

/// A record as the ledger keeps it: members in the order of their names, so that a digest of it can
/// be worked out again from its JSON.
pub(super) fn body_of(record: &impl Serialize) -> String {
    // Names, numbers and times always have a JSON form.
    serde_json::to_value(record).unwrap_or_default().to_string()
}

/// Why a look was not made or not kept.
#[derive(Debug)]
pub(crate) enum LookError {
    /// Marketo's log, or its lists and programs, could not be read.
    Marketo(marketo::Error),
    /// The ledger failed.
    Ours(Error),
}

impl From<Error> for LookError {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl<M: MergeClient> Merge<'_, M> {
    /// Looks for Marketo's record of the merges of this run, once for so many, and at its end for
    /// all. What contradicts ours stops the run.
    pub(super) async fn see_witness(
        &mut self,
        run: &mut Run<'_, '_>,
        at_the_end: bool,
    ) -> Result<(), Error> {
        let enough = if run.looked_for_witness { MERGES } else { FIRST };
        if run.unwitnessed == 0 || (!at_the_end && run.unwitnessed < enough) {
            return Ok(());
        }
        (run.unwitnessed, run.looked_for_witness) = (0, true);
        let since = if at_the_end { run.begun_at } else { Some((self.now)() - RECENT) };
        for Contradiction { survivor, what } in self.look_for_witness(since).await? {
            run.add_words(survivor, &what);
            run.stopped.get_or_insert(Stopped::Alarm(what));
        }
        Ok(())
    }

    /// The same for the merges of the last day, of whatever run.
    pub(super) async fn see_earlier_witness(&mut self) -> Result<Vec<String>, Error> {
        let since = Some((self.now)() - BY_NEXT_RUN);
        let found = self.look_for_witness(since).await?;
        Ok(found.into_iter().map(|contradiction| contradiction.what).collect())
    }

    async fn look_for_witness(
        &mut self,
        since: Option<DateTime<Utc>>,
    ) -> Result<Vec<Contradiction>, Error> {
        let merges = self.ledger.unwitnessed(WitnessKind::Log, None, since)?;
        if merges.is_empty() {
            return Ok(Vec::new());
        }
        let (at, grace, stop) = (self.at(), self.grace(), self.stop.clone());
        let out_of_time = async {
            stop.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        let looked = tokio::select! {
            biased;
            looked = look_for(self.marketo, self.ledger, &merges, &at) => looked,
            () = out_of_time => return Ok(Vec::new()),
        };
        match looked {
            Ok(found) => Ok(found),
            Err(LookError::Ours(error)) => Err(error),
            // Nothing rests on it, and whoever asks for the certificate sees that it is missing.
            Err(LookError::Marketo(error)) => {
                tracing::warn!(
                    code = error.code(),
                    request_id = error.request_id(),
                    "Marketo's own record of the merges could not be read"
                );
                Ok(Vec::new())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "a1#1";

    fn merge() -> Unwitnessed {
        // The journal alone makes ids of calls; the judgement does not look at it.
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(&folder.path().join("ledger.db"), "example").unwrap();
        ledger.save_plan("p", "2026-11-29T01:00:00Z", "{}").unwrap();
        let new = crate::ledger::NewCall {
            kind: crate::ledger::CallKind::Write,
            key: String::new(),
            leads: Vec::new(),
            purpose: crate::ledger::Purpose::default(),
            values: Vec::new(),
        };
        let calls = ledger.plan_calls("p", &[new], "2026-11-29T01:00:00Z").unwrap();
        Unwitnessed {
            call: calls[0],
            plan: "p".to_owned(),
            key: "ada@example.com".to_owned(),
            survivor: 1,
            gone: vec![2, 3],
            leads: vec![1, 2, 3],
            left_at: "2026-11-29T01:00:00Z".parse().unwrap(),
            request_id: Some(OURS.to_owned()),
        }
    }

    fn row(losers: &[LeadId]) -> MergeRecord {
        MergeRecord {
            winner: 1,
            then: Some(1),
            losers: losers.to_vec(),
            at: None,
            request_id: None,
            user: None,
            method: None,
            source: None,
            by_another_user: false,
        }
    }

    fn said(rows: &[MergeRecord], into: &[(LeadId, LeadId)]) -> (Witness, Option<String>) {
        let into = into.iter().copied().collect();
        let (witness, record) = judge(&merge(), rows, &into);
        (witness, record.why)
    }

    #[test]
    fn a_row_that_names_what_we_did_is_a_witness_with_or_without_the_optional_attributes() {
        let whole = MergeRecord { request_id: Some(OURS.to_owned()), ..row(&[2, 3]) };
        assert_eq!(said(&[whole], &[]), (Witness::Seen, None));
        assert_eq!(said(&[row(&[2, 3])], &[]), (Witness::Seen, None));
        // One row a record.
        assert_eq!(said(&[row(&[2]), row(&[3])], &[]), (Witness::Seen, None));
        assert_eq!(said(&[row(&[2])], &[]), (Witness::NotSeen, None), "one is missing");
        assert_eq!(said(&[], &[]), (Witness::NotSeen, None));
        assert_eq!(said(&[row(&[8])], &[]), (Witness::NotSeen, None), "another merge");
        // Without the record of then, the survivor may have gone on since.
        let moved = MergeRecord { winner: 9, then: None, ..row(&[2, 3]) };
        assert_eq!(said(&[moved], &[(1, 9)]), (Witness::Seen, None));
    }

    #[test]
    fn another_winner_loser_user_or_call_contradicts() {
        let cases = [
            (MergeRecord { then: Some(9), ..row(&[2, 3]) }, "lead 9 stayed, not lead 1"),
            (MergeRecord { winner: 9, then: None, ..row(&[2, 3]) }, "lead 9 stayed, not lead 1"),
            (row(&[2, 3, 8]), "took lead 8 too"),
            (MergeRecord { request_id: Some(OURS.to_owned()), ..row(&[7]) }, "took lead 7 too"),
            (
                MergeRecord {
                    by_another_user: true,
                    user: Some("x@example.com".to_owned()),
                    ..row(&[2])
                },
                "another user made it: x@example.com",
            ),
            (MergeRecord { request_id: Some("b2#2".to_owned()), ..row(&[3]) }, "by the call b2#2"),
        ];
        for (row, words) in cases {
            let (witness, why) = said(&[row], &[]);
            assert_eq!(witness, Witness::Contradicts, "{words}");
            assert!(why.as_deref().unwrap_or_default().contains(words), "{why:?}");
        }
    }
}
