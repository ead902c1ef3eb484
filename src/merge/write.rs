//! Writes to winners, by id, the values that must outlive a merge.
//!
//! For: before a merge, since Marketo keeps a winner's values; and after one, where a survivor does
//! not hold what it should. Never: sends a write again whose outcome is unclear; it waits until the
//! write is over, and looks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::fresh::Fresh;
use super::look::Look;
use super::report::Said;
use super::timing::MARGIN;
use crate::dedupe::{FieldChange, FieldFacts};
use crate::lead::{Lead, LeadId};
use crate::ledger::{CallId, CallKind, CallLead, CallValue, Event, NewCall, Purpose, Role};
use crate::marketo::{
    self, BATCH, BODY_BYTES, Outcome, RecordStatus, SYNC_LIMIT, SendGate, SyncAction, SyncRequest,
    UntilStopped,
};

/// What stays free of a body for what surrounds the records.
const ENVELOPE_BYTES: usize = 10_000;

/// Between two looks at a write that may still be under way.
const LOOK: Duration = Duration::from_secs(20);

/// How often a write is tried whose look becomes too old before it can leave.
const TRIES: usize = 10;

/// Why a group ends whose write did not arrive.
const LOST: &str = "the call that writes the values of the record to keep was lost, and did not reach it; run it again";

/// Why a group ends whose write was not waited for.
const LEFT: &str = "the run was stopped before it was clear whether the record to keep was written to; run it again";

/// A lead to be written to.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The lead.
    pub(super) lead: LeadId,
    /// What it gets.
    pub(super) changes: Vec<FieldChange>,
}

/// How a write went.
#[derive(Debug, Default)]
pub(super) struct WriteResult {
    /// For each lead that does not have its values: why.
    pub(super) refused: BTreeMap<LeadId, Refused>,
    /// The leads of calls that left.
    pub(super) sent: BTreeSet<LeadId>,
    /// The rest was not sent: the look that it rests on had become too old, or the run is to stop.
    pub(super) withheld: bool,
    /// The run is to stop, and what became of it is not known. The ledger keeps it open.
    pub(super) open: bool,
}

/// Why a lead does not have its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) why: String,
    /// Marketo's own words, where it said something.
    pub(super) marketo: Option<Said>,
    /// Whether it may hold some of them all the same, and nothing is under way any more.
    pub(super) may_hold_some: bool,
    /// Whether it counts among the failures that stop a run: a refusal for the record's own sake
    /// does not.
    pub(super) counts: bool,
}

impl Refused {
    fn ours(why: &str) -> Self {
        let is_over = why != LEFT;
        Self { why: why.to_owned(), marketo: None, may_hold_some: is_over, counts: is_over }
    }
}

