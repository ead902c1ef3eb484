//! Rows of a bulk extract as leads, one by one, on their way from Marketo. Files that people bring
//! are read by [`super::file`].
//!
//! Memory does not grow with the extract. A byte order mark is left behind; line breaks and
//! carriage returns within quotes are kept; columns come in any order. Never: reads what it cannot
//! be sure of. A row with too many or too few cells, a quote that is not doubled or not closed,
//! text that is not UTF-8: each refuses the file, with line and column.

use std::io::{BufRead, BufReader, Read};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Terminator};

use crate::lead::Lead;

pub(super) mod cell;
mod columns;
mod quotes;
mod reader_thread;

pub(super) use cell::Kind;
pub use columns::ColumnUse;
pub(super) use columns::Columns;
pub(super) use reader_thread::{Leads, each_batch};

use quotes::Quotes;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowError {
    /// Counted from 1, where it concerns one.
    pub(super) line: Option<u64>,
    /// What is wrong, with the column where it concerns one.
    pub(super) what: String,
}

/// The rows of a file.
#[derive(Debug)]
pub(super) struct Rows<R: Read> {
    reader: Reader<Quotes<BufReader<R>>>,
    record: ByteRecord,
    columns: Columns,
    last_line: Option<u64>,
}

impl<R: Read> Rows<R> {
    /// Reads the header, and has `columns` say what it means.
    pub(super) fn open(
        input: R,
        columns: impl FnOnce(&ByteRecord) -> Result<Columns, String>,
    ) -> Result<Self, RowError> {
        let mut input = BufReader::with_capacity(1 << 16, input);
        skip_mark(&mut input)
            .map_err(|error| RowError { line: None, what: format!("cannot be read: {error}") })?;
        let mut reader = ReaderBuilder::new()
            .terminator(Terminator::Any(b'\n'))
            .has_headers(false)
            .flexible(false)
            .buffer_capacity(1 << 16)
            .from_reader(Quotes::new(input, b','));
        let mut record = ByteRecord::new();
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Err(RowError { line: None, what: "is empty".to_owned() }),
            Err(error) => {
                let trouble = reader.get_ref().trouble();
                return Err(trouble.map_or_else(|| describe(&error), |trouble| trouble.of(None)));
            }
        }
        let columns = columns(&record).map_err(|what| RowError { line: Some(1), what })?;
        Ok(Self { reader, record, columns, last_line: None })
    }

    /// What is wrong with the quotes, where that is why reading failed.
    fn quotes(&self) -> Option<RowError> {
        let trouble = self.reader.get_ref().trouble()?;
        let column = self.columns.uses().get(trouble.cell);
        Some(trouble.of(column.map(|column| column.header.as_str())))
    }
}

impl<R: Read> Rows<R> {
    /// How many bytes were read.
    pub(super) fn byte(&self) -> u64 {
        self.reader.position().byte()
    }

    /// The next lead; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Lead>, RowError> {
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) if self.reader.get_ref().is_open() => {
                let what = "a quote is opened and never closed, so that rows may have been swallowed; this is where \
                            the last row begins";
                return Err(RowError { line: self.last_line, what: what.to_owned() });
            }
            Ok(false) => return Ok(None),
            Err(error) => return Err(self.quotes().unwrap_or_else(|| describe(&error))),
        }
        self.last_line = self.record.position().map(csv::Position::line);
        let refused = |what| RowError { line: self.last_line, what };
        self.columns.lead(&self.record).map(Some).map_err(refused)
    }

    /// The line of the lead that came last.
    pub(super) fn line(&self) -> Option<u64> {
        self.last_line
    }
}

/// Leaves the byte order mark behind.
fn skip_mark<R: Read>(input: &mut BufReader<R>) -> std::io::Result<()> {
    if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    Ok(())
}

fn describe(error: &csv::Error) -> RowError {
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => RowError {
            line: pos.as_ref().map(csv::Position::line),
            what: format!(
                "has {len} cells where the header has {expected_len}; a separator or a line break in a value needs quotes around it"
            ),
        },
        _ => RowError { line: error.position().map(csv::Position::line), what: error.to_string() },
    }
}
