//! A span of creation times, as a bulk extract is asked for one.

use std::fmt;

use chrono::{DateTime, SecondsFormat, SubsecRound as _, TimeDelta, Utc};

/// A span of time in whole seconds. **Both ends belong to it**, as they do to a filter of a bulk
/// extract (documented by Adobe), so the window that follows begins a second after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// The first second.
    pub start: DateTime<Utc>,
    /// The last second.
    pub end: DateTime<Utc>,
}

impl Window {
    /// From one second to another; none where the end comes before the start. What is finer than a
    /// second is cut off, since Marketo takes no milliseconds.
    pub fn new(start: DateTime<Utc>, end: DateTime<Utc>) -> Option<Self> {
        let (start, end) = (start.trunc_subsecs(0), end.trunc_subsecs(0));
        (start <= end).then_some(Self { start, end })
    }

    /// How many seconds belong to it; at least one.
    pub fn seconds(&self) -> u64 {
        (self.end - self.start).num_seconds().unsigned_abs() + 1
    }

    /// Its first `seconds`, and what is left of it; nothing is left where it is no longer than
    /// that. At least one second is taken.
    pub fn cut(&self, seconds: u64) -> (Self, Option<Self>) {
        let seconds = seconds.max(1);
        if seconds >= self.seconds() {
            return (*self, None);
        }
        // Fewer than the seconds of a window that exists, so that neither the number nor the time
        // can overflow.
        let next = self.start + TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
        let first = Self { start: self.start, end: next - TimeDelta::seconds(1) };
        (first, Some(Self { start: next, end: self.end }))
    }
}

/// `2026-01-01T00:00:00Z to 2026-01-31T23:59:59Z`
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "{} to {}", written(self.start), written(self.end))
    }
}
