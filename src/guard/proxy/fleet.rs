//! Keeps up this guard's part of the instance's limits, which all guards on one lease store share, and holds its callers to
//! it. In the background: no call waits for the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Proxy;
use crate::guard::lease::{LeaseKey, Leases, Part, Spans};
use crate::marketo::Share;

/// How long callers are kept out for the store's first answer. Without one, the guard takes all of the limits for its own.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// A part that is not there yet is asked for so many times as often: those who have it may have let go of it.
const EAGER: u32 = 5;

/// What is known of the others, and what follows.
#[derive(Debug)]
pub(super) struct Fleet {
    part: Part,
    spans: Spans,
    guards: usize,
    /// How many calls may last as long as their callers like.
    lasting: usize,
}

impl Fleet {
    /// The only one, until the store says otherwise.
    fn of<L: Leases>(proxy: &Proxy<L>) -> Self {
        let settings = &proxy.settings;
        let limit = Share { calls: settings.calls.max(1), at_once: settings.concurrency.max(1) };
        let spans = Spans::of(settings.window, settings.clock);
        Self {
            part: Part::new(LeaseKey::of_limits(&settings.instance), limit, spans),
            spans,
            guards: 1,
            lasting: proxy.lasting.available_permits(),
        }
    }

    /// Asks once, and gives when to ask again.
    async fn renew<L: Leases>(&mut self, proxy: &Proxy<L>) -> Duration {
        let ask = self.part.ask(Instant::now(), proxy.turns.used(), proxy.turns.most_at_once());
        let answer = proxy.leases.share(ask).await;
        let (may_use, again) = match answer {
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
                if shared.part.calls == 0 || shared.part.at_once == 0 {
                    tracing::warn!(
                        guards = shared.guards,
                        "there are more guards than limits.concurrency or limits.calls; this one has no part in them, and calls nobody"
                    );
                }
                (may_use, self.again(shared.claim, shared.part))
            }
            // The store tells of itself.
            Err(_away) => (self.part.not_told(), self.spans.renewal),
        };
        proxy.turns.limit_to(may_use);
        self.let_last(proxy, may_use.at_once);
        again
    }

    /// What it has too much of it lets go of at once, since its callers are held to less already.
    fn again(&self, claim: Share, part: Share) -> Duration {
        if claim.calls > part.calls || claim.at_once > part.at_once {
            self.spans.renewal / (EAGER * 2)
        } else if claim == part {
            self.spans.renewal
        } else {
            self.spans.renewal / EAGER
        }
    }

    /// Calls that may last as long as their callers like leave one of the guard's places to all others.
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
    pub(super) async fn share_limits(self: &Arc<Self>) -> Option<tokio::task::AbortHandle> {
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
        Some(task.abort_handle())
    }
}
