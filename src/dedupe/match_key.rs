//! From a value to its match key: the one rule for scans, merges, files and guarded calls.
//!
//! Whoever knows the schema says what a field's values are ([`KeyKind::of_type`]); whoever does not
//! know it goes by the standard fields alone ([`KeyKind::standard`]). [`widest`] is for leases: it
//! is equal wherever any of the kinds takes two values for one key, so that a writer who knows the
//! schema and one who does not still exclude one another.
//!
//! Never: a key of null, of a blank, of the literal `null`, of a list or an object; nor of a number
//! that JSON's readers cannot hold exactly, since two such numbers look alike.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::key::{Key, normalise};
use super::visible::visible;

/// From here on two whole numbers may be one as floating-point numbers.
const INEXACT: f64 = 9_007_199_254_740_992.0;

/// How the values of a field compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// As addresses: without regard to case, and to what was pasted along.
    Email,
    /// As numbers: `5`, `5.0` and the text `5` are one.
    Number,
    /// As true or false, whether a text or not.
    Flag,
    /// As texts, with regard to case: the CRM's short ids differ by case alone.
    Text,
}

impl KeyKind {
    /// By Marketo's data type.
    pub fn of_type(data_type: &str) -> Self {
        match data_type {
            "email" => Self::Email,
            "boolean" => Self::Flag,
            "integer" | "score" | "float" | "currency" | "percent" => Self::Number,
            _ => Self::Text,
        }
    }

    /// Where the schema is not known: `email` and `id` are the same on every instance, and of any
    /// other field nothing is assumed.
    pub fn standard(field: &str) -> Self {
        if field.eq_ignore_ascii_case("email") {
            Self::Email
        } else if field == "id" {
            Self::Number
        } else {
            Self::Text
        }
    }

    /// The match key of a value, or none where it has none.
    pub fn key(self, value: &Value) -> Option<Key> {
        self.key_of_text(&exact_text(value)?)
    }

    /// The match key of a value that is written as a text, as in a table.
    pub fn key_of_text(self, text: &str) -> Option<Key> {
        match self {
            Self::Email => normalise(text),
            Self::Number => visible(text).and_then(as_number),
            Self::Flag => visible(text).map(|text| as_flag(&text).unwrap_or(text)),
            Self::Text => visible(text),
        }
        .and_then(Key::stored)
    }

    /// The word for it in a signature; none for texts.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Email => Some("email"),
            Self::Number => Some("number"),
            Self::Flag => Some("flag"),
            Self::Text => None,
        }
    }
}

/// What two values share whenever they might be one key, whichever kind their field is of: without
/// regard to case, to blanks and marks that nobody sees, to accents, and to how a number is
/// written. None only of what has no key of any kind. A lease that covers two keys does no harm.
pub fn widest(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => widest_text(text),
        // Not by way of the exact text: a number without a key is written nevertheless.
        Value::Number(number) => widest_text(&number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// [`widest`] of a value that is written as a text.
pub fn widest_text(text: &str) -> Option<String> {
    // Of `"<>"` nothing is left as an address, and as a text it is a key.
    let value = normalise(text).or_else(|| visible(text))?;
    let plain = value.nfkd().filter(|c| !is_combining_mark(*c));
    // By way of the capitals, which letters share that have several small forms, as `ß` and `ss`
    // do.
    let folded: String = plain.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    Some(match folded.parse::<f64>() {
        // Large numbers that are one as floating-point numbers share a lease, and no key.
        Ok(number) if number.is_finite() => (number + 0.0).to_string(),
        _ => folded,
    })
}

/// A value as the text that it would be in a table; none of what has no key.
fn exact_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_f64() => exact_float(number.as_f64()?),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn exact_float(number: f64) -> Option<String> {
    // Adding zero makes zero of `-0`.
    (number.abs() < INEXACT).then(|| (number + 0.0).to_string())
}

/// The number that a text is; a text that is no number stays one.
fn as_number(text: String) -> Option<String> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.to_string());
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => exact_float(number),
        _ => Some(text),
    }
}

