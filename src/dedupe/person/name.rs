//! A lead's name taken apart, and compared with another one.

use super::placeholder::Placeholders;
use super::spelling::{Match, first_names, last_names, names};
use super::word::{Word, words};
use crate::lead::Lead;

/// Words before or behind a name that are none of it.
const TITLES: &[&str] = &[
    "dr",
    "drs",
    "prof",
    "professor",
    "mr",
    "mrs",
    "ms",
    "miss",
    "mx",
    "sir",
    "dame",
    "lord",
    "lady",
    "herr",
    "frau",
    "hr",
    "fr",
    "dipl",
    "ing",
    "mag",
    "med",
    "phil",
    "jur",
    "rer",
    "nat",
    "phd",
    "mba",
    "msc",
    "bsc",
    "ba",
    "ma",
    "md",
    "esq",
    "cpa",
    "mme",
    "mlle",
    "monsieur",
    "madame",
    "sr",
    "sra",
    "srta",
    "senor",
    "senora",
    "dott",
    "dottssa",
    "sig",
    "signor",
    "signora",
    "dhr",
    "mevr",
    "pan",
    "pani",
    "rev",
    "hon",
    "capt",
    "col",
];

/// Titles of men, and of women.
const OF_MEN: &[&str] = &["mr", "sir", "lord", "herr", "monsieur", "senor", "signor", "dhr", "pan"];
const OF_WOMEN: &[&str] = &[
    "mrs", "ms", "miss", "dame", "lady", "frau", "mme", "mlle", "madame", "sra", "srta", "senora",
    "signora", "mevr", "pani",
];

/// Titles of either that stand alone before a last name.
const PLAIN: &[&str] = &["dr", "prof", "professor", "mx"];

/// Generations, as they stand behind a name.
const GENERATIONS: &[(&str, u8)] = &[
    ("senior", 1),
    ("sr", 1),
    ("snr", 1),
    ("sen", 1),
    ("junior", 2),
    ("jr", 2),
    ("jnr", 2),
    ("jun", 2),
    ("ii", 2),
    ("iii", 3),
    ("iv", 4),
];

/// Particles of last names: two names that share one alone share nothing.
const PARTICLES: &[&str] = &[
    "von", "van", "der", "den", "de", "di", "da", "do", "dos", "del", "della", "la", "le", "el",
    "al", "bin", "ibn", "ben", "bint", "abu", "ter", "ten", "zu", "zum", "zur", "st", "saint",
    "mac", "mc", "y", "e",
];

/// Words between the names of two people.
const AND: &[&str] = &["and", "und", "et", "og", "och"];

/// How two names relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// They are, or can be, one name.
    Alike,
    /// At least one of the leads says too little.
    NotKnown,
    /// The first names agree, the last names do not.
    OnlyFirst,
    /// They are in scripts that cannot be compared.
    NotComparable,
    /// They are two people's, by what differs.
    Differ(&'static str),
}

/// A lead's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    first: Vec<Word>,
    last: Vec<Word>,
    generation: Option<u8>,
    is_man: Option<bool>,
    of_two: bool,
}

impl Name {
    pub(super) fn of(lead: &Lead, placeholders: &Placeholders) -> Self {
        let field = |text: Option<&str>| {
            // An address is no name.
            text.map(|text| placeholders.without_bracketed(text))
                .filter(|text| !placeholders.is_no_name(text) && !text.contains('@'))
                .unwrap_or_default()
        };
        let (first_text, last_text) = (field(lead.first_name()), field(lead.last_name()));
        let of_two = names_two(&first_text);
        let (first_text, last_text) = match first_text.split_once(',') {
            Some((last, first)) if last_text.is_empty() => (first.to_owned(), last.to_owned()),
            _ => (first_text, last_text),
        };
        let mut name = Self {
            first: words(&first_text),
            last: words(&last_text),
            generation: None,
            is_man: None,
            of_two,
        };
        name.take_titles();
        name.split_full_name();
        name
    }

    /// Whether a lead's first name may be those of two people: letters alone are one word.
    pub(super) fn may_be_of_two(lead: &Lead) -> bool {
        lead.first_name().is_some_and(|name| !name.bytes().all(|byte| byte.is_ascii_alphabetic()))
    }

