//! Keeps up this guard's part of the instance's limits, which all guards on one lease store share,
//! and holds its callers to it. In the background: no call waits for the store. When the guard
//! stops, its part is handed back.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Proxy;
use super::portion::Tell;
use crate::guard::lease::{LeaseKey, Leases, Leaving, RateShare, Shared, Timing, in_full};
use crate::marketo::Share;

/// How long callers are kept out for the store's first answer. Without one, the guard takes all of
/// the limits for its own.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// How long the store may take to note what is handed back.
const HANDED_BACK: Duration = Duration::from_secs(5);

/// A part that is not there yet is asked for so many times as often: those who have it may have let
/// go of it.
const EAGER: u32 = 5;

/// What is known of the others, and what follows.
#[derive(Debug)]
pub(super) struct Fleet {
    part: RateShare,
    timing: Timing,
    guards: usize,
    /// How many calls may last as long as their callers like.
    lasting: usize,
}

impl Fleet {
    /// The only one, until the store says otherwise.
    fn of<L: Leases>(proxy: &Proxy<L>) -> Self {
        let settings = &proxy.settings;
        let limit = Share { calls: settings.calls.max(1), at_once: settings.concurrency.max(1) };
        let timing = Timing::of(settings.window, settings.clock);
        Self {
            part: RateShare::new(LeaseKey::of_limits(&settings.instance), limit, timing),
            timing,
            guards: 1,
            lasting: proxy.lasting.available_permits(),
        }
    }

    /// Asks once, and gives when to ask again.
    async fn renew<L: Leases>(&mut self, proxy: &Proxy<L>) -> Duration {
        let claim = self.part.claim(Instant::now(), proxy.turns.used(), proxy.turns.most_at_once());
        let answer = proxy.leases.share(claim).await;
        let (may_use, heard, again) = match answer {
            Ok(shared) => {
                let may_use = self.part.told(Instant::now(), shared);
                if self.guards != shared.guards {
                    self.guards = shared.guards;
                    tracing::info!(
                        guards = shared.guards,
                        calls = shared.part.calls,
                        at_once = shared.part.at_once,
                        "guards share the limits; this one's part of them"
                    );
                }
                (may_use, Some(shared), self.again(shared.claim, shared.part))
            }
            // The store tells of itself.
            Err(_away) => (self.part.not_told(), None, self.timing.renewal),
        };
        proxy.note_part(may_use, heard);
        proxy.turns.limit_to(may_use);
        self.let_last(proxy, may_use.at_once);
        again
    }

    /// What it has too much of it lets go of at once, since its callers are held to less already.
    fn again(&self, claim: Share, part: Share) -> Duration {
        if claim.calls > part.calls || claim.at_once > part.at_once {
            self.timing.renewal / (EAGER * 2)
        } else if claim == part {
            self.timing.renewal
        } else {
            self.timing.renewal / EAGER
        }
    }

    /// Calls that may last as long as their callers like leave one of the guard's places to all
    /// others.
    fn let_last<L: Leases>(&mut self, proxy: &Proxy<L>, at_once: usize) {
        let allowed = at_once.saturating_sub(1).max(1);
        if allowed > self.lasting {
            proxy.lasting.add_permits(allowed - self.lasting);
            self.lasting = allowed;
        } else {
            // Those under way end first.
            self.lasting -= proxy.lasting.forget_permits(self.lasting - allowed);
        }
    }
}

impl<L: Leases> Proxy<L> {
    /// Asks for the first time, and goes on asking until the task is aborted.
    pub(super) async fn share_limits(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        if self.shadow.is_some() {
            // Nothing is limited there.
            return None;
        }
        let (proxy, mut fleet) = (Arc::clone(self), Fleet::of(self));
        let (answered, first) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut again = fleet.renew(&proxy).await;
            answered.send(()).ok();
            loop {
                // A part is renewed well before it ends, and no sooner: nobody waits for it.
                tokio::time::sleep(again).await;
                again = fleet.renew(&proxy).await;
            }
        });
        tokio::time::timeout(FIRST_ANSWER, first).await.ok();
        Some(task)
    }

    /// Makes no call any more, and hands the part of the limits back, so that the next guard need
    /// not wait for it.
    pub(super) async fn leave_limits(&self, sharing: JoinHandle<()>) {
        // A renewal after the leaving would claim the part once more.
        sharing.abort();
        sharing.await.ok();
        self.turns.limit_to(Share::default());
        let settings = &self.settings;
        let (in_flight, answered) = self.turns.still_counts();
        let instance = LeaseKey::of_limits(&settings.instance);
        let timing = Timing::of(settings.window, settings.clock);
        let leaving = Leaving::of(instance, settings.window, timing, in_flight, &answered);
        let left = tokio::time::timeout(HANDED_BACK, self.leases.leave(leaving)).await;
        let error = match left {
            Ok(Ok(())) => return tracing::debug!("the part of the limits is handed back"),
            Ok(Err(error)) => in_full(&error),
            Err(_elapsed) => "the lease store does not answer".to_owned(),
        };
        tracing::warn!(
            error,
            counted_out_s = timing.row.as_secs(),
            "the part of the limits could not be handed back; other guards wait until this one is counted out"
        );
    }

    /// What may be used from now on; where that is nothing for long, the log says so.
    fn note_part(&self, may_use: Share, heard: Option<Shared>) {
        let now = Instant::now();
        let (tell, why) = {
            let mut portion = self.portion();
            (portion.note(now, may_use, heard), portion.why_nothing(now))
        };
        match tell {
            Some(Tell::StillNothing(span)) => {
                let why = why.unwrap_or_default();
                tracing::warn!(
                    waiting = self.board().waiting(),
                    "no call for {} s: {why}",
                    span.as_secs()
                );
            }
            Some(Tell::CallsAgain(span)) => {
                tracing::info!(
                    waited_s = span.as_secs(),
                    "calls leave: this guard has its part of the limits"
                );
            }
            None => {}
        }
    }

    /// Why nothing could leave at this moment, as far as the limits go; none where something could.
    pub(super) fn why_nothing_leaves(&self) -> Option<String> {
        if self.shadow.is_some() {
            return None;
        }
        let budget = self.settings.daily_calls;
        if self.turns.made_today() >= budget {
            return Some(format!(
                "the day's budget of {budget} calls (limits.daily_calls) is used up; calls leave again after midnight US Central"
            ));
        }
        self.portion().why_nothing(Instant::now())
    }
}
