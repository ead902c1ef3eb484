//! Sends the merge calls of one group, each once.

use tokio::time::Instant;

use super::batch::{Checked, RECHECK_AGE, Run};
use super::confirmed::Step;
use super::settle::{Finding, Pending, Settled};
use super::write::{refused_event, request_id, sent_at};
use super::{Error, MARGIN, Merge};
use crate::dedupe::{Plan, PlannedGroup, rest_as_seen};
use crate::lead::{Lead, LeadId};
use crate::ledger::{CallId, Event, State};
use crate::marketo::{self, MERGE_LIMIT, MergeLeads, Outcome, ReadLeads, SyncLeads};
use crate::stop::unless_stopped;

/// A group whose merge calls are in the ledger.
#[derive(Debug)]
pub(super) struct Ready<'p> {
    pub(super) plan: &'p str,
    pub(super) group: &'p PlannedGroup,
    pub(super) steps: Vec<(CallId, Step<'p>)>,
}

/// Why a call is not made that was planned.
pub(super) const STOPPED: &str = "the run was stopped before";

/// How sending went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Marketo accepted what was sent.
    Accepted,
    /// It refused a call, or it is not clear what it did.
    Otherwise,
    /// Nothing was sent, since the run is to stop.
    Nothing,
}

impl<M: ReadLeads + SyncLeads + MergeLeads> Merge<'_, M> {
    /// Sends a group's calls, one after the other. What was sent last is left in `pending`, to be settled with others in
    /// one look; but between two calls of a group the first is settled, since the second rests on it, and the leads of the
    /// second are looked at again where the check has become old.
    pub(super) async fn send<'p>(
        &mut self,
        ready: &Ready<'p>,
        checked: &Checked,
        pending: &mut Vec<Pending<'p>>,
        settled: &mut Vec<Settled<'p>>,
        run: &mut Run<'p, '_>,
    ) -> Result<Sent, Error> {
        let mut sent = Sent::Nothing;
        let mut checked_at = checked.at;
        let mut steps = ready.steps.iter().peekable();
        while let Some((call, step)) = steps.next() {
            if self.stop.is_cancelled() {
                self.skip(&[*call], STOPPED)?;
                continue;
            }
            let Some((one, failed)) = self.send_one(ready, *call, *step).await? else { continue };
            let accepted = one.state == State::Accepted;
            sent = if accepted { Sent::Accepted } else { Sent::Otherwise };
            let goes_on = if steps.peek().is_none() || !accepted {
                pending.push(one);
                false
            } else {
                self.settle(vec![one], settled, &mut *run.watch).await?;
                settled.last().is_some_and(|last| {
                    last.pending.call == *call && merged_as_asked(last) && last.alarm().is_none()
                })
            };
            if !goes_on {
                let rest: Vec<CallId> = steps.map(|(call, _)| *call).collect();
                self.skip(&rest, "the call before it did not end as planned")?;
                return failed.map_or(Ok(sent), Err);
            }
            if checked_at.elapsed() >= self.clock.wall(RECHECK_AGE) {
                checked_at = Instant::now();
                let losers: Vec<LeadId> =
                    steps.clone().flat_map(|(_, step)| step.losers()).copied().collect();
                let plan = run.confirmed.plan();
                let stop = self.stop.clone();
                let check = self.check_rest(ready.group, &losers, checked, plan);
                let rest_is_as_seen = unless_stopped(&stop, check).await?;
                if let Err(why) = rest_is_as_seen.unwrap_or_else(|| Err(STOPPED.to_owned())) {
                    let rest: Vec<CallId> = steps.map(|(call, _)| *call).collect();
                    self.skip(&rest, &why)?;
                    run.cut_short.insert(ready.group.winner, why);
                    return Ok(sent);
                }
            }
        }
        Ok(sent)
    }

    /// Whether the losers that are left, and their winner, are still what the plan looked at; where they are, the ledger
    /// has the losers as they are now.
    async fn check_rest(
        &mut self,
        group: &PlannedGroup,
        losers: &[LeadId],
        checked: &Checked,
        plan: &Plan,
    ) -> Result<Result<(), String>, Error> {
        let ids: Vec<LeadId> = std::iter::once(group.winner).chain(losers.iter().copied()).collect();
        let live = self.read(&ids).await?;
        let leads: Vec<Lead> = live.values().cloned().collect();
        let as_seen = rest_as_seen(group, losers, &leads, &plan.policy);
        if as_seen.is_ok() {
            self.back_up_changed(&[group], &checked.live, &live, plan).await?;
        }
        Ok(as_seen)
    }

    /// Sends one call once, and writes down what came of it; none where the run was told to stop before it left. The error
    /// is one that stops the run.
    async fn send_one<'p>(
        &mut self,
        ready: &Ready<'p>,
        call: CallId,
        step: Step<'p>,
    ) -> Result<Option<(Pending<'p>, Option<Error>)>, Error> {
        let started = self.ledger.start(call, &self.at())?;
        let answer = self.marketo.merge_leads_with(&self.permit(), &step.order(&started)).await;
        let now = Instant::now();
        let limit = self.clock.wall(MERGE_LIMIT + MARGIN);
        let (event, over_at, failed) = match answer {
            Err(error @ marketo::Error::Withheld { .. }) => {
                self.ledger.record(call, &refused_event(&error), &self.at())?;
                self.ledger.record(call, &Event::NotDone { why: error.to_string() }, &self.at())?;
                return Ok(None);
            }
            // Its answer says that it is over; what is read may lag behind it.
            Ok(accepted) => (Event::Accepted { request_id: accepted.request_id }, now + limit, None),
            Err(error) if error.outcome() == Outcome::Unclear => {
                let event = Event::Unknown { request_id: request_id(&error), what: error.to_string() };
                (event, sent_at(&error) + limit, None)
            }
            Err(error) => {
                let event = refused_event(&error);
                (event, now, error.stops_the_run().then(|| error.into()))
            }
        };
        self.ledger.record(call, &event, &self.at())?;
        let pending = Pending {
            call,
            plan: ready.plan,
            group: ready.group,
            losers: step.losers().to_vec(),
            state: event.leads_to(),
            over_at,
        };
        tracing::info!(%call, winner = ready.group.winner, losers = step.losers().len(), state = %pending.state, "merge call");
        Ok(Some((pending, failed)))
    }

    /// Writes down that planned calls will not be made.
    pub(super) fn skip(&mut self, calls: &[CallId], why: &str) -> Result<(), Error> {
        for call in calls {
            self.ledger.record(*call, &Event::Skipped { why: why.to_owned() }, &self.at())?;
        }
        Ok(())
    }
}

/// All losers of the call are gone, and the lead that was to stay did.
fn merged_as_asked(settled: &Settled<'_>) -> bool {
    match &settled.finding {
        Finding::Merged { survivor, .. } => survivor.id == settled.pending.group.winner,
        Finding::Partly { .. } | Finding::NotDone(_) | Finding::Contradicted(_) => false,
    }
}
