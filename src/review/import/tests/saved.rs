//! A workbook as another program saves it: shared strings, numbers, truth values and dates as they
//! come.

use std::io::Cursor;

use calamine::{Data, Reader as _, open_workbook_auto_from_rs};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edited {
    Text(String),
    Number(f64),
    Truth(bool),
    Day(&'static str),
}

impl Edited {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The sheets, in order.
pub(super) struct Saved(Vec<(String, Vec<Vec<Edited>>)>);

impl Saved {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut book = open_workbook_auto_from_rs(Cursor::new(bytes.to_vec())).unwrap();
        let sheets = book.sheet_names().into_iter().map(|name| {
            let range = book.worksheet_range(&name).unwrap();
            let cell = |data: &Data| match data {
                Data::Empty => Edited::text(""),
                Data::String(text) => Edited::text(text),
                other => panic!("{name}: a cell that is no text: {other:?}"),
            };
            let rows = range.rows().map(|row| row.iter().map(cell).collect()).collect();
            (name, rows)
        });
        Self(sheets.collect())
    }

    pub(super) fn grid(&mut self, sheet: &str) -> &mut Vec<Vec<Edited>> {
        let found = self.0.iter_mut().find(|(name, _)| name == sheet);
        &mut found.unwrap_or_else(|| panic!("{sheet}")).1
    }

    pub(super) fn remove(&mut self, sheet: &str) {
        self.0.retain(|(name, _)| name != sheet);
    }

    pub(super) fn put(
        &mut self,
        sheet: &str,
        row: usize,
        heading: &str,
        cell: Edited,
    ) -> &mut Self {
        let grid = self.grid(sheet);
        let column = grid[0].iter().position(|cell| *cell == Edited::text(heading));
        grid[row - 1][column.unwrap_or_else(|| panic!("{heading}"))] = cell;
        self
    }

    pub(super) fn set(&mut self, sheet: &str, row: usize, heading: &str, text: &str) -> &mut Self {
        self.put(sheet, row, heading, Edited::text(text))
    }

    pub(super) fn text(&mut self, sheet: &str, row: usize, heading: &str) -> String {
        let grid = self.grid(sheet);
        let column = grid[0].iter().position(|cell| *cell == Edited::text(heading)).unwrap();
        match &grid[row - 1][column] {
            Edited::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut book = Workbook::new();
        let day = Format::new().set_num_format("dd/mm/yyyy");
        for (name, rows) in &self.0 {
            let sheet = book.add_worksheet().set_name(name).unwrap();
            for (row, cells) in (0..).zip(rows) {
                for (column, cell) in (0..).zip(cells) {
                    match cell {
                        Edited::Text(text) if text.is_empty() => &mut *sheet,
                        Edited::Text(text) => sheet.write_string(row, column, text).unwrap(),
                        Edited::Number(number) => sheet.write_number(row, column, *number).unwrap(),
                        Edited::Truth(truth) => sheet.write_boolean(row, column, *truth).unwrap(),
                        Edited::Day(text) => {
                            let at = ExcelDateTime::parse_from_str(text).unwrap();
                            sheet.write_datetime_with_format(row, column, &at, &day).unwrap()
                        }
                    };
                }
            }
        }
        book.save_to_buffer().unwrap()
    }
}
