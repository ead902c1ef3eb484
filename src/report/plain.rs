//! Text for a terminal: values that cannot steer it, and numbers that can be read.

use std::borrow::Cow;

/// A value on one line, without anything that a terminal would obey: line ends and tabs become blanks, other control
/// characters and the marks that turn the direction of writing become the replacement character.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| blank_for(c) || steers(c)) {
        return Cow::Borrowed(text);
    }
    let safe = text.chars().map(|c| match c {
        c if blank_for(c) => ' ',
        c if steers(c) => '\u{fffd}',
        c => c,
    });
    Cow::Owned(safe.collect())
}

fn blank_for(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1234567` as `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 group`, `2 groups`.
pub(super) fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}
