//! A file of leads: a bulk extract, or an export of a smart list from Marketo's screens, as Marketo
//! or a spreadsheet saved it.
//!
//! The file is read twice. The first time ([`look`]) touches nothing: it counts the rows, and
//! decides for each column of dates by all of its values in which order day and month stand, which
//! no single row can tell. The second time ([`FileScan::load`]) puts the rows into the cache in one
//! transaction, so that a file that turns out to be broken in its last line leaves the cache as it
//! was. Two readings of two million rows cost a second; holding them would cost their size in
//! memory. What kind of file it is stands in [`crate::table`].

use super::rows::{ColumnUse, Leads, RowError, cell, each_row};
use super::{Ended, Error, Now, Watch, spec};
use crate::cache::Cache;
use crate::dedupe::KeySpec;
use crate::lead::Lead;
use crate::table::date::{self, Judge, Order, Reading, Zone};
use crate::table::{Row, Rows, Table, TableError, is_error_of_a_spreadsheet, shown, wrong_length};

mod columns;

use columns::{Cells, Columns};

/// How many rows go by between two looks at the progress.
const WATCH_EVERY: u64 = 10_000;

/// How many lines are named of what cannot be read.
const EXAMPLES: usize = 3;

/// What is wrong with a file. The cache is what it was before.
#[derive(Debug, thiserror::Error)]
#[error("{name}{}: {what}", line.map(|line| format!(" line {line}")).unwrap_or_default())]
pub struct FileError {
    /// The file, or `standard input`; harmless on a terminal.
    pub name: String,
    /// Counted from 1, where it concerns one.
    pub line: Option<u64>,
    /// What is wrong, with the column where it concerns one.
    pub what: String,
}

impl FileError {
    /// Of a table that cannot be read.
    pub fn of(name: &str, error: TableError) -> Self {
        Self { name: shown(name).into_owned(), line: error.line, what: error.what }
    }
}

/// How a file is to be read.
#[derive(Debug, Clone, Copy)]
pub struct FileRules<'a> {
    /// What makes leads the same.
    pub key: &'a KeySpec,
    /// Fields to keep beyond those that the audit needs.
    pub fields: &'a [String],
    /// The order of day and month, where the user says it.
    pub dates: Option<Order>,
    /// Where times are that name no zone.
    pub zone: Zone,
}

/// Values of a column that cannot be read, and are not in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The column's header.
    pub column: String,
    /// Its field.
    pub field: String,
    /// How many values.
    pub count: u64,
    /// The first of them, with their lines.
    pub first: Vec<(u64, String)>,
}

/// A file that was looked through, and can be loaded.
#[derive(Debug)]
pub struct FileScan<'a> {
    name: &'a str,
    table: Table,
    rules: FileRules<'a>,
    columns: Columns,
    /// Of each column of times, how it is read.
    readings: Vec<Option<Reading>>,
    /// Of each column, whether a row has a value in it.
    filled: Vec<bool>,
    unread: Vec<Unread>,
    notes: Vec<String>,
    rows: u64,
}

/// Reads a file through without keeping any of it.
pub fn look<'a>(name: &'a str, table: Table, rules: FileRules<'a>) -> Result<FileScan<'a>, Error> {
    let failed = |error: TableError| Error::from(FileError::of(name, error));
    let at = |line, what: String| FileError { name: shown(name).into_owned(), line, what };
    let mut rows = table.rows().map_err(failed)?;
    let columns = Columns::found(rows.header(), rules.key, rules.fields)
        .map_err(|what| at(Some(rows.header().line), what))?;
    let mut seen = Seen::of(&columns);
    let mut row = Row::default();
    while rows.next(&mut row).map_err(failed)? {
        seen.look(&row, &columns).map_err(|what| at(Some(row.line), what))?;
    }
    if seen.rows == 0 {
        let what = "has a header and no row; nothing was replaced".to_owned();
        return Err(at(None, what).into());
    }
    let mut notes = table.notes().to_vec();
    notes.extend(rows.left_out().told());
    notes.extend(seen.told_short());
    let Seen { judges, errors, filled, rows, .. } = seen;
    let readings = decide(judges, &columns, &rules).map_err(|(line, what)| at(Some(line), what))?;
    let mut unread = errors;
    for (reading, column) in readings.iter().zip(&columns.uses) {
        if let (Some(reading), Some(field)) = (reading, &column.field)
            && reading.unread > 0
        {
            let first = reading.unread_examples.clone();
            unread.push(Unread {
                column: column.header.clone(),
                field: field.clone(),
                count: reading.unread,
                first,
            });
        }
    }
    Ok(FileScan { name, table, rules, columns, readings, filled, unread, notes, rows })
}

