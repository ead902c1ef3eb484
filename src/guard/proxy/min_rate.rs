//! How slow a caller, or Marketo, may be. A connection that hardly moves is cut, so that nobody can
//! hold it open for ever.
//!
//! Only the time counts in which this side waits for the other, so that nobody is cut because of a
//! third party.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::marketo::Clock;

/// Bytes that have to move while [`Timeouts::stall`] is waited for: some 270 a second, slower than
/// any line.
const LEAST_BYTES: usize = 16 * 1024;

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// For a head to come, and between two of them.
    pub(super) head: Duration,
    /// For the body of a write to come, all of it.
    pub(super) body: Duration,
    /// For anything that streams, until some of it has moved.
    pub(super) stall: Duration,
}

impl Timeouts {
    /// Shorter where Marketo's time passes faster, for practising, but never so short that a busy
    /// machine is cut off.
    pub(super) fn at(clock: Clock) -> Self {
        let hurried = |seconds, least| {
            clock.wall(Duration::from_secs(seconds)).max(Duration::from_secs(least))
        };
        Self { head: hurried(30, 5), body: hurried(30, 5), stall: hurried(60, 2) }
    }
}

/// Whether something moves fast enough.
#[derive(Debug)]
pub(super) struct MinRate {
    stall: Duration,
    waited: Duration,
    moved: usize,
    /// Since when it is waited, and the moment at which that is too long.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl MinRate {
    pub(super) fn new(stall: Duration) -> Self {
        Self { stall, waited: Duration::ZERO, moved: 0, waiting: None }
    }

    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes);
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if self.moved >= LEAST_BYTES {
            self.moved = 0;
            self.waited = Duration::ZERO;
        }
    }

    /// Nothing moves at this moment: ready when that has been so for too long.
    pub(super) fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let left = self.stall.saturating_sub(self.waited);
        let (_, end) = self
            .waiting
            .get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        ready!(end.as_mut().poll(context));
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::{Instant, timeout};

    use super::MinRate;

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_cut_like_a_standstill_and_what_really_moves_is_not() {
        let mut pace = MinRate::new(Duration::from_secs(60));
        let start = Instant::now();
        // A byte every ten seconds.
        while timeout(Duration::from_secs(10), poll_fn(|context| pace.poll_too_slow(context)))
            .await
            .is_err()
        {
            pace.moved(1);
        }
        assert_eq!(start.elapsed().as_secs(), 60);

        let mut pace = MinRate::new(Duration::from_secs(60));
        for _ in 0..100 {
            let waited =
                timeout(Duration::from_secs(50), poll_fn(|context| pace.poll_too_slow(context)))
                    .await;
            assert!(waited.is_err());
            pace.moved(20_000);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nothing_is_waited_for_does_not_count() {
        let mut pace = MinRate::new(Duration::from_secs(60));
        for _ in 0..5 {
            let waited =
                timeout(Duration::from_secs(10), poll_fn(|context| pace.poll_too_slow(context)))
                    .await;
            assert!(waited.is_err());
            pace.moved(1);
            // Longer than may be waited; the clock is paused, and this takes no time.
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
    }
}
