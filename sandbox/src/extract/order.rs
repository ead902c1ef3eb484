//! What a caller of `create.json` asks for, checked as Adobe documents it: one filter, at most 31
//! days, no milliseconds.
//!
//! Pure: a JSON body in, an order or a refusal out. Whether the fields and lists exist is the
//! world's to say.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use serde_json::{Map, Value};

use crate::answer::{Refused, refused};

/// One export, as ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    /// The columns, by their REST names, as they were asked for.
    pub(super) fields: Vec<String>,
    pub(super) format: Format,
    /// Headers that replace REST names.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) filter: Filter,
}

/// How columns are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Tsv,
    Ssv,
}

/// Which leads are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    CreatedAt(Window),
    UpdatedAt(Window),
    StaticListId(u64),
    StaticListName(String),
    SmartListId(u64),
    SmartListName(String),
}

/// A span of time; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
}

impl Format {
    /// The name that answers carry.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Ssv => "SSV",
        }
    }

    /// What stands between two columns. Adobe's pages call SSV by a blank and by a semicolon; the
    /// files have the latter.
    pub(super) fn separator(self) -> u8 {
        match self {
            Self::Csv => b',',
            Self::Tsv => b'\t',
            Self::Ssv => b';',
        }
    }

    fn parse(body: &Map<String, Value>) -> Result<Self, Refused> {
        match body.get("format").and_then(Value::as_str) {
            None => Ok(Self::Csv),
            Some(name) if name.eq_ignore_ascii_case("csv") => Ok(Self::Csv),
            Some(name) if name.eq_ignore_ascii_case("tsv") => Ok(Self::Tsv),
            Some(name) if name.eq_ignore_ascii_case("ssv") => Ok(Self::Ssv),
            Some(name) => Err(invalid(format!("Invalid value for 'format': '{name}'"))),
        }
    }
}

impl Order {
    /// Reads the body of `create.json`.
    pub(super) fn parse(body: &Map<String, Value>) -> Result<Self, Refused> {
        Ok(Self {
            fields: fields(body)?,
            format: Format::parse(body)?,
            headers: headers(body)?,
            filter: Filter::parse(body)?,
        })
    }
}

impl Filter {
    fn parse(body: &Map<String, Value>) -> Result<Self, Refused> {
        let filters = body.get("filter").and_then(Value::as_object);
        let mut filters = filters.into_iter().flatten();
        let (Some((name, value)), None) = (filters.next(), filters.next()) else {
            return Err(invalid("Exactly one filter must be given".to_owned()));
        };
        match name.as_str() {
            "createdAt" => Ok(Self::CreatedAt(Window::parse(name, value)?)),
            "updatedAt" => Ok(Self::UpdatedAt(Window::parse(name, value)?)),
            "staticListId" => Ok(Self::StaticListId(number(name, value)?)),
            "staticListName" => Ok(Self::StaticListName(text(name, value)?)),
            "smartListId" => Ok(Self::SmartListId(number(name, value)?)),
            "smartListName" => Ok(Self::SmartListName(text(name, value)?)),
            _ => Err(invalid(format!("Unsupported filter '{name}'"))),
        }
    }
}

/// The longest window.
const LONGEST_DAYS: i64 = 31;

impl Window {
    pub(super) fn holds(&self, time: DateTime<Utc>) -> bool {
        self.start <= time && time <= self.end
    }

    fn parse(filter: &str, value: &Value) -> Result<Self, Refused> {
        let end_of = |name: &str| {
            let written = value.get(name).and_then(Value::as_str);
            let written =
                written.ok_or_else(|| invalid(format!("Filter '{filter}' must have '{name}'")))?;
            parse_time(written)
                .ok_or_else(|| invalid(format!("Invalid date format for '{name}': '{written}'")))
        };
        let (start, end) = (end_of("startAt")?, end_of("endAt")?);
        if end < start {
            return Err(invalid(format!("'startAt' of filter '{filter}' is after its 'endAt'")));
        }
        if end - start > Duration::days(LONGEST_DAYS) {
            return Err(invalid(format!("Filter '{filter}' spans more than {LONGEST_DAYS} days")));
        }
        Ok(Self { start, end })
    }
}

