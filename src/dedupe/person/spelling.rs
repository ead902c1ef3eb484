//! When two words are spellings, initials or short forms of one name.

use super::known::{are_forms_of_one, is_known};
use super::word::Word;

/// How much two words are one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    /// They are two names.
    No,
    /// Their scripts cannot be compared.
    NotComparable,
    /// One is the initial of the other.
    Initial,
    /// They are spellings or forms of one name.
    Yes,
}

/// Compares two words of first names.
pub(super) fn first_names(a: &Word, b: &Word) -> Match {
    compare(a, b, &|a, b| are_forms_of_one(a, b) || is_short_form(a, b))
}

/// Compares two words wherever they stand in a name.
pub(super) fn names(a: &Word, b: &Word) -> Match {
    compare(a, b, &are_forms_of_one)
}

/// Compares two words of last names, which have no short forms.
pub(super) fn last_names(a: &Word, b: &Word) -> Match {
    compare(a, b, &|_, _| false)
}

fn compare(a: &Word, b: &Word, forms: &dyn Fn(&str, &str) -> bool) -> Match {
    let (x, y) = (a.text.as_str(), b.text.as_str());
    if x == y || forms(x, y) {
        return Match::Yes;
    }
    if a.script != b.script {
        if !a.script.is_alphabet() || !b.script.is_alphabet() {
            return Match::NotComparable;
        }
        return if consonants(x) == consonants(y) { Match::Yes } else { Match::No };
    }
    if is_initial(x, y) || is_initial(y, x) {
        return Match::Initial;
    }
    if a.script.is_alphabet()
        && !is_of_the_other_sex(x, y)
        && (sound(x) == sound(y) || is_slip(x, y))
    {
        return Match::Yes;
    }
    Match::No
}

fn is_initial(short: &str, long: &str) -> bool {
    short.chars().count() == 1 && long.starts_with(short)
}

/// `Rob` of Robert, but not `Paul` of Paula.
fn is_short_form(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    short.chars().count() > 1 && long.starts_with(short) && !is_of_the_other_sex(a, b)
}

/// Endings that make a woman's name of a man's.
const FEMININE: &[&str] = &[
    "a", "e", "ia", "ina", "ine", "ette", "etta", "ita", "ella", "elle", "la", "le", "ne", "na",
    "ienne",
];

fn is_of_the_other_sex(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let feminine = long.strip_prefix(short).is_some_and(|ending| FEMININE.contains(&ending));
    (feminine && short.chars().count() > 2 && !short.ends_with('e'))
        || (short == "andrea" && long == "andreas")
        || (short == "rene" && long == "renee")
}

/// How a word sounds in most languages: John and Jon, Eric and Erik, Stephen and Steven, Katy and
/// Katie.
fn sound(word: &str) -> String {
    let mut text = word.to_owned();
    for (from, to) in [
        ("ph", "f"),
        ("sch", "sh"),
        ("ck", "k"),
        ("ch", "K"),
        ("sh", "S"),
        ("th", "t"),
        ("x", "ks"),
        ("q", "k"),
        ("c", "k"),
        ("y", "i"),
        ("w", "v"),
        ("v", "f"),
        ("z", "s"),
        ("K", "ch"),
        ("S", "sh"),
    ] {
        text = text.replace(from, to);
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let silent = letter == 'h' && !out.is_empty() && !out.ends_with(['c', 's']);
        if !silent && !out.ends_with(letter) {
            out.push(letter);
        }
    }
    match out.strip_suffix("ie") {
        Some(stem) => format!("{stem}i"),
        None => out,
    }
}

/// A slip of the pen: two neighbouring letters swapped, or one left out, within a word that is long
/// enough.
fn is_slip(a: &str, b: &str) -> bool {
    let (a_letters, b_letters): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (short, long) = if a_letters.len() <= b_letters.len() {
        (&a_letters, &b_letters)
    } else {
        (&b_letters, &a_letters)
    };
    let same_ends = short.first() == long.first() && short.last() == long.last();
    if !same_ends || (is_known(a) && is_known(b)) {
        return false;
    }
    let from_start = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let from_end = short.iter().rev().zip(long.iter().rev()).take_while(|(a, b)| a == b).count();
    if short.len() == long.len() {
        let crossed = short.get(from_start) == long.get(from_start + 1)
            && short.get(from_start + 1) == long.get(from_start);
        return short.len() >= 5 && crossed && from_start + from_end + 2 == short.len();
    }
    long.len() >= 6 && short.len() + 1 == long.len() && from_start + from_end >= short.len()
}

/// The consonants of a word as several scripts and their usual transliterations share them.
fn consonants(word: &str) -> String {
    let mut text = word.to_owned();
    for (from, to) in [
        ("shch", "s"),
        ("sch", "s"),
        ("sh", "s"),
        ("tch", "h"),
        ("kh", "h"),
        ("ch", "h"),
        ("zh", "z"),
        ("ph", "f"),
        ("th", "t"),
        ("ts", "z"),
        ("tz", "z"),
        ("x", "ks"),
        ("ck", "k"),
        ("c", "k"),
        ("q", "k"),
        ("w", "v"),
        ("s", "z"),
        ("f", "v"),
    ] {
        text = text.replace(from, to);
    }
    let mut out = String::with_capacity(text.len());
    for letter in text
        .chars()
        .filter(|letter| !matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'j' | 'h'))
    {
        if !out.ends_with(letter) {
            out.push(letter);
        }
    }
    out
}
