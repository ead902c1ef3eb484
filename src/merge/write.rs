//! Writes to winners, by id, the values that must outlive a merge.
//!
//! For: before a merge, since Marketo keeps a winner's values; and after one, where a survivor does
//! not hold what it should. Never: sends a write again whose outcome is unclear; it waits until the
//! write is over, and looks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::fresh::Fresh;
use super::look::Look;
use super::report::Said;
use crate::lead::LeadId;
use crate::ledger::{CallId, Event, Purpose};
use crate::marketo::{
    self, Clock, InFlight, Outcome, RecordStatus, SYNC_LIMIT, SendGate, SyncAction, SyncRequest,
    UntilStopped,
};

pub(super) mod record;

use record::{
    LEFT, Record, Refused, because, has, has_none, input, leads_that, new_call, refusal, split,
};

/// Between two looks at a write that may still be under way.
const LOOK: Duration = Duration::from_secs(20);

/// How often a write is tried whose look becomes too old before it can leave.
const TRIES: usize = 10;

/// Why a group ends whose write did not arrive.
const LOST: &str = "the call that writes the values of the record to keep was lost, and did not reach it; run it again";

/// How a write went.
#[derive(Debug, Default)]
pub(super) struct WriteResult {
    /// For each lead that does not have its values: why.
    pub(super) refused: BTreeMap<LeadId, Refused>,
    /// The leads of calls that left.
    pub(super) sent: BTreeSet<LeadId>,
    /// The rest was not sent: the look that it rests on had become too old, or the run is to stop.
    pub(super) withheld: bool,
    /// The run is to stop before the outcome is known. The ledger keeps the call open.
    pub(super) open: bool,
}

impl<M: MergeClient> Merge<'_, M> {
    /// Writes what a look at leads asks for, by plan, and gives the look that shows the outcome.
    /// Where the look becomes too old before the write can leave, they are looked at again.
    /// None where the run is to stop.
    pub(super) async fn look_and_write(
        &mut self,
        ids: &[LeadId],
        purpose: Purpose,
        mut asks: impl FnMut(&mut Self, &Look) -> Result<BTreeMap<String, Vec<Record>>, Error>,
    ) -> Result<Option<Look>, Error> {
        let mut aside = Vec::new();
        let look = self.look_and_write_held(ids, purpose, &mut asks, &mut aside).await;
        self.holds.release(aside).await;
        look
    }

    /// The same; what it takes keys for is told.
    async fn look_and_write_held(
        &mut self,
        ids: &[LeadId],
        purpose: Purpose,
        asks: &mut impl FnMut(&mut Self, &Look) -> Result<BTreeMap<String, Vec<Record>>, Error>,
        aside: &mut Vec<LeadId>,
    ) -> Result<Option<Look>, Error> {
        for _ in 0..TRIES {
            let Some(look) = self.look_twice_if_missing(ids).await? else { return Ok(None) };
            let by_plan = asks(self, &look)?;
            if by_plan.is_empty() {
                return Ok(Some(look));
            }
            // What is written rests on a look under the leases of those leads.
            let leads: Vec<LeadId> = by_plan.values().flatten().map(|record| record.lead).collect();
            self.holds.keys.learn(leads.iter().filter_map(|lead| look.leads.get(lead)));
            if !self.holds.covers(leads.iter().filter_map(|lead| look.leads.get(lead))) {
                let Some(taken) = self.hold_leads(&leads).await? else { return Ok(None) };
                aside.extend(taken);
                continue;
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

    /// Holds the keys of leads that are written to by themselves. Gives what is to be released;
    /// none where the run is to stop, or others write them for too long: the next run then sees to
    /// them.
    pub(super) async fn hold_leads(
        &mut self,
        leads: &[LeadId],
    ) -> Result<Option<Vec<LeadId>>, Error> {
        let taking = self.holds.take_leads(leads.iter().copied());
        Ok(self.within_grace(taking).await.transpose()?.flatten())
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
        let leads = || records.iter().map(|record| record.lead);
        let gate = self.holds.keys_of_call(leads(), SYNC_LIMIT).gate(gate);
        self.holds.begun(leads());
        let sent = self.marketo.sync_leads_with(&gate, &request).await;
        if !sent.as_ref().is_err_and(|error| error.outcome() == Outcome::Unclear) {
            self.holds.known(leads());
        }
        match sent {
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
                let over_at = in_flight(&error, SYNC_LIMIT, self.clock).over_at();
                let event =
                    Event::Unknown { request_id: request_id(&error), what: error.to_string() };
                self.ledger.record(call, &event, &self.at())?;
                let result = self.look_at_write(call, records, over_at).await?;
                if !result.open {
                    self.holds.known(leads());
                }
                Ok(Sent::Done(result))
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

/// The call that an error leaves in doubt. Any other cannot have left later than now.
pub(super) fn in_flight(error: &marketo::Error, limit: Duration, clock: Clock) -> InFlight {
    error.in_flight().unwrap_or_else(|| InFlight::begun_at(Instant::now(), limit, clock))
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
