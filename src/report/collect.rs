//! Counts every group that streams past, and keeps the largest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::people::People;
use super::{Filter, MailedTwice, OptedOut, Source, Statistics};
use crate::dedupe::{Cause, Explanation, Group, Objection, Policy, Reason, explain};
use crate::lead::{Birth, LeadId};

/// Groups, and the leads that a merge of them would remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupTotals {
    /// How many groups.
    pub groups: u64,
    /// How many leads a merge that leaves one of each would remove: the extra records.
    pub excess: u64,
}

impl GroupTotals {
    fn add(&mut self, group: &Group) {
        self.groups += 1;
        self.excess += group.excess() as u64;
    }

    /// Both together.
    fn and(self, other: Self) -> Self {
        Self { groups: self.groups + other.groups, excess: self.excess + other.excess }
    }
}

/// A group that is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownGroup {
    /// The group.
    pub group: Group,
    /// How it came about.
    pub explanation: Explanation,
    /// What becomes of it in a merge.
    pub verdict: Verdict,
}

/// What a merge with the same flags makes of a group, as far as the scan knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It can be merged into this lead now.
    Mergeable(LeadId),
    /// A person must decide, for this reason; nobody says which lead would stay.
    Undecided(Objection),
}

impl ShownGroup {
    /// The record to keep; none where a person must decide first.
    pub fn winner(&self) -> Option<LeadId> {
        match &self.verdict {
            Verdict::Mergeable(winner) => Some(*winner),
            Verdict::Undecided(_) => None,
        }
    }

    /// Why a person must decide, where one must.
    pub fn objection(&self) -> Option<&Objection> {
        match &self.verdict {
            Verdict::Mergeable(_) => None,
            Verdict::Undecided(objection) => Some(objection),
        }
    }
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
    /// How many leads a merge of all of them would remove: the extra records.
    pub excess: u64,
    /// What can be merged now, by what makes `merge` its plan, as far as the scan knows.
    pub mergeable: GroupTotals,
    /// What a person must decide, by reason; every reason is there.
    pub undecided: BTreeMap<Reason, GroupTotals>,
    /// The same by cause; every cause is there.
    pub by_cause: BTreeMap<Cause, GroupTotals>,
    /// People with an opt-out on one record alone; `None` where opt-outs were not read.
    pub opted_out: Option<OptedOut>,
    /// People who get mails twice; `None` where nobody knows who can be mailed.
    pub mailed_twice: Option<MailedTwice>,
    /// What the leads of a group have in common, in words: `email`, or the fields of `match.key`.
    pub key_name: String,
    /// Who made them, when, and how many a guard would have prevented.
    pub statistics: Statistics,
    /// The addresses of the filter that have duplicates, normalised.
    pub named: BTreeSet<String>,
    /// The groups to show: largest first, then by key.
    pub shown: Vec<ShownGroup>,
}

impl Report {
    /// What a person must decide, for whatever reason.
    pub fn all_undecided(&self) -> GroupTotals {
        self.undecided.values().fold(GroupTotals::default(), |sum, totals| sum.and(*totals))
    }

    /// Why a person must decide, the reason of the most extra records first; reasons without a
    /// group are left out.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, GroupTotals)> {
        let found = self.undecided.iter().filter(|(_, totals)| totals.groups > 0);
        let mut found: Vec<_> = found.map(|(reason, totals)| (*reason, *totals)).collect();
        found.sort_by_key(|(reason, totals)| (Reverse(totals.excess), *reason));
        found.into_iter()
    }

    /// Those of the undecided groups whose records are perhaps meant as they are.
    pub fn perhaps_meant(&self) -> GroupTotals {
        let meant = self.undecided.iter().filter(|(reason, _)| reason.is_perhaps_meant());
        meant.fold(GroupTotals::default(), |sum, (_, totals)| sum.and(*totals))
    }
}

