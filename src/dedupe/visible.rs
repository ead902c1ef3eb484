//! What can be seen of a value, without the marks that are pasted along with it.

use std::borrow::Cow;

/// What can be seen of a value, without the blanks around it; `None` where that is nothing, or the
/// literal `null`.
pub(super) fn visible(value: &str) -> Option<String> {
    let hides = |c: char| c.is_control() || is_invisible(c);
    let visible: Cow<'_, str> =
        if value.contains(hides) { value.replace(hides, "").into() } else { value.into() };
    let visible = visible.trim();
    (!visible.is_empty() && !visible.eq_ignore_ascii_case("null")).then(|| visible.to_owned())
}

/// Marks without width, or for the direction of writing, that are pasted along with addresses and
/// are no part of them.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}
