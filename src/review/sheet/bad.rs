//! Cells that cannot be taken: where each stands, what stands there, and what is allowed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::cell::{Place, Sheet, letters};

/// A cell that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadCell {
    /// The sheet of the workbook; none of a CSV.
    pub sheet: Option<String>,
    /// The row as the spreadsheet counts it; of a CSV the line.
    pub row: u64,
    /// The column's heading.
    pub column: String,
    /// Where a spreadsheet shows it: `E14`. None of a CSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// What stands there, and what is allowed. Harmless on a terminal.
    pub message: String,
}

impl fmt::Display for BadCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.sheet, &self.cell) {
            (Some(sheet), Some(cell)) => write!(f, "sheet {sheet}, cell {cell}")?,
            (Some(sheet), None) => write!(f, "sheet {sheet}, row {}", self.row)?,
            (None, _) => write!(f, "line {}", self.row)?,
        }
        if !self.column.is_empty() {
            write!(f, ", column \"{}\"", self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The bad cells of a file, as they are found.
#[derive(Debug, Default)]
pub(in crate::review) struct BadCells {
    headers: BTreeMap<Sheet, Vec<String>>,
    found: Vec<(Place, String)>,
}

impl BadCells {
    /// Learns the headings of a sheet, up to which columns are named.
    pub(in crate::review) fn name_columns(&mut self, sheet: Sheet, headings: Vec<String>) {
        self.headers.insert(sheet, headings);
    }

    pub(in crate::review) fn add(&mut self, place: Place, message: impl Into<String>) {
        self.found.push((place, message.into()));
    }

    pub(in crate::review) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// A bad cell in words.
    pub(in crate::review) fn told(&self, place: Place, message: String) -> BadCell {
        let headings = self.headers.get(&place.sheet).map(Vec::as_slice).unwrap_or_default();
        let sheet = place.sheet.name().map(str::to_owned);
        let cell = place.column.filter(|_| sheet.is_some());
        BadCell {
            sheet,
            row: place.row,
            column: place
                .column
                .and_then(|column| headings.get(column))
                .map(|heading| crate::table::shown(heading).into_owned())
                .unwrap_or_default(),
            cell: cell.map(|column| format!("{}{}", letters(column), place.row)),
            message,
        }
    }

    /// Every bad cell, in the order in which a person goes through the file.
    pub(in crate::review) fn all(&mut self) -> Vec<BadCell> {
        let mut found = std::mem::take(&mut self.found);
        found.sort();
        found.dedup();
        found.into_iter().map(|(place, message)| self.told(place, message)).collect()
    }
}
