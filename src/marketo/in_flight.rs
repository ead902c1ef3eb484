//! A call in doubt (law 4): it left, and nobody knows what became of it.
//!
//! For: when it must be over, and when to look meanwhile; the same for merges, for guarded writes
//! and for calls of a run that was killed. Never: looks, or concludes anything.

use std::time::Duration;

use tokio::time::Instant;

use super::deadline::margin;
use super::{Clock, to_send, until_over};

/// When a look is worth its call before the call is over, in Marketo's time since it was sent. Most
/// calls whose answer is lost are done within seconds.
const EARLY_LOOKS: [Duration; 3] =
    [Duration::from_secs(4), Duration::from_secs(15), Duration::from_secs(45)];

/// A call that may be running at Marketo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    sent_at: Instant,
    /// The last moment at which it may have left.
    left_by: Instant,
    limit: Duration,
    clock: Clock,
}

impl InFlight {
    /// A call of which only the moment is known at which its sending began. It left within
    /// [`MARGIN`](super::MARGIN) of that, or not at all.
    pub fn begun_at(sent_at: Instant, limit: Duration, clock: Clock) -> Self {
        Self { sent_at, left_by: sent_at + margin(clock), limit, clock }
    }

    /// A call whose last byte left at this moment.
    pub fn left_at(left_at: Instant, limit: Duration, clock: Clock) -> Self {
        Self { sent_at: left_at, left_by: left_at, limit, clock }
    }

    /// When it left, where that is known; else when its sending began.
    pub fn sent_at(self) -> Instant {
        self.sent_at
    }

    /// How long Marketo lets it run.
    pub fn limit(self) -> Duration {
        self.limit
    }

    /// From then on it cannot be running: it arrived within a margin, and ran for as long as
    /// Marketo lets it.
    pub fn over_at(self) -> Instant {
        self.left_by + until_over(self.limit, self.clock)
    }

    /// Whether it cannot be running any more.
    pub fn is_over(self) -> bool {
        Instant::now() >= self.over_at()
    }

    /// Waits until it cannot be running any more.
    pub async fn over(self) {
        tokio::time::sleep_until(self.over_at()).await;
    }

    /// When to look before it is over. What an early look finds done is done; anything else it
    /// finds may change until the call is over.
    pub fn early_looks(self) -> impl Iterator<Item = Instant> {
        let at = move |since: Duration| self.sent_at + self.clock.wall(since);
        EARLY_LOOKS.into_iter().map(at).filter(move |look| *look < self.over_at())
    }

    /// The next look of the schedule after this moment, the last of which is when it is over.
    pub fn next_look(self, after: Instant) -> Instant {
        self.early_looks().find(|look| *look > after).unwrap_or_else(|| self.over_at())
    }
}

/// How long after its sending began a call with this limit is over, whatever is heard of it. It is
/// what a lease is renewed for.
pub fn longest(limit: Duration, clock: Clock) -> Duration {
    to_send(limit, clock)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::InFlight;
    use crate::marketo::{Clock, MARGIN, SYNC_LIMIT, longest};

    fn since(at: Instant, start: Instant) -> u64 {
        (at - start).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_over_after_marketos_limit_and_a_margin_for_each_thing_that_is_not_known() {
        let start = Instant::now();
        let left = InFlight::left_at(start, SYNC_LIMIT, Clock::real());
        let begun = InFlight::begun_at(start, SYNC_LIMIT, Clock::real());
        assert_eq!((since(left.over_at(), start), since(begun.over_at(), start)), (100, 110));
        assert_eq!(begun.over_at() - start, longest(SYNC_LIMIT, Clock::real()));
        assert!(!left.is_over());
        left.over().await;
        assert_eq!((since(Instant::now(), start), left.is_over()), (100, true));
        assert!(!begun.is_over());
        tokio::time::advance(MARGIN).await;
        assert!(begun.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn looks_come_early_and_once_more_when_it_is_over() {
        let start = Instant::now();
        let call = InFlight::left_at(start, SYNC_LIMIT, Clock::real());
        let (mut at, mut looks) = (start, Vec::new());
        while at < call.over_at() {
            at = call.next_look(at);
            looks.push(since(at, start));
        }
        assert_eq!(looks, [4, 15, 45, 100]);
        let short = InFlight::left_at(start, Duration::from_secs(1), Clock::real());
        assert_eq!(short.early_looks().map(|at| since(at, start)).collect::<Vec<_>>(), [4]);
        assert_eq!(since(call.next_look(call.over_at()), start), 100);
    }

    #[test]
    fn a_faster_clock_shortens_all_but_what_a_busy_machine_needs() {
        let start = Instant::now();
        let call = InFlight::left_at(start, SYNC_LIMIT, Clock::sped_up(1_000));
        assert_eq!((call.over_at() - start).as_millis(), 90 + 250);
    }
}
