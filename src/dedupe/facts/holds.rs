//! Whether Marketo holds what was written, as it stores values; and whether a value fits its field.
//!
//! For: the look after a write, the look before a merge, and the comparison of a survivor. Marketo
//! trims text, rewrites phones, and answers numbers and times in forms of its own. Never: takes a
//! part of a value for the whole. A text that was cut is a loss; that it is what is left of a write
//! is known here all the same, so that it can be taken back.

use serde_json::Value;

use super::FieldFacts;
use crate::dedupe::consent::sense::Sense;
use crate::dedupe::value::{self, is_empty, text_of};

mod forms;

pub(super) use forms::boolean;
use forms::{dates, midnight_of, nearly_equal, number, phone, same_day, text, time};

/// Why a value cannot be written to a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// Marketo would cut it.
    #[error("`{field}` takes {limit} characters or bytes, and the value has {length}")]
    TooLong {
        /// The field's REST API name.
        field: String,
        /// The value's length: in characters where these exceed the limit, else in UTF-8 bytes.
        length: usize,
        /// The field's length.
        limit: u32,
    },
}

/// How Marketo stores a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Number,
    Date,
    Time,
    Phone,
    Email,
    Text,
    /// The instance does not say; the value itself tells.
    Unknown,
}

impl FieldFacts {
    pub(super) fn kind(&self, field: &str) -> Kind {
        match self.data_type(field) {
            "boolean" => Kind::Boolean,
            "integer" | "float" | "double" | "currency" | "percent" | "score" | "number" => {
                Kind::Number
            }
            "date" => Kind::Date,
            "datetime" => Kind::Time,
            "phone" => Kind::Phone,
            "email" => Kind::Email,
            "string" | "text" | "textarea" | "url" => Kind::Text,
            _ => Kind::Unknown,
        }
    }

    /// Whether an honest write of `written` to the field can have become `held`.
    pub fn holds(&self, field: &str, held: &Value, written: &Value) -> bool {
        if self.canonical(field, held) == self.canonical(field, written) {
            return true;
        }
        match self.kind(field) {
            Kind::Number => nearly_equal(held, written),
            Kind::Date => same_day(held, written),
            Kind::Time => midnight_of(held, written) || midnight_of(written, held),
            Kind::Unknown => value::same(held, written),
            Kind::Boolean | Kind::Phone | Kind::Email | Kind::Text => false,
        }
    }

    /// Whether a lead that holds `held`, and would hold `then`, would no longer say a no that it
    /// says, or may say, now.
    pub fn takes_back_a_no(&self, field: &str, held: &Value, then: &Value) -> bool {
        let is_false = self.holds(field, held, &Value::Null);
        if self.holds(field, held, then) {
            return false;
        }
        match self.consent().sense_of(field) {
            _ if self.is_opt_out(field) => !is_false,
            Some(Sense::Consent) => is_false,
            Some(Sense::Unclear | Sense::OptOut) => true,
            None => false,
        }
    }

    /// Whether a write arrived as it was spelled. An email is written for its spelling, too: one
    /// with a blank that nobody sees reads like the clean one, and cannot be mailed. Only its case,
    /// and ASCII blanks around it, do not count.
    pub fn arrived(&self, field: &str, held: &Value, written: &Value) -> bool {
        let spelled = |value: &Value| {
            value
                .as_str()
                .unwrap_or_default()
                .trim_matches(|c: char| c.is_ascii_whitespace())
                .to_lowercase()
        };
        self.holds(field, held, written)
            && (self.kind(field) != Kind::Email || spelled(held) == spelled(written))
    }

    /// Whether `held` is what Marketo left of `written`: it cuts a text at the first character that
    /// UTF-8 takes four bytes for, and at the field's length.
    pub fn is_cut_from(&self, field: &str, held: &Value, written: &Value) -> bool {
        let takes_text =
            matches!(self.kind(field), Kind::Text | Kind::Email | Kind::Phone | Kind::Unknown);
        let (true, Value::String(written)) = (takes_text, written) else { return false };
        let held = match held {
            Value::Null => "",
            Value::String(held) => held.trim(),
            _ => return false,
        };
        let Some(rest) = written.trim().strip_prefix(held).filter(|rest| !rest.is_empty()) else {
            return false;
        };
        let at_length = self.fields.get(field).and_then(|fact| fact.length).is_some_and(|limit| {
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            // Blanks where the cut fell are trimmed.
            let blanks = rest.chars().take_while(|c| c.is_whitespace()).count();
            [held.chars().count(), held.len()]
                .iter()
                .any(|kept| (*kept..=kept + blanks).contains(&most))
        });
        at_length || rest.trim_start().chars().next().is_some_and(|next| next.len_utf8() == 4)
    }

