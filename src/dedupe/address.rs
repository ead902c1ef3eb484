//! The spelling of an email address that can be mailed and found.
//!
//! For: exports, forms and pastes leave blanks, marks without width, `mailto:` and brackets in
//! addresses. Marketo stores them as they come, cannot mail them, and does not find them by the
//! address that everybody sees. Never: guesses at an address (a slip in its domain, say), or counts
//! case, in which addresses do not differ.

use super::visible::is_invisible;

/// What stands around an address in mail programs, tables and sentences, and never at its ends.
const AROUND: &[char] = &[
    '"', '\'', '`', '<', '>', '(', ')', '[', ']', '{', '}', ',', ';', ':', '‘', '’', '“', '”', '«',
    '»',
];

/// The address without what was pasted along with it. A text without `@` is no address, and only
/// loses what nobody sees and the blanks around it.
pub(super) fn clean(text: &str) -> String {
    let mut text: String =
        text.chars().filter(|c| !is_invisible(*c) && !c.is_control()).map(narrow).collect();
    loop {
        let next = clean_once(&text);
        if next == text {
            return text;
        }
        text = next;
    }
}

fn clean_once(text: &str) -> String {
    let text = text.trim();
    if !text.contains('@') {
        return text.to_owned();
    }
    let text = bracketed(text).unwrap_or(text);
    if is_quoted(text) {
        // Blanks and marks between quotes are part of such an address.
        return text.trim_end_matches('.').to_owned();
    }
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let text = text.trim_matches(AROUND);
    let text = match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => {
            let rest = text.get(7..).unwrap_or_default();
            rest.split('?').next().unwrap_or_default()
        }
        _ => text,
    };
    text.trim_end_matches('.').to_owned()
}

/// The address of `Ada Lovelace <ada@example.com>`.
fn bracketed(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once('<')?;
    let (inside, _) = rest.split_once('>')?;
    inside.contains('@').then_some(inside)
}

/// `"ada lovelace"@example.com`
fn is_quoted(text: &str) -> bool {
    text.strip_prefix('"').and_then(|rest| rest.split_once("\"@")).is_some_and(|(local, domain)| {
        !local.is_empty() && !local.contains('@') && !domain.is_empty() && !domain.contains(AROUND)
    })
}

/// Full-width letters, as East Asian keyboards write them, in their ordinary width.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3002}' | '\u{ff61}' => '.',
        _ => c,
    }
}

/// Whether a mail can be sent to it, as far as its form says.
pub(crate) fn can_be_mailed(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let labels = || domain.split('.');
    !local.is_empty()
        && (is_quoted(address)
            || !local.contains(|c: char| {
                c.is_whitespace() || c == '@' || AROUND.contains(&c) && c != '\'' && c != '`'
            }))
        && labels().count() > 1
        && labels().all(|label| {
            !label.is_empty()
                && label.chars().all(|c| c.is_alphanumeric() || c == '-' || !c.is_ascii())
        })
}

#[cfg(test)]
mod tests;
