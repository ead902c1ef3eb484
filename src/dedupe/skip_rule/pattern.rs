//! Patterns of email addresses: `*@competitor.example`, `info@`, `@example.com`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dedupe::address::clean;

/// A pattern of email addresses. `*` stands for any characters, `?` for one; without anything
/// before or after its `@` it is of any mailbox, or of any domain. Case does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EmailPattern(String);

/// A text that is no pattern of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no pattern of email addresses; write `*@competitor.example`, or `info@` for that mailbox at any domain"
)]
pub struct NoPattern(String);

impl EmailPattern {
    /// Whether an address fits, however it is spelled.
    pub fn matches(&self, email: &str) -> bool {
        let email = clean(email).to_lowercase();
        let Some((local, domain)) = email.rsplit_once('@') else { return false };
        let (wanted, of) = self.0.rsplit_once('@').unwrap_or(("", ""));
        let fits = |pattern: &str, text: &str| pattern.is_empty() || glob(pattern, text);
        fits(wanted, local) && fits(of, domain)
    }
}

/// Whether a text fits a pattern with `*` and `?`. It goes back to the last `*` alone, so that no
/// pattern takes long.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place, mut star) = (0, 0, None);
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(c) if *c == '?' || text.get(place) == Some(c) => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                place = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|c| *c == '*')
}

impl FromStr for EmailPattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pattern = text.trim().to_lowercase();
        let is_one = pattern.matches('@').count() == 1
            && pattern.len() > 1
            && !pattern.contains(char::is_whitespace);
        if is_one { Ok(Self(pattern)) } else { Err(NoPattern(text.to_owned())) }
    }
}

impl fmt::Display for EmailPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<EmailPattern> for String {
    fn from(pattern: EmailPattern) -> Self {
        pattern.0
    }
}

impl TryFrom<String> for EmailPattern {
    type Error = NoPattern;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{EmailPattern, glob};

    #[test]
    fn a_pattern_fits_the_addresses_that_it_says() {
        for (pattern, email, fits) in [
            ("*@competitor.example", "ada@competitor.example", true),
            ("*@competitor.example", "<Ada@COMPETITOR.example>", true),
            ("*@competitor.example", "ada@eu.competitor.example", false),
            ("*@*.competitor.example", "ada@eu.competitor.example", true),
            ("@competitor.example", "ada@competitor.example", true),
            ("info@", "info@example.com", true),
            ("info@", "info2@example.com", false),
            ("info?@", "info2@example.com", true),
            ("*.test@example.com", "a.b.test@example.com", true),
            ("*.test@example.com", "test@example.com", false),
            ("*@example.com", "no address", false),
        ] {
            let pattern: EmailPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(email), fits, "{pattern} {email}");
        }
        for wrong in ["competitor.example", "@", "a@b@c", "a b@example.com", ""] {
            assert!(wrong.parse::<EmailPattern>().is_err(), "{wrong}");
        }
    }

    /// By trying everything that a star may stand for.
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|taken| slow(rest, &text[taken..])),
            [c, rest @ ..] => {
                text.first().is_some_and(|first| c == first || *c == '?') && slow(rest, &text[1..])
            }
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_what_trying_everything_finds(pattern in "[ab*?]{0,7}", text in "[ab]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(glob(&pattern, &text), slow(&p, &t));
        }
    }
}
