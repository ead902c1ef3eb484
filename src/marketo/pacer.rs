//! Never more calls than configured: in any window, at once, and a day (law 6).
//!
//! The window that counts is Marketo's: calls *arriving* within it. A call arrives at some moment
//! between its sending and its answer, so a slot is given back one window after the **answer**:
//! whatever the network does, two calls that share a slot arrive at least a window apart. With
//! answers of 400 ms and a window of 20 s that costs 2% of the rate; a token bucket would cost
//! nothing and break the limit at the edges of bursts. When Marketo says that the limit is reached
//! all the same (others share it), everybody here waits, and the rate falls by a quarter, to grow
//! back by about a tenth a window.
//!
//! Where several programs share the limits, a pacer is told its part of them ([`Pacer::limit_to`]),
//! which counts from that moment on; what it has used up of a larger part before is told by
//! [`Pacer::used`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Mutex as Gate, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{NoCall, Spending};

/// After so many answers without a complaint one more call is allowed in a window.
const GROWTH: usize = 10;

/// Marketo answers a call in about so long.
const ANSWER: Duration = Duration::from_millis(500);

/// Calls are kept no further apart than this many times their even spacing: what is late anyway
/// need not be later.
const MOST_SPACING: u32 = 5;

/// The right to make calls, shared by all clones of a client, or by all callers of a proxy.
#[derive(Debug)]
pub(crate) struct Pacer {
    window: Window,
    state: Mutex<State>,
    /// Those who wait stand in line here, first come first served.
    gate: Gate<()>,
    answered: Notify,
    at_once: Arc<Semaphore>,
    a_day: u64,
    spending: Arc<dyn Spending>,
}

/// So many calls in a window, and so many at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Share {
    /// Calls in any window.
    pub calls: usize,
    /// Calls in flight at once.
    pub at_once: usize,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    calls: usize,
    length: Duration,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    /// Most in flight since that was last asked.
    most_in_flight: usize,
    /// What may be used of the limits.
    part: Share,
    /// When the answers came that still count, oldest first.
    answers: VecDeque<Instant>,
    /// Calls that may be in a window now: fewer after Marketo said it was too many.
    allowed: usize,
    /// Answers since `allowed` last changed.
    since_change: usize,
    paused_until: Option<Instant>,
    made: u64,
}

/// One call's right to be in flight; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pacer: Arc<Pacer>,
    _permit: OwnedSemaphorePermit,
    used: bool,
}

impl Pacer {
    /// A pacer of so many calls in any window of that length, so many at once, and so many a day by
    /// that count.
    pub(crate) fn new(
        calls: usize,
        length: Duration,
        at_once: usize,
        a_day: u64,
        spending: Arc<dyn Spending>,
    ) -> Self {
        Self {
            window: Window { calls: calls.max(1), length },
            state: Mutex::new(State {
                in_flight: 0,
                most_in_flight: 0,
                part: Share { calls: calls.max(1), at_once: at_once.max(1) },
                answers: VecDeque::new(),
                allowed: calls.max(1),
                since_change: 0,
                paused_until: None,
                made: 0,
            }),
            gate: Gate::new(()),
            answered: Notify::new(),
            at_once: Arc::new(Semaphore::new(at_once.max(1))),
            a_day,
            spending,
        }
    }

    /// Waits for the right to make a call.
    pub(crate) async fn slot(self: &Arc<Self>) -> Result<Slot, NoCall> {
        let call = CountedCall::of(self)?;
        let gate = self.gate.lock().await;
        // The semaphore is never closed, so that waiting for it cannot fail; if it did, the budget
        // is what is left.
        let at_once = Arc::clone(&self.at_once).acquire_owned().await;
        let permit = at_once.map_err(|_closed| NoCall::Spent { budget: self.a_day })?;
        loop {
            let answered = self.answered.notified();
            let admission = self.state().admit(Instant::now(), self.window);
            match admission {
                Admission::Now => break,
                // Or sooner, where there is more to be had meanwhile.
                Admission::At(time) => {
                    tokio::time::timeout_at(time, answered).await.ok();
                }
                Admission::AfterAnAnswer => answered.await,
            }
        }
        drop(gate);
        call.keep();
        Ok(Slot { pacer: Arc::clone(self), _permit: permit, used: true })
    }