type Readings = Vec<Option<Reading>>;

fn decide(
    judges: Vec<Option<Judge>>,
    columns: &Columns,
    rules: &FileRules<'_>,
) -> Result<Readings, (u64, String)> {
    let decided = judges.into_iter().zip(&columns.uses).map(|(judge, column)| {
        let Some(judge) = judge else { return Ok(None) };
        let reading = judge.decide(rules.dates, rules.zone);
        reading.map(Some).map_err(|refusal| {
            (refusal.line, format!("`{}`: {}", shown(&column.header), refusal.what))
        })
    });
    decided.collect()
}

/// What the first reading sees.
struct Seen {
    judges: Vec<Option<Judge>>,
    errors: Vec<Unread>,
    filled: Vec<bool>,
    rows: u64,
    short: u64,
    first_short: u64,
}

impl Seen {
    fn of(columns: &Columns) -> Self {
        let judges = columns
            .cells
            .iter()
            .map(|cells| (*cells == Cells::Time).then(Judge::default))
            .collect();
        let filled = vec![false; columns.uses.len()];
        Self { judges, errors: Vec::new(), filled, rows: 0, short: 0, first_short: 0 }
    }

    fn look(&mut self, row: &Row, columns: &Columns) -> Result<(), String> {
        self.rows += 1;
        let named = columns.uses.len();
        if row.len() < columns.at_least {
            return Err(wrong_length(row.len(), named));
        }
        if row.len() < named {
            self.short += 1;
            if self.short == 1 {
                self.first_short = row.line;
            }
        }
        cell::id(row.cell(columns.id))?;
        for (place, (column, bytes)) in columns.uses.iter().zip(row.cells()).enumerate() {
            let Some(field) = &column.field else { continue };
            if is_empty(bytes) {
                continue;
            }
            if let Some(filled) = self.filled.get_mut(place) {
                *filled = true;
            }
            if is_error_of_a_spreadsheet(bytes) {
                self.count_error(&column.header, field, row.line, bytes);
            } else if let Some(Some(judge)) = self.judges.get_mut(place) {
                judge.look(row.line, &text_of(bytes));
            }
        }
        Ok(())
    }

    fn count_error(&mut self, column: &str, field: &str, line: u64, bytes: &[u8]) {
        let place =
            self.errors.iter().position(|unread| unread.field == field).unwrap_or_else(|| {
                let (column, field) = (column.to_owned(), field.to_owned());
                self.errors.push(Unread { column, field, count: 0, first: Vec::new() });
                self.errors.len() - 1
            });
        if let Some(unread) = self.errors.get_mut(place) {
            unread.count += 1;
            if unread.first.len() < EXAMPLES {
                unread.first.push((line, text_of(bytes)));
            }
        }
    }

    fn told_short(&self) -> Option<String> {
        let rows = match self.short {
            0 => return None,
            1 => "one row is".to_owned(),
            short => format!("{short} rows are"),
        };
        Some(format!(
            "{rows} shorter than the header (the first is line {}): the cells that are missing at the end are taken as \
             empty, as Excel leaves them out",
            self.first_short
        ))
    }
}

