//! Dates of a table in the form that Marketo takes.

use serde_json::Value;

use super::{InputError, Records};
use crate::lead::parse_time;
use crate::marketo::Schema;
use crate::table::date::{Judge, Order, Zone, read};
use crate::table::{TableError, shown};

/// Rewrites the dates of a table as ISO 8601, field by field, where Marketo holds a date or a time;
/// in words how each field was read. A date that cannot be read refuses the file: nothing is
/// written in its place. What is in Marketo's own form already stays as it is, and so do JSON
/// Lines.
pub fn read_dates(
    file: &str,
    records: &mut Records,
    schema: &Schema,
    named: Option<Order>,
) -> Result<Vec<String>, InputError> {
    let mut told = Vec::new();
    if !records.from_table {
        return Ok(told);
    }
    let fields = schema
        .fields
        .iter()
        .filter(|(_, field)| matches!(field.data_type.as_str(), "date" | "datetime"));
    for (name, field) in fields {
        let is_day = field.data_type == "date";
        let refuse = |line, what: String| {
            InputError::of(file, TableError::at(line, format!("`{name}`: {what}")))
        };
        let mut judge = Judge::default();
        let values = |record: &super::Record| match record.fields.get(name) {
            Some(Value::String(text)) => Some((record.line, text.clone())),
            _ => None,
        };
        for (line, text) in records.records.iter().filter_map(values) {
            if read(&text).is_none() {
                return Err(refuse(
                    line,
                    format!("{} is no date that can be read; write it as 2019-03-04", shown(&text)),
                ));
            }
            judge.look(line, &text);
        }
        let reading = judge
            .decide(named, Zone::default())
            .map_err(|refusal| refuse(refusal.line, refusal.what))?;
        let mut changed = false;
        for record in &mut records.records {
            let Some(Value::String(text)) = record.fields.get_mut(name) else { continue };
            if let Some(written) = in_marketos_form(text, is_day, reading.order) {
                changed |= written != *text;
                *text = written;
            }
        }
        if changed {
            told.push(format!("{name}: {}", reading.told));
        }
    }
    Ok(told)
}

fn in_marketos_form(text: &str, is_day: bool, order: Option<Order>) -> Option<String> {
    let date = read(text)?;
    if is_day {
        return date.day(order).map(|day| day.to_string());
    }
    if parse_time(text).is_some() {
        return None;
    }
    let written = date.stored(order, Zone::default())?;
    // Marketo's times have seconds.
    Some(match written.len() {
        10 => format!("{written}T00:00:00Z"),
        17 => written.replace('Z', ":00Z"),
        _ => written,
    })
}
