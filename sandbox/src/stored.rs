//! What Marketo makes of a value before it stores it, whatever the caller sent.
//!
//! Blanks around a text go; a phone number is written in one form; a text ends before its first
//! character beyond the Basic Multilingual Plane, as in a database whose characters have at most
//! three bytes; a text that is too long is cut.

use serde_json::{Value, json};

use super::options::Knobs;
use super::schema::{Field, Kind};

/// A text that is longer than its field, where such a one is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// The value as it is stored.
pub(super) fn stored(knobs: &Knobs, field: &Field, value: Value) -> Result<Value, TooLong> {
    let Value::String(mut text) = value else { return Ok(value) };
    if knobs.is("normalise", "on") {
        text = normal(field.kind, &text);
    }
    if field.kind.is_text() && knobs.is("cut", "on") {
        text = text.chars().take_while(|character| *character <= '\u{ffff}').collect();
    }
    if field.kind.is_text() && text.chars().count() > field.length {
        if knobs.is("long_values", "1003") {
            return Err(TooLong);
        }
        if knobs.is("cut", "on") {
            text = text.chars().take(field.length).collect();
        }
    }
    Ok(if text.is_empty() { Value::Null } else { json!(text) })
}

/// Emails keep their blanks: whether these count is a knob of its own.
fn normal(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Email => text.to_owned(),
        Kind::Phone => phone(trimmed(text)),
        _ => trimmed(text).to_owned(),
    }
}

/// Without ASCII blanks and control characters around it, as Java trims; other blanks stay.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

/// One form for the numbers of North America, and digits alone for others; what has letters in it
/// stays as it is.
fn phone(text: &str) -> String {
    let is_number =
        text.chars().all(|character| character.is_ascii_digit() || "+-. ()/".contains(character));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !is_number || digits.is_empty() {
        return text.to_owned();
    }
    let local = digits.strip_prefix('1').filter(|_| text.starts_with('+')).unwrap_or(&digits);
    match (local.get(..3), local.get(3..6), local.get(6..)) {
        (Some(area), Some(exchange), Some(line)) if line.len() == 4 => {
            let country = if text.starts_with('+') { "+1 " } else { "" };
            if text.starts_with('+') && local.len() == digits.len() {
                format!("+{digits}")
            } else {
                format!("{country}({area}) {exchange}-{line}")
            }
        }
        _ if text.starts_with('+') => format!("+{digits}"),
        _ => digits,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{TooLong, phone, stored};
    use crate::options::Options;
    use crate::schema;

    fn after(knobs: &[&str], field: &str, value: &str) -> Result<Value, TooLong> {
        let mut options = Options::default();
        for knob in knobs {
            options.set_knob(knob).unwrap();
        }
        stored(&options.knobs, schema::find(field).unwrap().1, json!(value))
    }

    #[test]
    fn values_are_normalised_and_cut_unless_told_otherwise() {
        for (field, given, kept) in [
            ("title", " Countess\t", json!("Countess")),
            ("title", "\u{a0}Countess", json!("\u{a0}Countess")),
            ("title", " \r\n", Value::Null),
            ("title", "Rocket 🚀 scientist", json!("Rocket ")),
            ("title", "🚀", Value::Null),
            ("email", " ada@example.com ", json!(" ada@example.com ")),
            ("phone", "+1 555-010-0100", json!("+1 (555) 010-0100")),
            ("phone", "555.010.0100", json!("(555) 010-0100")),
            ("phone", "+44 20 7946 0000", json!("+442079460000")),
            ("phone", "call Ada", json!("call Ada")),
        ] {
            assert_eq!(after(&[], field, given), Ok(kept), "{given}");
        }
        assert_eq!(after(&["normalise=off"], "phone", " 555.010.0100"), Ok(json!(" 555.010.0100")));
        assert_eq!(after(&["cut=off"], "title", "🚀"), Ok(json!("🚀")));
    }

    #[test]
    fn a_text_ends_where_its_field_does_or_is_refused() {
        let long = "ä".repeat(300);
        assert_eq!(after(&[], "title", &long), Ok(json!("ä".repeat(255))));
        assert_eq!(after(&[], "address", &long), Ok(json!(long)));
        assert_eq!(after(&["long_values=1003"], "title", &long), Err(TooLong));
        assert_eq!(after(&["cut=off"], "title", &long), Ok(json!(long)));
    }

    proptest! {
        #[test]
        fn the_form_of_a_phone_number_is_one_and_keeps_its_digits(text in "[+]?[0-9 ().-]{0,16}") {
            let once = phone(&text);
            prop_assert_eq!(phone(&once), once.clone());
            let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
            prop_assert_eq!(digits(&once), digits(&text));
        }
    }
}
