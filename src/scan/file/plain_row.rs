//! Rows in which nothing is odd, as nearly all are, looked at and stored in one go.
//!
//! For: what a row costs. A cell is looked at once, as far as its column asks for, and copied once.
//! Never: decides about anything odd. A row with a cell that takes a closer look, be it an error of
//! a spreadsheet, a time that Marketo did not write or a word for true, is left as it is, and goes
//! the way of `file_rows`, cell by cell. What both make of a row is the same.

use super::columns::{Cells, Columns};
use super::seen::{Seen, is_empty};
use crate::cache::{Batch, PlainLine, RowKey};
use crate::dedupe::key_of_plain_address;
use crate::scan::rows::{Kind, cell};
use crate::table::date::is_marketos;
use crate::table::{Row, is_error_of_a_spreadsheet};

/// What becomes of the cells of a column.
#[derive(Debug, Clone, Copy)]
enum Use {
    /// The id, or a column that is not kept.
    Passed,
    Text,
    Flag,
    Number,
    Time,
}

/// Takes one row after the other.
#[derive(Debug)]
pub(super) struct PlainRow {
    uses: Vec<Use>,
    id: usize,
    /// The column of addresses, and the place of its values.
    address: usize,
    place: usize,
    /// The columns of times.
    times: Vec<usize>,
    line: PlainLine,
    /// The key, in memory that was asked for once.
    key: Vec<u8>,
}

impl PlainRow {
    /// None where the key is something else than one address.
    pub(super) fn of(columns: &Columns) -> Option<Self> {
        let (address, place) = columns.of_address?;
        let uses = columns.uses.iter().zip(&columns.cells).enumerate();
        let uses: Vec<Use> = uses
            .map(|(column, (named, cells))| match (&named.field, cells) {
                (None, _) => Use::Passed,
                _ if column == columns.id => Use::Passed,
                (_, Cells::Time) => Use::Time,
                (_, Cells::Of(Kind::Text)) => Use::Text,
                (_, Cells::Of(Kind::Flag)) => Use::Flag,
                (_, Cells::Of(Kind::Number)) => Use::Number,
            })
            .collect();
        let is_time = |column: &usize| matches!(uses.get(*column), Some(Use::Time));
        let times = (0..uses.len()).filter(is_time).collect();
        let (line, key) = (PlainLine::new(), Vec::new());
        Some(Self { uses, id: columns.id, address, place, times, line, key })
    }

    /// Adds the row to the batch, and to what is seen of the columns. Where it takes a closer look,
    /// nothing is added to either.
    pub(super) fn add(&mut self, row: &Row, seen: &mut Seen, batch: &mut Batch) -> bool {
        if !row.is_plain() || row.len() != self.uses.len() {
            return false;
        }
        let digits = row.cell(self.id);
        let Some(id) = cell::plain_id(digits) else { return false };
        let address = row.cell(self.address);
        let key = if address.is_empty() {
            RowKey::None
        } else if key_of_plain_address(address, &mut self.key) {
            RowKey::LowerCaseOf(self.place, &self.key)
        } else {
            return false;
        };
        self.line.begin(digits, (!address.is_empty()).then_some(self.place));
        let cells = row.cells_with_what_follows().zip(&self.uses).enumerate();
        for (column, ((from, length), how)) in cells {
            let cell = from.get(..length).unwrap_or_default();
            let fits = match how {
                Use::Passed => continue,
                _ if cell.is_empty() => {
                    if !self.line.nothing() {
                        return false;
                    }
                    continue;
                }
                Use::Text if cell == b"null" || is_error_of_a_spreadsheet(cell) => false,
                Use::Text => self.line.text(from, length),
                Use::Flag => matches!(cell, b"true" | b"false") && self.line.word(cell),
                Use::Number => cell::is_plain_number(cell) && self.line.word(cell),
                Use::Time => is_marketos(cell) && self.line.text(from, length),
            };
            if !fits {
                return false;
            }
            // What it is of a row that is left as it is, is noted there once more.
            if !is_empty(cell) {
                seen.fill(column);
            }
        }
        self.note(row, seen);
        batch.line(id, key, &mut self.line);
        true
    }

    /// What a row is counted by: only once it is clear that it goes no other way.
    fn note(&self, row: &Row, seen: &mut Seen) {
        seen.rows += 1;
        seen.fill(self.id);
        for column in &self.times {
            let time = row.cell(*column);
            if !time.is_empty() {
                seen.look_at_marketos(*column, row.line, time);
            }
        }
    }
}
