//! Counts every group that streams past, and keeps the largest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::{Filter, Source, Statistics};
use crate::dedupe::{Cause, Explanation, Group, WinnerOrder, explain};
use crate::lead::{Birth, LeadId};

/// The groups and leads of one cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CauseTotals {
    /// How many groups.
    pub groups: u64,
    /// How many leads a perfect merge of them would remove.
    pub excess: u64,
}

/// A group that is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownGroup {
    /// The group.
    pub group: Group,
    /// How it came about.
    pub explanation: Explanation,
    /// The lead that would stay.
    pub winner: LeadId,
}

/// Totals over all groups that pass the filter, and the largest of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Where they are from.
    pub source: Source,
    /// How many groups.
    pub groups: u64,
    /// How many leads are in them.
    pub duplicates: u64,
    /// How many leads a perfect merge would remove.
    pub excess: u64,
    /// The same by cause; every cause is there.
    pub by_cause: BTreeMap<Cause, CauseTotals>,
    /// Who made them, when, and how many a guard would have prevented.
    pub statistics: Statistics,
    /// The addresses of the filter that have duplicates, normalised.
    pub named: BTreeSet<String>,
    /// The groups to show: largest first, then by key.
    pub shown: Vec<ShownGroup>,
}

/// Takes groups in any order. Holds the groups that are to be shown, and of all others nothing but their numbers.
#[derive(Debug)]
pub struct Collector<'a> {
    filter: &'a Filter,
    winner: &'a WinnerOrder,
    limit: usize,
    totals: BTreeMap<Cause, CauseTotals>,
    duplicates: u64,
    statistics: Statistics,
    named: BTreeSet<String>,
    /// The least of the kept groups on top, to make room for a greater one.
    kept: BinaryHeap<Reverse<Ranked>>,
}

impl<'a> Collector<'a> {
    /// A collector that shows at most `limit` groups; all of them where there is none.
    pub fn new(filter: &'a Filter, winner: &'a WinnerOrder, limit: Option<usize>) -> Self {
        Self {
            filter,
            winner,
            limit: limit.unwrap_or(usize::MAX),
            totals: Cause::ALL.into_iter().map(|cause| (cause, CauseTotals::default())).collect(),
            duplicates: 0,
            statistics: Statistics::default(),
            named: BTreeSet::new(),
            kept: BinaryHeap::new(),
        }
    }

    /// Counts a group, and keeps it where it is among the largest so far. What the filter refuses leaves no trace.
    pub fn add(&mut self, group: Group) {
        if group.excess() == 0 {
            return;
        }
        if let Some(emails) = &self.filter.emails {
            self.named.extend(emails.found_in(&group).map(str::to_owned));
        }
        if !self.filter.passes(&group) {
            return;
        }
        let explanation = explain(&group.leads, &group.births);
        if self.filter.cause.is_some_and(|cause| cause != explanation.cause) {
            return;
        }
        let totals = self.totals.entry(explanation.cause).or_default();
        totals.groups += 1;
        totals.excess += group.excess() as u64;
        self.duplicates += group.leads.len() as u64;
        self.statistics.add(&explanation);
        let Some(winner) = self.winner.winner(&group.leads).map(|lead| lead.id) else { return };
        self.kept.push(Reverse(Ranked(ShownGroup { group, explanation, winner })));
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    /// Counts the birth of a lead that was merged into another before this report. Only a report on everything has a past.
    pub fn add_merged(&mut self, birth: &Birth) {
        if self.filter.is_of_everything() {
            self.statistics.add_merged(birth);
        }
    }

    /// The report on what was added.
    pub fn finish(self, source: Source) -> Report {
        // Ascending order of the reversed is descending order: the greatest group comes first.
        let shown = self.kept.into_sorted_vec().into_iter().map(|Reverse(Ranked(shown))| shown).collect();
        Report {
            source,
            groups: self.totals.values().map(|totals| totals.groups).sum(),
            duplicates: self.duplicates,
            excess: self.totals.values().map(|totals| totals.excess).sum(),
            by_cause: self.totals,
            statistics: self.statistics,
            named: self.named,
            shown,
        }
    }
}

/// Greater where it is shown earlier: by size, then by key.
#[derive(Debug)]
struct Ranked(ShownGroup);

impl Ranked {
    fn rank(&self) -> (usize, Reverse<&str>) {
        (self.0.group.leads.len(), Reverse(self.0.group.key.as_str()))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
