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
use crate::leases::{LeaseKey, Leases, Leaving, RateShare, Shared, Timing};
use crate::marketo::{Clock, Share, in_words};

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

#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Whose they are.
    pub(crate) instance: String,
    /// Calls in a window, and at once.
    pub(crate) limit: Share,
    pub(crate) window: Duration,
    pub(crate) a_day: u64,
    /// How fast Marketo's time passes.
    pub(crate) clock: Clock,
}

#[derive(Debug)]
pub(crate) struct Quota<L> {
    leases: Arc<L>,
    turns: Arc<FairQueue>,
    limits: Limits,
    timing: Timing,
    portion: Mutex<Portion>,
    lasting: Arc<Semaphore>,
}

impl<L: Leases> Quota<L> {
    /// All of the limits, as long as no store says otherwise.
    pub(crate) fn new(leases: Arc<L>, turns: Arc<FairQueue>, limits: Limits) -> Self {
        let timing = Timing::of(limits.window, limits.clock);
        let portion = Mutex::new(Portion::all(limits.limit, timing.row));
        let lasting = Arc::new(Semaphore::new(may_last(limits.limit)));
        Self { leases, turns, limits, timing, portion, lasting }
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
            let mut renewal = Renewal::of(&quota);
            let mut again = renewal.renew(&quota).await;
            answered.send(()).ok();
            loop {
                // Nobody waits for a renewal.
                tokio::time::sleep(again).await;
                again = renewal.renew(&quota).await;
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
        let instance = LeaseKey::of_limits(&self.limits.instance);
        let leaving = Leaving::of(instance, self.limits.window, self.timing, in_flight, &answered);
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
        (self.turns.pacer().made_today(), self.limits.a_day)
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

struct Renewal {
    part: RateShare,
    /// How many calls may last as long as their callers like.
    lasting: usize,
}

impl Renewal {
    fn of<L>(quota: &Quota<L>) -> Self {
        let instance = LeaseKey::of_limits(&quota.limits.instance);
        Self {
            part: RateShare::new(instance, quota.limits.limit, quota.timing),
            lasting: may_last(quota.limits.limit),
        }
    }

    /// Asks once, and gives when to ask again.
    async fn renew<L: Leases>(&mut self, quota: &Quota<L>) -> Duration {
        let (pacer, timing) = (quota.turns.pacer(), quota.timing);
        let claim = self.part.claim(Instant::now(), pacer.used(), pacer.most_at_once());
        let (may_use, heard, again) = match quota.leases.share(claim).await {
            Ok(shared) => {
                let may_use = self.part.told(Instant::now(), shared);
                if quota.portion().guards() != shared.guards {
                    tracing::info!(
                        guards = shared.guards,
                        calls = shared.part.calls,
                        at_once = shared.part.at_once,
                        "guards share the limits; this one's part of them"
                    );
                }
                (may_use, Some(shared), again(timing, shared.claim, shared.part))
            }
            // The store has logged it.
            Err(_away) => (self.part.not_told(), None, timing.renewal),
        };
        quota.note(may_use, heard);
        pacer.limit_to(may_use);
        self.let_last(&quota.lasting, may_last(may_use));
        again
    }

    fn let_last(&mut self, lasting: &Semaphore, allowed: usize) {
        if allowed > self.lasting {
            lasting.add_permits(allowed - self.lasting);
            self.lasting = allowed;
        } else {
            // Those under way end first.
            self.lasting -= lasting.forget_permits(self.lasting - allowed);
        }
    }
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
