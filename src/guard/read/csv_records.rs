//! CSV: a header with REST API names, then a row a record.
//!
//! A quote that is never closed would swallow every record after it, so the quotes of each are counted. Lines are
//! counted here, since the parser counts those of blank lines to the record before them.

use std::collections::BTreeSet;

use csv::{ByteRecord, ErrorKind, Position, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::Record;

type Trouble = (Option<u64>, String);

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Record>, Trouble> {
    let mut reader = ReaderBuilder::new().has_headers(true).flexible(false).from_reader(bytes);
    let mut lines = Lines { bytes, at: 0, line: 1 };
    let header = reader.byte_headers().cloned().map_err(|error| describe(&error, &mut lines))?;
    let header = names(&header)?;
    check_quotes(bytes, 0, &reader, 1)?;
    let mut records = Vec::new();
    let mut row = ByteRecord::new();
    while reader.read_byte_record(&mut row).map_err(|error| describe(&error, &mut lines))? {
        let start = row.position().map_or(0, Position::byte);
        let line = lines.of(start);
        check_quotes(bytes, start, &reader, line)?;
        let mut fields = Map::new();
        for (name, cell) in header.iter().zip(&row) {
            let text = std::str::from_utf8(cell)
                .map_err(|error| (Some(line), format!("the value of `{name}` is not UTF-8 ({error})")))?;
            // A bulk extract writes `null` for an empty field; written back it would name people null.
            if !text.trim().is_empty() && text != "null" {
                fields.insert(name.clone(), Value::from(text));
            }
        }
        records.push(Record { line, fields });
    }
    Ok(records)
}

/// Counts lines as far as it was asked, which only ever goes forward.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the first byte of a record, which may have blank lines before it.
    fn of(&mut self, byte: u64) -> u64 {
        let start = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(next) = self.bytes.get(self.at) {
            if self.at >= start && !matches!(next, b'\r' | b'\n') {
                break;
            }
            self.line += u64::from(*next == b'\n');
            self.at += 1;
        }
        self.line
    }
}

fn check_quotes(bytes: &[u8], start: u64, reader: &Reader<&[u8]>, line: u64) -> Result<(), Trouble> {
    let place = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(bytes.len());
    let raw = bytes.get(place(start)..place(reader.position().byte())).unwrap_or_default();
    let closed = raw.iter().fold(true, |closed, byte| closed ^ (*byte == b'"'));
    if closed {
        return Ok(());
    }
    Err((
        Some(line),
        "opens a quote that is never closed; a quote within a value is written twice".to_owned(),
    ))
}

fn names(row: &ByteRecord) -> Result<Vec<String>, Trouble> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::with_capacity(row.len());
    for (cell, column) in row.iter().zip(1..) {
        let name = std::str::from_utf8(cell)
            .map_err(|error| (Some(1), format!("the name of column {column} is not UTF-8 ({error})")))?
            .trim();
        if name.is_empty() {
            return Err((Some(1), format!("column {column} has no name")));
        }
        if row.len() == 1 && name.contains([';', '\t']) {
            return Err((
                Some(1),
                "has its columns between semicolons or tabs; write it with commas".to_owned(),
            ));
        }
        if !seen.insert(name.to_owned()) {
            return Err((Some(1), format!("there are two columns `{name}`")));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn describe(error: &csv::Error, lines: &mut Lines<'_>) -> Trouble {
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => (
            pos.as_ref().map(|pos| lines.of(pos.byte())),
            format!(
                "has {len} cells where the header has {expected_len}; a comma or a line break in a value needs quotes around it"
            ),
        ),
        _ => (error.position().map(|pos| lines.of(pos.byte())), error.to_string()),
    }
}
