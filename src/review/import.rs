//! The way back from a workbook or a CSV: bytes in, decisions or every bad cell out.
//!
//! Steps: [`read`] a file => look up the plan that [`Import::stamp`] names, and [`Import::check`]
//! its digest => [`Import::add`] every card of it => [`Import::finish`]. Where one cell is bad,
//! nothing is taken. Never: writes a decision down.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::card::Card;
use super::model::Door;
use super::sheet::bad::BadCells;
use super::sheet::cell::{Place, Sheet};
use super::sheet::lines::Role;
use super::sheet::of_csv::{CsvRows, Letters, headings};
use super::sheet::{BadCell, Stamp};
use super::workbook::of_book::BookRows;
use super::workbook::read as book;
use crate::dedupe::{Choice, Decisions};
use crate::table::{Book, Options, Row, Source, Table, TableError};
use crate::terminal::counted;

/// Why a file cannot be taken as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// It is a workbook that misses something.
    #[error(transparent)]
    Workbook(#[from] book::Error),
    /// Nothing says which plan it is of.
    #[error(
        "names no plan: it has neither the column \"plan:…\" of an exported CSV nor the hidden sheet of an exported workbook; \
         export the plan again, and save a workbook as a workbook"
    )]
    NoPlan,
    /// A column is gone.
    #[error("has no column \"{column}\"; put it back, or export the plan again")]
    NoColumn {
        /// The column.
        column: &'static str,
    },
    /// A column is there twice.
    #[error("has the column \"{column}\" twice; delete one of the two")]
    TwoColumns {
        /// The column.
        column: String,
    },
    /// It is of another plan.
    #[error("is of plan {file}, and not of plan {plan}")]
    OtherPlan {
        /// The plan that the file names.
        file: String,
        /// The plan it was held against.
        plan: String,
    },
    /// Somebody decided in the meantime.
    #[error(
        "is out of date, since somebody decided in the meantime: {who}; \
         export the plan again, and decide in the new file"
    )]
    Outdated {
        /// The plan.
        plan: String,
        /// Who decided, about what, when.
        who: String,
    },
}

/// What a file changes about a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Its place in the plan.
    pub place: u64,
    /// Its key as it is stored.
    pub stored_key: String,
    /// All that is decided about it from now on.
    pub decisions: Decisions,
    /// What was decided before.
    pub before: Decisions,
    at: Option<Place>,
}

impl Changed {
    /// What another door changes about a card.
    pub fn of(card: &Card, decisions: Decisions) -> Self {
        Self {
            place: card.place,
            stored_key: card.stored_key.clone(),
            decisions,
            before: card.decisions.clone(),
            at: None,
        }
    }
}

/// How many decisions of each kind a file changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Groups that it changes.
    pub changed: usize,
    /// Of these to be merged.
    pub merge: usize,
    /// To be left alone.
    pub skip: usize,
    /// On hold.
    pub hold: usize,
    /// Not the same.
    pub not_same: usize,
    /// Values that are chosen, typed, or left to the plan again.
    pub values: usize,
}

impl Counts {
    /// Counts what changes.
    pub fn of(changed: &[Changed]) -> Self {
        let mut counts = Self { changed: changed.len(), ..Self::default() };
        for one in changed {
            if one.decisions.choice != one.before.choice {
                match one.decisions.choice {
                    Some(Choice::Merge) => counts.merge += 1,
                    Some(Choice::Skip) => counts.skip += 1,
                    Some(Choice::Hold) => counts.hold += 1,
                    Some(Choice::NotSame) => counts.not_same += 1,
                    None => {}
                }
            }
            let (now, before) = (&one.decisions.values, &one.before.values);
            let withdrawn = before.keys().filter(|field| !now.contains_key(*field)).count();
            let set = now.iter().filter(|(field, value)| before.get(*field) != Some(value)).count();
            counts.values += withdrawn + set;
        }
        counts
    }
}

/// A file that is being read against the cards of its plan.
#[derive(Debug)]
pub struct Import {
    rows: Rows,
    bad: BadCells,
    stamp: Stamp,
    notes: Vec<String>,
    groups: u64,
    changed: Vec<Changed>,
}

#[derive(Debug)]
enum Rows {
    Csv(CsvRows),
    Book(BookRows),
}

/// Reads a workbook or a CSV, whatever program saved it.
pub fn read(bytes: impl Into<Arc<[u8]>>, options: &Options) -> Result<Import, Error> {
    let bytes: Arc<[u8]> = bytes.into();
    read_from(|| Ok(Source::of_bytes(Arc::clone(&bytes))), options)
}

/// The same from a file, which can be read several times. A CSV is read row by row.
pub fn read_file(file: &File, options: &Options) -> Result<Import, Error> {
    read_from(|| Source::of_file(file.try_clone()?), options)
}

