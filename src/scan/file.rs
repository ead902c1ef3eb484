//! A CSV file of leads: a bulk extract, or an export of a smart list from Marketo's screens.
//!
//! It goes into the cache in one transaction, so that a file that turns out to be broken in its last line leaves the cache
//! as it was. Memory does not grow with the file. In a bulk extract an empty cell is the literal `null`, which is empty
//! here for every column; a person named `Null` is not. NUL bytes are dropped, line breaks and carriage returns within
//! quotes are kept.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ErrorKind, ReaderBuilder, Terminator};
use serde_json::Value;

use super::{Ended, Error, Now, Watch, row, spec};
use crate::cache::Cache;
use crate::dedupe::KeySpec;
use crate::lead::{AUDIT_FIELDS, Lead};

mod columns;
mod quotes;

pub use columns::ColumnUse;

use columns::Columns;
use quotes::QuoteCounter;

/// How many rows go by between two looks at the progress.
const WATCH_EVERY: u64 = 10_000;

/// What is wrong with a file. The cache is what it was before.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {what}", path.display(), line.map(|line| format!(" line {line}")).unwrap_or_default())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1, where it concerns one.
    pub line: Option<u64>,
    /// What is wrong, with the column where it concerns one.
    pub what: String,
}

/// Reads a file into the cache. `told` hears how its columns are read, before the first row is.
pub fn scan_file(
    path: &Path,
    cache: &mut Cache,
    key: &KeySpec,
    now: Now,
    watch: &dyn Watch,
    told: impl FnOnce(&[ColumnUse]),
) -> Result<Ended, Error> {
    let fail = |line, what: String| FileError { path: path.to_owned(), line, what };
    let open = |error: std::io::Error| fail(None, format!("cannot be read: {error}"));
    let file = File::open(path).map_err(open)?;
    let size = file.metadata().map_err(open)?.len();
    let mut input = BufReader::with_capacity(1 << 16, QuoteCounter::new(file));
    let delimiter = delimiter(&mut input).map_err(open)?;
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .terminator(Terminator::Any(b'\n'))
        .has_headers(false)
        .flexible(false)
        .from_reader(input);
    let mut record = ByteRecord::new();
    let describe = |error: &csv::Error| describe(path, error);
    if !reader.read_byte_record(&mut record).map_err(|error| describe(&error))? {
        return Err(fail(None, "is empty".to_owned()).into());
    }
    let columns = Columns::of(&record, key).map_err(|what| fail(Some(1), what))?;
    told(columns.uses());
    let fields: Vec<String> = AUDIT_FIELDS.iter().map(|field| (*field).to_owned()).collect();
    let totals = cache.load(&spec("file", &fields, key), now(), |loader| {
        let (mut rows, mut last_line) = (0, None);
        while reader.read_byte_record(&mut record).map_err(|error| describe(&error))? {
            let line = record.position().map(csv::Position::line);
            last_line = line;
            let lead = columns.lead(&record).map_err(|what| fail(line, what))?;
            loader.add(&row(lead, key))?;
            rows += 1;
            if rows % WATCH_EVERY == 0 {
                watch.at(reader.position().byte(), Some(size));
            }
        }
        if reader.get_ref().get_ref().is_open() {
            let what = "a quote is opened and never closed, so that rows may have been swallowed; this is where the last row begins";
            return Err(Error::from(fail(last_line, what.to_owned())));
        }
        Ok(())
    })?;
    watch.at(size, Some(size));
    Ok(Ended::Complete(totals))
}

/// Tabs, semicolons or commas, by what the header has most of; and the byte order mark is left behind.
fn delimiter<R: Read>(input: &mut BufReader<R>) -> std::io::Result<u8> {
    if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    let start = input.fill_buf()?;
    let header = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| header.split(|byte| *byte == delimiter).count();
    Ok([b',', b';', b'\t'].into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b','))
}

fn describe(path: &Path, error: &csv::Error) -> FileError {
    let (line, what) = match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => (
            pos.as_ref().map(csv::Position::line),
            format!(
                "has {len} cells where the header has {expected_len}; a separator or a line break in a value needs quotes around it"
            ),
        ),
        _ => (error.position().map(csv::Position::line), error.to_string()),
    };
    FileError { path: path.to_owned(), line, what }
}

/// A cell as a value, or why it is none. Text is kept as it is.
fn cell(field: &str, bytes: &[u8]) -> Result<Value, String> {
    let bytes: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("`{field}` is not UTF-8 ({})", error.utf8_error()))?;
    if text.is_empty() || text == "null" {
        return Ok(Value::Null);
    }
    Ok(match field {
        "leadPartitionId" => {
            text.trim().parse::<u64>().map_or_else(|_| Value::String(text.clone()), Value::from)
        }
        "unsubscribed" | "marketingSuspended" | "doNotCall" | "blackListed" => {
            match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => Value::Bool(true),
                "false" | "0" | "no" => Value::Bool(false),
                _ => return Err(format!("`{field}` holds `{text}`, which is neither true nor false")),
            }
        }
        _ => Value::String(text),
    })
}

/// An id; some exports write whole numbers with decimals.
fn id(bytes: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(bytes);
    let whole = text.trim().trim_end_matches('0').strip_suffix('.').unwrap_or_else(|| text.trim());
    whole
        .parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| format!("the id `{}` is not a whole number above zero", text.trim()))
}

/// A lead with this id, to be filled.
fn lead(bytes: &[u8]) -> Result<Lead, String> {
    id(bytes).map(Lead::new)
}

#[cfg(test)]
mod tests;
