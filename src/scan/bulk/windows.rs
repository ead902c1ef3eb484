//! Which windows of creation times an instance is read in.

use chrono::{DateTime, TimeDelta, Utc};

use crate::lead::Window;

/// The longest window that Marketo takes: 31 days. Both ends belong to a window, so that it ends a
/// second before that.
const LONGEST: u64 = 31 * 86_400;

/// The windows from the first to the last second, by time: none longer than Marketo takes, no
/// second in none or in two.
pub(super) fn cover(first: DateTime<Utc>, last: DateTime<Utc>) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut rest = Window::new(first, last);
    while let Some(window) = rest {
        let (next, after) = window.cut(LONGEST);
        windows.push(next);
        rest = after;
    }
    windows
}

/// A day before what the folders say: their times come from another service, and an empty day costs
/// next to nothing.
pub(super) fn beginning(oldest_folder: DateTime<Utc>) -> DateTime<Utc> {
    oldest_folder - TimeDelta::days(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether windows are exactly the seconds from `first` to `last`, each once.
    fn is_cover(windows: &[Window], first: i64, last: i64) -> bool {
        let mut next = first;
        for window in windows {
            if window.start.timestamp() != next || window.end < window.start {
                return false;
            }
            next = window.end.timestamp() + 1;
        }
        next == last + 1
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    proptest! {
        #[test]
        fn windows_cover_every_second_once_and_none_is_longer_than_marketo_takes(
            first in 1_000_000_000_i64..2_000_000_000,
            seconds in 0_i64..600_000_000,
        ) {
            let windows = cover(at(first), at(first + seconds));
            prop_assert!(is_cover(&windows, first, first + seconds));
            // What Marketo refuses is a filter whose ends are further apart than 31 days.
            prop_assert!(windows.iter().all(|window| window.end - window.start < TimeDelta::days(31)));
        }

    }

    #[test]
    fn what_is_finer_than_a_second_is_cut_off() {
        let first = DateTime::from_timestamp_millis(1_000_000_000_750).unwrap();
        let windows = cover(first, at(1_000_000_000));
        assert_eq!(windows, [Window { start: at(1_000_000_000), end: at(1_000_000_000) }]);
        assert_eq!(cover(at(10), at(9)), []);
    }
}
