//! Writes to winners, by id, the values that must outlive a merge.
//!
//! For: before a merge, since Marketo keeps a winner's values; and after one, where a survivor does not hold what it
//! should. Never: sends a write again whose outcome is unclear; it waits until the write is over, and looks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::written::same;
use super::{Error, MARGIN, Merge};
use crate::dedupe::FieldChange;
use crate::lead::{Lead, LeadId};
use crate::ledger::{CallId, CallKind, CallLead, Event, NewCall, Role};
use crate::marketo::{
    self, BATCH, BODY_BYTES, MergeLeads, Outcome, Permit, ReadLeads, RecordStatus, SYNC_LIMIT, SyncAction,
    SyncLeads, SyncRequest,
};

/// What stays free of a body for what surrounds the records.
const ENVELOPE_BYTES: usize = 10_000;

/// Between two looks at a write that may still be under way.
const LOOK: Duration = Duration::from_secs(20);

/// Why a group ends whose write did not arrive.
const LOST: &str = "the call that writes the winner's values was lost, and did not reach it; run it again";

/// Why a group ends whose write was not waited for.
const LEFT: &str = "the run was stopped before it was clear whether the winner was written to; run it again";

/// A lead to be written to.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The lead.
    pub(super) lead: LeadId,
    /// What it gets.
    pub(super) changes: Vec<FieldChange>,
}

/// How a round of writes went.
#[derive(Debug, Default)]
pub(super) struct WriteResult {
    /// For each lead that does not have its values: why.
    pub(super) refused: BTreeMap<LeadId, String>,
    /// Whether time went by that makes a re-check old.
    pub(super) waited: bool,
    /// Whether the ledger knows what came of it; not so where the run was stopped while it waited.
    pub(super) settled: bool,
    /// Whether it was not sent at all, since the run is to stop.
    pub(super) withheld: bool,
}

impl WriteResult {
    /// The run is to stop before it is clear what became of the write.
    fn left(leads: &[LeadId]) -> Self {
        Self { refused: because(leads, LEFT), waited: true, ..Self::default() }
    }
}

impl<M: ReadLeads + SyncLeads + MergeLeads> Merge<'_, M> {
    /// Writes down the calls that these records take, in the ledger.
    pub(super) fn write_calls(records: Vec<Record>) -> Vec<(NewCall, Vec<Record>)> {
        let call = |records: &Vec<Record>| NewCall {
            kind: CallKind::Write,
            key: String::new(),
            leads: records.iter().map(|record| CallLead { id: record.lead, role: Role::Winner }).collect(),
        };
        split(records).into_iter().map(|records| (call(&records), records)).collect()
    }

    /// Sends one planned write, if it may still leave, and gives what became of each record.
    pub(super) async fn write(
        &mut self,
        permit: &impl Permit,
        call: CallId,
        records: &[Record],
    ) -> Result<WriteResult, Error> {
        let request = SyncRequest {
            action: SyncAction::UpdateOnly,
            lookup_field: "id".to_owned(),
            partition: None,
            input: records.iter().map(input).collect(),
        };
        self.ledger.start(call, &self.at())?;
        let answer = self.marketo.sync_leads_with(permit, &request).await;
        match answer {
            Ok(results) => {
                let request_id = results.iter().find_map(|result| result.request_id.clone());
                self.ledger.record(call, &Event::Accepted { request_id }, &self.at())?;
                let mut refused = BTreeMap::new();
                for (place, record) in records.iter().enumerate() {
                    let done = results.get(place).filter(|result| result.status == RecordStatus::Updated);
                    if done.is_none() {
                        refused.insert(record.lead, refusal(results.get(place)));
                    }
                }
                self.ledger.record(call, &Event::Verified { survivor: None, merged: vec![] }, &self.at())?;
                Ok(WriteResult { refused, settled: true, ..WriteResult::default() })
            }
            Err(error) if error.outcome() == Outcome::Unclear => {
                let over_at = sent_at(&error) + self.clock.wall(SYNC_LIMIT + MARGIN);
                let event = Event::Unknown { request_id: request_id(&error), what: error.to_string() };
                self.ledger.record(call, &event, &self.at())?;
                self.look_at_write(call, records, over_at).await
            }
            Err(error) => {
                self.ledger.record(call, &refused_event(&error), &self.at())?;
                let not_done = Event::NotDone { why: error.to_string() };
                self.ledger.record(call, &not_done, &self.at())?;
                if error.stops_the_run() {
                    return Err(error.into());
                }
                // Nothing more of this batch leaves, and its groups are left as if the run had never come to them.
                if let marketo::Error::Withheld { .. } = error {
                    return Ok(WriteResult { settled: true, withheld: true, ..WriteResult::default() });
                }
                let why = format!("the winner's values could not be written: {error}");
                let refused = records.iter().map(|record| (record.lead, why.clone())).collect();
                Ok(WriteResult { refused, settled: true, ..WriteResult::default() })
            }
        }
    }

    /// Looks until an unclear write is seen to be done, or must be over, then says which leads have their values.
    pub(super) async fn look_at_write(
        &mut self,
        call: CallId,
        records: &[Record],
        over_at: Instant,
    ) -> Result<WriteResult, Error> {
        tracing::info!(%call, "a write has no clear outcome; looking until it must be over");
        let ids: Vec<LeadId> = records.iter().map(|record| record.lead).collect();
        loop {
            let looked_at = Instant::now();
            let Some(live) = self.look(&ids).await? else { return Ok(WriteResult::left(&ids)) };
            let holds = |record: &&Record| live.get(&record.lead).is_some_and(|lead| has(lead, record));
            let missing: Vec<LeadId> =
                records.iter().filter(|record| !holds(record)).map(|record| record.lead).collect();
            if missing.is_empty() || looked_at >= over_at {
                let event = if missing.len() == records.len() && !records.is_empty() {
                    Event::NotDone { why: "no lead has the values".to_owned() }
                } else {
                    Event::Verified { survivor: None, merged: vec![] }
                };
                self.ledger.record(call, &event, &self.at())?;
                return Ok(WriteResult {
                    refused: because(&missing, LOST),
                    waited: true,
                    settled: true,
                    withheld: false,
                });
            }
            let next = Instant::now() + self.clock.wall(LOOK);
            tokio::select! {
                () = tokio::time::sleep_until(next.min(over_at)) => {}
                // The call stays open in the ledger, and the next run looks.
                () = self.stop.cancelled() => return Ok(WriteResult::left(&ids)),
            }
        }
    }
}

