//! Values that a person typed, as Marketo takes them.
//!
//! For: a workbook and a command line know only text. Never: guesses; a text that is no value of
//! the field's type is refused with an example.

use chrono::{NaiveDate, SecondsFormat};
use serde_json::{Number, Value};

use super::FieldFacts;
use super::holds::{Kind, boolean};
use crate::dedupe::address::can_be_mailed;
use crate::dedupe::value::{is_empty, text_of};
use crate::lead::parse_time;

impl FieldFacts {
    /// The value as the field takes it, none where it empties the field; or why it does not.
    pub fn typed(&self, field: &str, typed: &Value) -> Result<Option<Value>, String> {
        if is_empty(typed) {
            return Ok(None);
        }
        if typed.is_array() || typed.is_object() {
            return Err(format!("`{field}` takes one value"));
        }
        let text = text_of(typed);
        let refuse = |what: &str| Err(format!("`{field}` takes {what}, not `{text}`"));
        let value = match self.kind(field) {
            Kind::Boolean => match boolean(typed) {
                Some(flag) => Value::Bool(flag),
                None => return refuse("true or false"),
            },
            Kind::Number => match number(&text, self.data_type(field)) {
                Some(number) => number,
                None if matches!(self.data_type(field), "integer" | "score") => {
                    return refuse("a whole number");
                }
                None => return refuse("a number"),
            },
            Kind::Date => match text.parse::<NaiveDate>() {
                Ok(date) => Value::String(date.to_string()),
                Err(_) => return refuse("a date such as 2026-01-31"),
            },
            Kind::Time => match parse_time(&text) {
                Some(time) => Value::String(time.to_rfc3339_opts(SecondsFormat::Secs, true)),
                None => return refuse("a time such as 2026-01-31T08:00:00Z"),
            },
            Kind::Email if !can_be_mailed(&text) => return refuse("an email address"),
            Kind::Email | Kind::Phone | Kind::Text | Kind::Unknown => Value::String(text),
        };
        Ok(Some(value))
    }
}

fn number(text: &str, data_type: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    if matches!(data_type, "integer" | "score") {
        return None;
    }
    text.parse().ok().and_then(Number::from_f64).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::dedupe::{FieldFact, FieldFacts};

    fn typed(data_type: &str, value: &Value) -> Result<Option<Value>, String> {
        let fact =
            FieldFact { data_type: data_type.to_owned(), writeable: true, ..FieldFact::default() };
        FieldFacts::new([("f".to_owned(), fact)].into()).typed("f", value)
    }

    #[test]
    fn what_is_typed_becomes_a_value_of_the_fields_type() {
        for (data_type, text, value) in [
            ("boolean", json!("Yes"), json!(true)),
            ("boolean", json!(false), json!(false)),
            ("integer", json!("12"), json!(12)),
            ("score", json!(7), json!(7)),
            ("float", json!("1.5"), json!(1.5)),
            ("date", json!("2026-01-31"), json!("2026-01-31")),
            ("datetime", json!("2026-01-31T08:00:00+01:00"), json!("2026-01-31T07:00:00Z")),
            ("email", json!(" ada@example.com "), json!("ada@example.com")),
            ("string", json!("  Countess "), json!("Countess")),
            ("string", json!(5), json!("5")),
        ] {
            assert_eq!(typed(data_type, &text), Ok(Some(value)), "{data_type} {text}");
        }
        for blank in [json!(null), json!(""), json!("  ")] {
            assert_eq!(typed("integer", &blank), Ok(None));
        }
    }

    #[test]
    fn what_is_no_value_of_the_fields_type_is_refused_with_an_example() {
        for (data_type, text, words) in [
            ("boolean", json!("perhaps"), "takes true or false, not `perhaps`"),
            ("integer", json!("1.5"), "takes a whole number"),
            ("currency", json!("a lot"), "takes a number"),
            ("date", json!("31.1.2026"), "such as 2026-01-31"),
            ("datetime", json!("noon"), "such as 2026-01-31T08:00:00Z"),
            ("email", json!("nobody"), "an email address"),
            ("string", json!(["a"]), "one value"),
        ] {
            let why = typed(data_type, &text).unwrap_err();
            assert!(why.contains(words), "{data_type}: {why}");
        }
    }
}