    /// Whether it names two people: `Ada & Charles`.
    pub(super) fn is_of_two(&self) -> bool {
        self.of_two
    }

    /// One text for all that counts of the name.
    pub(super) fn signature(&self) -> String {
        format!("{self:?}")
    }

    /// Takes titles and generations off; what they say of the person stays.
    fn take_titles(&mut self) {
        let generation = |words: &mut Vec<Word>| {
            let last = words.last().filter(|_| words.len() > 1)?;
            let (_, number) = GENERATIONS.iter().find(|(word, _)| *word == last.text)?;
            words.pop();
            Some(*number)
        };
        self.generation = generation(&mut self.last).or_else(|| generation(&mut self.first));
        if let Some(number) = self.last.first().filter(|_| self.last.len() == 1).and_then(|word| {
            GENERATIONS
                .iter()
                .find(|(generation, _)| *generation == word.text)
                .map(|(_, number)| *number)
        }) {
            self.generation = Some(number);
            self.last.clear();
        }
        let title =
            self.first.first().or_else(|| self.last.first().filter(|_| self.last.len() > 1));
        let is_one_of =
            |titles: &[&str]| title.is_some_and(|word| titles.contains(&word.text.as_str()));
        self.is_man =
            if is_one_of(OF_MEN) { Some(true) } else { is_one_of(OF_WOMEN).then_some(false) };
        let addresses = |word: &Word| {
            let text = word.text.as_str();
            OF_MEN.contains(&text) || OF_WOMEN.contains(&text) || PLAIN.contains(&text)
        };
        if self.first.len() == 1 && self.first.iter().all(addresses) {
            self.first.clear();
        }
        for words in [&mut self.first, &mut self.last] {
            // A name that is a title's word, such as Lord, stays where it is all there is.
            if words.len() > 1 {
                words.retain(|word| !TITLES.contains(&word.text.as_str()));
            }
        }
    }

    /// A first-name field that holds the whole name is taken apart.
    fn split_full_name(&mut self) {
        if self.last.is_empty() && self.first.len() > 1 {
            self.last.extend(self.first.pop());
        } else if self.first.len() > self.last.len() && self.first.ends_with(&self.last) {
            self.first.truncate(self.first.len() - self.last.len());
        } else if self.last.len() > self.first.len() && self.last.starts_with(&self.first) {
            self.last.drain(..self.first.len());
        }
    }