fn as_flag(text: &str) -> Option<String> {
    let word = text.to_ascii_lowercase();
    matches!(&*word, "true" | "false").then_some(word)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{KeyKind, widest, widest_text};
    use crate::dedupe::Key;

    const KINDS: [KeyKind; 4] = [KeyKind::Email, KeyKind::Number, KeyKind::Flag, KeyKind::Text];

    fn key(kind: KeyKind, value: &Value) -> Option<String> {
        kind.key(value).map(String::from)
    }

    #[test]
    fn what_is_empty_or_no_single_value_has_no_key_of_any_kind() {
        for kind in KINDS {
            for value in [
                json!(null),
                json!(""),
                json!(" \u{200b}"),
                json!("null"),
                json!("NULL"),
                json!([]),
                json!(["ada@example.com"]),
                json!({"email": "ada@example.com"}),
            ] {
                assert_eq!(key(kind, &value), None, "{kind:?} {value}");
                assert_eq!(widest(&value), None, "{value}");
            }
        }
    }

    #[test]
    fn a_number_has_one_key_however_it_is_written() {
        for (value, expected) in [
            (json!(5), "5"),
            (json!(5.0), "5"),
            (json!("5"), "5"),
            (json!(-0.0), "0"),
            (json!(1.5), "1.5"),
            (json!(i64::MAX), "9223372036854775807"),
            (json!(0.000_000_1), "0.0000001"),
        ] {
            for kind in KINDS {
                assert_eq!(key(kind, &value).as_deref(), Some(expected), "{kind:?} {value}");
            }
        }
        for text in ["5.0", " 5 ", "05", "+5", "5e0"] {
            assert_eq!(key(KeyKind::Number, &json!(text)).as_deref(), Some("5"), "{text}");
        }
        // In a field of texts they are texts, and differ.
        assert_eq!(key(KeyKind::Text, &json!("5.0")).as_deref(), Some("5.0"));
        assert_eq!(widest_text("5.0"), widest(&json!(5)));
    }

    #[test]
    fn a_number_that_nobody_can_hold_exactly_has_a_lease_and_no_key() {
        let large = json!(123_456_789_012_345_680_000.0);
        assert_eq!(KINDS.map(|kind| key(kind, &large)), [const { None }; 4]);
        assert_eq!(widest(&large), widest_text("123456789012345680000"));
    }

    #[test]
    fn true_and_false_are_keys_and_their_words_the_same_ones() {
        for kind in KINDS {
            assert_eq!(key(kind, &json!(true)).as_deref(), Some("true"));
            assert_eq!(key(kind, &json!("false")).as_deref(), Some("false"));
        }
        assert_eq!(key(KeyKind::Flag, &json!(" TRUE")).as_deref(), Some("true"));
        assert_eq!(key(KeyKind::Text, &json!("TRUE")).as_deref(), Some("TRUE"));
    }

    #[test]
    fn an_email_is_told_by_the_schema_and_without_one_by_the_standard_name() {
        assert_eq!(KeyKind::of_type("email"), KeyKind::Email);
        assert_eq!(KeyKind::standard("Email"), KeyKind::Email);
        for other in ["workEmail", "emailInvalidCause", "emailOptInCode"] {
            assert_eq!(KeyKind::standard(other), KeyKind::Text);
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-20_i64..20).prop_map(Value::from),
            (-20_i32..20).prop_map(|n| Value::from(f64::from(n) / 2.0)),
            any::<f64>().prop_map(Value::from),
            "[aA5ßéÅ.@<> +e0-]{0,5}".prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from),
            prop_oneof!["true", "TRUE", "null", "5.0", " 5", "<>", "İ@x.y"].prop_map(Value::from),
            Just(json!(["a"])),
            Just(json!({"a": 1})),
        ]
    }

    proptest! {
        #[test]
        fn values_of_one_key_always_exclude_one_another(
            values in proptest::collection::vec(any_value(), 2..12)
        ) {
            // Whoever knows the field's kind and whoever does not may write at the same time.
            let mut widest_of: BTreeMap<Key, String> = BTreeMap::new();
            for value in &values {
                for key in KINDS.iter().filter_map(|kind| kind.key(value)) {
                    let wide = widest(value).unwrap();
                    let first = widest_of.entry(key).or_insert_with(|| wide.clone());
                    prop_assert_eq!(&*first, &wide, "{}", value);
                }
            }
        }

        #[test]
        fn a_key_is_its_own_key(value in any_value()) {
            for kind in KINDS {
                if let Some(key) = kind.key(&value) {
                    prop_assert_eq!(kind.key_of_text(key.as_str()), Some(key), "{:?}", kind);
                }
            }
        }
    }
}
