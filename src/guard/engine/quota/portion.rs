//! This guard's part of the limits at this moment, and the reason where it is nothing: for
//! `readyz`, the log and the metrics.

use std::time::Duration;

use tokio::time::Instant;

use crate::leases::Shared;
use crate::marketo::Share;

/// How long nothing may leave before the log says so, and how often it says it again.
const TOLD_AFTER: Duration = Duration::from_secs(5);
const TOLD_AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Portion {
    limit: Share,
    may_use: Share,
    /// The store's last answer, and when it came.
    heard: Option<(Instant, Shared)>,
    /// How long a guard that was killed keeps its part.
    row: Duration,
    none_since: Option<Instant>,
    /// When the log told of that.
    told: Option<Instant>,
}

/// A line for the log after an answer of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tell {
    /// Nothing has left for so long.
    StillNothing(Duration),
    /// Calls leave again, after so long.
    CallsAgain(Duration),
}

impl Portion {
    /// All of the limits, as long as no store says otherwise.
    pub(super) fn all(limit: Share, row: Duration) -> Self {
        Self { limit, may_use: limit, heard: None, row, none_since: None, told: None }
    }

    /// Notes the part from now on, and the store's answer if there was one.
    pub(super) fn note(
        &mut self,
        now: Instant,
        may_use: Share,
        heard: Option<Shared>,
    ) -> Option<Tell> {
        self.may_use = may_use;
        self.heard = heard.map(|shared| (now, shared)).or(self.heard);
        if may_use.calls > 0 && may_use.at_once > 0 {
            let since = self.none_since.take();
            return self.told.take().and(since).map(|since| Tell::CallsAgain(now - since));
        }
        let nothing_for = now - *self.none_since.get_or_insert(now);
        let is_due = self.told.map_or(nothing_for >= TOLD_AFTER, |told| now - told >= TOLD_AGAIN);
        if !is_due {
            return None;
        }
        self.told = Some(now);
        Some(Tell::StillNothing(nothing_for))
    }

    pub(crate) fn may_use(&self) -> Share {
        self.may_use
    }

    /// How many guards share the limits, this one included.
    pub(crate) fn guards(&self) -> usize {
        self.heard.map_or(1, |(_, shared)| shared.guards)
    }

    pub(crate) fn nothing_for(&self, now: Instant) -> Duration {
        self.none_since.map_or(Duration::ZERO, |since| now - since)
    }

    /// Why nothing may leave; none where something may.
    pub(super) fn why_nothing(&self, now: Instant) -> Option<String> {
        self.none_since?;
        let waiting = "waiting for a part of the limits";
        let Some((heard, shared)) = self.heard else { return Some(waiting.to_owned()) };
        let rest = |span: Duration| span.saturating_sub(now - heard).as_secs() + 1;
        Some(if shared.guards > self.limit.calls.min(self.limit.at_once) {
            format!(
                "{} guards share limits.calls = {} and limits.concurrency = {}: this one has no part of them, and calls \
                 nobody",
                shared.guards, self.limit.calls, self.limit.at_once
            )
        } else if shared.silent > 0 {
            format!(
                "{waiting}: {} other guard{} did not hand back {} and no longer answer{}; counted out in {} s at the latest",
                shared.silent,
                if shared.silent == 1 { "" } else { "s" },
                if shared.silent == 1 { "its part" } else { "their parts" },
                if shared.silent == 1 { "s" } else { "" },
                rest(shared.frees_in)
            )
        } else if shared.left != Share::default() {
            format!(
                "{waiting}: {} calls of guards that stopped still count in Marketo's window, the last of them for {} s",
                shared.left.calls,
                rest(shared.frees_in)
            )
        } else {
            format!(
                "{waiting}: {} other guard{} them all; a guard that was killed is counted out within {} s",
                shared.guards - 1,
                if shared.guards == 2 { " holds" } else { "s hold" },
                self.row.as_secs() + 1
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Share = Share { calls: 50, at_once: 5 };
    const SECOND: Duration = Duration::from_secs(1);

    fn shared(guards: usize) -> Shared {
        Shared { guards, ..Shared::default() }
    }

    #[test]
    fn the_log_tells_after_five_seconds_then_every_minute_and_once_when_it_is_over() {
        let start = Instant::now();
        let mut portion = Portion::all(LIMIT, SECOND * 37);
        let mut told = Vec::new();
        for second in 0..=130 {
            let now = start + SECOND * second;
            told.extend(
                portion.note(now, Share::default(), Some(shared(2))).map(|tell| (second, tell)),
            );
        }
        told.extend(
            portion.note(start + SECOND * 131, LIMIT, Some(shared(1))).map(|tell| (131, tell)),
        );
        told.extend(
            portion.note(start + SECOND * 132, LIMIT, Some(shared(1))).map(|tell| (132, tell)),
        );
        let nothing = |second| (second, Tell::StillNothing(SECOND * second));
        assert_eq!(
            told,
            [nothing(5), nothing(65), nothing(125), (131, Tell::CallsAgain(SECOND * 131))]
        );
        assert_eq!(portion.why_nothing(start + SECOND * 133), None);
    }

    #[test]
    fn a_short_wait_is_not_logged_and_its_reason_is_given_all_the_same() {
        let start = Instant::now();
        let mut portion = Portion::all(LIMIT, SECOND * 37);
        assert_eq!(portion.why_nothing(start), None);
        assert_eq!(portion.note(start, Share::default(), Some(shared(2))), None);
        let held = "waiting for a part of the limits: 1 other guard holds them all; a guard that was killed is counted out within 38 s";
        assert_eq!(portion.why_nothing(start).as_deref(), Some(held));
        assert_eq!(portion.note(start + SECOND, LIMIT, Some(shared(2))), None);
    }

    #[test]
    fn each_reason_is_told_apart_with_the_time_that_is_left() {
        let start = Instant::now();
        let why = |shared: Shared| {
            let mut portion = Portion::all(LIMIT, SECOND * 37);
            portion.note(start, Share::default(), Some(shared));
            portion.why_nothing(start + SECOND * 2).unwrap()
        };
        let frees_in = SECOND * 12;
        let killed = why(Shared { guards: 2, silent: 1, frees_in, ..Shared::default() });
        assert!(killed.ends_with(
            "did not hand back its part and no longer answers; counted out in 11 s at the latest"
        ));
        let stopped = why(Shared { guards: 1, left: LIMIT, frees_in, ..Shared::default() });
        assert!(stopped.ends_with(
            "50 calls of guards that stopped still count in Marketo's window, the last of them for 11 s"
        ));
        let many = why(shared(6));
        assert!(
            many.starts_with("6 guards share limits.calls = 50 and limits.concurrency = 5"),
            "{many}"
        );
    }
}
