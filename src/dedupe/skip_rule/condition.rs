//! A condition over the fields of a lead, and whether it holds (`skip.when`).
//!
//! Types come from the instance's schema: numbers are compared as numbers, dates and times as
//! times, true and false as such, everything else as text without case. A blank number, date or
//! text is blank and nothing else: it is never equal to, above or below anything. A blank boolean
//! is false, as Marketo shows it. Never: guesses at a value that cannot be read.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dedupe::field_fact::FieldFact;
use crate::dedupe::value::{flag_of, is_empty, number_of, text_of};
use crate::lead::{Lead, parse_time_as_known};

/// Tests of a lead that must all hold. It is written as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Condition {
    pub(super) text: String,
    pub(super) tests: Vec<Test>,
}

/// A test of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) field: String,
    pub(super) is: Is,
}

/// What a field is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Is {
    Equal(Value),
    NotEqual(Value),
    Less(Value),
    AtMost(Value),
    Greater(Value),
    AtLeast(Value),
    OneOf(Vec<Value>),
    NoneOf(Vec<Value>),
    Blank,
    Filled,
}

/// The fields of an instance, by REST API name.
pub(super) type Fields = BTreeMap<String, FieldFact>;

/// How a field's values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Time,
    Flag,
    Text,
    /// The instance does not say: the value that was written decides.
    Open,
}

/// A test that the type of its field does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{condition}`: `{field}` is {kind}; {wants}")]
pub struct Unfit {
    condition: String,
    field: String,
    kind: &'static str,
    wants: &'static str,
}

impl Condition {
    /// The fields that it looks at.
    pub fn fields(&self) -> impl Iterator<Item = &String> {
        self.tests.iter().map(|test| &test.field)
    }

    /// The first test that the instance's schema does not allow.
    pub fn unfit(&self, facts: &Fields) -> Option<Unfit> {
        self.tests.iter().find_map(|test| {
            let kind = Kind::of(&test.field, facts);
            let wants = kind.wants(&test.is)?;
            let (condition, field) = (self.text.clone(), test.field.clone());
            Some(Unfit { condition, field, kind: kind.in_words(), wants })
        })
    }

    /// Whether it holds for a lead. Where one test fails it does not, whatever the others come to;
    /// an error is why it cannot be judged.
    pub(super) fn holds(&self, lead: &Lead, facts: &Fields) -> Result<bool, String> {
        let mut not_judged = None;
        for test in &self.tests {
            match test.holds(lead, facts) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(why) => {
                    not_judged.get_or_insert(why);
                }
            }
        }
        not_judged.map_or(Ok(true), Err)
    }
}

impl Test {
    fn holds(&self, lead: &Lead, facts: &Fields) -> Result<bool, String> {
        let field = self.field.as_str();
        if field != "id" && !facts.contains_key(field) {
            return Err(format!("this instance does not show the field `{field}`"));
        }
        let of_id = Value::from(lead.id);
        let held = if field == "id" { &of_id } else { lead.value(field).unwrap_or(&Value::Null) };
        let kind = Kind::of(field, facts);
        let held = if is_empty(held) && kind == Kind::Flag { &Value::Bool(false) } else { held };
        let blank = is_empty(held);
        let equal = |wanted: &Value| Ok(kind.compare(held, wanted, lead, field)?.is_eq());
        let order = |wanted: &Value| kind.compare(held, wanted, lead, field);
        match &self.is {
            Is::Blank => Ok(blank),
            Is::Filled => Ok(!blank),
            Is::NotEqual(_) | Is::NoneOf(_) if blank => Ok(true),
            _ if blank => Ok(false),
            Is::Equal(wanted) => equal(wanted),
            Is::NotEqual(wanted) => equal(wanted).map(|equal| !equal),
            Is::Less(wanted) => order(wanted).map(std::cmp::Ordering::is_lt),
            Is::AtMost(wanted) => order(wanted).map(std::cmp::Ordering::is_le),
            Is::Greater(wanted) => order(wanted).map(std::cmp::Ordering::is_gt),
            Is::AtLeast(wanted) => order(wanted).map(std::cmp::Ordering::is_ge),
            Is::OneOf(all) => any(all, equal),
            Is::NoneOf(all) => any(all, equal).map(|found| !found),
        }
    }
}

