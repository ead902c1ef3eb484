//! The groups as the page's script reads them: one JSON array, an array a group, the columns in the
//! script's order.

use std::collections::BTreeSet;
use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::embed::harmless_json;
use crate::lead::Lead;
use crate::report::{Shown, ShownGroup};

/// Writes the rows, a line each. No character of a value can end the element that they stand in.
pub(super) fn write_rows(groups: &dyn Shown, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"[")?;
    let mut is_first = true;
    groups.each(&mut |shown| {
        out.write_all(if std::mem::take(&mut is_first) { b"\n" } else { b",\n" })?;
        out.write_all(harmless_json(&row(shown)?).as_bytes())
    })?;
    out.write_all(b"\n]")
}

fn row(shown: &ShownGroup) -> serde_json::Result<String> {
    let winner = shown.winner();
    let others: Vec<_> =
        shown.group.leads.iter().map(|lead| lead.id).filter(|id| Some(*id) != winner).collect();
    serde_json::to_string(&(
        shown.group.key.to_string(),
        name_of(shown),
        shown.group.leads.len(),
        shown.explanation.cause.as_str(),
        shown.explanation.confidence.as_str(),
        newest(shown).map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default(),
        integrations(shown),
        winner,
        others,
        shown.objection().map(|objection| objection.reason.in_words()).unwrap_or_default(),
    ))
}

/// First and last name of the record to keep; where there is none yet, of the first.
pub(super) fn name_of(shown: &ShownGroup) -> String {
    let winner = shown.winner();
    let kept = shown.group.leads.iter().find(|lead| winner.is_none_or(|winner| lead.id == winner));
    let names = kept.into_iter().flat_map(|lead| [lead.first_name(), lead.last_name()]);
    names.flatten().collect::<Vec<_>>().join(" ")
}

/// When the group got its newest lead.
pub(super) fn newest(shown: &ShownGroup) -> Option<DateTime<Utc>> {
    shown.group.leads.iter().filter_map(Lead::created_at).max()
}

/// The integrations that added a lead to the group.
pub(super) fn integrations(shown: &ShownGroup) -> String {
    let users = shown.explanation.late.iter().filter_map(|late| late.api_user.as_deref());
    users.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}