    /// The right to make a call, where nobody has to be waited for.
    pub(crate) fn slot_at_once(self: &Arc<Self>) -> Option<Result<Slot, NoCall>> {
        let _gate = self.gate.try_lock().ok()?;
        let permit = Arc::clone(&self.at_once).try_acquire_owned().ok()?;
        let Admission::Now = self.state().admit(Instant::now(), self.window) else { return None };
        // Given back also where the count panics: a call that never ends would be in flight for
        // ever.
        let admitted = Admitted { pacer: self, made: false };
        let counted = CountedCall::of(self).map(|call| {
            call.keep();
            admitted.keep();
            Slot { pacer: Arc::clone(self), _permit: permit, used: true }
        });
        Some(counted)
    }

    /// How far apart calls have to be for those that are left to last until there are more. Nothing
    /// as long as half of a window's calls are left; never more than a few times what the limit
    /// comes to.
    pub(crate) fn spacing(&self) -> Duration {
        self.state().spacing(Instant::now(), self.window)
    }

    /// Marketo said that there are too many calls: everybody waits, and goes on more slowly.
    pub(crate) fn slow_down(&self, pause: Duration) {
        let mut state = self.state();
        let now = Instant::now();
        // Calls that were in flight together are turned away together: that is one reason to slow
        // down, not many.
        if state.paused_until.is_none_or(|until| until <= now) {
            state.allowed = (state.allowed() * 3 / 4).max(1);
            state.since_change = 0;
        }
        let until = now + pause;
        state.paused_until = Some(state.paused_until.map_or(until, |already| already.max(until)));
    }

    /// From now on no more than this part of the limits is used.
    pub(crate) fn limit_to(&self, part: Share) {
        self.state().part = part;
        self.answered.notify_waiters();
    }

    /// What is used of the limits at this moment: calls that may count in a window of Marketo's,
    /// and calls in flight.
    pub(crate) fn used(&self) -> Share {
        let mut state = self.state();
        state.forget(Instant::now(), self.window);
        Share { calls: state.in_flight + state.answers.len(), at_once: state.in_flight }
    }

    /// What of it still counts, and how long each answered call does: calls in flight, and the rest
    /// of each one's window.
    pub(crate) fn still_counts(&self) -> (usize, Vec<Duration>) {
        let mut state = self.state();
        let now = Instant::now();
        state.forget(now, self.window);
        let rest = |answer: &Instant| *answer + self.window.length - now;
        (state.in_flight, state.answers.iter().map(rest).collect())
    }

    /// Most calls in flight at one moment since this was last asked.
    pub(crate) fn most_at_once(&self) -> usize {
        let mut state = self.state();
        let in_flight = state.in_flight;
        std::mem::replace(&mut state.most_in_flight, in_flight)
    }

    /// Calls made today, by whoever counts in the same place; by this pacer where that cannot be
    /// told.
    pub(crate) fn made_today(&self) -> u64 {
        self.spending.spent().map_or_else(|_uncounted| self.made(), |spent| spent.calls)
    }

    /// How long so many more calls take, as the window and the number at once allow, the calls that
    /// count in it by now included.
    pub(crate) fn time_for(&self, calls: u64) -> Duration {
        let mut state = self.state();
        state.forget(Instant::now(), self.window);
        let allowed = state.allowed();
        let free = allowed.saturating_sub(state.in_flight + state.answers.len());
        time_for(
            calls,
            free,
            Share { calls: allowed, at_once: state.part.at_once },
            self.window.length,
        )
    }

    /// Whether a call waits for the window, or since Marketo said that it was too many.
    pub(crate) fn waits_for_limit(&self) -> bool {
        let somebody_waits = self.gate.try_lock().is_err();
        let now = Instant::now();
        let mut state = self.state();
        state.forget(now, self.window);
        let is_full = state.in_flight + state.answers.len() >= state.allowed();
        somebody_waits && (is_full || state.paused_until.is_some_and(|until| until > now))
    }

