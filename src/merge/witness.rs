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

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::leads::{end_of, leads_of};
use super::measured::instance_profile;
use super::report::Stopped;
use super::run::Run;
use crate::dedupe::Question;
use crate::lead::LeadId;
use crate::ledger::{Finding, FindingKind, Ledger, Unwitnessed, WitnessKind};
use crate::marketo::{self, ReadHistory};

mod judge;

use judge::{Known, judge};
pub use judge::{Witness, WitnessRecord};

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

/// What the log says that our own account of a merge does not agree with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) survivor: LeadId,
    pub(crate) what: String,
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
    let judged = |known: &Known| -> Vec<(Witness, WitnessRecord)> {
        merges.iter().map(|merge| judge(merge, &records, &into, known)).collect()
    };
    let known = Known::of(merges, &records);
    let mut said = judged(&known);
    if said.iter().any(|(_, record)| record.note.is_some()) {
        said = judged(&shown_before(ledger, known)?);
    }
    let (mut seen, mut contradictions) = (Vec::new(), Vec::new());
    for (merge, (witness, record)) in merges.iter().zip(said) {
        if let (Witness::Contradicts, Some(why)) = (witness, &record.why) {
            contradictions.push(keep_open(ledger, merge, why, at)?);
        }
        seen.push((merge.call, witness.as_str(), body_of(&record)));
    }
    ledger.keep_witness(WitnessKind::Log, &seen, at).map_err(Error::from)?;
    Ok(contradictions)
}

/// How this instance names ours, with what earlier looks and `probe` have shown of it.
fn shown_before(ledger: &Ledger, known: Known) -> Result<Known, Error> {
    let earlier = |says, flag| ledger.witness_says(WitnessKind::Log, says, flag);
    let is_measured = instance_profile(ledger)?
        .and_then(|(_, profile)| profile.answer(Question::LogRequest)?.found.clone())
        .is_some_and(|found| found == "ours");
    let requests = is_measured || !earlier("$.same_request", "$.same_request")?.is_empty();
    Ok(known.and(&earlier("$.user", "$.same_user")?, requests))
}

/// Keeps a contradiction open until a person closes it. It is a finding of its own beside that of a
/// call which fitted no outcome: a look that explains the one does not explain the other.
fn keep_open(
    ledger: &mut Ledger,
    merge: &Unwitnessed,
    why: &str,
    at: &str,
) -> Result<Contradiction, Error> {
    let what = format!("{why}; look at it in Marketo before more is merged");
    let finding = Finding {
        key: merge.key.clone(),
        lead: merge.survivor,
        field: String::new(),
        kind: FindingKind::Merge,
        wanted: json!({"winner": merge.survivor, "losers": merge.gone, "witness": true}),
        found: json!({"what": what, "at": at, "witness": true}),
    };
    ledger.open_findings_with(&merge.plan, &[finding], at)?;
    let ids: Vec<String> = merge.gone.iter().map(ToString::to_string).collect();
    let what = format!("of the merge of {} into {}: {what}", ids.join(", "), merge.survivor);
    Ok(Contradiction { survivor: merge.survivor, what })
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
        // At the end the ledger knows what is not seen: a look on the way need not have seen it.
        let is_due = if at_the_end { run.begun_at.is_some() } else { run.unwitnessed >= enough };
        if !is_due {
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
