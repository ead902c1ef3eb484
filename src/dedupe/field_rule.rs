//! Which of a group's values a field of the winner gets (survivorship).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::winner::filled;
use crate::lead::{Lead, LeadId, parse_time};

/// The fields by which a person says no. Whatever the configuration asks, no merge turns one of them from true to
/// false: since March 2026 a winner's `false` beats a loser's `true` in a merge, which is how opt-outs get lost.
pub const OPT_OUTS: &[&str] = &["unsubscribed", "marketingSuspended", "doNotCall", "blackListed"];

/// Stands between the values of a `concat`.
const CONCAT: &str = "; ";

/// Which value a field keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldRule {
    /// The winner's; where that is empty, the most complete loser's that has one.
    Winner,
    /// That of the lead created first, of those that have one.
    Oldest,
    /// That of the lead created last, of those that have one.
    Newest,
    /// The greatest: numbers as numbers, times as times, all else as text.
    Max,
    /// The least.
    Min,
    /// All numbers together.
    Sum,
    /// True where it is true anywhere.
    AnyTrue,
    /// True where it is true everywhere.
    AllTrue,
    /// The text with the most characters.
    Longest,
    /// Every different text, the winner's first, between semicolons.
    Concat,
}

/// The rules by field; a field without one keeps [`FieldRule::Winner`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldRules(pub BTreeMap<String, FieldRule>);

impl Default for FieldRules {
    fn default() -> Self {
        Self(OPT_OUTS.iter().map(|field| ((*field).to_owned(), FieldRule::AnyTrue)).collect())
    }
}

impl FieldRules {
    /// The rule of a field.
    pub fn of(&self, field: &str) -> FieldRule {
        if OPT_OUTS.contains(&field) {
            return FieldRule::AnyTrue;
        }
        self.0.get(field).copied().unwrap_or(FieldRule::Winner)
    }
}

/// A value, and the lead that it is from where it is from one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    pub(super) value: Value,
    pub(super) from: Option<LeadId>,
}

impl FieldRule {
    /// Chooses among the leads' values; the winner comes first, then the losers in the plan's order, and ties go to
    /// the earlier.
    pub(super) fn choose(self, field: &str, in_order: &[&Lead]) -> Chosen {
        let values: Vec<(&Lead, &Value)> =
            in_order.iter().filter_map(|lead| Some((*lead, filled(lead, field)?))).collect();
        let of = |found: Option<&(&Lead, &Value)>| {
            found.map_or(Chosen { value: Value::Null, from: None }, |(lead, value)| Chosen {
                value: (*value).clone(),
                from: Some(lead.id),
            })
        };
        match self {
            Self::Winner => of(values.first()),
            // `min_by_key` gives the first of equals, `max_by` the last: walk backwards for it.
            Self::Oldest => {
                of(values.iter().min_by_key(|(lead, _)| (lead.created_at().is_none(), lead.created_at())))
            }
            Self::Newest => of(values.iter().rev().max_by_key(|(lead, _)| lead.created_at())),
            Self::Max => of(values.iter().rev().max_by(|(_, a), (_, b)| compare_values(a, b))),
            Self::Min => of(values.iter().min_by(|(_, a), (_, b)| compare_values(a, b))),
            Self::Longest => of(values.iter().rev().max_by_key(|(_, value)| text_of(value).chars().count())),
            Self::Sum => sum(&values),
            Self::AnyTrue => of_flag(in_order, field, in_order.iter().any(|lead| lead.flag(field))),
            Self::AllTrue => of_flag(in_order, field, in_order.iter().all(|lead| lead.flag(field))),
            Self::Concat => concat(&values),
        }
    }
}

fn of_flag(in_order: &[&Lead], field: &str, flag: bool) -> Chosen {
    let from = in_order.iter().find(|lead| lead.flag(field) == flag).map(|lead| lead.id);
    Chosen { value: Value::Bool(flag), from }
}

fn sum(values: &[(&Lead, &Value)]) -> Chosen {
    let numbers: Vec<f64> = values.iter().filter_map(|(_, value)| number_of(value)).collect();
    let from = match values {
        [(lead, _)] => Some(lead.id),
        _ => None,
    };
    let total: f64 = numbers.iter().sum();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only whole numbers within the exact range of f64 pass"
    )]
    let whole = (total.fract() == 0.0 && total.abs() < 9e15).then_some(total as i64);
    let value = match (numbers.is_empty(), whole) {
        (true, _) => Value::Null,
        (false, Some(whole)) => Value::from(whole),
        (false, None) => Number::from_f64(total).map_or(Value::Null, Value::Number),
    };
    Chosen { value, from }
}

