//! One text for all spellings of a value that a field of a kind stores alike.
//!
//! For: Marketo answers numbers, times and phones in forms of its own. Never: knows fields; the
//! kind is chosen by whoever asks.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::Value;

use crate::dedupe::value::{flag_of, number_of, text_of};
use crate::lead::parse_time;

/// In a field that is known to be a boolean, the numbers 1 and 0 are true and false.
pub(in crate::dedupe::facts) fn boolean(value: &Value) -> Option<bool> {
    let word = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "t" | "y" => Some(true),
        "no" | "f" | "n" => Some(false),
        _ => None,
    };
    flag_of(value).or_else(|| value.as_str().and_then(word)).or_else(|| match number_of(value) {
        Some(1.0) => Some(true),
        Some(0.0) => Some(false),
        _ => None,
    })
}

/// Whole numbers exactly, since a float holds no more than 15 digits.
pub(super) fn number(value: &Value) -> String {
    let written = text_of(value);
    if let Ok(whole) = written.parse::<i128>() {
        return format!("n{whole}");
    }
    number_of(value).map_or_else(|| text(value), |number| format!("n{number}"))
}

pub(super) fn nearly_equal(a: &Value, b: &Value) -> bool {
    let whole = |value: &Value| text_of(value).parse::<i128>().is_ok();
    if whole(a) && whole(b) {
        return false;
    }
    match (number_of(a), number_of(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => false,
    }
}

/// The days that a value can mean: that of its own zone first, then that of UTC.
pub(super) fn dates(value: &Value) -> Vec<NaiveDate> {
    let text = text_of(value);
    if let Ok(date) = text.parse::<NaiveDate>() {
        return vec![date];
    }
    let Some(time) = parse_time(&text) else { return Vec::new() };
    let own = text.get(..10).and_then(|date| date.parse().ok());
    own.into_iter().chain([time.date_naive()]).collect()
}

pub(super) fn same_day(a: &Value, b: &Value) -> bool {
    let others = dates(b);
    dates(a).iter().any(|date| others.contains(date))
}

pub(super) fn time(value: &Value) -> String {
    parse_time(&text_of(value)).map_or_else(
        || text(value),
        |time| format!("d{}", time.to_rfc3339_opts(SecondsFormat::Secs, true)),
    )
}

/// Whether a time is the midnight of a day in some zone: what becomes of a day in a field of times.
pub(super) fn midnight_of(time: &Value, day: &Value) -> bool {
    let (Some(time), Ok(day)) = (parse_time(&text_of(time)), text_of(day).parse::<NaiveDate>())
    else {
        return false;
    };
    let Some(midnight) = day.and_hms_opt(0, 0, 0) else { return false };
    let midnight: DateTime<Utc> = midnight.and_utc();
    let minutes = (time - midnight).num_minutes();
    (time - midnight).num_seconds() == minutes * 60
        && minutes % 15 == 0
        && (-14 * 60..=12 * 60).contains(&minutes)
}

/// The digits, without what only says how they are dialled: `+`, `00`, a `(0)` behind a country
/// code, and the `1` of North America. An extension stays apart. With other letters it is no plain
/// number, and counts as text.
pub(super) fn phone(value: &Value) -> String {
    let written = text(value).to_lowercase();
    let (number, extension) = split_extension(&written);
    let plain = |part: &str| {
        !part.chars().any(char::is_alphabetic) && part.chars().any(|c| c.is_ascii_digit())
    };
    if !plain(number) || extension.is_some_and(|extension| !plain(extension)) {
        return format!("t{written}");
    }
    let trimmed = number.trim_start();
    let abroad = trimmed.starts_with('+') || trimmed.starts_with("00");
    let number = if abroad { number.replace("(0)", "") } else { number.to_owned() };
    let mut digits = digits_of(&number);
    if abroad && !trimmed.starts_with('+') {
        digits = digits.trim_start_matches('0').to_owned();
    }
    if let Some(rest) =
        digits.strip_prefix('1').filter(|rest| rest.len() == 10 && !rest.starts_with(['0', '1']))
    {
        digits = rest.to_owned();
    }
    format!("p{digits}x{}", extension.map(digits_of).unwrap_or_default())
}

fn split_extension(text: &str) -> (&str, Option<&str>) {
    for mark in ["extension", "ext.", "ext", "x", "#"] {
        if let Some((number, extension)) = text.split_once(mark) {
            return (number, Some(extension));
        }
    }
    (text, None)
}

fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Blanks around a text and the number of blanks in it do not count, nor how its lines end.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Number(_) => {
            number_of(value).map_or_else(|| text_of(value), |number| number.to_string())
        }
        _ => text_of(value).split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
