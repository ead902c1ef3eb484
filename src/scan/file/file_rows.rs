//! The rows of a file, straight into batches for the cache.

use super::FileRules;
use super::columns::{Cells, Columns};
use super::seen::{Seen, is_empty, text_of};
use crate::cache::{Batch, BodyWriter};
use crate::dedupe::Key;
use crate::lead::Lead;
use crate::scan::rows::{ColumnUse, Kind, Leads, RowError, cell};
use crate::table::date::{self, Reading};
use crate::table::{Row, Rows, is_error_of_a_spreadsheet};

/// The rows of a file on their way into a batch.
pub(super) struct FileRows<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) row: Row,
    pub(super) columns: &'a Columns,
    pub(super) rules: FileRules<'a>,
    /// Of each column of times, how it is read; none before the columns have been read through.
    pub(super) readings: Option<&'a [Option<Reading>]>,
    /// What the first reading sees; none in the second.
    pub(super) seen: Option<Seen>,
    /// Whether the rows go into batches.
    pub(super) keeps: bool,
}

impl Leads for FileRows<'_> {
    fn next(&mut self, batch: &mut Batch) -> Result<bool, RowError> {
        let more = self.rows.next(&mut self.row);
        if !more.map_err(|error| RowError { line: error.line, what: error.what })? {
            return Ok(false);
        }
        let refused = |what| RowError { line: Some(self.row.line), what };
        if let Some(seen) = &mut self.seen {
            seen.look(&self.row, self.columns).map_err(refused)?;
            // Before the columns have been read through, a time that Marketo did not write can mean
            // anything.
            self.keeps &= !self.has_other_times();
        }
        if self.keeps {
            self.keep(batch).map_err(refused)?;
        }
        Ok(true)
    }

    fn byte(&self) -> u64 {
        self.rows.byte()
    }
}

impl FileRows<'_> {
    fn has_other_times(&self) -> bool {
        self.row.cells().zip(&self.columns.cells).any(|(bytes, cells)| {
            *cells == Cells::Time
                && !date::is_marketos(bytes)
                && !is_empty(bytes)
                && !is_error_of_a_spreadsheet(bytes)
        })
    }

    fn keep(&self, batch: &mut Batch) -> Result<(), String> {
        let id = cell::id(self.row.cell(self.columns.id))?;
        let key = self.rules.key.key_of(&self.lead_of_key(id)?);
        batch.row(id, key.as_ref().map(Key::as_str), |body| {
            for (place, bytes) in self.row.cells().enumerate() {
                if place != self.columns.id {
                    self.write(place, bytes, body)?;
                }
            }
            Ok(())
        })
    }

    /// Writes a cell, where it is kept at all.
    fn write(&self, place: usize, bytes: &[u8], body: &mut BodyWriter<'_>) -> Result<(), String> {
        let column = self.columns.uses.get(place).zip(self.columns.cells.get(place));
        let Some((ColumnUse { field: Some(field), .. }, cells)) = column else { return Ok(()) };
        if is_error_of_a_spreadsheet(bytes) {
            body.nothing();
            return Ok(());
        }
        match cells {
            Cells::Of(kind) => return cell::write(field, *kind, bytes, body),
            Cells::Time if is_empty(bytes) => body.nothing(),
            Cells::Time if date::is_marketos(bytes) => {
                return cell::write(field, Kind::Text, bytes, body);
            }
            Cells::Time => {
                let reading = self.readings.and_then(|readings| readings.get(place)?.as_ref());
                let order = reading.and_then(|reading| reading.order);
                match date::stored(&text_of(bytes), order, self.rules.zone) {
                    Some(text) => body.text(&text).map_err(|error| error.to_string())?,
                    None => body.nothing(),
                }
            }
        }
        Ok(())
    }

    /// A lead with nothing but the fields that make its key.
    fn lead_of_key(&self, id: u64) -> Result<Lead, String> {
        let mut lead = Lead::new(id);
        for place in &self.columns.of_key {
            let column = self.columns.uses.get(*place).zip(self.columns.cells.get(*place));
            let Some((ColumnUse { field: Some(field), .. }, cells)) = column else { continue };
            let bytes = self.row.cell(*place);
            if is_error_of_a_spreadsheet(bytes) {
                continue;
            }
            let value = match cells {
                Cells::Of(kind) => cell::value(field, *kind, bytes)?,
                Cells::Time if is_empty(bytes) => continue,
                Cells::Time => {
                    let reading = self.readings.and_then(|readings| readings.get(*place)?.as_ref());
                    let order = reading.and_then(|reading| reading.order);
                    date::stored(&text_of(bytes), order, self.rules.zone)
                        .map_or(serde_json::Value::Null, Into::into)
                }
            };
            lead.set(field, value);
        }
        Ok(lead)
    }
}
