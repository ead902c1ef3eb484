//! The key: the normalised value that makes leads the same. **An empty key is no key** (law 1): a
//! group of strangers merged into one cannot be taken apart.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::address;
use super::visible::visible;

/// Stands between the parts of a key of several fields; no value holds it, since normalising drops
/// controls.
const SEPARATOR: &str = "\u{1f}";

/// A key; never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Key(String);

impl Key {
    /// The key of one value, or none where the value is empty.
    pub fn of(value: &str) -> Option<Self> {
        normalise(value).map(Self)
    }

    /// A key that was computed before and stored. Empty is still no key.
    pub fn stored(text: String) -> Option<Self> {
        (!text.trim().is_empty()).then_some(Self(text))
    }

    /// The key of several parts. None of them is empty.
    pub(super) fn of_parts(parts: &[String]) -> Option<Self> {
        (!parts.is_empty()).then(|| Self(parts.join(SEPARATOR)))
    }

    /// The key as it is stored and compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The parts of a key of several fields stand apart by ` + `.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.replace(SEPARATOR, " + "))
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::stored(text).ok_or("an empty key is no key")
    }
}

/// What makes two spellings one address: without regard to case, and to what was pasted along with
/// it. `None` where nothing is left, and for the literal `null`, which bulk extract writes for an
/// empty field.
pub fn normalise(value: &str) -> Option<String> {
    if is_plain_address(value.as_bytes()) {
        return Some(value.to_ascii_lowercase());
    }
    normalise_any(value)
}

/// Whether a value is an address in which nothing but the case can be another spelling, as nearly
/// all are: letters, digits and what stands between them, with one `@`. Its key is its lower case.
fn is_plain_address(value: &[u8]) -> bool {
    let (mut ats, mut is_odd) = (0_u32, false);
    for byte in value {
        let lower = LOWER.get(usize::from(*byte)).copied().unwrap_or_default();
        is_odd |= lower == 0;
        ats += u32::from(lower == b'@');
    }
    !is_odd && ats == 1 && !value.ends_with(b".")
}

/// The key of such an address, in memory that was asked for once; whether it is one.
pub(crate) fn key_of_plain_address(value: &[u8], key: &mut Vec<u8>) -> bool {
    key.clear();
    let (mut ats, mut is_odd) = (0_u32, false);
    key.extend(value.iter().map(|byte| {
        let lower = LOWER.get(usize::from(*byte)).copied().unwrap_or_default();
        is_odd |= lower == 0;
        ats += u32::from(lower == b'@');
        lower
    }));
    !is_odd && ats == 1 && !value.ends_with(b".")
}

/// Of each byte that a plain address may hold, its lower case; of all others zero.
#[expect(clippy::indexing_slicing, reason = "a byte is below 256")]
static LOWER: [u8; 256] = {
    let (mut lower, mut byte) = ([0; 256], 0_u8);
    while byte < u8::MAX {
        byte += 1;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'.' | b'-' | b'_' | b'+') {
            lower[byte as usize] = byte.to_ascii_lowercase();
        }
    }
    lower
};

fn normalise_any(value: &str) -> Option<String> {
    // Lower case can bring marks of its own (İ); and what stood within marks can be a mark again.
    let mut text = visible(value)?;
    loop {
        let next = visible(&address::clean(&text.to_lowercase()))?;
        if next == text {
            return Some(text);
        }
        text = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Key, normalise};

    #[test]
    fn an_empty_email_never_is_a_key() {
        for empty in
            ["", " ", "\t\r\n", "null", "NULL", " null ", "\u{feff}", "\u{200b}", "\u{a0}", "\0"]
        {
            assert_eq!(normalise(empty), None, "{empty:?}");
        }
    }

    #[test]
    fn case_and_blanks_around_an_address_do_not_tell_people_apart_and_everything_else_does() {
        let same = normalise("ada@example.com");
        for spelling in [
            "Ada@Example.COM",
            "  ada@example.com ",
            "\u{feff}ada@example.com\r\n",
            "ada@example.com\u{202f}",
            "ada\u{202f}@example.com",
            "\u{a0}ada@ex\u{200b}ample.com",
            "ada @ example.com",
            "ada\u{3000}@example.com\u{2003}",
            "ada@example.com\u{fe0f}\u{180e}\u{ad}",
            "mailto:ada@example.com",
            "MAILTO:ada@example.com?subject=Hello",
            "<ada@example.com>",
            "Ada Lovelace <ada@example.com>",
            "\"Lovelace, Ada\" <ADA@example.com>;",
            "'ada@example.com'",
            "\"ada@example.com\"",
            "(ada@example.com)",
            "ada@example.com.",
            "ada@example.com,;",
            "<mailto:ada@example.com>",
            "ada＠example.com",
            "ada@example．com",
            "\u{7}ada@exam\tple.com",
        ] {
            assert_eq!(normalise(spelling), same, "{spelling:?}");
        }
        for other in ["ada+news@example.com", "a.da@example.com", "ada@example.org"] {
            assert_ne!(normalise(other), same);
        }
    }

    #[test]
    fn an_empty_key_cannot_be_read_back() {
        assert!(serde_json::from_str::<Key>("\"\"").is_err());
        assert_eq!(serde_json::from_str::<Key>("\"a\"").unwrap().as_str(), "a");
    }

    proptest! {
        #[test]
        fn a_plain_address_is_normalised_as_any_other_is(
            text in "[a-zA-Z0-9.@_+-]{0,12}|[a-z.]{0,6}@[A-Z.]{0,6}|(mailto:)?[a-z]{1,3}@[a-z.]{0,9}"
        ) {
            prop_assert_eq!(normalise(&text), super::normalise_any(&text));
            let mut key = b"of the row before".to_vec();
            let is_plain = super::key_of_plain_address(text.as_bytes(), &mut key);
            prop_assert_eq!(is_plain, super::is_plain_address(text.as_bytes()));
            if is_plain {
                prop_assert_eq!(normalise(&text).map(String::into_bytes), Some(key));
            }
        }

        #[test]
        fn normalising_twice_is_normalising_once(text in "\\PC*|.*") {
            if let Some(once) = normalise(&text) {
                prop_assert_eq!(normalise(&once), Some(once.clone()));
                let key = Key::of(&text).unwrap();
                prop_assert_eq!(key.as_str(), once.as_str());
            }
        }

        #[test]
        fn whatever_is_blank_is_no_key(text in "[ \t\r\n\u{a0}\u{200b}\u{feff}\u{0}]*") {
            prop_assert_eq!(normalise(&text), None);
        }
    }
}
