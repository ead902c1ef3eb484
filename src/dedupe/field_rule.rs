//! Which of a group's values a field of the winner gets (survivorship).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::did_you_mean;
use super::value::{compare, filled, flag_of, number_of, text_of};
use crate::lead::{Lead, LeadId};

/// The fields by which a person says no. Whatever the configuration asks, no merge turns one of them from true to
/// false: since March 2026 a winner's `false` beats a loser's `true` in a merge, which is how opt-outs get lost.
pub const OPT_OUTS: &[&str] =
    &["unsubscribed", "marketingSuspended", "doNotCall", "blackListed", "emailInvalid"];

/// Stands between the values of a `concat`.
pub(super) const CONCAT: &str = "; ";

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
    /// The winner's, even where it is blank: nothing is written, and what the others have is named as dropped.
    KeepBlank,
    /// Not looked at: never compared, never written, and never a reason to leave a group alone.
    Ignore,
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

/// A rule met a value that it cannot be applied to; to guess would lose it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rule `{rule}` on `{field}` needs {needs}, which lead {lead} does not hold there")]
pub(super) struct Unfit {
    rule: FieldRule,
    field: String,
    needs: &'static str,
    lead: LeadId,
}

impl FieldRule {
    /// Chooses among the leads' values; the winner comes first, then the losers in the plan's order, and ties go to
    /// the earlier.
    pub(super) fn choose(self, field: &str, in_order: &[&Lead]) -> Result<Chosen, Unfit> {
        let values: Vec<Held> =
            in_order.iter().filter_map(|lead| Some((*lead, filled(lead, field)?))).collect();
        let unfit = |lead, needs| Unfit { rule: self, field: field.to_owned(), needs, lead };
        Ok(match self {
            Self::Winner => of(values.first()),
            // `min_by_key` gives the first of equals, `max_by` the last: walk backwards for it.
            Self::Oldest => {
                of(values.iter().min_by_key(|(lead, _)| (lead.created_at().is_none(), lead.created_at())))
            }
            Self::Newest => of(values.iter().rev().max_by_key(|(lead, _)| lead.created_at())),
            Self::Max => of(values.iter().rev().max_by(|(_, a), (_, b)| compare(a, b))),
            Self::Min => of(values.iter().min_by(|(_, a), (_, b)| compare(a, b))),
            Self::Longest => of(values.iter().rev().max_by_key(|(_, value)| text_of(value).chars().count())),
            Self::Sum => sum(&values).map_err(|lead| unfit(lead, "numbers"))?,
            Self::AnyTrue => flag(in_order, field, true).map_err(|lead| unfit(lead, "true or false"))?,
            Self::AllTrue => flag(in_order, field, false).map_err(|lead| unfit(lead, "true or false"))?,
            Self::Concat => concat(&values),
            Self::KeepBlank | Self::Ignore => of(values
                .first()
                .filter(|(lead, _)| in_order.first().is_some_and(|first| first.id == lead.id))),
        })
    }
}

type Held<'a> = (&'a Lead, &'a Value);

fn of(found: Option<&Held>) -> Chosen {
    found.map_or(Chosen { value: Value::Null, from: None }, |(lead, value)| Chosen {
        value: (*value).clone(),
        from: Some(lead.id),
    })
}

/// `decisive` where any lead has it, else the opposite. No value counts as false.
fn flag(in_order: &[&Lead], field: &str, decisive: bool) -> Result<Chosen, LeadId> {
    let mut flags = Vec::with_capacity(in_order.len());
    for lead in in_order {
        let flag = filled(lead, field).map_or(Some(false), flag_of).ok_or(lead.id)?;
        flags.push((lead.id, flag));
    }
    let value = if flags.iter().any(|(_, flag)| *flag == decisive) { decisive } else { !decisive };
    let from = flags.iter().find(|(_, flag)| *flag == value).map(|(id, _)| *id);
    Ok(Chosen { value: Value::Bool(value), from })
}

fn sum(values: &[Held]) -> Result<Chosen, LeadId> {
    let [(first, _), more @ ..] = values else { return Ok(of(None)) };
    let mut total = 0.0;
    for (lead, value) in values {
        total += number_of(value).ok_or(lead.id)?;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only whole numbers within the exact range of f64 pass"
    )]
    let whole = (total.fract() == 0.0 && total.abs() < 9e15).then_some(total as i64);
    let value = match whole {
        Some(whole) => Value::from(whole),
        // Nine decimals are more than any field of Marketo's holds, and less than adding up in binary gets wrong.
        None => format!("{total:.9}")
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or(first.id)?,
    };
    Ok(Chosen { value, from: more.is_empty().then_some(first.id) })
}

fn concat(values: &[Held]) -> Chosen {
    let mut texts: Vec<String> = Vec::new();
    let mut givers = 0;
    for (_, value) in values {
        let known = texts.len();
        // What was concatenated before is not to grow with every merge.
        for part in text_of(value).split(CONCAT).map(str::trim).filter(|part| !part.is_empty()) {
            if !texts.iter().any(|text| text == part) {
                texts.push(part.to_owned());
            }
        }
        givers += usize::from(texts.len() > known);
    }
    if givers > 1 {
        Chosen { value: Value::String(texts.join(CONCAT)), from: None }
    } else {
        of(values.first())
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
    ("keep_blank", FieldRule::KeepBlank),
    ("ignore", FieldRule::Ignore),
];

/// A word that is no field rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no field rule `{word}`{hint}; there are winner, oldest, newest, max, min, sum, any_true, all_true, longest, concat, keep_blank and ignore",
    word = .0,
    hint = did_you_mean(.0, NAMES.iter().map(|(name, _)| *name))
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

    use super::{Chosen, FieldRule, FieldRules, Unfit};
    use crate::lead::Lead;

    fn leads(values: &[Value]) -> Vec<Lead> {
        values
            .iter()
            .zip(1..)
            .map(|(value, id)| {
                Lead::new(id)
                    .with("createdAt", format!("20{:02}-01-01T00:00:00Z", 30 - id))
                    .with("f", value.clone())
            })
            .collect()
    }

    fn try_choose(rule: &str, values: &[Value]) -> Result<Chosen, Unfit> {
        let leads = leads(values);
        rule.parse::<FieldRule>().unwrap().choose("f", &leads.iter().collect::<Vec<_>>())
    }

    fn chosen(rule: &str, values: &[Value]) -> (Value, Option<u64>) {
        let chosen = try_choose(rule, values).unwrap();
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
            ("sum", json!([0.1, 0.2]), json!(0.3), None),
            ("sum", json!([null, "4"]), json!(4), Some(2)),
            ("concat", json!(["a", "b", "a; c"]), json!("a; b; c"), None),
            ("concat", json!(["a;b ", "a;b", null]), json!("a;b "), Some(1)),
        ] {
            assert_eq!(chosen(rule, values.as_array().unwrap()), (expected, from), "{rule} {values}");
        }
    }

    #[test]
    fn a_value_that_a_rule_cannot_take_is_not_passed_over() {
        let unfit = try_choose("sum", &[json!(1), json!("many")]).unwrap_err();
        assert_eq!(
            unfit.to_string(),
            "the rule `sum` on `f` needs numbers, which lead 2 does not hold there"
        );
        for rule in ["any_true", "all_true"] {
            assert!(try_choose(rule, &[json!(true), json!("maybe")]).is_err(), "{rule}");
            assert!(try_choose(rule, &[json!(null), json!(1)]).is_err(), "{rule} on a field of numbers");
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
