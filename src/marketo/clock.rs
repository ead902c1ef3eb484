//! The one place that waits for Marketo.
//!
//! For: waiting as long as Marketo's own time limits and back-offs ask. Never: a wait that a test
//! cannot turn, or a limit that is shortened against a real instance: only a loopback address may
//! be given a faster clock, since there the sandbox runs its own limits as fast.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A clock on which Marketo's time passes `speed` times as fast as on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    speed: u32,
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

impl Clock {
    /// Marketo's time is the wall's.
    pub fn real() -> Self {
        Self { speed: 1 }
    }

    /// A faster clock, for practising against a sandbox that runs as fast. Zero counts as one.
    pub fn sped_up(speed: u32) -> Self {
        Self { speed: speed.max(1) }
    }

    /// How much wall time a span of Marketo's time takes.
    pub fn wall(self, span: Duration) -> Duration {
        span / self.speed
    }

    /// Waits for a span of Marketo's time.
    pub async fn sleep(self, span: Duration) {
        tokio::time::sleep(self.wall(span)).await;
    }

    /// Waits until a span of Marketo's time has passed since `start`.
    pub async fn sleep_since(self, start: Instant, span: Duration) {
        tokio::time::sleep_until(start + self.wall(span)).await;
    }
}

/// A moment by two clocks: the monotonic one stands still while a machine sleeps, and the wall
/// clock can be set.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// The moment by the monotonic clock.
    pub fn instant(self) -> Instant {
        self.monotonic
    }

    /// How long ago it was at most: by the clock that says more. A wall clock that was set back
    /// since counts by as much as it disagrees with the monotonic one, so that a moment never looks
    /// younger for it.
    pub fn age(self) -> Duration {
        self.age_at(Self::now())
    }

    /// The earlier of two moments.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        if other.monotonic < self.monotonic { other } else { self }
    }

    /// A moment that is so much older by the wall clock alone, as if the machine had slept since.
    #[cfg(test)]
    pub(crate) fn before_a_sleep(self, slept: Duration) -> Self {
        Self { wall: self.wall.checked_sub(slept).expect("a time after 1970"), ..self }
    }

    fn age_at(self, now: Self) -> Duration {
        let monotonic = now.monotonic.saturating_duration_since(self.monotonic);
        match now.wall.duration_since(self.wall) {
            Ok(wall) => wall.max(monotonic),
            Err(set_back) => monotonic + set_back.duration(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use tokio::time::Instant;

    use super::Moment;

    #[test]
    fn a_moment_is_as_old_as_the_clock_says_that_says_more() {
        let (monotonic, wall) = (Instant::now(), SystemTime::now());
        let at = |awake: u64, by_wall: i64| {
            let wall = if by_wall < 0 {
                wall - Duration::from_secs(by_wall.unsigned_abs())
            } else {
                wall + Duration::from_secs(by_wall.unsigned_abs())
            };
            Moment { monotonic: monotonic + Duration::from_secs(awake), wall }
        };
        let then = Moment { monotonic, wall };
        for (awake, by_wall, age) in [(3, 3, 3), (3, 280, 280), (7, 0, 7), (2, -10, 12)] {
            assert_eq!(
                then.age_at(at(awake, by_wall)),
                Duration::from_secs(age),
                "{awake} {by_wall}"
            );
        }
    }
}
