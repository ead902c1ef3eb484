//! The records to be written, from CSV or JSON Lines, each with its line.
//!
//! The whole input is read and checked before anything is sent, so that a mistake in the last line writes nothing.
//! An empty CSV cell leaves the field alone, and so does `null`, which a bulk extract writes for an empty field; to clear a
//! field, JSON Lines has null.

use std::collections::BTreeSet;
use std::io::Read;

use serde_json::{Map, Value};

use crate::marketo::Schema;

mod csv_records;
mod json_lines;

/// How records are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header with REST API names, then a row a record.
    Csv,
    /// A JSON object a line.
    JsonLines,
}

/// One record as it was written down.
#[derive(Clone, PartialEq)]
pub struct Record {
    /// Counted from 1; of a CSV record that spans lines the first.
    pub line: u64,
    /// By REST API name.
    pub fields: Map<String, Value>,
}

/// Shows the names of the fields alone: their values are people's data.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.fields.keys().collect();
        f.debug_struct("Record").field("line", &self.line).field("fields", &names).finish()
    }
}

/// What is wrong with the input. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {what}", line.map(|line| format!(" line {line}")).unwrap_or_default())]
pub struct InputError {
    /// The file, or `standard input`.
    pub file: String,
    /// Counted from 1.
    pub line: Option<u64>,
    /// What is wrong, in words.
    pub what: String,
}

/// Reads every record. Without a format the file's name decides, else whether the first character is `{`.
pub fn read_records(
    file: &str,
    mut input: impl Read,
    format: Option<Format>,
) -> Result<Vec<Record>, InputError> {
    let fail = |line, what: String| InputError { file: file.to_owned(), line, what };
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(|error| fail(None, format!("cannot be read: {error}")))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(fail(
            None,
            "is empty; it needs a header of REST API names, or a JSON object a line".to_owned(),
        ));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(fail(None, "is UTF-16; save it as UTF-8".to_owned()));
    }
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(fail(
            Some(1),
            "begins a JSON array; put an object on each line (`jq -c '.[]'` does that)".to_owned(),
        ));
    }
    let records = match format.unwrap_or_else(|| guess(file, bytes)) {
        Format::Csv => csv_records::read(bytes),
        Format::JsonLines => json_lines::read(bytes),
    };
    records.map_err(|(line, what)| fail(line, what))
}

fn guess(file: &str, bytes: &[u8]) -> Format {
    let ending = file.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "csv" => Format::Csv,
        "jsonl" | "ndjson" | "json" => Format::JsonLines,
        _ if bytes.trim_ascii_start().starts_with(b"{") => Format::JsonLines,
        _ => Format::Csv,
    }
}

/// Refuses fields that the instance does not have or that cannot be written, before anything is sent.
pub fn check_fields(
    file: &str,
    records: &[Record],
    lookup_field: &str,
    schema: &Schema,
) -> Result<(), InputError> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for record in records {
        for name in record.fields.keys() {
            if known.contains(name.as_str()) {
                continue;
            }
            if let Some(what) = objection(name, lookup_field, schema) {
                return Err(InputError { file: file.to_owned(), line: Some(record.line), what });
            }
            known.insert(name);
        }
    }
    Ok(())
}

fn objection(name: &str, lookup_field: &str, schema: &Schema) -> Option<String> {
    let Some(field) = schema.fields.get(name) else {
        let meant = schema
            .fields
            .iter()
            .find(|(_, field)| field.display_name.eq_ignore_ascii_case(name))
            .map(|(known, _)| known.as_str())
            .or_else(|| nearest(name, schema.fields.keys()));
        let hint = meant.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
        return Some(format!("this instance has no lead field `{name}`{hint}"));
    };
    if name == "id" {
        return Some(
            "`id` cannot be written; leads are looked up by --lookup-field, so leave it out".to_owned(),
        );
    }
    (!field.updateable && name != lookup_field)
        .then(|| format!("the field `{name}` cannot be written; leave it out"))
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    known
        .map(|known| {
            (strsim::damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase()), known.as_str())
        })
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
