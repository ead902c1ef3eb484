//! Rows of custom objects that came to merged records late, by the looks for them. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Look;
use crate::merge::{LateRecord, LateRow, LeftRows};

/// What the looks for late rows came to, over all groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateTotals {
    /// When they were last looked for and something was found, or for the first time.
    pub at: String,
    /// Rows that were linked to the survivors.
    pub moved: u64,
    /// Rows that hang on merged records still.
    pub left: u64,
}

/// What the looks for late rows came to of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLate {
    /// Rows that were linked to the survivor.
    pub moved: Vec<LateRow>,
    /// Rows that hang on its merged records still.
    pub left: Vec<LeftRows>,
    /// Why it is not known whether there are others.
    pub not_known: Vec<String>,
}

impl GroupLate {
    fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.left.is_empty() && self.not_known.is_empty()
    }
}

/// By call: all that was moved, and what the last look showed of the rest.
pub(super) struct Late(BTreeMap<u64, LateRecord>);

impl Late {
    pub(super) fn of(looks: &[Look]) -> Self {
        let mut by_call: BTreeMap<u64, LateRecord> = BTreeMap::new();
        for look in looks.iter().filter(|look| look.kind == "rows") {
            for seen in &look.calls {
                let body = seen.body.clone();
                let Some(record) =
                    body.and_then(|body| serde_json::from_value::<LateRecord>(body).ok())
                else {
                    continue;
                };
                let known = by_call.entry(seen.call).or_default();
                known.moved.extend(record.moved);
                (known.left, known.unreadable) = (record.left, record.unreadable);
            }
        }
        Self(by_call)
    }

    /// Of a group's merges; none where nothing came.
    pub(super) fn of_calls(&self, calls: &[u64]) -> Option<GroupLate> {
        let mut late = GroupLate::default();
        for record in calls.iter().filter_map(|call| self.0.get(call)) {
            late.moved.extend(record.moved.iter().cloned());
            late.left.extend(record.left.iter().cloned());
            late.not_known.extend(record.unreadable.iter().cloned());
        }
        (!late.is_empty()).then_some(late)
    }

    /// Of all; none where nobody looked.
    pub(super) fn totals(&self, looks: &[Look]) -> Option<LateTotals> {
        let at = looks.iter().rev().find(|look| look.kind == "rows")?.at.clone();
        let moved = self.0.values().map(|record| record.moved.len() as u64).sum();
        let left = self.0.values().flat_map(|record| &record.left);
        let left = left.map(|rows| rows.count as u64).sum();
        Some(LateTotals { at, moved, left })
    }
}
