//! Which of a group's values a field of the winner gets (survivorship).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::value::{compare, filled, flag_of, number_of, text_of};
use crate::lead::{Lead, LeadId};

mod words;

/// The fields by which a person says no. Whatever the configuration asks, no merge turns one of
/// them from true to false: since March 2026 a winner's `false` beats a loser's `true` in a merge,
/// which is how opt-outs get lost.
pub const OPT_OUTS: &[&str] =
    &["unsubscribed", "marketingSuspended", "doNotCall", "blackListed", "emailInvalid"];

/// Stands between the values of a `concat`.
pub(super) const CONCAT: &str = "; ";

/// Which value a field keeps. It is written as its word: `max`, `prefer:["Customer","Prospect"]`,
/// `by:lastVisit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum FieldRule {
    /// The winner's; where that is empty, the most complete loser's that has one.
    Winner,
    /// The winner's; where that is empty, that of the lead which would be the winner next, of those
    /// that have one.
    NextBest,
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
    /// The first of these values that any lead has; case and blanks around it do not count. Where
    /// no lead has one of them, as [`FieldRule::Winner`].
    Prefer(Vec<String>),
    /// That of the lead whose other field is the greatest or latest, of those that have a value
    /// here. A lead without that other field comes last.
    By {
        /// The other field's REST API name.
        field: String,
        /// Whether the least or earliest of it decides instead.
        least: bool,
    },
    /// The winner's, even where it is blank: nothing is written, and what the others have is named
    /// as dropped.
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
    /// The rule of a field, as far as it rests on no other field and on nothing that the instance
    /// says of it.
    pub fn of(&self, field: &str) -> &FieldRule {
        if OPT_OUTS.contains(&field) {
            return &FieldRule::AnyTrue;
        }
        self.0.get(field).unwrap_or(&FieldRule::Winner)
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
    /// Chooses among the leads' values; the winner comes first, then the losers in the plan's
    /// order, and ties go to the earlier.
    pub(super) fn choose(&self, field: &str, in_order: &[&Lead]) -> Result<Chosen, Unfit> {
        let values: Vec<Held> =
            in_order.iter().filter_map(|lead| Some((*lead, filled(lead, field)?))).collect();
        let unfit =
            |lead, needs| Unfit { rule: self.clone(), field: field.to_owned(), needs, lead };
        Ok(match self {
            // Of `next_best` the leads come in the order of winners.
            Self::Winner | Self::NextBest => of(values.first()),
            // `min_by_key` gives the first of equals, `max_by` the last: walk backwards for it.
            Self::Oldest => of(values
                .iter()
                .min_by_key(|(lead, _)| (lead.created_at().is_none(), lead.created_at()))),
            Self::Newest => of(values.iter().rev().max_by_key(|(lead, _)| lead.created_at())),
            Self::Max => of(values.iter().rev().max_by(|(_, a), (_, b)| compare(a, b))),
            Self::Min => of(values.iter().min_by(|(_, a), (_, b)| compare(a, b))),
            Self::Longest => {
                of(values.iter().rev().max_by_key(|(_, value)| text_of(value).chars().count()))
            }
            Self::Sum => sum(&values).map_err(|lead| unfit(lead, "numbers"))?,
            Self::AnyTrue => {
                flag(in_order, field, true).map_err(|lead| unfit(lead, "true or false"))?
            }
            Self::AllTrue => {
                flag(in_order, field, false).map_err(|lead| unfit(lead, "true or false"))?
            }
            Self::Concat => concat(&values),
            Self::Prefer(ranked) => of(preferred(&values, ranked)),
            Self::By { field: other, least } => {
                of(values.iter().min_by(|(a, _), (b, _)| by(a, b, other, *least)))
            }
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

fn preferred<'a, 'l>(values: &'a [Held<'l>], ranked: &[String]) -> Option<&'a Held<'l>> {
    let is =
        |value: &Value, wanted: &str| text_of(value).to_lowercase() == wanted.trim().to_lowercase();
    let first = |wanted: &String| values.iter().find(|(_, value)| is(value, wanted));
    ranked.iter().find_map(first).or(values.first())
}

/// The lead whose value of the other field decides comes first.
fn by(a: &Lead, b: &Lead, other: &str, least: bool) -> Ordering {
    match (filled(a, other), filled(b, other)) {
        (Some(a), Some(b)) if least => compare(a, b),
        (Some(a), Some(b)) => compare(b, a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
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
        // Nine decimals are more than any field of Marketo's holds, and less than adding up in
        // binary gets wrong.
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

#[cfg(test)]
mod tests;