impl<M: MergeClient> Merge<'_, M> {
    /// Writes what a look at leads asks for, by plan, and gives the look that shows what came of
    /// it. Where the look becomes too old before the write can leave, they are looked at again.
    /// None where the run is to stop.
    pub(super) async fn look_and_write(
        &mut self,
        ids: &[LeadId],
        purpose: Purpose,
        mut asks: impl FnMut(&mut Self, &Look) -> Result<BTreeMap<String, Vec<Record>>, Error>,
    ) -> Result<Option<Look>, Error> {
        for _ in 0..TRIES {
            let Some(look) = self.look_twice_if_missing(ids).await? else { return Ok(None) };
            let by_plan = asks(self, &look)?;
            if by_plan.is_empty() {
                return Ok(Some(look));
            }
            let stop = UntilStopped::after(self.stop.clone(), self.grace());
            let gate = Fresh::new(look.at, self.clock, stop);
            let mut withheld = false;
            for (plan, records) in by_plan {
                withheld |= self.write(&gate, &plan, purpose, records).await?.withheld;
            }
            if !withheld {
                break;
            }
            if self.stop.is_cancelled() {
                return Ok(None);
            }
        }
        self.look_twice_if_missing(ids).await
    }

    /// Writes values to leads, by id, in as few calls as Marketo takes. Each call is in the ledger
    /// before it leaves, and leaves only with the gate. Where Marketo refuses one record after
    /// the other, and not for their own sake, the rest is not tried.
    pub(super) async fn write(
        &mut self,
        gate: &impl SendGate,
        plan: &str,
        purpose: Purpose,
        records: Vec<Record>,
    ) -> Result<WriteResult, Error> {
        let mut all = WriteResult::default();
        let mut calls = split(records);
        calls.reverse();
        let mut in_vain = 0;
        while let Some(mut records) = calls.pop() {
            let one = self.write_once(gate, plan, purpose, &records).await?;
            match one {
                Sent::Done(result) if result.withheld => {
                    all.withheld = true;
                    return Ok(all);
                }
                Sent::Done(result) => {
                    in_vain = 0;
                    all.sent.extend(records.iter().map(|record| record.lead));
                    all.refused.extend(result.refused);
                    all.open |= result.open;
                }
                // A refusal of the whole call may be for one record's sake: that one is found by
                // halves.
                Sent::RefusedWhole(_) if records.len() > 1 => {
                    let second = records.split_off(records.len() / 2);
                    calls.extend([second, records]);
                }
                Sent::RefusedWhole(refused) => {
                    all.sent.extend(records.iter().map(|record| record.lead));
                    all.refused.extend(records.iter().map(|record| (record.lead, refused.clone())));
                    in_vain = if refused.counts { in_vain + 1 } else { 0 };
                    if in_vain >= self.stop_after_errors {
                        let rest = calls.drain(..).flatten();
                        all.refused.extend(rest.map(|record| (record.lead, refused.clone())));
                    }
                }
            }
        }
        Ok(all)
    }

    /// Sends one call, and gives what became of each record.
    async fn write_once(
        &mut self,
        gate: &impl SendGate,
        plan: &str,
        purpose: Purpose,
        records: &[Record],
    ) -> Result<Sent, Error> {
        let request = SyncRequest {
            action: SyncAction::UpdateOnly,
            lookup_field: "id".to_owned(),
            partition: None,
            input: records.iter().map(input).collect(),
        };
        let call = self.ledger.begin(plan, &new_call(purpose, records), &self.at())?.call();
        match self.marketo.sync_leads_with(gate, &request).await {
            Ok(results) => {
                let request_id = results.iter().find_map(|result| result.request_id.clone());
                let mut refused = BTreeMap::new();
                for (place, record) in records.iter().enumerate() {
                    let done =
                        results.get(place).filter(|result| result.status == RecordStatus::Updated);
                    if done.is_none() {
                        refused.insert(record.lead, refusal(results.get(place)));
                    }
                }
                let not_written: Vec<LeadId> =
                    leads_that(&refused, |refused| !refused.may_hold_some);
                self.ledger.not_written(call, &not_written, &self.at())?;
                self.ledger.record(call, &Event::Accepted { request_id }, &self.at())?;
                self.ledger.record(
                    call,
                    &Event::Verified { survivor: None, merged: vec![] },
                    &self.at(),
                )?;
                Ok(Sent::Done(WriteResult { refused, ..WriteResult::default() }))
            }
            Err(error) if error.outcome() == Outcome::Unclear => {
                let over_at = sent_at(&error) + self.clock.wall(SYNC_LIMIT + MARGIN);
                let event =
                    Event::Unknown { request_id: request_id(&error), what: error.to_string() };
                self.ledger.record(call, &event, &self.at())?;
                Ok(Sent::Done(self.look_at_write(call, records, over_at).await?))
            }
            Err(error) => {
                self.ledger.record(call, &refused_event(&error), &self.at())?;
                self.ledger.record(call, &Event::NotDone { why: error.to_string() }, &self.at())?;
                if error.stops_the_run() {
                    return Err(error.into());
                }
                if let marketo::Error::Withheld { .. } = error {
                    return Ok(Sent::Done(WriteResult {
                        withheld: true,
                        ..WriteResult::default()
                    }));
                }
                let why = format!("the values of the record to keep could not be written: {error}");
                let counts = !error.code().is_some_and(marketo::is_of_a_record);
                let marketo = Said::of(&error);
                Ok(Sent::RefusedWhole(Refused { why, marketo, may_hold_some: false, counts }))
            }
        }
    }

    /// Looks until an unclear write is seen to be done, or must be over, then says which leads have
    /// their values.
    pub(super) async fn look_at_write(
        &mut self,
        call: CallId,
        records: &[Record],
        over_at: Instant,
    ) -> Result<WriteResult, Error> {
        tracing::info!(%call, "a write has no clear outcome; looking until it must be over");
        let ids: Vec<LeadId> = records.iter().map(|record| record.lead).collect();
        let left = |refused| WriteResult { refused, open: true, ..WriteResult::default() };
        loop {
            let looked_at = Instant::now();
            let Some(look) = self.look(&ids).await? else { return Ok(left(because(&ids, LEFT))) };
            let holds = |record: &&Record| {
                look.leads.get(&record.lead).is_some_and(|lead| has(lead, record, &self.facts))
            };
            let missing: Vec<LeadId> =
                records.iter().filter(|record| !holds(record)).map(|record| record.lead).collect();
            if missing.is_empty() || looked_at >= over_at {
                let has_none = |record: &&Record| {
                    look.leads
                        .get(&record.lead)
                        .is_some_and(|lead| has_none(lead, record, &self.facts))
                };
                let without: Vec<LeadId> =
                    records.iter().filter(has_none).map(|record| record.lead).collect();
                let event = if without.len() == records.len() && !records.is_empty() {
                    Event::NotDone { why: "every lead holds what it held before".to_owned() }
                } else {
                    Event::Verified { survivor: None, merged: vec![] }
                };
                self.ledger.not_written(call, &without, &self.at())?;
                self.ledger.record(call, &event, &self.at())?;
                return Ok(WriteResult {
                    refused: because(&missing, LOST),
                    ..WriteResult::default()
                });
            }
            let next = Instant::now() + self.clock.wall(LOOK);
            tokio::select! {
                () = tokio::time::sleep_until(next.min(over_at)) => {}
                // The call stays open in the ledger, and the next run looks.
                () = self.stop.cancelled() => return Ok(left(because(&ids, LEFT))),
            }
        }
    }
}

