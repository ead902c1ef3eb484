//! A merge call: its intent in the ledger, the call itself, and its answer in the ledger (law 3).
//!
//! A call is made once, and leaves only while the look that allows it is fresh and its keys are
//! held. Never: decides whether or when a call is made; `sending` does.

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::consent::{Confirmed, Order, Step};
use super::context::{Merge, MergeClient};
use super::error::Error;
use super::fresh::Fresh;
use super::hold::CallKeys;
use super::report::Said;
use super::settle::{Log, Made, Pending, done_by};
use super::timing::LOG_LAG;
use super::work::Work;
use super::write::{in_flight, refused_event};
use crate::dedupe::PlannedGroup;
use crate::lead::LeadId;
use crate::ledger::{CallId, CallKind, CallLead, Event, NewCall, Purpose, Refusal, Role, State};
use crate::marketo::{self, Accepted, InFlight, MERGE_LIMIT, MergeLeads, Outcome, UntilStopped};

/// A call that was sent.
pub(super) struct Sent<'p> {
    pub(super) pending: Pending<'p>,
    /// Whether Marketo accepted it.
    pub(super) accepted: bool,
    /// Whether it counts among the failures that stop a run: a refusal for the group's own sake
    /// does not.
    pub(super) counts_as_failure: bool,
    /// The error where the next call would fare no better.
    pub(super) stops_the_run: Option<Error>,
}

/// A call whose intent is in the ledger.
pub(super) struct Begun<'p> {
    call: CallId,
    step: Step<'p>,
    at: DateTime<Utc>,
}

/// A merge call, and what lets it leave. It borrows nothing of the run, so that several can be
/// under way.
pub(super) struct MergeCall<'p> {
    order: Order<'p>,
    fresh: Fresh,
    keys: CallKeys,
}

impl MergeCall<'_> {
    /// Makes the call, once.
    pub(super) async fn make(self, marketo: &impl MergeLeads) -> marketo::Result<Accepted> {
        let gate = self.keys.gate(&self.fresh);
        marketo.merge_leads_with(&gate, &self.order).await
    }
}

