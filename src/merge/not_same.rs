//! Records that share a key and are not one person, by somebody's word. Pure but for the ledger.
//!
//! The word counts as long as the same records have the key, each with its name as it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::dedupe::Key;
use crate::lead::{Lead, LeadId};
use crate::ledger::{Ledger, NotSameRow};

/// A record that somebody looked at when they said so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Named {
    /// Its id.
    pub(crate) id: LeadId,
    /// First name.
    pub(crate) first: Option<String>,
    /// Last name.
    pub(crate) last: Option<String>,
}

impl Named {
    /// These leads, by id.
    pub(crate) fn of<'l>(leads: impl IntoIterator<Item = &'l Lead>) -> Vec<Self> {
        let named = |lead: &Lead| Self {
            id: lead.id,
            first: lead.first_name().map(str::to_owned),
            last: lead.last_name().map(str::to_owned),
        };
        let mut all: Vec<Self> = leads.into_iter().map(named).collect();
        all.sort();
        all
    }
}

/// Every word in force, by key.
#[derive(Debug, Default)]
pub(crate) struct NotSameRows(BTreeMap<String, Vec<NotSameRow>>);

impl NotSameRows {
    pub(crate) fn of(ledger: &Ledger) -> Result<Self, Error> {
        let mut by_key: BTreeMap<String, Vec<NotSameRow>> = BTreeMap::new();
        for row in ledger.not_same()? {
            by_key.entry(row.key.clone()).or_default().push(row);
        }
        Ok(Self(by_key))
    }

    /// Why these leads are left alone; none where nobody said that they are not one person, or
    /// where they are not the records that was said of.
    pub(crate) fn why(&self, key: &Key, leads: &[&Lead]) -> Option<String> {
        if !self.0.contains_key(key.as_str()) {
            return None;
        }
        self.why_named(key.as_str(), &Named::of(leads.iter().copied()))
    }

    /// The same, of records whose names are known.
    pub(crate) fn why_named(&self, key: &str, now: &[Named]) -> Option<String> {
        let rows = self.0.get(key)?;
        let counts = |row: &&NotSameRow| {
            serde_json::from_str::<Vec<Named>>(&row.leads).is_ok_and(|then| then == *now)
        };
        rows.iter().rev().find(counts).map(in_words)
    }
}

/// Who said so, when and why.
pub(crate) fn in_words(row: &NotSameRow) -> String {
    let note = row.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    format!(
        "{} said on {} that its records are not one person{note}; `mkto-audit decisions forget` takes that back",
        row.by,
        row.at.get(..10).unwrap_or(&row.at)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_counts_until_the_records_or_a_name_change() {
        let lead = |id: LeadId, first: &str| Lead::new(id).with("firstName", first);
        let then = [lead(1, "Ada"), lead(2, "Bo")];
        let row = NotSameRow {
            seq: 1,
            plan: "p".to_owned(),
            key: "us@example.com".to_owned(),
            leads: serde_json::to_string(&Named::of(&then)).unwrap(),
            note: Some("father and son".to_owned()),
            by: "Cy".to_owned(),
            at: "2026-11-30T01:00:00Z".to_owned(),
        };
        let words = NotSameRows([(row.key.clone(), vec![row])].into());
        let key = Key::of("us@example.com").unwrap();
        let why = words.why(&key, &[&lead(2, "Bo"), &lead(1, "Ada")]).unwrap();
        assert!(why.contains("Cy said on 2026-11-30") && why.contains("father and son"), "{why}");
        assert_eq!(words.why(&key, &[&lead(1, "Ada"), &lead(2, "Bob")]), None, "a name changed");
        assert_eq!(words.why(&key, &[&lead(1, "Ada"), &lead(2, "Bo"), &lead(3, "Di")]), None);
        assert_eq!(
            words.why(&Key::of("x@example.com").unwrap(), &then.iter().collect::<Vec<_>>()),
            None
        );
    }
}
