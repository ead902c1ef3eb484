//! A value that a person typed into a cell, by the field's data type.
//!
//! Never: guesses. A cell that can be read in two ways (`1,234`, `31.1.2026`) is refused with an
//! example. Whether the value fits the field, and may be chosen at all, is the plan's to say.

use chrono::{NaiveDate, SecondsFormat};
use serde_json::{Number, Value};

use super::words::{is_flag, read_yes_no};
use crate::lead::parse_time;
use crate::review::card::CardField;

/// The value, or what is allowed.
pub(in crate::review) fn typed(field: &CardField, text: &str) -> Result<Value, &'static str> {
    let text = text.trim();
    if is_flag(field) {
        return read_yes_no(text).map(Value::Bool).ok_or("yes or no");
    }
    match field.data_type.to_ascii_lowercase().as_str() {
        "integer" | "score" => whole(text).ok_or("a whole number such as 12"),
        "float" | "double" | "currency" | "percent" | "number" => {
            number(text).ok_or("a number such as 12.5")
        }
        "date" => day(text).ok_or("a day such as 2026-01-31"),
        "datetime" => time(text).ok_or("a time such as 2026-01-31T08:00:00Z"),
        "email" if !text.contains('@') || text.contains(char::is_whitespace) => {
            Err("an email address")
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn whole(text: &str) -> Option<Value> {
    let text = text.strip_suffix(".0").unwrap_or(text);
    text.parse::<i64>().ok().map(Value::from)
}

/// A comma is a decimal one where nothing else can be meant.
fn number(text: &str) -> Option<Value> {
    if let Some(whole) = whole(text) {
        return Some(whole);
    }
    let plain = match text.split_once(',') {
        Some((_, after)) if after.len() == 3 || text.contains('.') || after.contains(',') => {
            return None;
        }
        Some((before, after)) => format!("{before}.{after}"),
        None => text.to_owned(),
    };
    let is_plain = plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    plain.parse().ok().filter(|_| is_plain).and_then(Number::from_f64).map(Value::Number)
}

fn day(text: &str) -> Option<Value> {
    let day = text.strip_suffix("T00:00:00").unwrap_or(text);
    day.parse::<NaiveDate>().ok().map(|day| Value::String(day.to_string()))
}

fn time(text: &str) -> Option<Value> {
    parse_time(text).map(|time| Value::String(time.to_rfc3339_opts(SecondsFormat::Secs, true)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(data_type: &str, text: &str) -> Result<Value, &'static str> {
        let field = CardField {
            name: "f".to_owned(),
            label: "F".to_owned(),
            data_type: data_type.to_owned(),
            values: Vec::new(),
            after: Value::Null,
            rule: String::new(),
            conflict: true,
            may_choose: true,
        };
        typed(&field, text)
    }

    #[test]
    fn a_cell_becomes_a_value_of_the_fields_type() {
        for (data_type, text, value) in [
            ("boolean", " TRUE ", json!(true)),
            ("boolean", "Falsch", json!(false)),
            ("integer", "12", json!(12)),
            ("score", "12.0", json!(12)),
            ("float", "12,5", json!(12.5)),
            ("currency", "-0.25", json!(-0.25)),
            ("date", "2026-01-31T00:00:00", json!("2026-01-31")),
            ("datetime", "2026-01-31T08:00:00", json!("2026-01-31T08:00:00Z")),
            ("email", "ada@example.com", json!("ada@example.com")),
            ("phone", "0123", json!("0123")),
            ("", " x ", json!("x")),
        ] {
            assert_eq!(read(data_type, text), Ok(value), "{data_type} {text}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused_with_an_example() {
        for (data_type, text, allowed) in [
            ("boolean", "perhaps", "yes or no"),
            ("integer", "1.5", "a whole number such as 12"),
            ("float", "1,234", "a number such as 12.5"),
            ("float", "1.234,5", "a number such as 12.5"),
            ("float", "inf", "a number such as 12.5"),
            ("date", "31.1.2026", "a day such as 2026-01-31"),
            ("datetime", "noon", "a time such as 2026-01-31T08:00:00Z"),
            ("email", "nobody", "an email address"),
        ] {
            assert_eq!(read(data_type, text), Err(allowed), "{data_type} {text}");
        }
    }
}
