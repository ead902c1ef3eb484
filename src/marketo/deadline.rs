//! Law 4's margin, and the moment by which a call leaves: in one place, for those who send, for
//! the leases, and for the check of their protocol.
//!
//! Between the renewal of a lease and the end of its call at Marketo lie three spans. The call
//! leaves within [`MARGIN`] of the moment at which the renewal was asked for, or not at all
//! ([`LeaveBy`]). It arrives within another. And it runs, no longer than Marketo's limit of such
//! calls. The spans are Marketo's time, and the margins no shorter than a busy machine needs.

use std::time::Duration;

use super::Clock;
use crate::boot_clock;

/// The longest that a call may take from the asking for its renewal until it leaves, and from there
/// until it arrives.
pub const MARGIN: Duration = Duration::from_secs(10);

/// However fast Marketo's clock, for practising, a busy machine may be slow.
const LEAST_MARGIN: Duration = Duration::from_millis(250);

/// What a lease is renewed for, in the wall's time, just before a call with this limit leaves.
pub fn to_send(limit: Duration, clock: Clock) -> Duration {
    clock.wall(limit) + margin(clock) * 2
}

/// After how long of the wall's time since it left a call with this limit is over, whatever its
/// sender heard of it.
pub fn until_over(limit: Duration, clock: Clock) -> Duration {
    clock.wall(limit) + margin(clock)
}

/// [`MARGIN`] in the wall's time.
pub(crate) fn margin(clock: Clock) -> Duration {
    clock.wall(MARGIN).max(LEAST_MARGIN)
}

/// The moment after which a call must not leave any more, by a clock that goes on while the machine
/// sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaveBy {
    /// Of the machine's clock. A clock that cannot be read lets nothing leave.
    millis: Option<i64>,
}

impl LeaveBy {
    /// A margin from now, which is right before the renewal is asked for.
    pub fn from_now(clock: Clock) -> Self {
        Self::within(margin(clock))
    }

    /// So much of the wall's time from now.
    pub fn within(margin: Duration) -> Self {
        let margin = i64::try_from(margin.as_millis()).unwrap_or(i64::MAX);
        Self { millis: boot_clock::up_for().ok().map(|now| now.saturating_add(margin)) }
    }

    /// How long it is until then; nothing where it is too late.
    pub fn remaining(self) -> Duration {
        let now = boot_clock::up_for().ok();
        let millis = now.zip(self.millis).map_or(0, |(now, by)| by.saturating_sub(now));
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Whether it is too late.
    pub fn is_over(self) -> bool {
        let now = boot_clock::up_for().ok();
        now.zip(self.millis).is_none_or(|(now, by)| now > by)
    }
}
