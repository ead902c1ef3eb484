//! Text of a person's record, made harmless for a spreadsheet.

use std::borrow::Cow;

/// Text that no spreadsheet runs. What a spreadsheet would take for a formula gets an apostrophe
/// before it, which it takes for "this is text". Control characters other than tabs and line ends,
/// which no spreadsheet reads and which could steer a terminal, become the replacement character.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    let text = if text.contains(steers) {
        Cow::Owned(text.replace(steers, "\u{fffd}"))
    } else {
        text.into()
    };
    if is_run(&text) { Cow::Owned(format!("'{text}")) } else { text }
}

/// Whether a spreadsheet would take the text for a formula.
pub fn is_run(text: &str) -> bool {
    let start = text
        .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}'));
    start.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
        || text.starts_with(['\t', '\r', '\n'])
}