fn any(
    all: &[Value],
    mut equal: impl FnMut(&Value) -> Result<bool, String>,
) -> Result<bool, String> {
    all.iter().try_fold(false, |found, wanted| Ok(found || equal(wanted)?))
}

impl Kind {
    fn of(field: &str, facts: &Fields) -> Self {
        match facts.get(field).map_or("", |fact| fact.data_type.as_str()) {
            _ if field == "id" => Self::Number,
            "integer" | "float" | "currency" | "percent" | "score" | "number" => Self::Number,
            "date" | "datetime" => Self::Time,
            "boolean" => Self::Flag,
            "string" | "text" | "email" | "phone" | "url" | "reference" => Self::Text,
            _ => Self::Open,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Time => "a date or time",
            Self::Flag => "true or false",
            Self::Text => "a text",
            Self::Open => "of a type of its own",
        }
    }

    /// What a test must be like where this one cannot be made.
    fn wants(self, is: &Is) -> Option<&'static str> {
        let values: &[Value] = match is {
            Is::Blank | Is::Filled if self == Self::Flag => {
                return Some("a blank one is false to Marketo, so ask for true or false");
            }
            Is::Blank | Is::Filled => return None,
            Is::OneOf(all) | Is::NoneOf(all) => all,
            Is::Equal(value) | Is::NotEqual(value) => std::slice::from_ref(value),
            _ if is.is_an_order() && matches!(self, Self::Flag | Self::Text) => {
                return Some("it is no more and no less than another: use =, != or in");
            }
            Is::Less(value) | Is::AtMost(value) | Is::Greater(value) | Is::AtLeast(value) => {
                std::slice::from_ref(value)
            }
        };
        let wants = match self {
            Self::Number if !values.iter().all(Value::is_number) => {
                "hold it against a number, without quotation marks"
            }
            Self::Time if !values.iter().all(|value| time_of(value).is_some()) => {
                "hold it against a date such as \"2026-01-31\" or \"2026-01-31T08:00:00Z\""
            }
            Self::Flag if !values.iter().all(Value::is_boolean) => "hold it against true or false",
            Self::Text if !values.iter().all(Value::is_string) => {
                "hold it against a text in quotation marks"
            }
            Self::Open if is.is_an_order() && !values.iter().all(has_an_order) => {
                "hold it against a number or a date"
            }
            _ => return None,
        };
        Some(wants)
    }

    /// How a filled value compares with the one that was written; an error where it cannot.
    fn compare(
        self,
        held: &Value,
        wanted: &Value,
        lead: &Lead,
        field: &str,
    ) -> Result<std::cmp::Ordering, String> {
        let unlike = |what: &str| format!("`{field}` of lead {} holds {what}", lead.id);
        let kind = match self {
            Self::Open if wanted.is_number() => Self::Number,
            Self::Open if wanted.is_boolean() => Self::Flag,
            Self::Open if time_of(wanted).is_some() => Self::Time,
            other => other,
        };
        match kind {
            Self::Number => match (number_of(held), number_of(wanted)) {
                (Some(a), Some(b)) => Ok(a.total_cmp(&b)),
                _ => Err(unlike("no number")),
            },
            Self::Time => match (time_of(held), time_of(wanted)) {
                (Some(a), Some(b)) => Ok(a.cmp(&b)),
                _ => Err(unlike("no date or time")),
            },
            Self::Flag => match (flag_of(held), flag_of(wanted)) {
                (Some(a), Some(b)) => Ok(a.cmp(&b)),
                _ => Err(unlike("neither true nor false")),
            },
            Self::Text | Self::Open => {
                Ok(text_of(held).to_lowercase().cmp(&text_of(wanted).to_lowercase()))
            }
        }
    }
}

impl Is {
    fn is_an_order(&self) -> bool {
        matches!(self, Self::Less(_) | Self::AtMost(_) | Self::Greater(_) | Self::AtLeast(_))
    }
}

fn has_an_order(value: &Value) -> bool {
    value.is_number() || time_of(value).is_some()
}

fn time_of(value: &Value) -> Option<chrono::DateTime<chrono::Utc>> {
    value.as_str().and_then(parse_time_as_known).map(|(time, _)| time)
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.text
    }
}
