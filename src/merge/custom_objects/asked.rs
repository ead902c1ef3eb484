//! The values for which rows are asked that are linked by a field of leads, and whose they may be.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::found::Family;
use crate::lead::{Lead, LeadId};

/// The values that rows of a group would hold, and whose they are.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Asked {
    /// As they are asked for.
    pub(super) spellings: BTreeSet<String>,
    /// The winners of the groups that they concern, by the value as it compares.
    pub(super) groups: BTreeMap<String, BTreeSet<LeadId>>,
    /// The winners of the groups that have a value that Marketo cannot be asked for.
    pub(super) unaskable: BTreeSet<LeadId>,
}

impl Asked {
    /// The field's value of every lead of the groups, the winners' too: a row with the winner's
    /// value may hang on a loser that holds it as well, or held it when the row was written.
    pub(super) fn by_field(
        field: &str,
        groups: &[Family<'_>],
        live: &BTreeMap<LeadId, Lead>,
    ) -> Self {
        let mut asked = Self::default();
        for group in groups {
            let values = group.members().filter_map(|id| live.get(&id)?.value(field));
            for value in values.filter_map(as_text) {
                asked.add(&value, group.winner);
            }
        }
        asked
    }

    fn add(&mut self, value: &str, winner: LeadId) {
        if value.contains(',') {
            self.unaskable.insert(winner);
            return;
        }
        let compared = value.to_lowercase();
        // Marketo compares without regard to case; whether it does so for every kind of field is
        // not documented.
        self.spellings.extend([value.to_owned(), compared.clone()]);
        self.groups.entry(compared).or_default().insert(winner);
    }

    /// The winners of the groups that a row may be of; all that were asked for with it where the
    /// row does not say.
    pub(super) fn concerned(
        &self,
        row: &Map<String, Value>,
        field: &str,
        chunk: &[String],
    ) -> BTreeSet<LeadId> {
        let held = row.get(field).or_else(|| {
            row.iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(field.trim()))
                .map(|(_, value)| value)
        });
        let groups = held
            .and_then(as_text)
            .and_then(|value| self.groups.get(&value.to_lowercase()).cloned());
        groups.unwrap_or_else(|| self.all_of(chunk))
    }

    pub(super) fn all_of(&self, chunk: &[String]) -> BTreeSet<LeadId> {
        chunk
            .iter()
            .filter_map(|value| self.groups.get(&value.to_lowercase()))
            .flatten()
            .copied()
            .collect()
    }
}

/// A value as a filter takes it; none where it is empty, since nothing is linked by an empty value.
pub(super) fn as_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => match number.as_f64() {
            // A whole number in a field of decimals.
            Some(float) if number.is_f64() && float.fract() == 0.0 => format!("{float:.0}"),
            _ => number.to_string(),
        },
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}