fn concat(values: &[(&Lead, &Value)]) -> Chosen {
    let mut texts: Vec<String> = Vec::new();
    for (_, value) in values {
        // What was concatenated before is not to grow with every merge.
        for part in text_of(value).split(CONCAT).map(str::trim).filter(|part| !part.is_empty()) {
            if !texts.iter().any(|text| text == part) {
                texts.push(part.to_owned());
            }
        }
    }
    let from = match values {
        [(lead, _)] => Some(lead.id),
        _ => None,
    };
    let value = if texts.is_empty() { Value::Null } else { Value::String(texts.join(CONCAT)) };
    Chosen { value, from }
}

/// A total order of values: numbers as numbers, times as times, booleans false first, all else as text.
pub(super) fn compare_values(a: &Value, b: &Value) -> Ordering {
    if let (Some(a), Some(b)) = (number_of(a), number_of(b)) {
        return a.total_cmp(&b);
    }
    let (text_a, text_b) = (text_of(a), text_of(b));
    if let (Some(a), Some(b)) = (parse_time(&text_a), parse_time(&text_b)) {
        return a.cmp(&b);
    }
    text_a.cmp(&text_b)
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

const NAMES: &[(&str, FieldRule)] = &[
    ("winner", FieldRule::Winner),
    ("oldest", FieldRule::Oldest),
    ("newest", FieldRule::Newest),
    ("max", FieldRule::Max),
    ("min", FieldRule::Min),
    ("sum", FieldRule::Sum),
    ("any_true", FieldRule::AnyTrue),
    ("all_true", FieldRule::AllTrue),
    ("longest", FieldRule::Longest),
    ("concat", FieldRule::Concat),
];

/// A word that is no field rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no field rule `{0}`; there are winner, oldest, newest, max, min, sum, any_true, all_true, longest and concat"
)]
pub struct UnknownFieldRule(String);

impl FromStr for FieldRule {
    type Err = UnknownFieldRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NAMES
            .iter()
            .find(|(name, _)| *name == text.trim())
            .map(|(_, rule)| *rule)
            .ok_or_else(|| UnknownFieldRule(text.to_owned()))
    }
}

impl fmt::Display for FieldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NAMES.iter().filter(|(_, rule)| rule == self).try_for_each(|(name, _)| f.write_str(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{FieldRule, FieldRules};
    use crate::lead::Lead;

    fn chosen(rule: &str, values: &[Value]) -> (Value, Option<u64>) {
        let leads: Vec<Lead> = values
            .iter()
            .zip(1..)
            .map(|(value, id)| {
                Lead::new(id)
                    .with("createdAt", format!("20{:02}-01-01T00:00:00Z", 30 - id))
                    .with("f", value.clone())
            })
            .collect();
        let in_order: Vec<&Lead> = leads.iter().collect();
        let chosen = rule.parse::<FieldRule>().unwrap().choose("f", &in_order);
        (chosen.value, chosen.from)
    }

    #[test]
    fn each_rule_keeps_what_it_says() {
        // The first is the winner and was created last.
        for (rule, values, expected, from) in [
            ("winner", json!([" ", "b", "c"]), json!("b"), Some(2)),
            ("oldest", json!(["a", "b", null]), json!("b"), Some(2)),
            ("newest", json!(["a", "b", "c"]), json!("a"), Some(1)),
            ("max", json!([9, 10, "11"]), json!("11"), Some(3)),
            (
                "max",
                json!(["2021-01-01T00:00:00Z", "2021-01-01T00:00:00-08:00"]),
                json!("2021-01-01T00:00:00-08:00"),
                Some(2),
            ),
            ("min", json!([9, 10, 9]), json!(9), Some(1)),
            ("sum", json!([1, 2, null, 4]), json!(7), None),
            ("sum", json!([1.5, 2]), json!(3.5), None),
            ("any_true", json!([false, true]), json!(true), Some(2)),
            ("all_true", json!([true, false]), json!(false), Some(2)),
            ("longest", json!(["ab", "ü€", "c"]), json!("ab"), Some(1)),
            ("concat", json!(["a", "b", "a; c"]), json!("a; b; c"), None),
        ] {
            assert_eq!(chosen(rule, values.as_array().unwrap()), (expected, from), "{rule} {values}");
        }
    }

    #[test]
    fn where_nobody_has_a_value_there_is_none() {
        for rule in ["winner", "oldest", "newest", "max", "min", "sum", "longest", "concat"] {
            assert_eq!(chosen(rule, &[json!(""), json!(null)]), (Value::Null, None), "{rule}");
        }
    }

    #[test]
    fn an_opt_out_cannot_be_configured_away() {
        let mut rules = FieldRules::default();
        rules.0.insert("unsubscribed".to_owned(), FieldRule::AllTrue);
        assert_eq!(rules.of("unsubscribed"), FieldRule::AnyTrue);
        rules.0.clear();
        assert_eq!(rules.of("doNotCall"), FieldRule::AnyTrue);
        assert_eq!(rules.of("leadScore"), FieldRule::Winner);
    }
}
