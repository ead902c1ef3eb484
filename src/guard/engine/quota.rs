//! This guard's share of the instance's rate limits, which all guards on one lease store share (a
//! distributed rate limit). It is renewed in the background: no call waits for the store. When the
//! guard stops, its share is handed back.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::fair_queue::FairQueue;
use crate::leases::{LeaseKey, Leaving, RateShare, Shared, SharedLeases, Timing};
use crate::marketo::{ClientOptions, Share, in_words};

mod portion;

pub(crate) use portion::Portion;
use portion::Tell;

/// How long writers wait for the store's first answer. Without one, the guard takes all of the
/// limits for its own.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// How long the store may take to note that the share is handed back.
const HANDED_BACK: Duration = Duration::from_secs(5);

/// A guard that lacks a part of its share renews so many times as often: the others may have given
/// the part back.
const EAGER: u32 = 5;

#[derive(Debug)]
pub(crate) struct Quota {
    leases: SharedLeases,
    turns: Arc<FairQueue>,
    /// Whose limits they are.
    instance: LeaseKey,
    /// Calls in a window, and at once.
    limit: Share,
    window: Duration,
    a_day: u64,
    timing: Timing,
    portion: Mutex<Portion>,
    lasting: Arc<Semaphore>,
}

impl Quota {
    /// All of an instance's limits, as long as no store says otherwise.
    pub(crate) fn new(
        leases: SharedLeases,
        turns: Arc<FairQueue>,
        (instance, marketo): (&str, &ClientOptions),
    ) -> Self {
        let ClientOptions { calls, window, concurrency, daily_calls: a_day, clock, .. } = *marketo;
        let limit = Share { calls: calls.max(1), at_once: concurrency.max(1) };
        let timing = Timing::of(window, clock);
        let portion = Mutex::new(Portion::all(limit, timing.row));
        let lasting = Arc::new(Semaphore::new(may_last(limit)));
        let instance = LeaseKey::of_limits(instance);
        Self { leases, turns, instance, limit, window, a_day, timing, portion, lasting }
    }

    /// Places of calls that may last as long as their callers like. One place less than the guard
    /// has: the others need one.
    pub(crate) fn lasting(&self) -> Arc<Semaphore> {
        Arc::clone(&self.lasting)
    }

    /// Asks for the first time, and goes on asking until the task is aborted.
    pub(crate) async fn start(self: &Arc<Self>) -> JoinHandle<()> {
        let quota = Arc::clone(self);
        let (answered, first) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut part = RateShare::new(quota.instance, quota.limit, quota.timing);
            let mut may_last = may_last(quota.limit);
            let mut again = quota.renew(&mut part, &mut may_last).await;
            answered.send(()).ok();
            loop {
                // Nobody waits for a renewal.
                tokio::time::sleep(again).await;
                again = quota.renew(&mut part, &mut may_last).await;
            }
        });
        tokio::time::timeout(FIRST_ANSWER, first).await.ok();
        task
    }

    /// Hands the share back, so that the next guard need not wait for it. From now on no call
    /// leaves.
    pub(crate) async fn hand_back(&self, renewing: JoinHandle<()>) {
        // A renewal after the leaving would claim the share once more.
        renewing.abort();
        renewing.await.ok();
        let pacer = self.turns.pacer();
        pacer.limit_to(Share::default());
        let (in_flight, answered) = pacer.still_counts();
        let leaving = Leaving::of(self.instance, self.window, self.timing, in_flight, &answered);
        let left = tokio::time::timeout(HANDED_BACK, self.leases.leave(leaving)).await;
        let error = match left {
            Ok(Ok(())) => return tracing::debug!("the share of the limits is handed back"),
            Ok(Err(error)) => in_words(&error),
            Err(_elapsed) => "the lease store does not answer".to_owned(),
        };
        tracing::warn!(
            error,
            counted_out_s = self.timing.row.as_secs(),
            "the part of the limits could not be handed back; other guards wait until this one is counted out"
        );
    }

    pub(crate) fn portion(&self) -> Portion {
        *self.portion.lock()
    }

    /// Calls made today, and those that may be.
    pub(crate) fn today(&self) -> (u64, u64) {
        (self.turns.pacer().made_today(), self.a_day)
    }

    /// Why the limits let no call leave at this moment; none where one could.
    pub(crate) fn why_nothing_leaves(&self) -> Option<String> {
        let (made, budget) = self.today();
        if made >= budget {
            return Some(format!(
                "the day's budget of {budget} calls (limits.daily_calls) is used up; calls leave again after midnight US Central"
            ));
        }
        self.portion.lock().why_nothing(Instant::now())
    }

    /// Asks once, and gives when to ask again. `lasting` is how many calls may last as long as
    /// their callers like.
    async fn renew(&self, part: &mut RateShare, lasting: &mut usize) -> Duration {
        let pacer = self.turns.pacer();
        let claim = part.claim(Instant::now(), pacer.used(), pacer.most_at_once());
        let (may_use, heard, again) = match self.leases.share(claim).await {
            Ok(shared) => {
                let may_use = part.told(Instant::now(), shared);
                if self.portion().guards() != shared.guards {
                    tracing::info!(
                        guards = shared.guards,
                        calls = shared.part.calls,
                        at_once = shared.part.at_once,
                        "guards share the limits; this one's part of them"
                    );
                }
                (may_use, Some(shared), again(self.timing, shared.claim, shared.part))
            }
            // The store has logged it.
            Err(_away) => (part.not_told(), None, self.timing.renewal),
        };
        self.note(may_use, heard);
        pacer.limit_to(may_use);
        let allowed = may_last(may_use);
        if allowed > *lasting {
            self.lasting.add_permits(allowed - *lasting);
            *lasting = allowed;
        } else {
            // Those under way end first.
            *lasting -= self.lasting.forget_permits(*lasting - allowed);
        }
        again
    }

    /// Notes the share from now on. If it has been nothing for long, the log says so.
    fn note(&self, may_use: Share, heard: Option<Shared>) {
        let now = Instant::now();
        let (tell, why) = {
            let mut portion = self.portion.lock();
            (portion.note(now, may_use, heard), portion.why_nothing(now))
        };
        match tell {
            Some(Tell::StillNothing(span)) => tracing::warn!(
                waiting = self.turns.waiting(),
                "no call for {} s: {}",
                span.as_secs(),
                why.unwrap_or_default()
            ),
            Some(Tell::CallsAgain(span)) => tracing::info!(
                waited_s = span.as_secs(),
                "calls leave: this guard has its part of the limits"
            ),
            None => {}
        }
    }
}

fn may_last(share: Share) -> usize {
    share.at_once.saturating_sub(1).max(1)
}

/// When to renew again. A guard whose claim is too high gives the rest back at once, since its
/// callers are held to less already.
fn again(timing: Timing, claim: Share, part: Share) -> Duration {
    if claim.calls > part.calls || claim.at_once > part.at_once {
        timing.renewal / (EAGER * 2)
    } else if claim == part {
        timing.renewal
    } else {
        timing.renewal / EAGER
    }
}