fn read_from(source: impl Fn() -> io::Result<Source>, options: &Options) -> Result<Import, Error> {
    let source = || source().map_err(|error| TableError::unreadable(&error));
    let mut bad = BadCells::default();
    if let Some(mut found) = Book::open(source()?)?
        && let Some(book::Read { stamp, rows, notes }) = book::read(&mut found, &mut bad)?
    {
        let rows = Rows::Book(rows);
        return Ok(Import { rows, bad, stamp, notes, groups: 0, changed: Vec::new() });
    }
    let table = Table::open(source()?, options)?;
    let mut notes = table.notes().to_vec();
    let letters = match options.encoding.or_else(|| table.guess().map(|guess| guess.encoding)) {
        Some(encoding) if !encoding.is_unicode() => Letters::Of(encoding),
        _ => Letters::All,
    };
    let mut from = table.rows()?;
    let names: Vec<String> = from.header().cells().map(lossy).collect();
    let found = headings(&names);
    let stamp = found.stamp.ok_or(Error::NoPlan)?;
    if let Some(column) = found.repeated {
        return Err(Error::TwoColumns { column });
    }
    for (column, role) in [("group", Role::Group), ("id", Role::Id)] {
        if !found.columns.iter().any(|(has, _)| *has == role) {
            return Err(Error::NoColumn { column });
        }
    }
    if !found.passed_over.is_empty() {
        notes.push(format!("passed over: {}", found.passed_over.join(", ")));
    }
    bad.name_columns(Sheet::Csv, names);
    let mut rows = CsvRows::new(found.columns, letters);
    let mut row = Row::default();
    while from.next(&mut row)? {
        let cells: Vec<String> = row.cells().map(lossy).collect();
        let cell = |place: usize| cells.get(place).map_or("", String::as_str);
        rows.lines().add(row.line, cell, &mut bad);
    }
    notes.extend(from.left_out().told());
    let rows = Rows::Csv(rows);
    Ok(Import { rows, bad, stamp, notes, groups: 0, changed: Vec::new() })
}

fn lossy(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).into_owned()
}

impl Import {
    /// The plan that the file is of, and its digest then.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// The door that the file is.
    pub fn door(&self) -> Door {
        match self.rows {
            Rows::Csv(_) => Door::Csv,
            Rows::Book(_) => Door::Workbook,
        }
    }

    /// What was assumed or passed over, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Refuses a file that is of another plan, or older than the last decision. `since`: who
    /// decided after the plan had the digest of the file.
    pub fn check(&self, plan: &str, since: Option<String>) -> Result<(), Error> {
        if self.stamp.plan != plan {
            return Err(Error::OtherPlan { file: self.stamp.plan.clone(), plan: plan.to_owned() });
        }
        let plan = plan.to_owned();
        since.map_or(Ok(()), |who| Err(Error::Outdated { plan, who }))
    }

    /// Holds a card of the plan against the file.
    pub fn add(&mut self, card: &Card) {
        self.groups += 1;
        let found = match &mut self.rows {
            Rows::Csv(rows) => rows.decided(card, &mut self.bad),
            Rows::Book(rows) => rows.decided(card, &mut self.bad),
        };
        let Some((decisions, at)) = found else { return };
        if decisions != card.decisions {
            self.changed.push(Changed { at: Some(at), ..Changed::of(card, decisions) });
        }
    }

    /// What the file changes, after every card was added; or every bad cell.
    pub fn finish(&mut self) -> Result<Vec<Changed>, Vec<BadCell>> {
        match &mut self.rows {
            Rows::Csv(rows) => {
                rows.lines().refuse_the_rest(self.groups, &mut self.bad);
                if rows.emptied > 0 {
                    let cells = counted(rows.emptied, "emptied cell");
                    self.notes.push(format!(
                        "left as the plan has it: {cells}; to empty a field, write (blank)"
                    ));
                }
            }
            Rows::Book(rows) => {
                for lines in [&mut rows.decide, &mut rows.records, &mut rows.values] {
                    lines.refuse_the_rest(self.groups, &mut self.bad);
                }
            }
        }
        if self.bad.is_empty() {
            Ok(std::mem::take(&mut self.changed))
        } else {
            Err(self.bad.all())
        }
    }

    /// A change that the plan refuses, as a bad cell.
    pub fn refused(&self, changed: &Changed, why: &str) -> BadCell {
        let nowhere = Place { sheet: Sheet::Csv, row: 0, column: None };
        self.bad.told(changed.at.unwrap_or(nowhere), crate::table::shown(why).into_owned())
    }
}

#[cfg(test)]
mod tests;
