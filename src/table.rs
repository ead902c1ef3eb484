//! Tables as spreadsheets, databases and Marketo write them, as rows of text with their line
//! numbers.
//!
//! A table passes these stages: bytes => unpacked (gzip, zip) => text of a known encoding => rows
//! of cells; or bytes => workbook => rows of cells. [`date`] reads the dates in the cells. Text is
//! read in pieces, so that memory does not grow with the file; a workbook is held in memory. Never:
//! knows a field of Marketo's, opens the cache, or guesses without a word. What was assumed is in
//! [`Table::notes`]; what cannot be read is refused with what it is and how to save it.

mod container;
pub mod date;
mod encoding;
mod harmless;
mod letters;
mod lines;
mod rows;
mod shown;
mod source;
mod workbook;

pub use encoding::{Encoding, Guessed};
pub use harmless::{harmless, is_run};
pub use lines::Row;
pub use rows::{LeftOut, Rows, Table, is_error_of_a_spreadsheet, wrong_length};
pub use shown::{shown, shown_short};
pub use source::Source;
pub use workbook::Book;

/// The advice for a file that cannot be read.
const HOW_TO_SAVE: &str = "save it as CSV in UTF-8 (Excel: File > Save As > CSV UTF-8; Numbers: File > Export To > CSV; \
                           Google Sheets: File > Download > CSV)";

/// What the reader is told beside the file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The encoding of the text, where the user names it.
    pub encoding: Option<Encoding>,
    /// The sheet of a workbook, where the user names it.
    pub sheet: Option<String>,
    /// Whether a text whose first bytes are UTF-8 is taken for it throughout, so that it need not
    /// be read twice. Where it is not, reading its rows fails: [`Rows::is_other_encoding`] says so,
    /// and [`Table::look_closer`] reads all of it.
    pub by_head: bool,
}

/// Why a table cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct TableError {
    /// Counted from 1, where it concerns one.
    pub line: Option<u64>,
    /// What is wrong, and how to mend it. Harmless on a terminal.
    pub what: String,
}

impl TableError {
    pub(crate) fn of_file(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into() }
    }

    pub(crate) fn at(line: u64, what: impl Into<String>) -> Self {
        Self { line: Some(line), what: what.into() }
    }

    pub(crate) fn unreadable(error: &std::io::Error) -> Self {
        Self::of_file(format!("cannot be read: {error}"))
    }
}

#[cfg(test)]
mod tests;
