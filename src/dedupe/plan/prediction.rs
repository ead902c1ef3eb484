//! What the survivor of a merge will hold, field by field, and what of it a merge did otherwise.
//!
//! For: every field of the survivor is compared with this, not only those that a plan writes. A
//! prediction is made of the leads as they are read last before the merge leaves.
//! Never: decides which value is right; the plan's changes have decided that.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FieldChange, FieldFacts};
use crate::dedupe::value::{is_empty, is_nothing, same};
use crate::lead::{Lead, LeadId};

/// What a survivor will hold, and what of the leads is lost with the merge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prediction {
    /// By field; a field that differs on every lead by nature is not in it.
    pub fields: BTreeMap<String, Expected>,
    /// The values that the merge destroys because the survivor keeps another one.
    pub dropped: Vec<Dropped>,
    /// How many fields all leads that have a value agree on.
    pub equal: usize,
}

/// What a field of the survivor may hold afterwards.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// This value; null where it stays empty.
    Exactly(Value),
    /// One of these: Marketo's choice, where it cannot be written beforehand.
    OneOf(Vec<Value>),
}

/// A value that a merge destroys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// The field's REST API name.
    pub name: String,
    /// The lead that holds it, the winner too where a rule replaces its value.
    pub lead: LeadId,
    /// The value.
    pub value: Value,
}

/// A field of a survivor that holds something else than predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Deviation {
    /// The field's REST API name.
    pub name: String,
    /// What it should hold; of several possible values the first.
    pub wanted: Value,
    /// What it holds.
    pub held: Value,
}

/// Fields that differ on every lead by nature, or that Marketo derives: no conflict, no loss, and
/// nothing to write (recorded from live instances).
const BY_NATURE: &[&str] = &[
    "id",
    "createdAt",
    "updatedAt",
    "leadPerson",
    "personPrimaryLeadInterest",
    "contactCompany",
    "mktoName",
    "cookies",
    "anonymousIP",
];

/// Beginnings of the names of such fields.
const BY_NATURE_PREFIXES: &[&str] = &["original", "registration", "inferred"];

/// Whether a field differs on every lead by nature.
pub(super) fn differs_by_nature(field: &str) -> bool {
    BY_NATURE.contains(&field) || BY_NATURE_PREFIXES.iter().any(|prefix| field.starts_with(prefix))
}

/// Predicts the survivor of a merge. The winner comes first, then the losers in the order of the call;
/// `changes` are written to the winner before.
pub fn predict(in_order: &[&Lead], changes: &[FieldChange], _facts: &FieldFacts) -> Prediction {
    let mut prediction = Prediction::default();
    let Some(winner) = in_order.first() else { return prediction };
    let written: BTreeMap<&str, &Value> =
        changes.iter().map(|change| (change.name.as_str(), &change.after)).collect();
    let fields: BTreeSet<&str> = in_order
        .iter()
        .flat_map(|lead| lead.fields.keys())
        .map(String::as_str)
        .chain(written.keys().copied())
        .collect();
    for field in fields {
        if differs_by_nature(field) {
            continue;
        }
        let held = written.get(field).copied().or_else(|| winner.value(field)).unwrap_or(&Value::Null);
        let first_loser = in_order.get(1).and_then(|lead| lead.value(field)).unwrap_or(&Value::Null);
        let expected = if is_empty(held) && !is_empty(first_loser) && !written.contains_key(field) {
            Expected::OneOf(vec![first_loser.clone(), Value::Null])
        } else {
            Expected::Exactly(held.clone())
        };
        let stays = match &expected {
            Expected::Exactly(value) => value,
            Expected::OneOf(values) => values.first().unwrap_or(&Value::Null),
        };
        let differing = in_order.iter().filter_map(|lead| {
            let value = lead.value(field).filter(|value| !is_nothing(value))?;
            (!same(value, stays)).then(|| Dropped {
                name: field.to_owned(),
                lead: lead.id,
                value: value.clone(),
            })
        });
        let before = prediction.dropped.len();
        prediction.dropped.extend(differing);
        prediction.equal += usize::from(before == prediction.dropped.len() && !is_nothing(stays));
        prediction.fields.insert(field.to_owned(), expected);
    }
    prediction
}

impl Prediction {
    /// Every field of the survivor that holds something else than predicted.
    pub fn deviations(&self, survivor: &Lead) -> Vec<Deviation> {
        let held = |field: &str| survivor.value(field).cloned().unwrap_or(Value::Null);
        self.fields
            .iter()
            .filter_map(|(name, expected)| {
                let held = held(name);
                let wanted = match expected {
                    Expected::Exactly(value) => (!same(&held, value)).then_some(value),
                    Expected::OneOf(values) => {
                        (!values.iter().any(|value| same(&held, value))).then(|| values.first())?
                    }
                }?;
                Some(Deviation { name: name.clone(), wanted: wanted.clone(), held })
            })
            .collect()
    }
}
