//! The sheets of a workbook, as far as they are read.

use super::decide::{DECISION, GROUP, KEEP, NOTE};
use super::of_book::BookRows;
use super::records::{INCLUDE, RECORD};
use super::values::{CHOOSE, FIELD, TYPED};
use super::{HIDDEN, SCHEMA};
use crate::review::sheet::Stamp;
use crate::review::sheet::bad::BadCells;
use crate::review::sheet::cell::Sheet;
use crate::review::sheet::lines::{Lines, Role};
use crate::table::{Book, Row, TableError};

/// The headings stand in one of the first rows.
const DEEPEST_HEADING: usize = 20;

/// Why a workbook cannot be read as one with decisions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be read at all.
    #[error(transparent)]
    Table(#[from] TableError),
    /// It is of a newer program.
    #[error("is of the form {form}, and this program knows {SCHEMA}; use the newer program")]
    Newer {
        /// The form.
        form: String,
    },
    /// The hidden sheet is there, and does not name a plan.
    #[error("has a hidden sheet that names no plan any more; export the plan again")]
    NoPlan,
    /// None of its sheets is there.
    #[error("has none of the sheets Decide, Records and Values; export the plan again")]
    NoSheet,
    /// A heading is gone, or there twice.
    #[error("sheet {sheet}: {what}")]
    Heading {
        /// The sheet.
        sheet: &'static str,
        /// What is wrong.
        what: String,
    },
}

/// What a workbook says.
#[derive(Debug)]
pub(in crate::review) struct Read {
    pub(in crate::review) stamp: Stamp,
    pub(in crate::review) rows: BookRows,
    pub(in crate::review) notes: Vec<String>,
}

/// Reads a workbook that was exported here; none where it is another one.
pub(in crate::review) fn read(book: &mut Book, bad: &mut BadCells) -> Result<Option<Read>, Error> {
    let names = book.sheet_names();
    if !names.iter().any(|name| name == HIDDEN) {
        return Ok(None);
    }
    let stamp = stamp(&book.rows(HIDDEN)?)?;
    let (mut rows, mut notes, mut gone) = (BookRows::default(), Vec::new(), Vec::new());
    for (sheet, into) in [
        (Sheet::Decide, &mut rows.decide),
        (Sheet::Records, &mut rows.records),
        (Sheet::Values, &mut rows.values),
    ] {
        let Some(wanted) = sheet.name() else { continue };
        match names.iter().find(|name| name.trim().eq_ignore_ascii_case(wanted)) {
            Some(name) => *into = lines(book, name, (sheet, wanted), bad, &mut notes)?,
            None => gone.push(wanted),
        }
    }
    if gone.len() == 3 {
        return Err(Error::NoSheet);
    }
    notes.extend(
        gone.iter().map(|sheet| format!("the sheet {sheet} is gone: what it says is as it was")),
    );
    Ok(Some(Read { stamp, rows, notes }))
}

fn stamp(rows: &[Row]) -> Result<Stamp, Error> {
    let named = |name: &str| {
        let row = rows.iter().find(|row| row.cell(0) == name.as_bytes())?;
        let value = text(row, 1).trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    match named("schema") {
        Some(form) if form != SCHEMA => return Err(Error::Newer { form }),
        Some(_) => {}
        None => return Err(Error::NoPlan),
    }
    match (named("plan"), named("digest")) {
        (Some(plan), Some(digest)) => Ok(Stamp { plan, digest }),
        _ => Err(Error::NoPlan),
    }
}

fn text(row: &Row, place: usize) -> &str {
    // Cells of workbooks come from strings.
    std::str::from_utf8(row.cell(place)).unwrap_or_default()
}

/// Columns by their heads.
type Columns = Vec<(&'static str, Role)>;

/// The columns that a sheet must have, and those that may be gone, whose cells are then as they
/// were.
fn wanted(sheet: Sheet) -> (Columns, Columns) {
    let group = (GROUP, Role::Group);
    match sheet {
        Sheet::Decide => {
            (vec![group], vec![(DECISION, Role::Decision), (KEEP, Role::Keep), (NOTE, Role::Note)])
        }
        Sheet::Records => (vec![group, (RECORD, Role::Id)], vec![(INCLUDE, Role::Include)]),
        Sheet::Values => {
            (vec![group, (FIELD, Role::Field)], vec![(CHOOSE, Role::Choose), (TYPED, Role::Typed)])
        }
        Sheet::Csv => (Vec::new(), Vec::new()),
    }
}

/// The rows of a sheet, as far as they decide something; each is read after the one before it was
/// taken in.
fn lines(
    book: &mut Book,
    sheet_name: &str,
    (sheet, name): (Sheet, &'static str),
    bad: &mut BadCells,
    notes: &mut Vec<String>,
) -> Result<Lines, Error> {
    let (needed, others) = wanted(sheet);
    let is_heading = |row: &Row| needed.iter().all(|(heading, _)| !places(row, heading).is_empty());
    let (mut lines, mut before) = (None, 0);
    book.each_row(sheet_name, |row| {
        match &mut lines {
            None if before < DEEPEST_HEADING && is_heading(row) => {
                let columns = columns(name, row, needed.iter().chain(&others), notes)?;
                let headings = (0..row.len()).map(|place| text(row, place).to_owned()).collect();
                bad.name_columns(sheet, headings);
                lines = Some(Lines::new(sheet, columns));
            }
            None => before += 1,
            Some(lines) => lines.add(row.line, |place| text(row, place), bad),
        }
        Ok::<_, Error>(())
    })?;
    lines.ok_or_else(|| {
        let names: Vec<&str> = needed.iter().map(|(heading, _)| *heading).collect();
        let what = format!("no row has the headings {}; put them back", names.join(" and "));
        Error::Heading { sheet: name, what }
    })
}

/// Where in a row a heading stands.
fn places(row: &Row, heading: &str) -> Vec<usize> {
    (0..row.len()).filter(|place| text(row, *place).trim().eq_ignore_ascii_case(heading)).collect()
}

/// Where the wanted columns are.
fn columns<'w>(
    name: &'static str,
    heading: &Row,
    wanted: impl Iterator<Item = &'w (&'static str, Role)>,
    notes: &mut Vec<String>,
) -> Result<Vec<(Role, usize)>, Error> {
    let mut columns = Vec::new();
    for (wanted, role) in wanted {
        match places(heading, wanted).as_slice() {
            [place] => columns.push((role.clone(), *place)),
            [] => notes.push(format!(
                "sheet {name}: the column \"{wanted}\" is gone: what it says is as it was"
            )),
            _ => {
                let what =
                    format!("the heading \"{wanted}\" is there twice; delete one of the two");
                return Err(Error::Heading { sheet: name, what });
            }
        }
    }
    Ok(columns)
}
