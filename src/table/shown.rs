//! Text of a file, made harmless for a terminal.

use std::borrow::Cow;

/// The text with every control character, and every mark that turns the direction of writing,
/// written out as `\u{1b}`. A terminal obeys none of it then, and a person sees what is there.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// The same, and not longer than fits into a line.
pub fn shown_short(text: &str) -> String {
    const MOST: usize = 40;
    let text = shown(text);
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
