//! What a merge did to each field of its survivor, as it is kept for a certificate. Pure.
//!
//! Never: reads anything anew. The survivor is the one that the merge was settled by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::report::{Fate, RowsProof, Surprise};
use super::settle::Pending;
use crate::dedupe::{Expected, FieldFacts, Prediction};
use crate::lead::{Lead, LeadId};

/// What became of a field of the survivor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The survivor holds what the record to keep held, and nothing else was there.
    Kept,
    /// The record to keep had none, and got one, as planned.
    Filled,
    /// The value was replaced by another, as planned.
    Replaced,
    /// The survivor's value stayed, and another record's is gone, as planned.
    Dropped,
    /// The merge took a value, and it could not be written again.
    Lost,
    /// It holds a value that no plan foresaw: somebody else wrote it meanwhile.
    Unexpected,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 6] =
        [Self::Kept, Self::Filled, Self::Replaced, Self::Dropped, Self::Lost, Self::Unexpected];

    /// The word of JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Filled => "filled",
            Self::Replaced => "replaced",
            Self::Dropped => "dropped",
            Self::Lost => "lost",
            Self::Unexpected => "unexpected",
        }
    }

    /// The verdict in words for a person.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Filled => "filled",
            Self::Replaced => "replaced as planned",
            Self::Dropped => "others dropped as planned",
            Self::Lost => "LOST",
            Self::Unexpected => "not as predicted",
        }
    }
}

/// A field of a survivor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldProof {
    /// The field's REST API name.
    pub name: String,
    /// The value of each lead before the merge, by lead; those that had none are left out.
    pub before: BTreeMap<LeadId, Value>,
    /// The values that were predicted: one, or several where Marketo chooses.
    pub predicted: Vec<Value>,
    /// The value that was found; null for none.
    pub after: Value,
    /// What became of it.
    pub verdict: Verdict,
    /// Whether it is one of the fields that say what a person consented to.
    pub consent: bool,
    /// Whether the merge took the value first, and it was written again and read back.
    pub mended: bool,
}

/// What was seen of a survivor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MergeProof {
    /// Its fields; none where what its leads were before is not known.
    pub fields: Vec<FieldProof>,
    /// What else was not as predicted: programs and lists, in words.
    pub others: Vec<String>,
    /// The rows of custom objects that were linked to it before the merge, by object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowsProof>,
}

/// What a settled call did to its survivor.
pub(super) fn proof_of(
    pending: &Pending<'_>,
    survivor: &Lead,
    surprises: &[Surprise],
    facts: &FieldFacts,
) -> MergeProof {
    let in_order: Vec<&Lead> = pending.leads().filter_map(|id| pending.before.get(&id)).collect();
    let fate_of = |field: &str| surprises.iter().find(|one| one.difference.name == field);
    let known = in_order.first().is_some_and(|first| first.id == pending.group.winner);
    let prediction = if known {
        pending.group.predict_call(&in_order, facts, &pending.rules)
    } else {
        Prediction::default()
    };
    let others = surprises
        .iter()
        .filter(|one| !prediction.fields.contains_key(&one.difference.name))
        .map(super::outcome::in_words)
        .collect();
    let fields = prediction.fields.iter().map(|(name, expected)| {
        let former = pending.group.changes.iter().find(|change| change.name == *name);
        let mut before: BTreeMap<LeadId, Value> = in_order
            .iter()
            .filter_map(|lead| Some((lead.id, lead.value(name)?.clone())))
            .filter(|(_, value)| !is_blank(value))
            .collect();
        if let Some(former) = former {
            // The plan's value was on it when the call left.
            before.remove(&pending.group.winner);
            if !is_blank(&former.before) {
                before.insert(pending.group.winner, former.before.clone());
            }
        }
        let fate = fate_of(name).map(|one| one.fate);
        let after = match fate_of(name) {
            Some(one) if one.fate == Fate::Mended => one.difference.wanted.clone(),
            Some(one) => one.difference.found.clone(),
            None => survivor.value(name).cloned().unwrap_or(Value::Null),
        };
        let predicted = match expected {
            Expected::Exactly(value) => vec![value.clone()],
            Expected::OneOf(values) => values.clone(),
        };
        let verdict = match fate {
            Some(Fate::Lost | Fate::NotSetBack) => Verdict::Lost,
            Some(Fate::Changed) => Verdict::Unexpected,
            Some(Fate::Mended) | None => {
                as_planned(name, &before, pending.group.winner, &after, facts)
            }
        };
        FieldProof {
            name: name.clone(),
            before,
            predicted,
            after,
            verdict,
            consent: facts.is_opt_out(name),
            mended: fate == Some(Fate::Mended),
        }
    });
    MergeProof { fields: fields.collect(), others, rows: Vec::new() }
}

fn as_planned(
    field: &str,
    before: &BTreeMap<LeadId, Value>,
    winner: LeadId,
    after: &Value,
    facts: &FieldFacts,
) -> Verdict {
    match before.get(&winner) {
        None if is_blank(after) && before.is_empty() => Verdict::Kept,
        None if is_blank(after) => Verdict::Dropped,
        None => Verdict::Filled,
        Some(held) if !facts.holds(field, after, held) => Verdict::Replaced,
        Some(_) => {
            let all_hold = before.values().all(|value| facts.holds(field, after, value));
            if all_hold { Verdict::Kept } else { Verdict::Dropped }
        }
    }
}

/// Marketo shows a boolean that nobody set as false.
fn is_blank(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
        || value.as_str().is_some_and(|text| text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_has_the_verdict_of_what_the_merge_did_to_it() {
        let facts = FieldFacts::of_writeable(["city"]);
        let verdict = |before: &[(LeadId, &str)], after: Value| {
            let before = before.iter().map(|(id, value)| (*id, json!(value))).collect();
            as_planned("city", &before, 1, &after, &facts)
        };
        for (before, after, expected) in [
            (&[(1, "Rome")][..], json!("Rome"), Verdict::Kept),
            (&[(1, "Rome"), (2, "Rome")], json!("Rome"), Verdict::Kept),
            (&[(2, "Rome")], json!("Rome"), Verdict::Filled),
            (&[(1, "Rome"), (2, "Oslo")], json!("Rome"), Verdict::Dropped),
            (&[(1, "Rome"), (2, "Oslo")], json!("Oslo"), Verdict::Replaced),
            (&[(1, "Rome")], json!(null), Verdict::Replaced),
            (&[(2, "Oslo")], json!(null), Verdict::Dropped),
            (&[], json!(null), Verdict::Kept),
        ] {
            assert_eq!(verdict(before, after.clone()), expected, "{before:?} -> {after}");
        }
    }
}
