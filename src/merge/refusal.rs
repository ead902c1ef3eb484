//! Merges that Marketo refused for the group's own sake, remembered until something about the group
//! changes. Pure.

use crate::dedupe::digest_of;
use crate::lead::Lead;
use crate::ledger::Refusal;

/// A digest of everything about a group that can make Marketo decide otherwise: its leads with all their
/// values, but for the time of the last change, which a refused run's own writes move.
pub(super) fn digest<'l>(leads: impl Iterator<Item = &'l Lead>) -> String {
    let mut leads: Vec<&Lead> = leads.collect();
    leads.sort_by_key(|lead| lead.id);
    digest_of(leads.into_iter().flat_map(|lead| {
        let values = lead.fields.iter().filter(|(field, _)| *field != "updatedAt");
        std::iter::once(lead.id.to_string()).chain(values.map(|(field, value)| format!("{field}={value}")))
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
