//! The groups of a plan as a list needs them: risk, tab, search. Pure.
//!
//! For: a page of one of a hundred thousand groups is found without reading the others. An entry
//! takes some two hundred bytes. Never: holds a lead.

use std::collections::BTreeMap;

use super::carried::Carried;
use super::model::{CardFilter, Tab};
use crate::dedupe::{Cause, Choice, Decisions, Risk, by_and_when};
use crate::ledger::{DecisionRow, Digest, GroupRow, TakenOver};
use crate::merge::lasting::taken_over_in_words;

/// A group as a list needs it.
#[derive(Debug)]
struct Entry {
    key: Box<str>,
    names: Box<str>,
    domain: Option<Box<str>>,
    cause: Option<Cause>,
    effect: Effect,
    /// Where in [`Index::made`] the last decision about it is: a list looks nothing up by key.
    made: Option<usize>,
}

/// What merging a group would do, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) risk: Risk,
    pub(super) losers: u64,
    pub(super) dropped: u64,
    pub(super) lost: u64,
}

/// What was decided about a group, and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// The number of the decision.
    pub(super) number: i64,
    pub(super) decisions: Decisions,
    /// The decisions as they count for the digest.
    state: String,
    pub(super) by: String,
    pub(super) at: String,
    pub(super) refused: Option<String>,
    /// Whose word it is, where nobody decided in this plan.
    pub(super) taken_over: Option<TakenOver>,
    effect: Effect,
}

impl Made {
    /// Whose word from an earlier plan it is; none where somebody decided in this one.
    pub(super) fn said_before(&self) -> Option<String> {
        let TakenOver { by, at, plan, .. } = self.taken_over.as_ref()?;
        Some(taken_over_in_words(&self.decisions, &by_and_when(by, at, plan)))
    }
}

/// All groups of a plan, and what is decided about them.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By place.
    entries: Vec<Entry>,
    /// The places by key.
    by_key: Vec<usize>,
    /// The last decision about each group, in the order in which groups were first decided about.
    made: Vec<Made>,
    /// Its place there, by key.
    decided: BTreeMap<String, usize>,
    last: i64,
    /// What runs did with them.
    pub(super) carried: Carried,
}

/// The sums of a plan as things stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) safe: u64,
    pub(super) decide: u64,
    pub(super) done: u64,
    /// Of the groups that merge.
    pub(super) merging: u64,
    pub(super) records: u64,
    pub(super) dropped: u64,
    pub(super) lost: u64,
    /// Whether a group merges that is red, or that somebody decided about.
    pub(super) is_risky: bool,
}

impl Index {
    /// Adds the next group.
    pub(super) fn push(&mut self, row: GroupRow) {
        let effect = Effect {
            risk: row.risk.parse().unwrap_or(Risk::Red),
            losers: row.losers,
            dropped: row.dropped,
            lost: row.lost,
        };
        self.entries.push(Entry {
            key: row.key.into(),
            names: row.names.into(),
            domain: row.domain.map(Into::into),
            cause: row.cause.and_then(|cause| cause.parse().ok()),
            effect,
            made: None,
        });
    }

    /// To be called when all groups are there.
    pub(super) fn sort(&mut self) {
        self.entries.shrink_to_fit();
        let mut by_key: Vec<usize> = (0..self.entries.len()).collect();
        by_key.sort_by(|a, b| self.key(*a).cmp(&self.key(*b)));
        self.by_key = by_key;
    }

    /// Takes in what was decided since; the rows come in order, once all groups are there.
    pub(super) fn learn(&mut self, rows: Vec<DecisionRow>) -> Result<(), serde_json::Error> {
        for row in rows {
            self.last = row.seq;
            let mut decisions: Decisions = serde_json::from_str(&row.state)?;
            decisions.note = row.note;
            let made = Made {
                number: row.seq,
                decisions,
                state: row.state,
                by: row.by,
                at: row.at,
                refused: row.refused,
                taken_over: row.taken_over,
                effect: Effect {
                    risk: row.risk.parse().unwrap_or(Risk::Red),
                    losers: row.losers,
                    dropped: row.dropped,
                    lost: row.lost,
                },
            };
            self.keep(row.key, made);
        }
        Ok(())
    }

    fn keep(&mut self, key: String, made: Made) {
        if let Some(before) = self.decided.get(&key).and_then(|at| self.made.get_mut(*at)) {
            *before = made;
            return;
        }
        let at = self.made.len();
        let place = self.place_of(&key);
        if let Some(entry) = place.and_then(|place| self.entries.get_mut(place)) {
            entry.made = Some(at);
        }
        self.made.push(made);
        self.decided.insert(key, at);
    }

    /// The number of the last decision that it knows.
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn key(&self, place: usize) -> Option<&str> {
        self.entries.get(place).map(|entry| &*entry.key)
    }

    pub(super) fn place_of(&self, key: &str) -> Option<usize> {
        let found = self.by_key.binary_search_by(|place| self.key(*place).cmp(&Some(key)));
        found.ok().and_then(|at| self.by_key.get(at)).copied()
    }

