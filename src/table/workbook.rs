//! Sheets of a workbook, as rows of text. Dates become ISO 8601, so that no reader has to guess.

use std::io::Cursor;

use calamine::{Data, Range, Reader as _, Sheets, open_workbook_auto_from_rs};
use chrono::{NaiveTime, Timelike as _};

use super::container::{Unpacked, unpack};
use super::lines::Row;
use super::source::Source;
use super::{HOW_TO_SAVE, TableError, shown};

/// A workbook whose sheets are read one by one.
pub struct Book {
    sheets: Sheets<Cursor<Vec<u8>>>,
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Book").finish_non_exhaustive()
    }
}

impl Book {
    /// Opens a workbook; none where the bytes are text.
    pub fn open(source: Source) -> Result<Option<Self>, TableError> {
        match unpack(source, &mut Vec::new(), 0)? {
            Unpacked::Text(_) => Ok(None),
            Unpacked::Workbook(source) => Self::of(&source).map(Some),
        }
    }

    fn of(source: &Source) -> Result<Self, TableError> {
        let bytes = source.all().map_err(|error| TableError::unreadable(&error))?;
        let sheets =
            open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|error| broken(&error))?;
        Ok(Self { sheets })
    }

    /// The names of its sheets, of hidden ones too.
    pub fn sheet_names(&self) -> Vec<String> {
        self.sheets.sheet_names()
    }

    /// The rows of a sheet that have something in them, from its first column on.
    pub fn rows(&mut self, sheet: &str) -> Result<Vec<Row>, TableError> {
        let range = self.sheets.worksheet_range(sheet).map_err(|error| broken(&error))?;
        let before = range.start().map_or(0, |(_, column)| column as usize);
        Ok(rows(&range, before))
    }
}

impl Book {
    /// Hands the rows of a sheet over that have something in them, from the sheet's first column
    /// on. Of an .xlsx each is handed over before the next is read.
    pub fn each_row<E: From<TableError>>(
        &mut self,
        sheet: &str,
        mut take: impl FnMut(&Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let Sheets::Xlsx(book) = &mut self.sheets else {
            return self.rows(sheet)?.iter().try_for_each(take);
        };
        let broken = |error| broken(&calamine::Error::Xlsx(error));
        let mut cells = book.worksheet_cells_reader(sheet).map_err(broken)?;
        let (mut row, mut texts, mut number) = (Row::default(), Vec::<String>::new(), 0);
        loop {
            let cell = cells.next_cell().map_err(broken)?;
            let at = cell.as_ref().map(calamine::Cell::get_position);
            if at.is_none_or(|(here, _)| here != number) {
                row.clear(u64::from(number) + 1);
                texts.drain(..).for_each(|text| row.push(text.as_bytes()));
                if !row.is_blank() {
                    take(&row)?;
                }
            }
            let (Some(cell), Some((here, column))) = (cell, at) else { return Ok(()) };
            number = here;
            let column = column as usize;
            if texts.len() <= column {
                texts.resize(column + 1, String::new());
            }
            if let Some(place) = texts.get_mut(column) {
                *place = text(&Data::from(cell.get_value().clone()));
            }
        }
    }
}

fn broken(error: &calamine::Error) -> TableError {
    let why = error.to_string();
    TableError::of_file(format!(
        "is a workbook that cannot be read ({}); {HOW_TO_SAVE}",
        shown(&why)
    ))
}

/// Reads the one sheet with rows, or the one that is named.
pub(super) fn read(
    source: &Source,
    sheet: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Vec<Row>, TableError> {
    let broken = |error: calamine::Error| broken(&error);
    let mut book = Book::of(source)?.sheets;
    let names = book.sheet_names();
    let listed = |names: &[String]| {
        names.iter().map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(", ")
    };
    if let Some(wanted) = sheet {
        let Some(name) =
            names.iter().find(|name| name.to_lowercase() == wanted.trim().to_lowercase())
        else {
            let what = format!("has no sheet `{}`; it has {}", shown(wanted), listed(&names));
            return Err(TableError::of_file(what));
        };
        return Ok(rows(&book.worksheet_range(name).map_err(broken)?, 0));
    }
    let mut filled = Vec::new();
    for name in &names {
        let rows = rows(&book.worksheet_range(name).map_err(broken)?, 0);
        if !rows.is_empty() {
            filled.push((name.clone(), rows));
        }
    }
    if filled.len() > 1 {
        let filled: Vec<String> = filled.into_iter().map(|(name, _)| name).collect();
        let what = format!(
            "is a workbook with several filled sheets: {}; name one with --sheet",
            listed(&filled)
        );
        return Err(TableError::of_file(what));
    }
    let Some((name, rows)) = filled.pop() else { return Ok(Vec::new()) };
    if names.len() > 1 {
        notes.push(format!("read from the sheet `{}`; the other sheets are empty", shown(&name)));
    }
    Ok(rows)
}

/// The rows that have something in them, with their numbers; so many blank cells before each.
fn rows(range: &Range<Data>, before: usize) -> Vec<Row> {
    let first = range.start().map_or(0, |(row, _)| row);
    let mut rows = Vec::with_capacity(range.height());
    for (cells, number) in range.rows().zip(u64::from(first) + 1..) {
        let mut row = Row::default();
        row.clear(number);
        for _ in 0..before {
            row.push(b"");
        }
        for cell in cells {
            row.push(text(cell).as_bytes());
        }
        if !row.is_blank() {
            rows.push(row);
        }
    }
    rows
}

fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Bool(flag) => flag.to_string(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Error(error) => error.to_string(),
        Data::DateTime(time) => match time.as_datetime().filter(|_| time.is_datetime()) {
            Some(at) => {
                // Days and fractions of days: the seconds come a little off.
                let off = at.nanosecond() >= 500_000_000;
                let at =
                    at.with_nanosecond(0).unwrap_or(at) + chrono::Duration::seconds(i64::from(off));
                let form =
                    if at.time() == NaiveTime::MIN { "%Y-%m-%d" } else { "%Y-%m-%dT%H:%M:%S" };
                at.format(form).to_string()
            }
            None => time.as_f64().to_string(),
        },
    }
}