/// ISO 8601 with whole seconds; no zone means GMT. Milliseconds are refused, as documented by
/// Adobe.
fn parse_time(written: &str) -> Option<DateTime<Utc>> {
    if written.contains('.') {
        return None;
    }
    let zoned = DateTime::parse_from_rfc3339(written)
        .or_else(|_| DateTime::parse_from_str(written, "%Y-%m-%dT%H:%M:%S%z"));
    let zoned = zoned.map(|time| time.with_timezone(&Utc));
    let unzoned =
        || NaiveDateTime::parse_from_str(written, "%Y-%m-%dT%H:%M:%S").map(|time| time.and_utc());
    zoned.or_else(|_| unzoned()).ok()
}

fn fields(body: &Map<String, Value>) -> Result<Vec<String>, Refused> {
    let fields = body.get("fields").and_then(Value::as_array).filter(|fields| !fields.is_empty());
    let fields =
        fields.ok_or_else(|| invalid("'fields' must name at least one field".to_owned()))?;
    fields.iter().map(|field| text("fields", field)).collect()
}

fn headers(body: &Map<String, Value>) -> Result<BTreeMap<String, String>, Refused> {
    let headers = body.get("columnHeaderNames").and_then(Value::as_object);
    headers
        .into_iter()
        .flatten()
        .map(|(field, header)| Ok((field.clone(), text("columnHeaderNames", header)?)))
        .collect()
}

fn text(name: &str, value: &Value) -> Result<String, Refused> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| invalid(format!("Invalid value for '{name}'")))
}

fn number(name: &str, value: &Value) -> Result<u64, Refused> {
    value.as_u64().ok_or_else(|| invalid(format!("Invalid value for '{name}'")))
}

fn invalid(message: String) -> Refused {
    refused("1003", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &Value) -> Result<Order, Refused> {
        Order::parse(body.as_object().unwrap())
    }

    fn message(body: &Value) -> String {
        let refusal = parse(body).unwrap_err();
        assert_eq!(refusal.code, "1003");
        refusal.message
    }

    fn window(start: &str, end: &str) -> Value {
        json!({"fields": ["id"], "filter": {"createdAt": {"startAt": start, "endAt": end}}})
    }

    #[test]
    fn a_window_of_thirty_one_days_is_taken_and_one_second_more_is_not() {
        assert!(parse(&window("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")).is_ok());
        let refusal = message(&window("2026-01-01T00:00:00Z", "2026-02-01T00:00:01Z"));
        assert_eq!(refusal, "Filter 'createdAt' spans more than 31 days");
    }

    #[test]
    fn both_ends_belong_to_a_window() {
        let Filter::CreatedAt(window) =
            parse(&window("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")).unwrap().filter
        else {
            panic!("not a window")
        };
        assert!(window.holds(window.start) && window.holds(window.end));
        assert!(!window.holds(window.end + Duration::seconds(1)));
    }

    #[test]
    fn times_need_no_zone_and_must_not_have_milliseconds() {
        let utc = parse_time("2026-01-01T08:00:00Z");
        assert!(utc.is_some());
        assert_eq!(parse_time("2026-01-01T00:00:00-08:00"), utc);
        assert_eq!(parse_time("2026-01-01T00:00:00-0800"), utc);
        assert_eq!(parse_time("2026-01-01T08:00:00"), utc);
        assert_eq!(parse_time("2026-01-01T08:00:00.000Z"), None);
        assert_eq!(parse_time("2026-01-01"), None);
    }

    #[test]
    fn exactly_one_filter_is_taken() {
        assert_eq!(message(&json!({"fields": ["id"]})), "Exactly one filter must be given");
        let two = json!({"fields": ["id"], "filter": {"staticListId": 1, "staticListName": "x"}});
        assert_eq!(message(&two), "Exactly one filter must be given");
        assert_eq!(
            message(&json!({"fields": ["id"], "filter": {"email": "x"}})),
            "Unsupported filter 'email'"
        );
    }

    #[test]
    fn fields_are_required_and_formats_are_three() {
        assert_eq!(
            message(&json!({"filter": {"staticListId": 1}})),
            "'fields' must name at least one field"
        );
        let xml = json!({"fields": ["id"], "format": "XML", "filter": {"staticListId": 1}});
        assert_eq!(message(&xml), "Invalid value for 'format': 'XML'");
        let ssv = json!({"fields": ["id"], "format": "SSV", "filter": {"staticListId": 1}});
        assert_eq!(parse(&ssv).unwrap().format.separator(), b';');
    }
}
