//! Cells of separated text. Line ends are LF, CRLF and CR, whichever comes, mixed too.
//!
//! States of a cell: `Start => (Bare | Quoted => Quote) => next cell`. A quote within a bare cell
//! is a character like any other. A quote within quotes that is not doubled, and one that is never
//! closed, are refused: nobody can tell where such a value ends.

use std::io::{BufRead, BufReader, Read};

use super::TableError;

mod blocks;

/// No value is longer. Past it a quote was opened somewhere and never closed, and the cell would
/// swallow the rest of the file, and all memory.
const LONGEST_ROW: usize = 64 << 20;

const NOT_DOUBLED: &str =
    "has a quote within quotes that is not doubled, so that nobody can tell where the value ends";
const NEVER_CLOSED: &str = "a quote is opened and never closed, so that rows may have been swallowed; this is where the last row begins";
const OTHER_ENCODING: &str = "is not UTF-8, as the lines before it are; name the encoding of the file with --encoding, such as \
                              --encoding windows-1252, or save it as CSV UTF-8";
const ENDLESS: &str =
    "goes on for over 64 MB: a quote was opened and never closed, or the file has no lines";

/// A row of cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The cells; behind each stands a byte that is no part of it, and more behind the last one of
    /// a simple line.
    text: Vec<u8>,
    /// Where each cell ends in the text.
    ends: Vec<usize>,
    is_plain: bool,
    /// Whether all of it is UTF-8.
    is_text: bool,
    /// Where it begins, counted from 1; a workbook's row number.
    pub line: u64,
}

impl Row {
    /// How many cells it has.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has no cell at all.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A cell by its place; empty where the row is shorter.
    pub fn cell(&self, place: usize) -> &[u8] {
        let Some(end) = self.ends.get(place) else { return &[] };
        let before = place.checked_sub(1).and_then(|before| self.ends.get(before));
        self.text.get(before.map_or(0, |before| before + 1)..*end).unwrap_or_default()
    }

    /// Every cell in order: the text from its beginning on, with what stands behind it, and its
    /// length.
    pub(crate) fn cells_with_what_follows(&self) -> impl Iterator<Item = (&[u8], usize)> {
        let mut starts = 0;
        self.ends.iter().map(move |end| {
            let cell = (self.text.get(starts..).unwrap_or_default(), end - starts);
            starts = end + 1;
            cell
        })
    }

    /// Whether all cells are known to be UTF-8 without a control character, a quote and a
    /// backslash. Of a row that is not, nothing is known.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Every cell in order.
    pub fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let mut starts = 0;
        self.ends.iter().map(move |end| {
            let cell = self.text.get(starts..*end).unwrap_or_default();
            starts = end + 1;
            cell
        })
    }

    /// Whether every cell is blank.
    pub fn is_blank(&self) -> bool {
        self.cells().all(|cell| cell.iter().all(|byte| matches!(byte, b' ' | b'\t' | 0 | 0x1a)))
    }

    pub(super) fn clear(&mut self, line: u64) {
        self.text.clear();
        self.ends.clear();
        self.is_plain = false;
        self.is_text = true;
        self.line = line;
    }

    pub(super) fn push(&mut self, cell: &[u8]) {
        self.text.extend_from_slice(cell);
        self.end_cell();
    }

    pub(super) fn truncate(&mut self, cells: usize) {
        self.ends.truncate(cells);
        self.text.truncate(self.ends.last().map_or(0, |last| last + 1));
    }

    fn end_cell(&mut self) {
        self.ends.push(self.text.len());
        self.text.push(0);
    }
}

/// How cells are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) separator: u8,
    /// Whether blanks stand between a separator and a quote.
    pub(super) blanks_at_quotes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Bare,
    Quoted,
    /// A quote within quotes: the end of them, or the first of two.
    Quote,
}

/// What is read so far, between two pieces of input.
#[derive(Debug)]
struct Progress {
    state: State,
    line: u64,
    /// A carriage return came last: a line feed now belongs to it.
    after_return: bool,
}

/// The rows of separated text in UTF-8.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: BufReader<R>,
    dialect: Dialect,
    progress: Progress,
    byte: u64,
    of_text_alone: bool,
    is_other_encoding: bool,
}

impl<R: Read> Lines<R> {
    /// Reads rows from `line` on, which is the line of the first byte.
    pub(super) fn new(input: R, dialect: Dialect, line: u64) -> Self {
        let progress = Progress { state: State::Start, line, after_return: false };
        Self {
            input: BufReader::with_capacity(1 << 16, input),
            dialect,
            progress,
            byte: 0,
            of_text_alone: false,
            is_other_encoding: false,
        }
    }

    /// The same, where a row that is no UTF-8 ends the reading if `is_asked`.
    pub(super) fn of_text_alone(mut self, is_asked: bool) -> Self {
        self.of_text_alone = is_asked;
        self
    }

    /// Whether such a row ended it.
    pub(super) fn is_other_encoding(&self) -> bool {
        self.is_other_encoding
    }

    /// How many bytes of text were read.
    pub(super) fn byte(&self) -> u64 {
        self.byte
    }

    /// The next row; false at the end. Blank lines are no rows.
    pub(super) fn next(&mut self, row: &mut Row) -> Result<bool, TableError> {
        loop {
            let more = self.next_line(row)?;
            if self.of_text_alone && !row.is_text {
                self.is_other_encoding = true;
                return Err(TableError::at(row.line, OTHER_ENCODING));
            }
            if !more || row.len() > 1 || !row.is_blank() {
                return Ok(more);
            }
        }
    }

