//! The one place that waits for Marketo.
//!
//! For: waiting as long as Marketo's own time limits and back-offs ask. Never: a wait that a test cannot turn, or a
//! limit that is shortened against a real instance: only a loopback address may be given a faster clock, since there
//! the sandbox runs its own limits as fast.

use std::time::Duration;

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
