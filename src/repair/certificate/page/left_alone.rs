//! The parts of the page about groups that were left alone, and about records that were written to
//! for merges that were not made.

use super::shown;
use crate::ledger::what_next;
use crate::repair::Written;
use crate::repair::certificate::{Certificate, CertifiedGroup};
use crate::terminal::{counted, moment};

/// A group that was left alone.
pub(super) struct LeftRow {
    pub(super) key: String,
    pub(super) records: String,
    /// Why, and what else there is to say.
    pub(super) lines: Vec<String>,
    /// When the run decided it.
    pub(super) at: String,
}

/// Whether the run left it alone.
pub(super) fn is_left_alone(group: &CertifiedGroup) -> bool {
    group.outcome == "skipped"
}

/// Whether its record to keep was written to, and it was not merged.
pub(super) fn is_prepared(group: &CertifiedGroup) -> bool {
    group.outcome == "prepared"
}

/// The groups that the run left alone, by key.
pub(super) fn rows(certificate: &Certificate) -> Vec<LeftRow> {
    let row = |group: &CertifiedGroup| LeftRow {
        key: group.key.clone(),
        records: group.leads.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        lines: why(group).into_iter().chain(group.written.iter().flat_map(written)).collect(),
        at: group.left_alone_at.map_or_else(|| "not known".to_owned(), moment),
    };
    certificate.group.iter().filter(|group| is_left_alone(group)).map(row).collect()
}

fn why(group: &CertifiedGroup) -> Vec<String> {
    let decided = group.decided.as_ref().map(|by| format!("Decided by {}.", by.by));
    let reason = group.reason.clone().unwrap_or_else(|| "The reason was erased.".to_owned());
    std::iter::once(reason).chain(decided).collect()
}

/// What comes before them.
pub(super) fn in_words(certificate: &Certificate) -> String {
    if !certificate.left_alone_known {
        return "Which groups this run left alone is not known: a version before this one carried it out, which kept \
                only how those ended that its plan was to merge."
            .to_owned();
    }
    match certificate.totals.skipped {
        0 => "No group was left alone.".to_owned(),
        1 => "1 group was left alone, with the reason that the run printed.".to_owned(),
        all => format!(
            "{} were left alone, each with the reason that the run printed.",
            counted(all, "group")
        ),
    }
}

/// Words as a sentence.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// What was written for a merge that was not made, and whether it was given back.
pub(super) fn written(written: &Written) -> Vec<String> {
    let mut lines = vec![format!(
        "Record {} was written to, and its merge was not made. {}",
        written.lead,
        if written.settled {
            "Nothing more is to be given back."
        } else {
            "No look has shown yet that it has its former values back; the next `mkto-audit merge --confirm` looks."
        }
    )];
    lines.extend(written.fields.iter().map(|field| {
        let back = if field.given_back { "was given back" } else { "was not written back" };
        let (before, after) = (shown(&field.before), shown(&field.after));
        format!("{}: {before} → {after}; the former value {back}", field.name)
    }));
    if written.fields.iter().any(|field| !field.given_back) {
        lines.push(sentence(what_next(written.settled)));
    }
    lines
}
