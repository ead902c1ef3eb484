//! Whether a survivor is as predicted, field by field, and which differences a merge can have made.
//! Pure.
//!
//! Never: writes. A difference that a merge made is mended elsewhere; any other stays, and is told.

use serde_json::Value;

use super::report::Difference;
use super::settle::{Made, Pending};
use crate::dedupe::{FieldChange, FieldFacts};
use crate::lead::Lead;

/// The differences between a survivor and its prediction.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Compared {
    /// Those that the merge made.
    pub(super) taken: Vec<Difference>,
    /// Those that no merge makes.
    pub(super) changed: Vec<Difference>,
}

impl Compared {
    pub(super) fn is_as_predicted(&self) -> bool {
        self.taken.is_empty() && self.changed.is_empty()
    }
}

/// Compares the survivor of a call with what the leads were when it left.
pub(super) fn compare(pending: &Pending<'_>, survivor: &Lead, facts: &FieldFacts) -> Compared {
    let in_order: Vec<&Lead> = pending.leads().filter_map(|id| pending.before.get(&id)).collect();
    let mut compared = Compared::default();
    if in_order.first().is_none_or(|first| first.id != pending.group.winner) {
        return compared;
    }
    let prediction = pending.group.predict_call(&in_order, facts, &pending.rules);
    for deviation in prediction.deviations(survivor, facts) {
        let difference = Difference {
            lead: survivor.id,
            name: deviation.name,
            wanted: deviation.wanted,
            found: deviation.held,
        };
        if made_by_merge(&difference, &in_order, former(&difference.name, pending), facts) {
            compared.taken.push(difference);
        } else {
            compared.changed.push(difference);
        }
    }
    compared
}

/// What the winner held before it was written to, which a merge that lags brings back. Of an
/// earlier run's call it is more likely that somebody has put it back since.
fn former<'a>(field: &str, pending: &'a Pending<'_>) -> Option<&'a Value> {
    let change = pending.group.changes.iter().find(|change| change.name == field)?;
    (pending.made == Made::ByThisRun).then_some(&change.before)
}

/// A merge leaves a field empty, or with a value of one of its leads, or with their numbers added
/// up. What a lead held at another time no merge can leave.
fn made_by_merge(
    difference: &Difference,
    in_order: &[&Lead],
    former: Option<&Value>,
    facts: &FieldFacts,
) -> bool {
    let Difference { name, wanted, found, .. } = difference;
    if is_unset(found) {
        return true;
    }
    let mut values = in_order.iter().filter_map(|lead| lead.value(name)).chain(former);
    if values.any(|value| facts.holds(name, found, value)) {
        return true;
    }
    let mut sum = wanted.as_f64().unwrap_or_default();
    in_order.iter().skip(1).any(|loser| {
        sum += loser.value(name).and_then(Value::as_f64).unwrap_or_default();
        facts.holds(name, found, &Value::from(sum))
    })
}

/// Marketo shows an unset boolean as false, and an unset score as zero.
fn is_unset(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
        || value.as_f64() == Some(0.0)
        || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// The write that puts a survivor right.
pub(super) fn to_write(taken: &[Difference]) -> Vec<FieldChange> {
    taken
        .iter()
        .map(|difference| FieldChange {
            name: difference.name.clone(),
            before: difference.found.clone(),
            after: difference.wanted.clone(),
            from: None,
        })
        .collect()
}
