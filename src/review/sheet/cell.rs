//! A cell of a file, where it stands, and when a spreadsheet shows the same in two of them.

use std::borrow::Cow;

use crate::table::shown;

/// A sheet of the workbook, or the CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::review) enum Sheet {
    Csv,
    Decide,
    Records,
    Values,
}

impl Sheet {
    /// Its name in the workbook.
    pub(in crate::review) fn name(self) -> Option<&'static str> {
        match self {
            Self::Csv => None,
            Self::Decide => Some("Decide"),
            Self::Records => Some("Records"),
            Self::Values => Some("Values"),
        }
    }
}

/// Where something stands. Ordered as a person reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::review) struct Place {
    pub(in crate::review) sheet: Sheet,
    /// As the spreadsheet counts it, from 1.
    pub(in crate::review) row: u64,
    /// Counted from 0; none where the whole row is meant.
    pub(in crate::review) column: Option<usize>,
}

/// A cell as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::review) struct Cell<'a> {
    pub(in crate::review) place: Place,
    pub(in crate::review) text: &'a str,
}

impl Cell<'_> {
    pub(in crate::review) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// What stands there, for a message: harmless, and not longer than a line.
    pub(in crate::review) fn quoted(&self) -> String {
        quoted(self.text)
    }
}

/// A text for a message: harmless, in quotes, and not longer than a line.
pub(in crate::review) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let text = text.trim();
    let short: String = text.chars().take(MOST).collect();
    let cut = if short.len() < text.len() { "…" } else { "" };
    format!("\"{}{cut}\"", shown(&short))
}

/// Whether a spreadsheet shows the same in both: blanks around a text do not count, nor how its
/// lines end, which a spreadsheet writes in its own way.
pub(in crate::review) fn alike(written: &str, read: &str) -> bool {
    written == read || plain(written) == plain(read)
}

fn plain(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text.into()
    }
}

/// The letters of a column, as a spreadsheet shows them: `A` for 0, `AA` for 26.
pub(in crate::review) fn letters(column: usize) -> String {
    let mut letters = Vec::new();
    let mut left = column + 1;
    while left > 0 {
        let letter = u8::try_from((left - 1) % 26).unwrap_or_default();
        letters.push(char::from(b'A' + letter));
        left = (left - 1) / 26;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_letters_that_a_spreadsheet_shows() {
        for (column, shown) in [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (702, "AAA")] {
            assert_eq!(letters(column), shown);
        }
    }

    #[test]
    fn line_ends_and_blanks_around_do_not_count() {
        assert!(alike("a\r\nb ", " a\nb") && alike("", "  "));
        assert!(!alike("a b", "ab") && !alike("a", ""));
    }

    #[test]
    fn a_text_in_a_message_is_short_and_steers_no_terminal() {
        assert_eq!(quoted(" \u{1b}[2J "), "\"\\u{1b}[2J\"");
        assert_eq!(quoted(&"x".repeat(99)).chars().count(), 63);
    }
}
