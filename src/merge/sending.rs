//! Sends the merges that a look allows, several at once, never two of one group.
//!
//! One task has the ledger: it writes an intent down, adds the call to those under way, and writes
//! each answer down as it comes. A call borrows the client alone.
//!
//! ```text
//! Verified ─▶ begun (in the ledger) ─▶ under way ─▶ answered (in the ledger) ─▶ pending
//! ```
//!
//! Nothing more leaves once the look is too old, the run is to stop or a call fails in a way that
//! the next one would not survive; what is under way is always brought to its end and written down.
//! Never: waits for a look, or settles a call.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::report::Stopped;
use super::run::Run;
use super::send::{Begun, MergeCall};
use crate::ledger::State;
use crate::marketo::{self, Accepted};

/// How the sending on one look goes.
struct OnThisLook {
    /// Calls that left.
    sent: usize,
    /// Whether Marketo accepted all of them so far.
    went_well: bool,
    /// Whether more may leave.
    is_open: bool,
    /// Why the run cannot go on.
    failed: Option<Error>,
}

impl OnThisLook {
    fn fail(&mut self, error: Error) {
        self.is_open = false;
        self.failed.get_or_insert(error);
    }
}

/// A call with its intent in the ledger, and the place of its group among those that are ready.
type Next<'p> = (usize, Begun<'p>, MergeCall<'p>);

impl<M: MergeClient> Merge<'_, M> {
    /// Sends the merges that the last look allows; gives how many left.
    pub(super) async fn send_verified(&mut self, run: &mut Run<'_, '_>) -> Result<usize, Error> {
        // Marketo accepted a merge and shows its leads as before. Reads may lag; if not, it is the
        // first surprise, and nothing more leaves before it is settled.
        if run.pending.iter().any(|pending| pending.lingers && pending.state == State::Accepted) {
            run.put_aside();
            return Ok(0);
        }
        let mut look = OnThisLook { sent: 0, went_well: true, is_open: true, failed: None };
        let marketo = self.marketo;
        let mut under_way = FuturesUnordered::new();
        loop {
            while let Some((place, begun, call)) = self.begin_next(run, under_way.len(), &mut look)
            {
                under_way.push(async move { (place, begun, call.make(marketo).await) });
            }
            let Some((place, begun, answer)) = under_way.next().await else { break };
            self.take_answer((place, begun), answer, run, &mut look);
        }
        // The answers came in any order.
        run.pending.sort_by_key(|pending| pending.call);
        run.put_aside();
        if look.sent > 0 {
            if look.went_well { run.ramp.went_well() } else { run.ramp.met_trouble() }
        }
        look.failed.map_or(Ok(look.sent), Err)
    }

    /// Writes down the intent of the next call that may leave beside so many others; none where
    /// none may now.
    fn begin_next<'p>(
        &mut self,
        run: &mut Run<'p, '_>,
        under_way: usize,
        look: &mut OnThisLook,
    ) -> Option<Next<'p>> {
        while look.is_open && run.stopped.is_none() && !self.stop.is_cancelled() {
            let place = run.ready.iter().position(|work| work.verified)?;
            if run.failures_in_a_row >= self.stop_after_errors {
                run.stopped = Some(Stopped::Errors(run.failures_in_a_row));
                return None;
            }
            if under_way >= self.at_once(run, look) {
                return None;
            }
            if let Some(brake) = self.brakes.at((self.now)()) {
                run.stopped = Some(Stopped::Braked(brake));
                return None;
            }
            let work = run.ready.get_mut(place)?;
            // No look allows two calls of a group.
            work.verified = false;
            if self.holds.is_in_use(work.group.winner) {
                continue;
            }
            match self.begin(work, &run.confirmed.plan().id) {
                Ok(Some((begun, call))) => return Some((place, begun, call)),
                Ok(None) => look.is_open = false,
                Err(error) => look.fail(error),
            }
        }
        None
    }

    /// How many calls may be under way: one at first and after an error, and never so many that,
    /// were all of them to fail, more would have failed in a row than the run goes on after.
    fn at_once(&self, run: &Run<'_, '_>, look: &OnThisLook) -> usize {
        let ramp = if look.went_well { run.ramp.size() } else { 1 };
        let errors_left = self.stop_after_errors.saturating_sub(run.failures_in_a_row);
        self.concurrency.min(ramp).min(errors_left)
    }

    fn take_answer<'p>(
        &mut self,
        (place, begun): (usize, Begun<'p>),
        answer: marketo::Result<Accepted>,
        run: &mut Run<'p, '_>,
        look: &mut OnThisLook,
    ) {
        let Some(work) = run.ready.get_mut(place) else { return };
        let one = match self.record(&begun, answer, work, run.confirmed) {
            Ok(Some(one)) => one,
            Ok(None) => {
                look.is_open = false;
                return;
            }
            Err(error) => return look.fail(error),
        };
        look.sent += 1;
        look.went_well &= one.accepted;
        run.failures_in_a_row = match one.counts_as_failure {
            true => run.failures_in_a_row + 1,
            false if one.accepted => 0,
            false => run.failures_in_a_row,
        };
        run.late.watch(one.pending.group);
        run.pending.push(one.pending);
        if let Some(error) = one.stops_the_run {
            look.fail(error);
        }
    }
}
