//! Field values as Marketo takes them: what counts as empty, what is the same, what is more.
//!
//! Never: changes a value. What is written to a lead is a value that one of its group had, or one
//! that a rule computed.

use std::cmp::Ordering;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::lead::{Lead, parse_time};

/// Null, and text that is blank. The literal `null` is a value here: it is read over REST, which
/// writes no such literal, and people named Null exist.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// A field's value, unless it is empty.
pub(super) fn filled<'a>(lead: &'a Lead, field: &str) -> Option<&'a Value> {
    lead.value(field).filter(|value| !is_empty(value))
}

/// How many fields have a value; `false` does not count, since over REST it may stand for null.
pub(super) fn completeness(lead: &Lead) -> usize {
    lead.fields.values().filter(|value| !is_nothing(value)).count()
}

/// Empty or false, which Marketo shows alike: an unset boolean reads as false.
pub(super) fn is_nothing(value: &Value) -> bool {
    is_empty(value) || *value == Value::Bool(false)
}

/// Whether Marketo holds the same in both: the blanks around a text do not count, nor how a number
/// (5, 5.0) or a time is written, and empty and false are one.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    if is_nothing(a) || is_nothing(b) {
        return is_nothing(a) && is_nothing(b);
    }
    match (a, b) {
        (Value::String(a), Value::String(b)) => canonical_text(a) == canonical_text(b),
        _ => a == b || compare(a, b).is_eq(),
    }
}

/// One text for all values that are [`same`], as far as they are of one kind.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        _ if is_nothing(value) => String::new(),
        Value::String(text) => format!("t{}", canonical_text(text)),
        Value::Number(_) => {
            number_of(value).map_or_else(|| value.to_string(), |number| format!("n{number}"))
        }
        other => other.to_string(),
    }
}

fn canonical_text(text: &str) -> String {
    match parse_time(text) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Secs, true),
        None => text.trim().to_owned(),
    }
}

/// A total order of values: texts before times before numbers, and each of these as what it is.
/// Booleans count as the numbers 0 and 1.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    match (Kind::of(a), Kind::of(b)) {
        (Kind::Text(a), Kind::Text(b)) => a.cmp(&b),
        (Kind::Time(a), Kind::Time(b)) => a.cmp(&b),
        (Kind::Number(a), Kind::Number(b)) => a.total_cmp(&b),
        (a, b) => a.rank().cmp(&b.rank()),
    }
}

enum Kind {
    Text(String),
    Time(DateTime<Utc>),
    Number(f64),
}

impl Kind {
    fn of(value: &Value) -> Self {
        if let Some(number) = number_of(value) {
            return Self::Number(number);
        }
        let text = text_of(value);
        parse_time(&text).map_or(Self::Text(text), Self::Time)
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Text(_) => 0,
            Self::Time(_) => 1,
            Self::Number(_) => 2,
        }
    }
}

/// The value as a number, where it is one, is written as one, or is a boolean.
pub(super) fn number_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::String(text) => text.trim().parse().ok()?,
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    // Adding zero turns a negative zero into the ordinary one, so that equal numbers are equal in
    // the order.
    number.is_finite().then_some(number + 0.0)
}

/// The value as true or false, where it can be taken as that. A number cannot, be it 1 or 0: the
/// API gives one for a field of numbers alone, where a `true` has no place and an empty value is
/// not `false`. As text, 1 and 0 are what files write.
pub(super) fn flag_of(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(_) => None,
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => match number_of(value) {
            Some(0.0) => Some(false),
            Some(1.0) => Some(true),
            _ => None,
        },
    }
}

/// The value as text, trimmed.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{canonical, compare, is_nothing, same};

    #[test]
    fn marketo_holds_the_same_in_these() {
        for (a, b) in [
            (json!(null), json!("  ")),
            (json!(null), json!(false)),
            (json!(5), json!(5.0)),
            (json!(5), json!("5")),
            (json!(" Ada"), json!("Ada ")),
            (json!("2020-08-30T05:49:48.000Z"), json!("2020-08-30T05:49:48+0000")),
            (json!("2020-08-30T05:49:48Z"), json!("2020-08-29T21:49:48-08:00")),
        ] {
            assert!(same(&a, &b), "{a} {b}");
        }
        for (a, b) in
            [(json!("007"), json!("7")), (json!("Ada"), json!("ada")), (json!(true), json!(null))]
        {
            assert!(!same(&a, &b), "{a} {b}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-20..20_i64).prop_map(Value::from),
            (-20..20_i32).prop_map(|tenths| Value::from(f64::from(tenths) / 10.0)),
            "[0-9e]{0,3}[a-f]?".prop_map(Value::from),
            (1..28_u32).prop_map(|day| Value::from(format!("2026-01-{day:02}T00:00:00Z"))),
        ]
    }

    proptest! {
        #[test]
        fn values_have_a_total_order(a in any_value(), b in any_value(), c in any_value()) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le(), "{} {} {}", a, b, c);
            }
        }

        #[test]
        fn what_has_one_canonical_text_is_the_same(a in any_value(), b in any_value()) {
            prop_assert!(same(&a, &a));
            prop_assert_eq!(same(&a, &b), same(&b, &a));
            if canonical(&a) == canonical(&b) {
                prop_assert!(same(&a, &b), "{} {}", a, b);
            }
            prop_assert_eq!(canonical(&a).is_empty(), is_nothing(&a));
        }
    }
}