fn because(leads: &[LeadId], why: &str) -> BTreeMap<LeadId, String> {
    leads.iter().map(|lead| (*lead, why.to_owned())).collect()
}

/// Whether a lead has the values that a record would write.
fn has(lead: &Lead, record: &Record) -> bool {
    record.changes.iter().all(|change| {
        let held = lead.value(&change.name).unwrap_or(&Value::Null);
        same(held, &change.after)
    })
}

/// Calls of at most 300 records and a body that Marketo takes.
fn split(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut calls: Vec<Vec<Record>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let size = serde_json::to_string(&input(&record)).map_or(0, |text| text.len() + 1);
        let full = bytes + size > BODY_BYTES - ENVELOPE_BYTES;
        if let Some(call) = calls.last_mut().filter(|call| call.len() < BATCH && !full) {
            call.push(record);
            bytes += size;
        } else {
            calls.push(vec![record]);
            bytes = size;
        }
    }
    calls
}

fn input(record: &Record) -> Map<String, Value> {
    let id = ("id".to_owned(), Value::from(record.lead));
    let values = record.changes.iter().map(|change| (change.name.clone(), change.after.clone()));
    std::iter::once(id).chain(values).collect()
}

fn refusal(result: Option<&marketo::RecordResult>) -> String {
    let Some(result) = result else {
        return "Marketo's answer to the write says nothing of the winner".to_owned();
    };
    let reasons: Vec<String> =
        result.reasons.iter().map(|reason| format!("{} {}", reason.code, reason.message)).collect();
    format!("Marketo refused to write the winner's values: {}", reasons.join("; "))
}

/// When a call left; what it was cannot have left later than now.
pub(super) fn sent_at(error: &marketo::Error) -> Instant {
    match error {
        marketo::Error::Unclear { sent_at, .. } => *sent_at,
        _ => Instant::now(),
    }
}

/// Marketo's id of a failed call.
pub(super) fn request_id(error: &marketo::Error) -> Option<String> {
    match error {
        marketo::Error::Unclear { request_id, .. }
        | marketo::Error::Refused { request_id, .. }
        | marketo::Error::Permission { request_id, .. }
        | marketo::Error::Answer { request_id, .. } => request_id.clone(),
        _ => None,
    }
}

/// The journal's word for a call that was refused, by Marketo or before it left.
pub(super) fn refused_event(error: &marketo::Error) -> Event {
    Event::Refused {
        code: error.code().map(str::to_owned),
        request_id: request_id(error),
        why: error.to_string(),
    }
}
