//! Rows of custom objects that hang on the leads of a group, as a plan keeps them. Pure.
//!
//! A merge carries no row over. Rows that can move are linked to the record that stays before the
//! merge; all others keep their group red. They are kept for every lead of the group, so that a
//! person may choose another one to stay. Never: decides whether a row can move; only Marketo's
//! description of its object tells.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lead::LeadId;

/// Rows of one custom object on one lead of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadRows {
    /// The object's API name; empty where Marketo does not show which objects there are.
    pub object: String,
    /// The lead; none where nobody can tell on which lead of the group they hang.
    pub lead: Option<LeadId>,
    /// How many.
    pub count: usize,
    /// Why they cannot be linked to another lead, in words; none where they can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

impl LeadRows {
    /// Whether they hang, or may hang, on one of these leads.
    fn concerns(&self, losers: &[LeadId]) -> bool {
        self.lead.is_none_or(|lead| losers.contains(&lead))
    }
}

/// Why rows would be left behind by a merge of these losers; none where all of them can move.
pub fn why_rows_stay(rows: &[LeadRows], losers: &[LeadId]) -> Option<String> {
    let mut why: Vec<&str> = rows
        .iter()
        .filter(|rows| rows.concerns(losers))
        .filter_map(|rows| rows.stays.as_deref())
        .collect();
    why.dedup();
    (!why.is_empty()).then(|| why.join("; "))
}

/// How many rows of each object move to the record that stays.
pub fn rows_that_move(rows: &[LeadRows], losers: &[LeadId]) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for rows in rows.iter().filter(|rows| rows.stays.is_none() && rows.concerns(losers)) {
        *all.entry(rows.object.clone()).or_default() += rows.count;
    }
    all
}

/// Rows by their object, as they are told: `3 rows of car_c, 1 row of visit_c`.
pub fn rows_in_words(rows: &BTreeMap<String, usize>) -> String {
    let told = rows.iter().map(|(object, count)| {
        let row = if *count == 1 { "row" } else { "rows" };
        format!("{count} {row} of {object}")
    });
    told.collect::<Vec<_>>().join(", ")
}
