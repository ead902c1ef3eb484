//! The known word that a wrong one most likely means, for an error.

/// What an error adds: the known word that resembles a wrong one, or nothing where none does.
pub(super) fn did_you_mean<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    let likeness = |word: &str| strsim::jaro_winkler(word, wrong);
    known
        .filter(|word| likeness(word) > 0.7)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .map(|word| format!(" (did you mean `{word}`?)"))
        .unwrap_or_default()
}
