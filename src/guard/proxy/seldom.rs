//! Keeps repeated lines out of the log: each subject is logged once a minute at most.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How often a subject is told of.
const PAUSE: Duration = Duration::from_secs(60);

/// Subjects that are remembered. Of more than that some are forgotten, and told of again.
const REMEMBERED: usize = 10_000;

/// When each subject was last told of.
#[derive(Debug)]
pub(super) struct Seldom<K>(Mutex<BTreeMap<K, Instant>>);

impl<K: Ord> Seldom<K> {
    /// Whether the log is to tell of this subject now.
    pub(super) fn is_due(&self, subject: K, now: Instant) -> bool {
        let mut told = self.0.lock();
        if told.get(&subject).is_some_and(|last| now - *last < PAUSE) {
            return false;
        }
        if told.len() >= REMEMBERED {
            told.retain(|_, last| now - *last < PAUSE);
            if told.len() >= REMEMBERED {
                told.pop_first();
            }
        }
        told.insert(subject, now);
        true
    }
}

impl<K> Default for Seldom<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_told_of_once_a_minute_and_others_do_not_wait_for_it() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let is_due =
            |subject: u32, second| seldom.is_due(subject, start + Duration::from_secs(second));
        assert!(is_due(1, 0) && is_due(2, 0));
        assert!(!is_due(1, 59) && is_due(3, 59));
        assert!(is_due(1, 60) && !is_due(1, 61));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (seldom, now) = (Seldom::default(), Instant::now());
        (0..REMEMBERED + 200).for_each(|subject| assert!(seldom.is_due(subject, now)));
        assert!(seldom.0.lock().len() <= REMEMBERED);
    }
}
