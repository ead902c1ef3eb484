//! What reports of groups come to, added one after the other. Pure.
//!
//! For: the sums of a plan of any size, without its groups being held.

use std::collections::BTreeMap;

use super::report::{GroupReport, Outcome};

/// Groups, counted by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub groups: usize,
    /// Those of them that have a record to keep.
    pub planned: usize,
    /// Leads that are gone.
    pub removed: usize,
    /// Leads that would be, of groups that would be merged.
    pub would_remove: usize,
    /// Groups of which no run has come to the end.
    pub unfinished: usize,
    by_outcome: BTreeMap<Outcome, usize>,
}

impl Tally {
    /// Of these groups.
    pub fn of<'r>(reports: impl IntoIterator<Item = &'r GroupReport>) -> Self {
        let mut tally = Self::default();
        reports.into_iter().for_each(|report| tally.add(report));
        tally
    }

    /// Counts a group.
    pub fn add(&mut self, report: &GroupReport) {
        self.groups += 1;
        self.planned += usize::from(report.winner.is_some());
        self.removed += report.merged.len();
        self.unfinished += usize::from(report.is_unfinished());
        if report.outcome == Outcome::WouldMerge {
            self.would_remove += report.losers.len();
        }
        *self.by_outcome.entry(report.outcome).or_default() += 1;
    }

    /// How many groups ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.by_outcome.get(&outcome).copied().unwrap_or_default()
    }
}
