//! Merges that Marketo refused for the group's own sake, remembered until something about the group
//! changes. Pure.

use std::borrow::Cow;

use serde_json::Value;

use super::give_back::standing::stays_as_a_no;
use crate::dedupe::{FieldFacts, PlannedGroup, digest_of};
use crate::lead::Lead;
use crate::ledger::Refusal;

/// A digest of everything about a group that can make Marketo decide otherwise: its leads with all
/// their values, as they are once the group is left alone. The time of the last change does not
/// count, since a refused run's own writes move it; and the opt-outs of the plan do, since they are
/// not taken back.
pub(super) fn digest(group: &PlannedGroup, leads: &[Lead], facts: &FieldFacts) -> String {
    let mut leads: Vec<Cow<'_, Lead>> = leads.iter().map(Cow::Borrowed).collect();
    leads.sort_by_key(|lead| lead.id);
    if let Some(winner) = leads.iter_mut().find(|lead| lead.id == group.winner) {
        for change in group.changes.iter().filter(|change| stays_as_a_no(group, change, facts)) {
            winner.to_mut().set(&change.name, change.after.clone());
        }
    }
    digest_of(leads.iter().flat_map(|lead| {
        let has_value = |field: &str, value: &Value| field != "updatedAt" && !value.is_null();
        let values = lead.fields.iter().filter(move |(field, value)| has_value(field, value));
        let values: Vec<String> = values.map(|(field, value)| format!("{field}={value}")).collect();
        std::iter::once(lead.id.to_string()).chain(values)
    }))
}

/// Why a group that Marketo refused before is passed over.
pub(super) fn passed_over(refusal: &Refusal) -> String {
    let Refusal { code, message, request_id, at, .. } = refusal;
    let request = request_id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default();
    let day = at.get(..10).unwrap_or(at);
    format!(
        "Marketo refused this merge on {day}: {code} {message}{request}; nothing about the group has changed since, so it is not tried again"
    )
}
