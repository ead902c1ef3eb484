//! Forms of one first name, and names that no slip of the pen turns into another.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::word::fold;

/// One name a line: its common forms in several languages, and its short forms. A form can be on
/// several lines (Alex, Sasha): it agrees with the names of each.
const FORMS: &str = include_str!("names.txt");

struct Known {
    /// The lines that hold a form.
    lines: HashMap<String, Vec<usize>>,
    /// Every form, and names that have no other.
    names: HashSet<String>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut known = Known { lines: HashMap::new(), names: HashSet::new() };
    for (number, line) in FORMS.lines().filter(|line| !line.starts_with('#')).enumerate() {
        let (of_one, alone) = line.split_once('|').unwrap_or((line, ""));
        for form in fold(of_one) {
            known.names.insert(form.clone());
            known.lines.entry(form).or_default().push(number);
        }
        known.names.extend(fold(alone));
    }
    known
});

/// Whether two folded words are forms of one name.
pub(super) fn are_forms_of_one(a: &str, b: &str) -> bool {
    let lines = |word: &str| KNOWN.lines.get(word).map(Vec::as_slice).unwrap_or_default();
    lines(a).iter().any(|line| lines(b).contains(line))
}

/// Whether it is a name in its own right, so that another one is no slip of it.
pub(super) fn is_known(word: &str) -> bool {
    KNOWN.names.contains(word)
}
