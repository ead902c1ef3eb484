//! Text in a CSV that a spreadsheet must leave as it is.
//!
//! A spreadsheet runs what looks like a formula, and rewrites on its own what looks like a number
//! or a date: `01234` becomes 1234, and `3-4` the third of April. A cell that would suffer gets an
//! apostrophe before it, which is taken off on the way back. A cell that begins with apostrophes
//! before such a text gets one more, so that no two texts become one.

use super::words::{BLANK, OWN};
use crate::table::{harmless, is_run};

/// Excel shows a longer number as `1.23457E+11`, and saves what it shows.
const LONGEST_NUMBER: usize = 11;

/// The text as it is written.
pub(super) fn guarded(text: &str) -> String {
    let text = harmless_controls(text);
    if needs_guard(&text) { format!("'{text}") } else { text }
}

/// The text that was meant by a cell.
pub(super) fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if needs_guard(rest) => rest,
        _ => cell,
    }
}

/// [`harmless`] without the apostrophe.
fn harmless_controls(text: &str) -> String {
    let safe = harmless(text);
    if is_run(text) { safe.get(1..).unwrap_or_default().to_owned() } else { safe.into_owned() }
}

fn needs_guard(text: &str) -> bool {
    let bare = text.trim_start_matches('\'');
    is_run(bare) || bare == BLANK || bare == OWN || is_rewritten(bare.trim())
}

/// Whether a spreadsheet, in some language, would take the text for a number, a date or a truth
/// value that it writes in another way.
fn is_rewritten(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return true;
    }
    if first.is_numeric() || matches!(first, '.' | ',' | '(' | '$' | '€' | '£' | '¥' | '%') {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit())
            && text.len() <= LONGEST_NUMBER
            && (text == "0" || first != '0');
        return !is_plain;
    }
    // A month and a number: `Mar 5`, `DEC1`, `Okt. 2026`.
    let name = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let name = name.trim_end_matches([' ', '.', '-', '/']);
    name.len() < text.len()
        && (3..=10).contains(&name.chars().count())
        && name.chars().all(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_or_rewrite_gets_an_apostrophe() {
        for text in [
            "=1+1",
            "+49 30 1",
            "-5",
            "@x",
            " =1",
            "01234",
            "123456789012",
            "12.5",
            "2026-01-31",
            "1/2",
            "12:30",
            "1e5",
            "(5)",
            "$5",
            "TRUE",
            "false",
            "Mar 5",
            "DEC1",
            "Okt. 2026",
            "(blank)",
            "(own)",
            "'=1",
            "''01",
        ] {
            assert_eq!(guarded(text), format!("'{text}"));
        }
    }

    #[test]
    fn other_text_is_written_as_it_is() {
        for text in ["", "Ada", "7", "12345678901", "'s-Hertogenbosch", "'t Hooft", "B2B", "ada@x"]
        {
            assert_eq!(guarded(text), text);
            assert_eq!(unguarded(text), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_never_run_and_comes_back(text in "['=+@ 0-9a-c(.\u{ff1d}\u{e9}]{0,8}") {
            let written = guarded(&text);
            prop_assert!(!is_run(&written), "{}", written);
            prop_assert_eq!(unguarded(&written), text);
        }
    }
}
