//! Writes of versions before leases: the ledger knows until when they may have left, and not of
//! which keys they are.
//!
//! Never: takes longer than Marketo lets a write run.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::marketo::{Clock, SYNC_LIMIT, longest};

/// How long to wait, of the wall's time, before anything is looked up: until a write that left by
/// then cannot be running any more.
pub fn until_older_runs_are_over(
    left_before: DateTime<Utc>,
    now: DateTime<Utc>,
    clock: Clock,
) -> Duration {
    let limit = longest(SYNC_LIMIT, clock);
    // A clock that was set back says nothing.
    let since = (now - left_before).max(TimeDelta::zero()).to_std().unwrap_or_default();
    limit.saturating_sub(since)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, Utc};

    use super::until_older_runs_are_over;
    use crate::marketo::Clock;

    #[test]
    fn what_left_before_leases_is_outwaited_once_and_never_longer_than_its_limit() {
        let at = |time: &str| -> DateTime<Utc> { format!("2026-01-01T{time}Z").parse().unwrap() };
        let left = at("00:10:00");
        for (now, seconds) in [
            ("00:10:00", 110),
            ("00:10:30", 80),
            ("00:11:50", 0),
            ("05:00:00", 0),
            // The clock was set back meanwhile.
            ("00:00:00", 110),
        ] {
            let wait = until_older_runs_are_over(left, at(now), Clock::real());
            assert_eq!(wait, Duration::from_secs(seconds), "{now}");
        }
    }
}
