//! What a look showed of rows that hang on records which were merged, and how it is told. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::dedupe::rows_in_words;
use crate::lead::LeadId;
use crate::ledger::CallId;
use crate::terminal::counted_of;

/// Nothing hangs on the records that are gone.
const NONE: &str = "none";
/// What hung on them was linked to the record that stayed.
const MOVED: &str = "moved";
/// Some hang on them still.
const LEFT: &str = "left";
/// They could not be looked for, or not all.
const UNREADABLE: &str = "unreadable";

/// A row that came to a record after the last look before its merge, and was linked to the record
/// that stayed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LateRow {
    /// The object's API name.
    pub object: String,
    /// Marketo's own id of the row.
    pub guid: String,
    /// The record that is gone.
    pub from: LeadId,
    /// The record that it was linked to.
    pub to: LeadId,
}

/// Rows that came so, and stay on the record that is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftRows {
    /// The object's API name.
    pub object: String,
    /// The record that is gone.
    pub lead: LeadId,
    /// How many.
    pub count: usize,
    /// Why, in words.
    pub why: String,
}

/// What a look showed of one merge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateRecord {
    /// Rows that were linked to the record that stayed.
    pub moved: Vec<LateRow>,
    /// Rows that were not.
    pub left: Vec<LeftRows>,
    /// Why it is not known whether there are others.
    pub unreadable: BTreeSet<String>,
}

impl LateRecord {
    /// A word for it.
    pub(super) fn verdict(&self) -> &'static str {
        if !self.left.is_empty() {
            LEFT
        } else if !self.unreadable.is_empty() {
            UNREADABLE
        } else if self.moved.is_empty() {
            NONE
        } else {
            MOVED
        }
    }
}

/// What a run's looks showed, merge by merge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LateRows {
    by_call: BTreeMap<CallId, LateRecord>,
    /// Why a look was cut short.
    cut_short: BTreeSet<String>,
}

impl LateRows {
    /// A later look at a merge: what it does not show any more was seen to.
    pub(super) fn add(&mut self, call: CallId, record: &LateRecord) {
        let known = self.by_call.entry(call).or_default();
        let LateRecord { moved, left, unreadable } = record.clone();
        known.moved.extend(moved);
        (known.left, known.unreadable) = (left, unreadable);
    }

    pub(super) fn cut_short(&mut self, why: String) {
        self.cut_short.insert(why);
    }

    /// Rows that were linked to the records that stayed.
    pub fn moved(&self) -> impl Iterator<Item = &LateRow> {
        self.by_call.values().flat_map(|record| &record.moved)
    }

    /// Rows that were not.
    pub fn left(&self) -> impl Iterator<Item = &LeftRows> {
        self.by_call.values().flat_map(|record| &record.left)
    }

    /// Why it is not known whether there are others, each reason once.
    pub fn unreadable(&self) -> BTreeSet<&str> {
        let of_merges = self.by_call.values().flat_map(|record| &record.unreadable);
        of_merges.chain(&self.cut_short).map(String::as_str).collect()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.moved().next().is_none()
            && self.left().next().is_none()
            && self.unreadable().is_empty()
    }

    /// In words, a line each.
    pub fn in_words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut by_object: BTreeMap<String, usize> = BTreeMap::new();
        for row in self.moved() {
            *by_object.entry(row.object.clone()).or_default() += 1;
        }
        if !by_object.is_empty() {
            lines.push(format!(
                "{} came to merged records after the plan was made; they are now linked to the surviving records",
                rows_in_words(&by_object)
            ));
        }
        let left = self.left().map(|rows| {
            format!(
                "LEFT BEHIND: {} of `{}` still linked to merged record {}: {}",
                counted_of(rows.count, "row"),
                rows.object,
                rows.lead,
                rows.why
            )
        });
        lines.extend(left);
        let unreadable = self.unreadable();
        lines.extend(unreadable.into_iter().map(|why| {
            format!("NOT KNOWN: whether rows of custom objects came to merged records late: {why}")
        }));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_look_does_not_show_is_not_told_and_what_was_moved_stays_told() {
        let call = CallId::from(1);
        let row = LateRow { object: "car_c".into(), guid: "g".into(), from: 2, to: 1 };
        let left = LeftRows { object: "car_c".into(), lead: 2, count: 1, why: "no".into() };
        let mut rows = LateRows::default();
        assert!(rows.is_empty() && rows.in_words().is_empty());
        let first = LateRecord { moved: vec![row], left: vec![left], ..LateRecord::default() };
        assert_eq!(first.verdict(), LEFT);
        rows.add(call, &first);
        rows.add(call, &first.clone());
        assert_eq!((rows.moved().count(), rows.left().count()), (2, 1));
        rows.add(call, &LateRecord::default());
        assert_eq!((rows.moved().count(), rows.left().count()), (2, 0));
        rows.cut_short("no time".to_owned());
        let told = rows.in_words().join("\n");
        assert!(told.contains("2 rows of car_c") && told.contains("no time"), "{told}");
        assert!(!told.contains("LEFT"), "{told}");
    }
}