    fn next_line(&mut self, row: &mut Row) -> Result<bool, TableError> {
        row.clear(self.progress.line);
        self.progress.state = State::Start;
        let mut is_begun = false;
        loop {
            let chunk = self.input.fill_buf().map_err(|error| TableError::unreadable(&error))?;
            if chunk.is_empty() {
                return at_end(self.progress.state, row);
            }
            if !std::mem::replace(&mut is_begun, true)
                && let Some(used) = simple_line(chunk, self.dialect, &mut self.progress, row)
            {
                self.input.consume(used);
                self.byte += used as u64;
                return Ok(true);
            }
            let (used, ended) = take(chunk, self.dialect, &mut self.progress, row)
                .map_err(|what| trouble(what, &self.progress, row))?;
            self.input.consume(used);
            self.byte += used as u64;
            if ended {
                row.is_text = std::str::from_utf8(&row.text).is_ok();
                return Ok(true);
            }
            if row.text.len() > LONGEST_ROW {
                return Err(TableError::at(row.line, ENDLESS));
            }
        }
    }
}

fn trouble(what: &str, progress: &Progress, row: &Row) -> TableError {
    TableError::at(progress.line, format!("cell {} {what}", row.len() + 1))
}

fn at_end(state: State, row: &mut Row) -> Result<bool, TableError> {
    if state == State::Quoted {
        return Err(TableError::at(row.line, NEVER_CLOSED));
    }
    if state == State::Start && row.is_empty() {
        return Ok(false);
    }
    row.end_cell();
    row.is_text = std::str::from_utf8(&row.text).is_ok();
    Ok(true)
}

/// Takes a whole line without quotes, as nearly all are, and how many bytes that were; none where
/// it takes a closer look ([`take`]).
fn simple_line(
    chunk: &[u8],
    dialect: Dialect,
    progress: &mut Progress,
    row: &mut Row,
) -> Option<usize> {
    if progress.after_return || dialect.blanks_at_quotes {
        return None;
    }
    let end = memchr::memchr(b'\n', chunk)?;
    let line = chunk.get(..end)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    row.text.extend_from_slice(line);
    // What stands behind the last cell, so that whole blocks can be looked at, and copied.
    row.text.extend_from_slice(&[b' '; BEHIND]);
    let looked = blocks::look(&row.text, line.len(), dialect.separator);
    if looked.is_odd {
        row.text.clear();
        return None;
    }
    row.is_text = looked.is_ascii || std::str::from_utf8(line).is_ok();
    row.is_plain = row.is_text && !looked.has_backslash;
    blocks::each_place(dialect.separator, &row.text, line.len(), |place| row.ends.push(place));
    row.ends.push(line.len());
    progress.line += 1;
    Some(end + 1)
}

/// So many bytes stand behind the last cell of a simple line.
const BEHIND: usize = 64;

/// Takes what belongs to the row; how many bytes that were, and whether the row is at its end.
fn take(
    chunk: &[u8],
    dialect: Dialect,
    progress: &mut Progress,
    row: &mut Row,
) -> Result<(usize, bool), &'static str> {
    let mut at = 0;
    while let Some(byte) = chunk.get(at).copied() {
        if progress.state == State::Quoted {
            at += quoted(chunk.get(at..).unwrap_or_default(), progress, row);
            continue;
        }
        if std::mem::take(&mut progress.after_return) && byte == b'\n' {
            at += 1;
            continue;
        }
        let blank = dialect.blanks_at_quotes && byte == b' ';
        at += 1;
        match (progress.state, byte) {
            (_, b'\n' | b'\r') => {
                row.end_cell();
                progress.after_return = byte == b'\r';
                progress.line += 1;
                return Ok((at, true));
            }
            (_, byte) if byte == dialect.separator => {
                row.end_cell();
                progress.state = State::Start;
            }
            (State::Start, b'"') => progress.state = State::Quoted,
            (State::Quote, b'"') => {
                row.text.push(b'"');
                progress.state = State::Quoted;
            }
            (State::Start | State::Quote, _) if blank => {}
            (State::Quote, _) => return Err(NOT_DOUBLED),
            (State::Start | State::Bare | State::Quoted, _) => {
                let rest = chunk.get(at..).unwrap_or_default();
                let ends =
                    |byte: &u8| *byte == dialect.separator || *byte == b'\n' || *byte == b'\r';
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                row.text.extend_from_slice(chunk.get(at - 1..at + length).unwrap_or_default());
                progress.state = State::Bare;
                at += length;
            }
        }
    }
    Ok((at, false))
}

/// Takes what stands in quotes, and the quote that ends it, and counts its lines.
fn quoted(chunk: &[u8], progress: &mut Progress, row: &mut Row) -> usize {
    let length = chunk.iter().position(|byte| *byte == b'"');
    let text = chunk.get(..length.unwrap_or(chunk.len())).unwrap_or_default();
    for byte in text {
        let after_return = std::mem::replace(&mut progress.after_return, *byte == b'\r');
        progress.line += u64::from(*byte == b'\r' || *byte == b'\n' && !after_return);
    }
    row.text.extend_from_slice(text);
    match length {
        Some(length) => {
            progress.after_return = false;
            progress.state = State::Quote;
            length + 1
        }
        None => chunk.len(),
    }
}

#[cfg(test)]
mod tests;