    /// Every key with the place of its group, by key.
    pub(super) fn by_key(&self) -> impl Iterator<Item = (&str, usize)> {
        self.by_key.iter().filter_map(|place| Some((self.key(*place)?, *place)))
    }

    /// What was decided about a group, taken back or not.
    pub(super) fn made(&self, key: &str) -> Option<&Made> {
        self.decided.get(key).and_then(|at| self.made.get(*at))
    }

    /// The same of a group of the list.
    fn made_about(&self, entry: &Entry) -> Option<&Made> {
        entry.made.and_then(|at| self.made.get(at))
    }

    /// The number of the last decision about a group; 0 where there was none.
    pub(super) fn number(&self, key: &str) -> i64 {
        self.made(key).map_or(0, |made| made.number)
    }

    /// Everything that was decided, by key; not what was taken back.
    pub(super) fn in_force(&self) -> impl Iterator<Item = (&str, &Made)> {
        let made =
            self.decided.iter().filter_map(|(key, at)| Some((key.as_str(), self.made.get(*at)?)));
        made.filter(|(_, made)| !made.decisions.is_empty())
    }

    /// The digest of the plan with everything that is decided.
    pub(super) fn digest(&self, plan: &str) -> String {
        let mut digest = Digest::default();
        digest.add(plan);
        let mut any = false;
        for (key, made) in self.in_force() {
            digest.add(key);
            digest.add(&made.state);
            any = true;
        }
        if any { digest.hex() } else { plan.to_owned() }
    }

    fn effect(&self, entry: &Entry) -> Effect {
        let Some(made) = self.made_about(entry).filter(|made| !made.decisions.is_empty()) else {
            return entry.effect;
        };
        Effect { risk: made.effect.risk.max(entry.effect.risk), ..made.effect }
    }

    fn tab(&self, entry: &Entry) -> Tab {
        let by_risk = |undecided| {
            if self.effect(entry).risk == Risk::Red { Tab::Decide } else { undecided }
        };
        if self.carried.is_fixed(&entry.key) {
            return Tab::Done;
        }
        match self.made_about(entry).filter(|made| !made.decisions.is_empty()) {
            None => by_risk(Tab::Safe),
            Some(made) if made.refused.is_some() => Tab::Decide,
            Some(made) if made.decisions.choice.is_some() => Tab::Done,
            Some(_) => by_risk(Tab::Done),
        }
    }

    fn merges(&self, entry: &Entry) -> bool {
        let made = self.made_about(entry);
        if made.is_some_and(|made| made.refused.is_some()) {
            return false;
        }
        match made.and_then(|made| made.decisions.choice) {
            Some(choice) => choice == Choice::Merge,
            None => self.effect(entry).risk != Risk::Red,
        }
    }

    pub(super) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for entry in &self.entries {
            match self.tab(entry) {
                Tab::Safe => sums.safe += 1,
                Tab::Decide => sums.decide += 1,
                Tab::Done => sums.done += 1,
                Tab::Blocked => {}
            }
            if self.merges(entry) {
                let effect = self.effect(entry);
                // What is merged would not disappear a second time.
                if !self.carried.is_fixed(&entry.key) {
                    sums.merging += 1;
                    sums.records += effect.losers;
                    sums.dropped += effect.dropped;
                    sums.lost += effect.lost;
                }
                sums.is_risky |= effect.risk == Risk::Red
                    || self.made_about(entry).is_some_and(|made| !made.decisions.is_empty());
            }
        }
        sums
    }

    /// The places that a filter passes: how many there are, and the first of them after a place.
    pub(super) fn find(
        &self,
        filter: &CardFilter,
        after: Option<u64>,
        count: usize,
    ) -> (u64, Vec<usize>) {
        let search = filter.search.as_ref().map(|text| text.trim().to_lowercase());
        let domain =
            filter.domain.as_ref().map(|text| text.trim().trim_start_matches('@').to_lowercase());
        let from =
            after.map_or(0, |after| usize::try_from(after).unwrap_or(usize::MAX).saturating_add(1));
        if *filter == CardFilter::default() {
            let places = from..from.saturating_add(count).min(self.len());
            return (self.len() as u64, places.collect());
        }
        let (mut total, mut found) = (0, Vec::new());
        for (place, entry) in self.entries.iter().enumerate() {
            let passes = filter.tab.is_none_or(|tab| self.tab(entry) == tab)
                && filter.risk.is_none_or(|risk| entry.effect.risk == risk)
                && filter.cause.is_none_or(|cause| entry.cause == Some(cause))
                && domain.as_deref().is_none_or(|domain| entry.domain.as_deref() == Some(domain))
                && search
                    .as_deref()
                    .is_none_or(|text| entry.key.contains(text) || entry.names.contains(text));
            if !passes {
                continue;
            }
            total += 1;
            if place >= from && found.len() < count {
                found.push(place);
            }
        }
        (total, found)
    }
}
