//! The known word that a wrong one most likely means, for an error.

/// The known word that is nearest to a wrong one by what has to be typed anew, where that is less
/// than half of it. Case does not count.
pub(crate) fn nearest_of<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let small = wrong.to_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&known.to_lowercase(), &small);
    let (distance, known) = known.map(|known| (distance(known), known)).min()?;
    (distance <= known.chars().count() / 2).then_some(known)
}

/// What an error adds: the known word that resembles a wrong one, or nothing where none does.
pub(super) fn did_you_mean<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    let likeness = |word: &str| strsim::jaro_winkler(word, wrong);
    known
        .filter(|word| likeness(word) > 0.7)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .map(|word| format!(" (did you mean `{word}`?)"))
        .unwrap_or_default()
}
