//! A file of leads: a bulk extract, or an export of a smart list from Marketo's screens, as Marketo
//! or a spreadsheet saved it.
//!
//! In which order the dates of a column have day and month is decided by all of its values
//! ([`look`]): no single row can tell. Where all times are as Marketo writes them, nothing has to
//! be decided, and the rows are kept while they are looked at ([`look_and_keep`]); else the file is
//! read once more ([`FileScan::load`]). Either way they go into a file beside the cache, which
//! takes its place at the end, so that a file that turns out to be broken in its last line leaves
//! the cache as it was. What kind of file it is stands in [`crate::table`].

use super::rows::{ColumnUse, RowError, each_batch};
use super::{Ended, Error, Now, Watch, spec};
use crate::cache::{Cache, Fresh};
use crate::dedupe::KeySpec;
use crate::table::date::{Judge, Order, Reading, Zone};
use crate::table::{Table, TableError, shown};

mod columns;
mod file_rows;
mod plain_row;
mod seen;

use columns::Columns;
use file_rows::FileRows;
use seen::Seen;

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
    /// Its rows, already stored; none where the file must be read again.
    kept: Option<Fresh>,
}

/// Reads a file through without keeping any of it.
pub fn look<'a>(name: &'a str, table: Table, rules: FileRules<'a>) -> Result<FileScan<'a>, Error> {
    read_through(name, table, rules, None, &Nobody)
}

/// The same, and stores its rows beside the cache on the way. That works unless the dates of a
/// column need the whole file to be understood: most files are read once only.
pub fn look_and_keep<'a>(
    name: &'a str,
    table: Table,
    rules: FileRules<'a>,
    cache: &Cache,
    watch: &dyn Watch,
) -> Result<FileScan<'a>, Error> {
    read_through(name, table, rules, Some(cache), watch)
}

struct Nobody;

impl Watch for Nobody {
    fn at(&self, _: u64, _: Option<u64>) {}
}

fn read_through<'a>(
    name: &'a str,
    table: Table,
    rules: FileRules<'a>,
    cache: Option<&Cache>,
    watch: &dyn Watch,
) -> Result<FileScan<'a>, Error> {
    let failed = |error: TableError| Error::from(FileError::of(name, error));
    let at = |line, what: String| FileError { name: shown(name).into_owned(), line, what };
    let rows = table.rows().map_err(failed)?;
    let columns = Columns::found(rows.header(), rules.key, rules.fields)
        .map_err(|what| at(Some(rows.header().line), what))?;
    let mut kept = cache.map(|cache| cache.begin_fresh(&columns.fields())).transpose()?;
    let size = table.size();
    let mut rows = FileRows::first(rows, &columns, rules, kept.is_some());
    let read = each_batch(&mut rows, |batch, byte| {
        watch.at(byte, Some(size.max(byte)));
        kept.as_mut().map_or(Ok(()), |kept| kept.add(batch))
    })?;
    if rows.rows.is_other_encoding() {
        drop((rows, kept));
        let table = table.look_closer().map_err(failed)?;
        return read_through(name, table, rules, cache, watch);
    }
    read.map_err(|error| at(error.line, error.what))?;
    let FileRows { rows, seen, keeps, .. } = rows;
    let seen = seen.unwrap_or_else(|| Seen::of(&columns));
    if seen.rows == 0 {
        let what = "has a header and no row; nothing was replaced".to_owned();
        return Err(at(None, what).into());
    }
    let mut notes = table.notes().to_vec();
    notes.extend(rows.left_out().told());
    notes.extend(seen.told_short());
    drop(rows);
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
    let kept = kept.filter(|_| keeps);
    Ok(FileScan { name, table, rules, columns, readings, filled, unread, notes, rows, kept })
}

fn decide(
    judges: Vec<Option<Judge>>,
    columns: &Columns,
    rules: &FileRules<'_>,
) -> Result<Vec<Option<Reading>>, (u64, String)> {
    let decided = judges.into_iter().zip(&columns.uses).map(|(judge, column)| {
        let Some(judge) = judge else { return Ok(None) };
        let reading = judge.decide(rules.dates, rules.zone);
        reading.map(Some).map_err(|refusal| {
            (refusal.line, format!("`{}`: {}", shown(&column.header), refusal.what))
        })
    });
    decided.collect()
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
        &mut self,
        cache: &mut Cache,
        source: &str,
        now: Now,
        watch: &dyn Watch,
    ) -> Result<Ended, Error> {
        // What a file has no column for, nobody knows.
        let fields = self.columns.fields();
        let kept = match self.kept.take() {
            Some(kept) => kept,
            None => self.read_again(cache.begin_fresh(&fields)?, watch)?,
        };
        watch.at(self.size(), Some(self.size()));
        let spec = spec("file", &fields, self.rules.key);
        Ok(Ended::Complete(cache.replace(kept, &spec, Some(source), now())?))
    }

    /// Reads the rows once more, now that it is known how.
    fn read_again(&self, mut fresh: Fresh, watch: &dyn Watch) -> Result<Fresh, Error> {
        let failed = |error: RowError| {
            let name = shown(self.name).into_owned();
            FileError { name, line: error.line, what: error.what }
        };
        let rows = self.table.rows().map_err(|error| FileError::of(self.name, error))?;
        let mut rows = FileRows::second(rows, &self.columns, self.rules, &self.readings);
        let size = self.size();
        let read = each_batch(&mut rows, |batch, byte| {
            watch.at(byte, Some(size.max(byte)));
            fresh.add(batch)
        })?;
        read.map_err(failed)?;
        Ok(fresh)
    }
}

#[cfg(test)]
mod tests;
