//! A group of a run, in lines for a person.

use serde_json::Value;

use crate::ledger::what_next;
use crate::repair::GroupHistory;
use crate::terminal::{moment, one_line};

/// What became of a group: who went into whom, what was planned, what was dropped.
pub(super) fn lines(group: &GroupHistory) -> Vec<String> {
    let ids = |ids: &[u64]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let key = one_line(&group.key);
    let mut lines = vec![match (group.winner, group.removed.is_empty()) {
        (Some(winner), false) => {
            let at = group.merged_at.map(|at| format!(" on {}", moment(at))).unwrap_or_default();
            let request = if group.request_ids.is_empty() {
                String::new()
            } else {
                format!(" (request {})", group.request_ids.join(", "))
            };
            format!("{key}: {} went into {winner}{at}{request}", ids(&group.removed))
        }
        _ if group.outcome == "prepared" => {
            format!("{key}: written to, and not merged: {}", ids(&group.leads))
        }
        _ if group.outcome == "skipped" => format!("{key}: left alone: {}", ids(&group.leads)),
        _ => format!("{key}: {}", group.outcome.replace('_', " ")),
    }];
    lines.extend(group.reason.iter().map(|reason| format!("    {reason}")));
    if let Some(written) = &group.written {
        let back = if written.settled { "settled" } else { "to be given back by the next run" };
        lines.push(format!("    lead {} was written to, and not merged: {back}", written.lead));
        lines.extend(written.fields.iter().map(|field| {
            let (before, after) = (shown(&field.before), shown(&field.after));
            let given = if field.given_back { "given back" } else { "not given back" };
            format!("        {}: {before} → {after}, {given}", field.name)
        }));
        if written.fields.iter().any(|field| !field.given_back) {
            lines.push(format!("        {}", what_next(written.settled)));
        }
    }
    for lead in &group.before {
        let values = if lead.erased {
            "its values were erased".to_owned()
        } else {
            format!("{} values", lead.fields.len())
        };
        let memberships =
            [(&lead.lists, "lists"), (&lead.programs, "programs")].map(|(rows, what)| {
                rows.as_ref().map_or_else(
                    || format!("{what} not read"),
                    |rows| format!("{} {what}", rows.len()),
                )
            });
        lines.push(format!(
            "    before: {} {}, {values}, {}",
            lead.role,
            lead.id,
            memberships.join(", ")
        ));
    }
    for change in &group.planned.fields {
        let from = change.from.map(|id| format!(", from {id}")).unwrap_or_default();
        let (before, after) = (shown(&change.before), shown(&change.after));
        lines.push(format!("    {}: {before} → {after}{from}", change.name));
    }
    for drop in &group.planned.dropped {
        lines.push(format!("    dropped: {} {} of {}", drop.name, shown(&drop.value), drop.lead));
    }
    lines
}

/// A value in a line; a blank one says so.
pub(in crate::cli) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(blank)".to_owned(),
        Value::String(text) if text.trim().is_empty() => "(blank)".to_owned(),
        Value::String(text) => format!("\"{}\"", one_line(text)),
        other => other.to_string(),
    }
}
