//! Drop-downs whose entries stand in the same row, further to the right.
//!
//! Rows with equally many entries that follow each other share one. Each is held in memory, and
//! Excel takes about 65,000 of them in a sheet; so beyond the first thousands the rest shares one
//! with room for the longest list, which shows blank entries where a list is shorter.

use rust_xlsxwriter::{DataValidation, DataValidationErrorStyle, Formula, Worksheet, XlsxError};

use crate::review::sheet::cell::letters;

const MOST: u32 = 5_000;

/// Drop-downs of one column.
#[derive(Debug)]
pub(super) struct DropDowns {
    column: u16,
    /// The column of the first entry.
    entries: u16,
    message: &'static str,
    made: u32,
    /// The rows since the last change of the number of entries: the first, the last, the number.
    run: Option<(u32, u32, usize)>,
    longest: usize,
}

impl DropDowns {
    pub(super) fn new(column: u16, entries: u16, longest: usize, message: &'static str) -> Self {
        Self { column, entries, message, made: 0, run: None, longest }
    }

    /// Gives the row a drop-down of so many entries.
    pub(super) fn add(
        &mut self,
        sheet: &mut Worksheet,
        row: u32,
        entries: usize,
    ) -> Result<(), XlsxError> {
        let entries = if self.made >= MOST { self.longest } else { entries };
        match &mut self.run {
            Some((_, last, number)) if *last + 1 == row && *number == entries => *last = row,
            _ => {
                self.end(sheet)?;
                self.run = Some((row, row, entries));
            }
        }
        Ok(())
    }

    /// Writes the last one.
    pub(super) fn end(&mut self, sheet: &mut Worksheet) -> Result<(), XlsxError> {
        let Some((first, last, entries)) = self.run.take() else { return Ok(()) };
        if entries == 0 {
            return Ok(());
        }
        self.made += 1;
        let start = usize::from(self.entries);
        let source = format!(
            "=${}{row}:${}{row}",
            letters(start),
            letters(start + entries - 1),
            row = first + 1
        );
        let validation = DataValidation::new()
            .allow_list_formula(Formula::new(source))
            .set_error_style(DataValidationErrorStyle::Stop)
            .set_error_title("Not in the list")?
            .set_error_message(self.message)?;
        sheet.add_data_validation(first, self.column, last, self.column, &validation)?;
        Ok(())
    }
}

/// A drop-down of a few fixed words in the rows from the second to this one.
pub(super) fn fixed(
    sheet: &mut Worksheet,
    column: u16,
    last: u32,
    words: &[&str],
    message: &str,
) -> Result<(), XlsxError> {
    let validation = DataValidation::new()
        .allow_list_strings(words)?
        .set_error_style(DataValidationErrorStyle::Stop)
        .set_error_title("Not in the list")?
        .set_error_message(message)?;
    if last > 0 {
        sheet.add_data_validation(1, column, last, column, &validation)?;
    }
    Ok(())
}