/// What came of one call.
enum Sent {
    Done(WriteResult),
    /// Marketo refused it as a whole.
    RefusedWhole(Refused),
}

/// The call that these records take, for the ledger.
fn new_call(purpose: Purpose, records: &[Record]) -> NewCall {
    let values = records.iter().flat_map(|record| {
        record.changes.iter().map(|change| CallValue {
            lead: record.lead,
            field: change.name.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
        })
    });
    NewCall {
        kind: CallKind::Write,
        key: String::new(),
        leads: records
            .iter()
            .map(|record| CallLead { id: record.lead, role: Role::Winner })
            .collect(),
        purpose,
        values: values.collect(),
    }
}

fn because(leads: &[LeadId], why: &str) -> BTreeMap<LeadId, Refused> {
    leads.iter().map(|lead| (*lead, Refused::ours(why))).collect()
}

/// Whether a lead has the values that a record would write.
fn has(lead: &Lead, record: &Record, facts: &FieldFacts) -> bool {
    record.changes.iter().all(|change| {
        let held = lead.value(&change.name).unwrap_or(&Value::Null);
        facts.holds(&change.name, held, &change.after)
    })
}

/// Whether a lead has none of the values that a record would write: each field holds what it held
/// before. Any other value may be what the instance made of the write.
fn has_none(lead: &Lead, record: &Record, facts: &FieldFacts) -> bool {
    record.changes.iter().all(|change| {
        let held = lead.value(&change.name).unwrap_or(&Value::Null);
        facts.holds(&change.name, held, &change.before)
    })
}

fn leads_that(
    refused: &BTreeMap<LeadId, Refused>,
    is_so: impl Fn(&Refused) -> bool,
) -> Vec<LeadId> {
    refused.iter().filter(|(_, refused)| is_so(refused)).map(|(lead, _)| *lead).collect()
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

fn refusal(result: Option<&marketo::RecordResult>) -> Refused {
    let Some(result) = result else {
        return Refused::ours("Marketo's answer to the write says nothing of the record to keep");
    };
    let reasons: Vec<String> =
        result.reasons.iter().map(|reason| format!("{} {}", reason.code, reason.message)).collect();
    let said = result.reasons.first().map(|reason| Said {
        code: reason.code.clone(),
        message: reason.message.clone(),
        request_id: result.request_id.clone(),
    });
    let why = format!(
        "Marketo refused to write the values of the record to keep: {}",
        reasons.join("; ")
    );
    let counts = !result.reasons.iter().all(|reason| marketo::is_of_a_record(&reason.code));
    Refused { why, marketo: said, may_hold_some: false, counts }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lead_was_not_written_to_only_where_it_holds_what_it_held_before() {
        let change =
            |before, after| FieldChange { name: "phone".into(), before, after, from: None };
        let record = Record { lead: 1, changes: vec![change(json!("1"), json!("7"))] };
        // The instance made +7 of the 7 that was written.
        for (held, is_none) in [("1", true), ("7", false), ("+7", false)] {
            let lead = Lead::new(1).with("phone", held);
            assert_eq!(has_none(&lead, &record, &FieldFacts::default()), is_none, "{held}");
        }
    }
}
