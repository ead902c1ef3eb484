//! The records to be written, from a table or JSON Lines, each with its line.
//!
//! The whole input is read and checked before anything is sent, so that a mistake in the last line
//! writes nothing. An empty CSV cell leaves the field alone, and so does `null`, which a bulk
//! extract writes for an empty field; to clear a field, JSON Lines has null.

use std::collections::BTreeSet;
use std::io::Read;

use serde_json::{Map, Value};

use crate::marketo::Schema;
use crate::table::{Options, Source, Table, TableError, shown};

mod dates;
mod json_lines;
mod of_rows;

pub use dates::read_dates;

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

impl InputError {
    fn of(file: &str, TableError { line, what }: TableError) -> Self {
        Self { file: shown(file).into_owned(), line, what }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    /// Each record, in the order of the file.
    pub records: Vec<Record>,
    /// Whether they come from a table, whose dates may be in any form; JSON Lines are written by
    /// programs.
    pub from_table: bool,
    /// What was assumed or left out, a sentence each.
    pub notes: Vec<String>,
}

/// Reads every record. Without a format the file's name decides, else whether the first character
/// is `{`. A table may be whatever [`crate::table`] reads; where its encoding is a guess by its
/// letters, the guess is refused: what is written with wrong letters is a person's name.
pub fn read_records(
    file: &str,
    source: Source,
    format: Option<Format>,
    options: &Options,
) -> Result<Records, InputError> {
    read(file, source, format, options).map_err(|error| InputError::of(file, error))
}

fn read(
    file: &str,
    source: Source,
    format: Option<Format>,
    options: &Options,
) -> Result<Records, TableError> {
    let unreadable = |error: std::io::Error| TableError::unreadable(&error);
    let table = Table::open(source, options)?;
    if let Some(guess) = table.guess() {
        return Err(TableError::at(guess.line, guess.told()));
    }
    let start = table.text()?.map(first_byte).transpose().map_err(unreadable)?;
    if start == Some(None) {
        let what = "is empty; it needs a header of REST API names, or a JSON object a line";
        return Err(TableError::of_file(what));
    }
    if start == Some(Some(b'[')) {
        let what = "begins a JSON array; put an object on each line (`jq -c '.[]'` does that)";
        return Err(TableError::at(1, what));
    }
    let mut notes = table.notes().to_vec();
    if !table.is_workbook()
        && format.unwrap_or_else(|| guess(file, start.flatten())) == Format::JsonLines
    {
        let mut bytes = Vec::new();
        if let Some(mut text) = table.text()? {
            text.read_to_end(&mut bytes).map_err(unreadable)?;
        }
        return Ok(Records { records: json_lines::read(&bytes)?, from_table: false, notes });
    }
    let (records, left_out) = of_rows::read(&table)?;
    if records.is_empty() {
        return Err(TableError::of_file("has a header and no row"));
    }
    notes.extend(left_out.told());
    Ok(Records { records, from_table: true, notes })
}

/// The first byte that is no blank; the inner none where there is nothing else.
fn first_byte(text: impl Read) -> std::io::Result<Option<u8>> {
    for byte in std::io::BufReader::new(text).bytes() {
        let byte = byte?;
        if !byte.is_ascii_whitespace() {
            return Ok(Some(byte));
        }
    }
    Ok(None)
}

fn guess(file: &str, start: Option<u8>) -> Format {
    let file = file.to_ascii_lowercase();
    let name = file.strip_suffix(".gz").or_else(|| file.strip_suffix(".zip")).unwrap_or(&file);
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "csv" | "tsv" | "tab" => Format::Csv,
        "jsonl" | "ndjson" | "json" => Format::JsonLines,
        _ if start == Some(b'{') => Format::JsonLines,
        _ => Format::Csv,
    }
}

/// Refuses fields that the instance does not have or that cannot be written, before anything is
/// sent.
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
                return Err(InputError::of(file, TableError::at(record.line, what)));
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
        return Some(format!("this instance has no lead field `{}`{hint}", shown(name)));
    };
    if name == "id" {
        return Some(
            "`id` cannot be written; leads are looked up by --lookup-field, so leave it out"
                .to_owned(),
        );
    }
    (!field.updateable && name != lookup_field)
        .then(|| format!("the field `{name}` cannot be written; leave it out"))
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    known
        .map(|known| {
            (
                strsim::damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase()),
                known.as_str(),
            )
        })
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
