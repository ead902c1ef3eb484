//! The rows of a file, straight into batches for the cache.

use super::FileRules;
use super::columns::{Cells, Columns};
use super::seen::{Seen, is_empty, text_of};
use crate::cache::{Batch, BodyWriter};
use crate::dedupe::{Key, is_plain_address};
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
    /// The key of the row, in memory that was asked for once.
    pub(super) key: String,
}

impl Leads for FileRows<'_> {
    fn next(&mut self, batch: &mut Batch) -> Result<bool, RowError> {
        let more = self.rows.next(&mut self.row);
        if !more.map_err(|error| RowError { line: error.line, what: error.what })? {
            return Ok(false);
        }
        let refused = |what| RowError { line: Some(self.row.line), what };
        if let Some(seen) = &mut self.seen {
            // Before the columns have been read through, a time that Marketo did not write can mean
            // anything.
            self.keeps &= !seen.look(&self.row, self.columns).map_err(refused)?;
        }
        if self.keeps {
            let mut key = std::mem::take(&mut self.key);
            let kept = self.keep(batch, &mut key).map_err(refused);
            self.key = key;
            kept?;
        }
        Ok(true)
    }

    fn byte(&self) -> u64 {
        self.rows.byte()
    }
}

impl FileRows<'_> {
    fn keep(&self, batch: &mut Batch, key: &mut String) -> Result<(), String> {
        let id = cell::id(self.row.cell(self.columns.id))?;
        let has_key = self.find_key(id, key)?;
        batch.row(id, has_key.then_some(key.as_str()), |body| {
            let columns = self.columns.uses.iter().zip(&self.columns.cells);
            for (place, ((column, cells), bytes)) in columns.zip(self.row.cells()).enumerate() {
                match &column.field {
                    Some(field) if place != self.columns.id => {
                        self.write(place, (field, *cells), bytes, body)?;
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// Writes the key of the row; whether it has one.
    fn find_key(&self, id: u64, key: &mut String) -> Result<bool, String> {
        key.clear();
        let address = self.columns.of_address.map(|place| self.row.cell(place));
        if let Some(address) = address.filter(|address| is_plain_address(address))
            && let Ok(address) = std::str::from_utf8(address)
        {
            key.push_str(address);
            key.make_ascii_lowercase();
            return Ok(true);
        }
        if address.is_some_and(<[u8]>::is_empty) {
            return Ok(false);
        }
        let found = self.rules.key.key_of(&self.lead_of_key(id)?);
        key.push_str(found.as_ref().map_or("", Key::as_str));
        Ok(found.is_some())
    }

    /// Writes the cell of a field that is kept.
    fn write(
        &self,
        place: usize,
        (field, cells): (&str, Cells),
        bytes: &[u8],
        body: &mut BodyWriter<'_>,
    ) -> Result<(), String> {
        if bytes.is_empty() || is_error_of_a_spreadsheet(bytes) {
            body.nothing();
            return Ok(());
        }
        match cells {
            Cells::Of(Kind::Text) if self.row.is_plain() && bytes != b"null" => {
                body.plain_text(bytes);
            }
            Cells::Of(kind) => return cell::write(field, kind, bytes, body),
            Cells::Time if is_empty(bytes) => body.nothing(),
            // In the first reading no other times are kept. Marketo's are digits and a few marks.
            Cells::Time if self.seen.is_some() || date::is_marketos(bytes) => {
                body.plain_text(bytes);
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