    /// Calls made so far.
    pub(crate) fn made(&self) -> u64 {
        self.state().made
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// How long calls take where so many are free at once, and after that so many in each window.
fn time_for(calls: u64, free: usize, limit: Share, window: Duration) -> Duration {
    let beyond = calls.saturating_sub(free as u64);
    let windows = u32::try_from(beyond.div_ceil(limit.calls.max(1) as u64)).unwrap_or(u32::MAX);
    let answers = u32::try_from(calls.div_ceil(limit.at_once.max(1) as u64)).unwrap_or(u32::MAX);
    window.saturating_mul(windows).max(ANSWER.saturating_mul(answers))
}

/// A call that is counted, and not made yet: given up while it waits, it is not counted after all.
struct CountedCall<'a> {
    spending: &'a dyn Spending,
    made: bool,
}

impl<'a> CountedCall<'a> {
    fn of(pacer: &'a Pacer) -> Result<Self, NoCall> {
        match pacer.spending.spend_call(pacer.a_day) {
            Ok(true) => Ok(Self { spending: &*pacer.spending, made: false }),
            Ok(false) => Err(NoCall::Spent { budget: pacer.a_day }),
            Err(uncounted) => Err(NoCall::Uncounted(uncounted)),
        }
    }

    fn keep(mut self) {
        self.made = true;
    }
}

impl Drop for CountedCall<'_> {
    fn drop(&mut self) {
        if !self.made {
            self.spending.unspend_call();
        }
    }
}

/// A call that was let in, and is not made yet.
struct Admitted<'a> {
    pacer: &'a Pacer,
    made: bool,
}

impl Admitted<'_> {
    fn keep(mut self) {
        self.made = true;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if !self.made {
            self.pacer.state().not_used();
        }
    }
}

enum Admission {
    Now,
    At(Instant),
    AfterAnAnswer,
}

impl State {
    fn admit(&mut self, now: Instant, window: Window) -> Admission {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Admission::At(until);
        }
        if self.in_flight >= self.part.at_once {
            return Admission::AfterAnAnswer;
        }
        self.forget(now, window);
        if self.in_flight + self.answers.len() < self.allowed() {
            self.in_flight += 1;
            self.most_in_flight = self.most_in_flight.max(self.in_flight);
            self.made += 1;
            return Admission::Now;
        }
        let oldest = self.answers.front();
        oldest.map_or(Admission::AfterAnAnswer, |oldest| Admission::At(*oldest + window.length))
    }

    /// Calls that may be in a window, of those that Marketo bears and that are this pacer's.
    fn allowed(&self) -> usize {
        self.allowed.min(self.part.calls)
    }

    /// Answers that do not count any more.
    fn forget(&mut self, now: Instant, window: Window) {
        while self.answers.front().is_some_and(|answer| *answer + window.length <= now) {
            self.answers.pop_front();
        }
    }

    fn spacing(&mut self, now: Instant, window: Window) -> Duration {
        self.forget(now, window);
        let allowed = self.allowed();
        let left = allowed.saturating_sub(self.in_flight + self.answers.len());
        if left * 2 >= allowed {
            return Duration::ZERO;
        }
        let parts =
            |span: Duration, calls: usize| span / u32::try_from(calls.max(1)).unwrap_or(u32::MAX);
        // A tenth closer than the limit comes to, so that what is late can be made up for.
        let even = parts(window.length, allowed) * 9 / 10;
        let more_in = self.answers.front().map_or(even, |oldest| *oldest + window.length - now);
        parts(more_in, left).clamp(even, even * MOST_SPACING)
    }

    fn not_used(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.made = self.made.saturating_sub(1);
    }

    fn answered(&mut self, now: Instant, window: Window) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.answers.push_back(now);
        self.since_change += 1;
        if self.allowed < window.calls && self.since_change >= GROWTH {
            self.allowed += 1;
            self.since_change = 0;
        }
    }
}

impl Slot {
    /// Gives the right back: nothing was sent by it.
    pub(crate) fn unused(mut self) {
        self.used = false;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.used {
            self.pacer.state().answered(Instant::now(), self.pacer.window);
        } else {
            self.pacer.state().not_used();
            self.pacer.spending.unspend_call();
        }
        self.pacer.answered.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
