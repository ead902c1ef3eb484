//! A guard that stops hands its claim to the limits back, except for its calls that still count in
//! Marketo's window.
//!
//! The row of a guard that was killed lasts for a window and more, since nobody knows its last
//! calls. A guard that stops in good order knows when each of its calls was answered. It replaces
//! its row by a few rows that nobody renews, each for calls that leave the window at about the same
//! time. Together these rows hold no more than the claim did, so the sum of all claims stays within
//! the limit. Each lasts until its calls have left the window. Rows without wants are in no
//! division of the limits (`rate_share`).
//!
//! Never: a renewal afterwards. The guard's own row would come back, and stay until it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use super::key::LeaseKey;
use super::rate_share::{ClaimRow, Timing};
use crate::marketo::Share;

/// Most rows that are left. Calls that leave the window together share one.
const STAGES: u32 = 20;

/// The calls of a guard that still count when it stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// Whose limits: an instance of Marketo's.
    pub(crate) instance: LeaseKey,
    /// Calls, and how long they still count (of the wall's time).
    pub(crate) rests: Vec<(Share, Duration)>,
}

impl Leaving {
    /// The calls of a guard that has made its last one. `answered` has how long each answered call
    /// still counts in a window of this length. Calls that were not answered may run on, so they
    /// are kept as long as those of a guard that was killed.
    pub(crate) fn of(
        instance: LeaseKey,
        window: Duration,
        timing: Timing,
        in_flight: usize,
        answered: &[Duration],
    ) -> Self {
        let stage = (window / STAGES).max(Duration::from_millis(1));
        let mut rests: Vec<(Share, Duration)> = (1..=STAGES)
            .map(|number| {
                let (from, until) = (stage * (number - 1), stage * number);
                // By rounding a call may count for longer than a window: it is in the last stage.
                let last = number == STAGES;
                let counts = |left: &&Duration| **left > from && (last || **left <= until);
                let calls = answered.iter().filter(counts).count();
                (Share { calls, at_once: 0 }, until.max(if last { window } else { until }))
            })
            .filter(|(rest, _)| rest.calls > 0)
            .collect();
        if in_flight > 0 {
            rests.push((Share { calls: in_flight, at_once: in_flight }, timing.row));
        }
        Self { instance, rests }
    }

    /// The guard's claim goes, and what still counts of it stays as rows that nobody renews.
    pub(super) fn leave(
        &self,
        rows: &mut BTreeMap<(LeaseKey, i64), ClaimRow>,
        guard: i64,
        now: Duration,
    ) {
        rows.remove(&(self.instance, guard));
        for (number, (share, lasts)) in self.rests.iter().enumerate() {
            let (wants, ends_at) = (Share::default(), now.saturating_add(*lasts));
            let row = ClaimRow { share: *share, wants, ends_at };
            rows.insert((self.instance, guard_of_rest(guard, number)), row);
        }
    }
}

/// The owner's number of a row that is left. Guards' numbers are random and of 62 bits, so that no
/// guard has it. A guard leaves once.
fn guard_of_rest(guard: i64, number: usize) -> i64 {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    guard.wrapping_add(number.wrapping_add(1).wrapping_mul(0x5851_F42D_4C95_7F2D))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::marketo::Clock;

    const WINDOW: Duration = Duration::from_secs(20);

    fn leaving(in_flight: usize, answered: &[u64]) -> Vec<(usize, usize, u64)> {
        let answered: Vec<Duration> =
            answered.iter().map(|millis| Duration::from_millis(*millis)).collect();
        let instance = LeaseKey::of_limits("instance");
        let timing = Timing::of(WINDOW, Clock::real());
        let leaving = Leaving::of(instance, WINDOW, timing, in_flight, &answered);
        let rests = leaving.rests.iter();
        rests.map(|(rest, lasts)| (rest.calls, rest.at_once, lasts.as_secs())).collect()
    }

    #[test]
    fn calls_are_kept_until_they_have_left_the_window_and_those_in_flight_as_if_the_guard_had_died()
    {
        assert_eq!(leaving(0, &[]), [], "nothing counts, and nothing is left");
        assert_eq!(
            leaving(0, &[1, 1_000, 1_001, 19_001, 20_000, 20_001]),
            [(2, 0, 1), (1, 0, 2), (3, 0, 20)]
        );
        let row = Timing::of(WINDOW, Clock::real()).row.as_secs();
        assert_eq!(leaving(2, &[500]), [(1, 0, 1), (2, 2, row)]);
    }
}
