//! The words of a text, in letters that can be compared.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::script::{Script, latin};
use crate::dedupe::visible::is_invisible;

/// A word of a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word {
    /// In Latin letters where it can be, without case and accents.
    pub(super) text: String,
    /// The script it was written in.
    pub(super) script: Script,
}

/// The words of a text. An apostrophe is part of its word: O'Brien.
pub(super) fn words(text: &str) -> Vec<Word> {
    let text: String = text
        .chars()
        .filter(|c| {
            !is_invisible(*c) && !c.is_control() && !matches!(c, '\'' | '’' | '‘' | '`' | 'ʼ')
        })
        .collect();
    text.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c))
        .filter_map(|word| {
            let letters: Vec<char> = if word.is_ascii() {
                word.chars().map(|c| c.to_ascii_lowercase()).collect()
            } else {
                let bare = word.nfkd().filter(|c| !is_combining_mark(*c));
                bare.flat_map(char::to_lowercase).collect()
            };
            let script = Script::of(&letters.iter().collect::<String>());
            let text = folded(&letters);
            (!text.is_empty()).then_some(Word { text, script })
        })
        .collect()
}

/// The texts of the words.
pub(super) fn fold(text: &str) -> Vec<String> {
    words(text).into_iter().map(|word| word.text).collect()
}

pub(super) use fold as tokens;

/// In Latin letters. `ä`, `ae` and `a` are one, as are `ö`, `ø` and `oe`, `ü` and `ue`, `å` and
/// `aa`: people write either, and accents get lost.
fn folded(letters: &[char]) -> String {
    let mut text = String::with_capacity(letters.len());
    for letter in letters.iter().filter(|letter| letter.is_alphanumeric()) {
        match latin(*letter) {
            "\0" => text.push(*letter),
            other => text.push_str(other),
        }
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let merged = match (out.chars().last(), letter) {
            (Some('a' | 'o' | 'u'), 'e') => out.len() > 1 || text.len() > 2,
            (Some('a'), 'a') => true,
            _ => false,
        };
        if !merged {
            out.push(letter);
        }
    }
    out
}