impl<M: MergeClient> Merge<'_, M> {
    /// Writes down that a group's next call is about to leave, and gives the call to be made at
    /// once. None where its look is too old by now.
    pub(super) fn begin<'p>(
        &mut self,
        work: &mut Work<'p>,
        plan: &str,
    ) -> Result<Option<(Begun<'p>, MergeCall<'p>)>, Error> {
        let Some(step) = work.steps.front().copied() else { return Ok(None) };
        let Some(looked_at) = self.looked_at else { return Ok(None) };
        let fresh = Fresh::new(looked_at, self.clock, UntilStopped::at_once(self.stop.clone()));
        if !fresh.is_fresh() {
            work.too_old += 1;
            return Ok(None);
        }
        let at = (self.now)();
        let started =
            self.ledger.begin(plan, &merge_call(work.group, step.losers()), &self.at())?;
        let winner = work.group.winner;
        let keys = self.holds.keys_of_call([winner], MERGE_LIMIT);
        self.holds.begun([winner]);
        let begun = Begun { call: started.call(), step, at };
        Ok(Some((begun, MergeCall { order: step.order(&started), fresh, keys })))
    }

    /// Writes down the outcome of a call. None where it did not leave: its look was too old by
    /// then, its keys were lost, or the run is to stop.
    pub(super) fn record<'p>(
        &mut self,
        begun: &Begun<'p>,
        answer: marketo::Result<Accepted>,
        work: &mut Work<'p>,
        confirmed: &'p Confirmed,
    ) -> Result<Option<Sent<'p>>, Error> {
        let Begun { call, step, at: begun_at } = *begun;
        let plan = &confirmed.plan().id;
        let now = Instant::now();
        let (event, over_at) = match &answer {
            Err(error @ marketo::Error::Withheld { .. }) => {
                self.ledger.record(call, &refused_event(error), &self.at())?;
                self.ledger.record(call, &Event::NotDone { why: error.to_string() }, &self.at())?;
                self.holds.known([work.group.winner]);
                work.too_old += 1;
                return Ok(None);
            }
            // Its answer says that it is over; what is read may lag behind it.
            Ok(accepted) => {
                let lags = InFlight::begun_at(now, MERGE_LIMIT, self.clock);
                (Event::Accepted { request_id: accepted.request_id.clone() }, lags.over_at())
            }
            Err(error) if error.outcome() == Outcome::Unclear => {
                let request_id = error.request_id().map(str::to_owned);
                let over_at = in_flight(error, MERGE_LIMIT, self.clock).over_at();
                (Event::Unknown { request_id, what: error.to_string() }, over_at)
            }
            Err(error) => (refused_event(error), now),
        };
        // It left, whether that can be written down or not.
        work.steps.pop_front();
        work.under_way = Some(call);
        self.ledger.record(call, &event, &self.at())?;
        let state = event.leads_to();
        tracing::info!(%call, winner = work.group.winner, losers = step.losers().len(), %state, "merge call");
        let refused = answer.as_ref().err().filter(|_| state == State::Refused);
        let own = refused.is_some_and(marketo::Error::concerns_the_group_alone);
        // A lead that is gone is seen by the next look anyway.
        if let Some(said) =
            refused.filter(|_| own).and_then(Said::of).filter(|said| said.code != "1004")
        {
            self.remember_refusal(plan, work, said)?;
        }
        let left = left_between((begun_at, (self.now)()), answer.as_ref().err());
        let pending = Pending {
            call,
            plan,
            group: work.group,
            rules: work.group.rules(&confirmed.plan().policy),
            losers: step.losers().to_vec(),
            state,
            said: refused.and_then(Said::of),
            request_id: match &event {
                Event::Accepted { request_id } | Event::Unknown { request_id, .. } => {
                    request_id.clone()
                }
                _ => None,
            },
            over_at,
            left,
            done_by: done_by(left.1, self.clock),
            before: work.live.clone(),
            missed: std::collections::BTreeSet::new(),
            lingers: false,
            log: Log::Silent,
            asks_log: false,
            log_until: over_at + self.clock.wall(LOG_LAG),
            made: Made::ByThisRun,
        };
        let accepted = state == State::Accepted;
        let stops_the_run = answer
            .err()
            .filter(|error| state == State::Refused && error.stops_the_run())
            .map(Error::from);
        Ok(Some(Sent { pending, accepted, counts_as_failure: !accepted && !own, stops_the_run }))
    }

    /// The next runs pass a group over that Marketo refused for its own sake, until something about
    /// it changes.
    pub(super) fn remember_refusal(
        &mut self,
        plan: &str,
        work: &Work<'_>,
        said: Said,
    ) -> Result<(), Error> {
        let refusal = Refusal {
            key: work.group.key.as_str().to_owned(),
            digest: work.digest.clone(),
            code: said.code,
            message: said.message,
            request_id: said.request_id,
            at: self.at(),
        };
        Ok(self.ledger.remember_refusal(plan, &refusal)?)
    }
}

/// A call whose answer was lost left when its last attempt did.
fn left_between(
    (begun, answered): (DateTime<Utc>, DateTime<Utc>),
    error: Option<&marketo::Error>,
) -> (DateTime<Utc>, DateTime<Utc>) {
    let Some(in_flight) = error.and_then(marketo::Error::in_flight) else {
        return (begun, answered);
    };
    let since = chrono::TimeDelta::from_std(in_flight.sent_at().elapsed()).unwrap_or_default();
    (answered - since, answered - since)
}

fn merge_call(group: &PlannedGroup, losers: &[LeadId]) -> NewCall {
    let winner = CallLead { id: group.winner, role: Role::Winner };
    let losers = losers.iter().map(|id| CallLead { id: *id, role: Role::Loser });
    NewCall {
        kind: CallKind::Merge,
        key: group.key.as_str().to_owned(),
        leads: std::iter::once(winner).chain(losers).collect(),
        purpose: Purpose::default(),
        values: Vec::new(),
    }
}
