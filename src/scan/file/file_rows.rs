//! The rows of a file, straight into batches for the cache.

use super::FileRules;
use super::columns::{Cells, Columns};
use super::plain_row::PlainRow;
use super::seen::{Seen, is_empty, text_of};
use crate::cache::{Batch, BodyWriter, RowKey};
use crate::dedupe::{Key, key_of_plain_address};
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
    /// Takes the rows that have nothing odd; none in the second reading.
    pub(super) plain: Option<PlainRow>,
    /// The key of the row, in memory that was asked for once.
    pub(super) key: Vec<u8>,
}

impl<'a> FileRows<'a> {
    /// The first reading of these rows. Of times that Marketo did not write nothing is kept.
    pub(super) fn first(
        rows: Rows<'a>,
        columns: &'a Columns,
        rules: FileRules<'a>,
        keeps: bool,
    ) -> Self {
        let (seen, plain) = (Some(Seen::of(columns)), PlainRow::of(columns));
        let (row, key) = (Row::default(), Vec::new());
        Self { rows, row, columns, rules, readings: None, seen, keeps, plain, key }
    }

    /// The second reading, once it is known how each column of times is read.
    pub(super) fn second(
        rows: Rows<'a>,
        columns: &'a Columns,
        rules: FileRules<'a>,
        readings: &'a [Option<Reading>],
    ) -> Self {
        let (row, key) = (Row::default(), Vec::new());
        let readings = Some(readings);
        Self { rows, row, columns, rules, readings, seen: None, keeps: true, plain: None, key }
    }
}

impl Leads for FileRows<'_> {
    fn next(&mut self, batch: &mut Batch) -> Result<bool, RowError> {
        let more = self.rows.next(&mut self.row);
        if !more.map_err(|error| RowError { line: error.line, what: error.what })? {
            return Ok(false);
        }
        if self.keeps
            && let (Some(plain), Some(seen)) = (&mut self.plain, &mut self.seen)
            && plain.add(&self.row, seen, batch)
        {
            return Ok(true);
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
    fn keep(&self, batch: &mut Batch, key: &mut Vec<u8>) -> Result<(), String> {
        let id = cell::id(self.row.cell(self.columns.id))?;
        let found;
        let key =
            match self.columns.of_address.map(|(column, place)| (self.row.cell(column), place)) {
                Some((b"", _)) => RowKey::None,
                Some((address, place)) if key_of_plain_address(address, key) => {
                    RowKey::LowerCaseOf(place, key)
                }
                _ => {
                    found = self.rules.key.key_of(&self.lead_of_key(id)?);
                    found.as_ref().map(Key::as_str).into()
                }
            };
        batch.row(id, key, |body| {
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