/// A group as a report with this filter shows it, decided as a merge with the same flags would;
/// none where the filter leaves it out.
pub fn judged(group: Group, filter: &Filter, policy: &Policy) -> Option<ShownGroup> {
    if group.excess() == 0 || !filter.passes(&group) {
        return None;
    }
    let explanation = explain(&group.leads, &group.births);
    let cause = explanation.cause;
    if filter.cause.is_some_and(|asked| asked != cause) {
        return None;
    }
    let verdict = match Objection::to(&group.leads, filter.known(cause), policy) {
        Some(objection) => Verdict::Undecided(objection),
        None => Verdict::Mergeable(policy.for_cause(Some(cause)).winner.winner(&group.leads)?.id),
    };
    Some(ShownGroup { group, explanation, verdict })
}

/// Takes groups in any order. Holds the groups that are to be shown, and of all others nothing but
/// their numbers.
#[derive(Debug)]
pub struct Collector<'a> {
    filter: &'a Filter,
    policy: &'a Policy,
    limit: usize,
    totals: BTreeMap<Cause, GroupTotals>,
    mergeable: GroupTotals,
    undecided: BTreeMap<Reason, GroupTotals>,
    people: People,
    duplicates: u64,
    statistics: Statistics,
    named: BTreeSet<String>,
    /// The least of the kept groups on top, to make room for a greater one.
    kept: BinaryHeap<Reverse<Ranked>>,
}

impl<'a> Collector<'a> {
    /// A collector that shows at most `limit` groups; all of them where there is none. The policy
    /// is that of a merge with this filter.
    pub fn new(filter: &'a Filter, policy: &'a Policy, limit: Option<usize>) -> Self {
        Self {
            filter,
            policy,
            limit: limit.unwrap_or(usize::MAX),
            totals: Cause::ALL.into_iter().map(|cause| (cause, GroupTotals::default())).collect(),
            mergeable: GroupTotals::default(),
            undecided: Reason::ALL
                .into_iter()
                .map(|reason| (reason, GroupTotals::default()))
                .collect(),
            people: People::default(),
            duplicates: 0,
            statistics: Statistics::default(),
            named: BTreeSet::new(),
            kept: BinaryHeap::new(),
        }
    }

    /// Counts a group, and keeps it where it is among the largest so far. What the filter refuses
    /// leaves no trace.
    pub fn add(&mut self, group: Group) {
        if group.excess() == 0 {
            return;
        }
        if let Some(emails) = &self.filter.emails {
            self.named.extend(emails.found_in(&group).map(str::to_owned));
        }
        let Some(shown) = judged(group, self.filter, self.policy) else { return };
        let cause = shown.explanation.cause;
        self.totals.entry(cause).or_default().add(&shown.group);
        self.duplicates += shown.group.leads.len() as u64;
        self.statistics.add(&shown.explanation);
        self.count(&shown);
        if self.limit == 0 {
            return;
        }
        self.kept.push(Reverse(Ranked(shown)));
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    /// Counts a group by what becomes of it.
    fn count(&mut self, shown: &ShownGroup) {
        let reason = shown.objection().map(|objection| objection.reason);
        if reason != Some(Reason::SeveralPeople) {
            self.people.add(&shown.group.leads);
        }
        match reason {
            Some(reason) => self.undecided.entry(reason).or_default().add(&shown.group),
            None => self.mergeable.add(&shown.group),
        }
    }

    /// Counts the birth of a lead that was merged into another before this report. Only a report on
    /// everything has a past.
    pub fn add_merged(&mut self, birth: &Birth) {
        if self.filter.is_of_everything() {
            self.statistics.add_merged(birth);
        }
    }

    /// The report on what was added.
    pub fn finish(self, source: Source) -> Report {
        let (opted_out, mailed_twice) = self.people.known(source.fields.as_deref());
        // Ascending order of the reversed is descending order: the greatest group comes first.
        let shown =
            self.kept.into_sorted_vec().into_iter().map(|Reverse(Ranked(shown))| shown).collect();
        Report {
            source,
            groups: self.totals.values().map(|totals| totals.groups).sum(),
            duplicates: self.duplicates,
            excess: self.totals.values().map(|totals| totals.excess).sum(),
            mergeable: self.mergeable,
            undecided: self.undecided,
            by_cause: self.totals,
            opted_out,
            mailed_twice,
            key_name: self.policy.key.fields.join(" + "),
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
