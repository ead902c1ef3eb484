//! Whether a survivor is as predicted, field by field, and which differences a merge can have made. Pure.
//!
//! Never: writes. A difference that a merge made is mended elsewhere; any other stays, and is told.

use std::collections::BTreeMap;

use serde_json::Value;

use super::report::Difference;
use super::settle::Pending;
use crate::dedupe::{FieldChange, FieldFacts};
use crate::lead::{Lead, LeadId};

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

/// Compares the survivor of a call with what the leads were before it. `kept` are the leads as the ledger
/// has them, newest last: a merge can bring back a value of any of them.
pub(super) fn compare(
    pending: &Pending<'_>,
    survivor: &Lead,
    kept: &BTreeMap<LeadId, Vec<Lead>>,
    facts: &FieldFacts,
) -> Compared {
    let before = |id: &LeadId| pending.before.get(id).or_else(|| kept.get(id)?.last());
    let in_order: Vec<&Lead> =
        std::iter::once(&pending.group.winner).chain(&pending.losers).filter_map(before).collect();
    let mut compared = Compared::default();
    if in_order.first().is_none_or(|first| first.id != pending.group.winner) {
        return compared;
    }
    let prediction = pending.group.predict_call(&in_order, facts, pending.rules);
    for deviation in prediction.deviations(survivor, facts) {
        let difference = Difference {
            lead: survivor.id,
            name: deviation.name,
            wanted: deviation.wanted,
            found: deviation.held,
        };
        if made_by_merge(&difference, &in_order, kept, facts) {
            compared.taken.push(difference);
        } else {
            compared.changed.push(difference);
        }
    }
    compared
}

/// A merge leaves a field empty, or with a value of one of its leads, or with their numbers added up.
fn made_by_merge(
    difference: &Difference,
    in_order: &[&Lead],
    kept: &BTreeMap<LeadId, Vec<Lead>>,
    facts: &FieldFacts,
) -> bool {
    let Difference { name, wanted, found, .. } = difference;
    if is_unset(found) {
        return true;
    }
    let values = in_order.iter().copied().chain(kept.values().flatten()).filter_map(|lead| lead.value(name));
    if values.into_iter().any(|value| facts.holds(name, found, value)) {
        return true;
    }
    let mut sum = wanted.as_f64().unwrap_or_default();
    in_order.iter().skip(1).any(|loser| {
        sum += loser.value(name).and_then(Value::as_f64).unwrap_or_default();
        facts.holds(name, found, &Value::from(sum))
    })
}

/// Marketo shows an unset boolean as false.
fn is_unset(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
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
