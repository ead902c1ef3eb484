//! What reading a file through tells of its columns.

use super::Unread;
use super::columns::{Cells, Columns};
use crate::scan::rows::cell;
use crate::table::date::{self, Judge};
use crate::table::{Row, is_error_of_a_spreadsheet, wrong_length};

/// How many lines are named of what cannot be read.
const EXAMPLES: usize = 3;

/// What the first reading sees.
pub(super) struct Seen {
    pub(super) judges: Vec<Option<Judge>>,
    pub(super) errors: Vec<Unread>,
    pub(super) filled: Vec<bool>,
    pub(super) rows: u64,
    short: u64,
    first_short: u64,
}

impl Seen {
    pub(super) fn of(columns: &Columns) -> Self {
        let judges = columns
            .cells
            .iter()
            .map(|cells| (*cells == Cells::Time).then(Judge::default))
            .collect();
        let filled = vec![false; columns.uses.len()];
        Self { judges, errors: Vec::new(), filled, rows: 0, short: 0, first_short: 0 }
    }

    /// Notes that a row has something in this column, which is not odd.
    #[inline]
    pub(super) fn fill(&mut self, column: usize) {
        if let Some(filled) = self.filled.get_mut(column) {
            *filled = true;
        }
    }

    /// Notes a time as Marketo writes it, where the column is one of times.
    pub(super) fn look_at_marketos(&mut self, column: usize, line: u64, bytes: &[u8]) {
        if let Some(Some(judge)) = self.judges.get_mut(column) {
            judge.look_at_marketos(line, bytes);
        }
    }

    /// Looks at a row; whether it has a time that Marketo did not write.
    pub(super) fn look(&mut self, row: &Row, columns: &Columns) -> Result<bool, String> {
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
        let mut has_other_times = false;
        for (place, (column, bytes)) in columns.uses.iter().zip(row.cells()).enumerate() {
            let Some(field) = &column.field else { continue };
            if is_empty(bytes) {
                continue;
            }
            self.fill(place);
            if is_error_of_a_spreadsheet(bytes) {
                self.count_error(&column.header, field, row.line, bytes);
            } else if let Some(Some(judge)) = self.judges.get_mut(place) {
                if date::is_marketos(bytes) {
                    judge.look_at_marketos(row.line, bytes);
                } else {
                    judge.look(row.line, &text_of(bytes));
                    has_other_times = true;
                }
            }
        }
        Ok(has_other_times)
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

    pub(super) fn told_short(&self) -> Option<String> {
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

pub(super) fn is_empty(bytes: &[u8]) -> bool {
    match bytes {
        [first, ..] if *first > b' ' => bytes == b"null",
        _ => bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0),
    }
}

pub(super) fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "")
}