    /// Compares two names; the order does not matter.
    pub(super) fn compare(&self, other: &Self) -> Likeness {
        let contradict =
            |a: Option<u8>, b: Option<u8>| matches!((a, b), (Some(a), Some(b)) if a != b);
        if contradict(self.generation, other.generation) {
            return Likeness::Differ("names of different generations (Senior and Junior)");
        }
        if contradict(self.is_man.map(u8::from), other.is_man.map(u8::from)) {
            return Likeness::Differ("titles of a man and of a woman");
        }
        if self.all().next().is_none() || other.all().next().is_none() {
            return Likeness::NotKnown;
        }
        if self.has_the_same_words(other) {
            return Likeness::Alike;
        }
        let first = firsts(&self.first, &other.first);
        let last = lasts(&self.last, &other.last);
        match (first, last) {
            (Some(Match::Yes), Some(Match::No)) => Likeness::OnlyFirst,
            (Some(Match::No | Match::Initial), Some(Match::No)) => {
                Likeness::Differ("different first and last names")
            }
            (Some(Match::No), Some(_)) => {
                Likeness::Differ("different first names (a household, perhaps)")
            }
            (Some(Match::No), None) => Likeness::Differ(
                "different first names, and no last names that would tell whose they are",
            ),
            (None, Some(Match::No)) => Likeness::Differ(
                "different last names, and no first names that would tell whose they are",
            ),
            (Some(Match::NotComparable), _) | (_, Some(Match::NotComparable)) => {
                Likeness::NotComparable
            }
            (Some(_), _) | (None, Some(_)) => Likeness::Alike,
            (None, None) => Likeness::NotKnown,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Word> {
        self.first.iter().chain(&self.last)
    }

    /// The words of one are among those of the other, wherever they stand: swapped fields, a full
    /// name in one field, a last name alone.
    fn has_the_same_words(&self, other: &Self) -> bool {
        let joined = |a: &[Word], b: &[Word]| -> String {
            a.iter().chain(b).map(|word| word.text.as_str()).collect()
        };
        let orders =
            |name: &Self| [joined(&name.first, &name.last), joined(&name.last, &name.first)];
        if orders(self).iter().any(|order| orders(other).contains(order)) {
            return true;
        }
        let (mine, others): (Vec<&Word>, Vec<&Word>) =
            (self.all().collect(), other.all().collect());
        let (few, many) = if mine.len() <= others.len() { (mine, others) } else { (others, mine) };
        // Initials prove too little without their place.
        within(&few, &many, |_, _, a, b| names(a, b) == Match::Yes)
    }
}

/// Whether each of the few has one of the many for itself.
fn within(
    few: &[&Word],
    many: &[&Word],
    matches: impl Fn(usize, usize, &Word, &Word) -> bool,
) -> bool {
    let mut taken = vec![false; many.len()];
    few.iter().enumerate().all(|(place, word)| {
        let found =
            many.iter().zip(&mut taken).enumerate().find_map(|(other, (candidate, taken))| {
                (!*taken && matches(place, other, word, candidate)).then_some(taken)
            });
        found.map(|taken| *taken = true).is_some()
    })
}

/// Compares first names; `None` where one is missing. All words of the shorter one must be in the
/// other.
fn firsts(a: &[Word], b: &[Word]) -> Option<Match> {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let lead = (few.first()?, many.first()?);
    let (few_refs, many_refs): (Vec<&Word>, Vec<&Word>) =
        (few.iter().collect(), many.iter().collect());
    if within(&few_refs, &many_refs, |_, _, a, b| first_names(a, b) == Match::Yes) {
        return Some(Match::Yes);
    }
    let one_word = |words: &[Word]| Word {
        text: words.iter().map(|word| word.text.as_str()).collect(),
        script: words.first().map_or(super::script::Script::Other, |word| word.script),
    };
    let whole = first_names(&one_word(few), &one_word(many));
    if whole == Match::Yes {
        return Some(whole);
    }
    let initials: String = many.iter().filter_map(|word| word.text.chars().next()).collect();
    if many.len() > 1 && one_word(few).text == initials {
        return Some(Match::Initial);
    }
    let in_place = |place: usize, other: usize, a: &Word, b: &Word| match first_names(a, b) {
        Match::Yes => true,
        Match::Initial => place == other,
        Match::NotComparable | Match::No => false,
    };
    if within(&few_refs, &many_refs, in_place) {
        // A whole name beside the initials makes it more than an initial.
        let whole_name = first_names(lead.0, lead.1) == Match::Yes;
        return Some(if whole_name { Match::Yes } else { Match::Initial });
    }
    Some(if first_names(lead.0, lead.1) == Match::NotComparable {
        Match::NotComparable
    } else {
        Match::No
    })
}

/// Compares last names; `None` where one is missing. A double name agrees with each of its halves.
fn lasts(a: &[Word], b: &[Word]) -> Option<Match> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let joined =
        |words: &[Word]| -> String { words.iter().map(|word| word.text.as_str()).collect() };
    if joined(a) == joined(b) {
        return Some(Match::Yes);
    }
    let is_particle = |word: &&Word| PARTICLES.contains(&word.text.as_str());
    let bare = |words: &'_ [Word]| -> Vec<Word> {
        let kept: Vec<Word> = words.iter().filter(|word| !is_particle(word)).cloned().collect();
        if kept.is_empty() { words.to_vec() } else { kept }
    };
    let (a, b) = (bare(a), bare(b));
    a.iter().flat_map(|a| b.iter().map(move |b| last_names(a, b))).max()
}

/// `Ada & Charles`, `Ada und Charles`, where both sides hold a name.
fn names_two(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['&', '+']).collect();
    if parts.len() > 1 && parts.iter().all(|part| !words(part).is_empty()) {
        return true;
    }
    let words = words(text);
    words.iter().enumerate().any(|(place, word)| {
        place > 0 && place + 1 < words.len() && AND.contains(&word.text.as_str())
    })
}