    /// One text for all values that the field stores alike.
    pub(in crate::dedupe) fn canonical(&self, field: &str, value: &Value) -> String {
        // A boolean that is not set reads as false, in a field of any type.
        if is_empty(value) || *value == Value::Bool(false) {
            return String::new();
        }
        match self.kind(field) {
            Kind::Boolean => match boolean(value) {
                Some(true) => "true".to_owned(),
                Some(false) => String::new(),
                None => format!("t{}", text_of(value)),
            },
            Kind::Number => number(value),
            Kind::Date => {
                dates(value).first().map_or_else(|| text(value), |date| format!("d{date}"))
            }
            Kind::Time => time(value),
            Kind::Phone => phone(value),
            Kind::Email => text(value).to_lowercase(),
            Kind::Text => text(value),
            Kind::Unknown => value::canonical(value),
        }
    }

    /// Whether the field takes the value whole. Marketo counts characters in some fields and bytes
    /// in others, and does not say which; what exceeds the length in either is too long.
    pub fn fits(&self, field: &str, value: &Value) -> Result<(), WhyNot> {
        let takes_text =
            matches!(self.kind(field), Kind::Text | Kind::Email | Kind::Phone | Kind::Unknown);
        let limit = self.fields.get(field).and_then(|fact| fact.length).filter(|limit| *limit > 0);
        let (true, Some(limit)) = (takes_text, limit) else { return Ok(()) };
        let text = text_of(value);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let characters = text.chars().count();
        let length = if characters > most { characters } else { text.len() };
        if length > most {
            return Err(WhyNot::TooLong { field: field.to_owned(), length, limit });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::dedupe::{FieldFact, FieldFacts};

    fn facts(data_type: &str) -> FieldFacts {
        let fact = FieldFact {
            label: "F".to_owned(),
            data_type: data_type.to_owned(),
            length: Some(10),
            writeable: true,
        };
        FieldFacts { fields: [("f".to_owned(), fact)].into(), ..FieldFacts::default() }
    }

    fn holds(data_type: &str, held: &Value, written: &Value) -> bool {
        facts(data_type).holds("f", held, written)
    }

    #[test]
    fn what_marketo_leaves_of_a_text_is_told_from_what_somebody_typed() {
        let fact = |data_type: &str, length| FieldFact {
            data_type: data_type.to_owned(),
            length,
            writeable: true,
            ..FieldFact::default()
        };
        let fields = [("title", fact("string", Some(8))), ("score", fact("score", None))];
        let facts = FieldFacts::new(fields.map(|(name, fact)| (name.to_owned(), fact)).into());
        let cut = |held: Value, written: &str| facts.is_cut_from("title", &held, &json!(written));
        assert!(cut(json!("Chief "), "Chief \u{1F680} Engineer"));
        assert!(cut(json!("Chief"), "Chief \u{1F680}"));
        assert!(cut(json!(null), "\u{1F680}"));
        assert!(cut(json!("12345678"), "123456789"));
        assert!(cut(json!("1234567"), "1234567 9"));
        assert!(!cut(json!("Chief"), "Chief Engineer"));
        assert!(!cut(json!("Boss"), "Chief \u{1F680}"));
        assert!(!cut(json!("Chief \u{1F680}"), "Chief \u{1F680}"));
        assert!(!cut(json!(null), "Chief"));
        assert!(!facts.is_cut_from("score", &json!(null), &json!(7)));
    }

    #[test]
    fn an_email_arrived_only_without_the_blanks_that_were_taken_away() {
        let facts = facts("email");
        let arrived = |held: &str| facts.arrived("f", &json!(held), &json!("ada@example.com"));
        for same in ["ada@example.com", "Ada@Example.com", " ada@example.com\t"] {
            assert!(arrived(same), "{same:?}");
        }
        for other in [
            "ada@example.com\u{a0}",
            "\u{202f}ada@example.com",
            "ada@example.com\u{3000}",
            "a@example.com",
        ] {
            assert!(!arrived(other), "{other:?}");
        }
        assert!(facts.arrived("f", &json!(null), &json!("")));
        assert!(super::tests::facts("string").arrived("f", &json!("Ada\u{a0}L"), &json!("Ada L")));
    }

    #[test]
    fn an_honest_write_arrived() {
        for (data_type, held, written) in [
            ("string", json!("Ada L"), json!(" Ada  L\r\n")),
            ("string", json!("5"), json!(5)),
            ("string", json!(null), json!("  ")),
            ("email", json!("ada@example.com"), json!(" Ada@Example.com ")),
            ("phone", json!("+1 (555) 123-4567"), json!("555.123.4567")),
            ("phone", json!("+49 30 1234567"), json!("0049 (0)30 1234567")),
            ("phone", json!("555-123-4567 x89"), json!("(555) 123 4567 ext. 89")),
            ("integer", json!(5), json!("5")),
            ("score", json!(5.0), json!(5)),
            ("float", json!(0.300_000_000_000_000_04), json!("0.3")),
            ("currency", json!(12.5), json!("12.50")),
            ("boolean", json!(true), json!("TRUE")),
            ("boolean", json!(true), json!(1)),
            ("boolean", json!(false), json!(null)),
            ("boolean", json!(false), json!("0")),
            ("date", json!("2020-01-31"), json!("2020-01-31T23:30:00-08:00")),
            ("date", json!("2020-02-01"), json!("2020-01-31T23:30:00-08:00")),
            ("datetime", json!("2020-01-31T08:00:00Z"), json!("2020-01-31T00:00:00-08:00")),
            ("datetime", json!("2020-01-31T06:00:00Z"), json!("2020-01-31")),
            ("datetime", json!("2020-01-31T06:00:00+0000"), json!("2020-01-31T06:00:00.000Z")),
            ("reference", json!(5), json!("5")),
        ] {
            assert!(holds(data_type, &held, &written), "{data_type} {held} {written}");
        }
    }

    #[test]
    fn a_cut_or_another_value_did_not_arrive() {
        for (data_type, held, written) in [
            ("string", json!("Ada"), json!("Ada \u{1f600} Lovelace")),
            ("string", json!("Ada Lovelac"), json!("Ada Lovelace")),
            ("string", json!("007"), json!("7")),
            ("string", json!("ada"), json!("Ada")),
            ("string", json!(null), json!("Ada")),
            ("email", json!("ada@example.co"), json!("ada@example.com")),
            ("phone", json!("555-123-4568"), json!("555-123-4567")),
            ("phone", json!("555-123-4567"), json!("555-123-4567 x89")),
            ("phone", json!("555-123-45"), json!("555-123-4567")),
            ("phone", json!("+44 555 123 4567"), json!("+1 555 123 4567")),
            ("phone", json!("800"), json!("800-FLOWERS")),
            ("integer", json!(0), json!(null)),
            ("integer", json!(9_007_199_254_740_992_i64), json!(9_007_199_254_740_993_i64)),
            ("score", json!(15), json!(5)),
            ("boolean", json!(false), json!(true)),
            ("boolean", json!(null), json!(true)),
            ("date", json!("2020-01-30"), json!("2020-01-31")),
            ("datetime", json!("2020-01-31T06:00:01Z"), json!("2020-01-31T06:00:00Z")),
            ("datetime", json!("2020-02-01T00:00:00Z"), json!("2020-01-31")),
        ] {
            assert!(!holds(data_type, &held, &written), "{data_type} {held} {written}");
        }
    }

    #[test]
    fn a_value_fits_where_neither_its_characters_nor_its_bytes_exceed_the_length() {
        for (value, length) in [
            (json!("0123456789 "), None),
            (json!(null), None),
            (json!("01234567890"), Some(11)),
            (json!("\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}"), Some(12)),
        ] {
            let found = facts("string").fits("f", &value).err().map(|why| why.to_string());
            let wanted =
                length.map(|n| format!("`f` takes 10 characters or bytes, and the value has {n}"));
            assert_eq!(found, wanted, "{value}");
        }
        assert!(facts("integer").fits("f", &json!(123_456_789_012_i64)).is_ok());
    }

    proptest! {
        #[test]
        fn blanks_around_a_text_do_not_count_and_a_cut_always_does(text in "[a-z\u{1f600}\u{e4}]{1,12}", keep in 0..12_usize) {
            for data_type in ["string", "text", "email", "phone", ""] {
                let padded = json!(format!("  {text}\n"));
                prop_assert!(holds(data_type, &json!(text), &padded), "{}", data_type);
                let cut: String = text.chars().take(keep).collect();
                prop_assert_eq!(holds(data_type, &json!(cut), &json!(text)), cut == text, "{}", data_type);
            }
        }

        #[test]
        fn a_phone_is_its_digits_however_they_are_set(digits in "[2-9][0-9]{9}", other in "[2-9][0-9]{9}", keep in 1..10_usize) {
            let (a, b, c) = (&digits[..3], &digits[3..6], &digits[6..]);
            for held in [format!("({a}) {b}-{c}"), format!("+1 {a}.{b}.{c}"), format!("1-{a}-{b}-{c}")] {
                prop_assert!(holds("phone", &json!(held), &json!(digits)));
                prop_assert_eq!(holds("phone", &json!(held), &json!(other)), digits == other);
                prop_assert!(!holds("phone", &json!(digits[..keep]), &json!(held)));
            }
        }

        #[test]
        fn a_time_is_the_same_in_every_zone(seconds in 0..2_000_000_000_i64, hours in -11..13_i32) {
            let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
            let zone = chrono::FixedOffset::east_opt(hours * 3600).unwrap();
            let (utc, local) = (json!(time.to_rfc3339()), json!(time.with_timezone(&zone).to_rfc3339()));
            prop_assert!(holds("datetime", &utc, &local));
            let later = json!((time + chrono::TimeDelta::seconds(1)).to_rfc3339());
            prop_assert!(!holds("datetime", &later, &local));
        }
    }
}
