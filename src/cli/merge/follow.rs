//! Keeps the cache and the progress line up to date while groups are merged.
//!
//! Never: ends a run. A cache that cannot be written to is told at the end.

use std::collections::BTreeMap;

use super::first::First;
use crate::cache::{Cache, Row};
use crate::cli::Progress;
use crate::dedupe::KeySpec;
use crate::lead::{Lead, LeadId};
use crate::merge::{GroupReport, Outcome, Watch};
use crate::terminal::counted_of;

/// Keeps the cache and the progress bar up to date.
pub(super) struct Follow<'a> {
    pub(super) cache: &'a mut Cache,
    key: &'a KeySpec,
    pub(super) progress: Progress,
    pub(super) planned: usize,
    /// Shows the first group that is merged.
    pub(super) first: Option<First>,
    /// How many groups ended so.
    ended: BTreeMap<Outcome, usize>,
    pub(super) unrecorded: bool,
}

impl<'a> Follow<'a> {
    pub(super) fn new(cache: &'a mut Cache, key: &'a KeySpec, progress: Progress) -> Self {
        Self {
            cache,
            key,
            progress,
            planned: 0,
            first: None,
            ended: BTreeMap::new(),
            unrecorded: false,
        }
    }
}

impl Watch for Follow<'_> {
    fn group(&mut self, report: &GroupReport) {
        *self.ended.entry(report.outcome).or_default() += 1;
        let ended = |outcome| self.ended.get(&outcome).copied().unwrap_or_default();
        let failed = ended(Outcome::Failed) + ended(Outcome::Unknown);
        let mut told = format!("{} of {} merged", ended(Outcome::Merged), self.planned);
        let prepared = ended(Outcome::Prepared);
        for (number, what) in [
            (ended(Outcome::Skipped), "left alone"),
            (prepared, "written to, not merged"),
            (failed, "failed"),
        ] {
            if number > 0 {
                told = format!("{told}, {number} {what}");
            }
        }
        let done: usize = self.ended.values().sum();
        if let Some(first) = self.first.take_if(|_| !report.merged.is_empty()) {
            self.progress.aside(|| first.show(report));
        }
        self.progress.counting(done as u64, self.planned as u64, told);
    }

    fn merged(&mut self, survivor: &Lead, gone: &[LeadId]) {
        let row = Row { lead: survivor.clone(), key: key_of(self.key, survivor) };
        if self.cache.record_merge(&row, gone).is_err() {
            self.unrecorded = true;
        }
    }

    fn waiting(&mut self, calls: usize) {
        self.progress
            .say(&format!("waiting for {} whose outcome is not clear", counted_of(calls, "call")));
    }
}

/// The match key of a lead, as the cache stores it.
pub(super) fn key_of(spec: &KeySpec, lead: &Lead) -> Option<String> {
    spec.key_of(lead).map(|key| key.as_str().to_owned())
}