fn is_empty(bytes: &[u8]) -> bool {
    bytes == b"null" || bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "")
}

impl FileScan<'_> {
    /// How each column is read, and whether any row has a value in it.
    pub fn columns(&self) -> impl Iterator<Item = (&ColumnUse, bool)> {
        self.columns.uses.iter().zip(self.filled.iter().copied())
    }

    /// How each column of times is read, in words.
    pub fn readings(&self) -> impl Iterator<Item = (&str, &str)> {
        let told = self.columns.uses.iter().zip(&self.readings);
        told.filter_map(|(column, reading)| {
            Some((column.header.as_str(), reading.as_ref()?.told.as_str()))
        })
        .filter(|(_, told)| !told.is_empty())
    }

    /// What cannot be read.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// What was assumed, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many bytes are read.
    pub fn size(&self) -> u64 {
        self.table.size()
    }

    /// Puts every row into the cache, in place of what is there. `source` says where the rows are
    /// from.
    pub fn load(
        &self,
        cache: &mut Cache,
        source: &str,
        now: Now,
        watch: &dyn Watch,
    ) -> Result<Ended, Error> {
        let failed = |error: RowError| {
            let name = shown(self.name).into_owned();
            FileError { name, line: error.line, what: error.what }
        };
        let rows = self.table.rows().map_err(|error| FileError::of(self.name, error))?;
        let rows = FileRows { rows, row: Row::default(), scan: self };
        // What a file has no column for, nobody knows.
        let fields: Vec<String> =
            self.columns.uses.iter().filter_map(|column| column.field.clone()).collect();
        let (key, size) = (self.rules.key, self.size());
        let totals = cache.load(&spec("file", &fields, key), now(), |loader| {
            loader.from_file(source)?;
            let mut count = 0_u64;
            let read = each_row(rows, key, |row, byte| {
                count += 1;
                if count.is_multiple_of(WATCH_EVERY) {
                    watch.at(byte, Some(size.max(byte)));
                }
                loader.add(row)
            });
            read?.map_err(failed)?;
            Ok::<_, Error>(())
        })?;
        watch.at(size, Some(size));
        Ok(Ended::Complete(totals))
    }

    fn lead(&self, row: &Row) -> Result<Lead, String> {
        let mut lead = Lead::new(cell::id(row.cell(self.columns.id))?);
        for (place, ((bytes, column), cells)) in
            row.cells().zip(&self.columns.uses).zip(&self.columns.cells).enumerate()
        {
            let Some(field) = column.field.as_deref().filter(|_| place != self.columns.id) else {
                continue;
            };
            if is_error_of_a_spreadsheet(bytes) {
                continue;
            }
            let value = match cells {
                Cells::Of(kind) => cell::value(field, *kind, bytes)?,
                Cells::Time if is_empty(bytes) => continue,
                Cells::Time => {
                    let order =
                        self.readings.get(place).and_then(|reading| reading.as_ref()?.order);
                    date::stored(&text_of(bytes), order, self.rules.zone)
                        .map_or(serde_json::Value::Null, Into::into)
                }
            };
            lead.set(field, value);
        }
        Ok(lead)
    }
}

/// The rows of a file as leads.
struct FileRows<'a> {
    rows: Rows<'a>,
    row: Row,
    scan: &'a FileScan<'a>,
}

impl Leads for FileRows<'_> {
    fn next(&mut self) -> Result<Option<Lead>, RowError> {
        let more = self.rows.next(&mut self.row);
        if !more.map_err(|error| RowError { line: error.line, what: error.what })? {
            return Ok(None);
        }
        let lead = self.scan.lead(&self.row);
        lead.map(Some).map_err(|what| RowError { line: Some(self.row.line), what })
    }

    fn byte(&self) -> u64 {
        self.rows.byte()
    }
}

#[cfg(test)]
mod tests;
