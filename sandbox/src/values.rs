//! Which values a field takes, and how they are stored.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::schema::Kind;

/// The value as it is stored: an empty one is null, times lose their milliseconds. `None` where it
/// does not fit.
pub(super) fn accept(kind: Kind, value: &Value) -> Option<Value> {
    if value.is_null() || value.as_str().is_some_and(str::is_empty) {
        return Some(Value::Null);
    }
    match kind {
        Kind::Text | Kind::TextArea | Kind::Phone | Kind::Url => text(value).map(Value::String),
        Kind::Email => text(value).filter(|email| is_email(email)).map(Value::String),
        Kind::Integer | Kind::Score => integer(value).map(|number| json!(number)),
        Kind::Float => value
            .as_f64()
            .or_else(|| value.as_str()?.trim().parse().ok())
            .map(|number| json!(number)),
        Kind::Boolean => boolean(value).map(Value::Bool),
        Kind::Date => text(value)
            .and_then(|text| NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok())
            .map(|date| json!(date.to_string())),
        Kind::DateTime => text(value).and_then(|text| time(&text)).map(|time| json!(time)),
    }
}

/// What the message of a refusal shows of a value.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        },
        Value::Number(number) => match number.as_i64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn time(text: &str) -> Option<String> {
    let utc: DateTime<Utc> = DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .or_else(|_| {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").map(|time| time.and_utc())
        })
        .ok()?;
    Some(utc.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// ASCII alone, by Adobe's documentation; one `@` with something on either side; blanks around it
/// are let through.
fn is_email(text: &str) -> bool {
    let inner = text.trim();
    let parts: Vec<&str> = inner.split('@').collect();
    inner.is_ascii()
        && !inner.contains(char::is_whitespace)
        && matches!(parts.as_slice(), [local, domain] if !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::accept;
    use crate::schema::Kind;

    #[test]
    fn values_are_taken_as_marketo_takes_them() {
        for (kind, given, stored) in [
            (Kind::Text, json!("a"), json!("a")),
            (Kind::Text, json!(""), Value::Null),
            (Kind::Email, json!("Ada@example.com"), json!("Ada@example.com")),
            (Kind::Integer, json!("14"), json!(14)),
            (Kind::Boolean, json!("true"), json!(true)),
            (Kind::Boolean, Value::Null, Value::Null),
            (Kind::Date, json!("2020-08-30"), json!("2020-08-30")),
            (Kind::DateTime, json!("2020-08-30T05:49:48.000Z"), json!("2020-08-30T05:49:48Z")),
            (Kind::Float, json!(1.5), json!(1.5)),
        ] {
            assert_eq!(accept(kind, &given), Some(stored), "{given}");
        }
        for (kind, given) in [
            (Kind::Email, json!("bademail")),
            (Kind::Email, json!("ädä@example.com")),
            (Kind::Integer, json!("14.1")),
            (Kind::Boolean, json!("other")),
            (Kind::Date, json!("yesterday")),
            (Kind::Text, json!({"a": 1})),
        ] {
            assert_eq!(accept(kind, &given), None, "{given}");
        }
    }
}
