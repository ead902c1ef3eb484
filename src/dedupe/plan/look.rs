//! What a plan has to remember of a lead.

use std::collections::BTreeSet;

use super::digest::short_digest;
use super::model::{PlannedGroup, Seen};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::field_rule::OPT_OUTS;
use crate::dedupe::policy::Policy;
use crate::lead::Lead;

/// Before the digest of a field that the instance does not show: one that is hidden later reads as
/// blank, which is no proof that it is.
pub(super) const HIDDEN: &str = "hidden:";

/// What the plan has to remember of a lead of the group.
pub(super) fn look(lead: &Lead, group: &PlannedGroup, policy: &Policy, facts: &FieldFacts) -> Seen {
    let digest = |field: String| {
        let value =
            lead.value(&field).map(|value| facts.canonical(&field, value)).unwrap_or_default();
        let digest = if value.is_empty() { value } else { short_digest(&[value.as_bytes()]) };
        let hidden = if facts.fields.contains_key(&field) { "" } else { HIDDEN };
        (field, format!("{hidden}{digest}"))
    };
    let watched = watched_fields(lead, group, policy);
    let value = |field: &String| Some((field.clone(), lead.value(field)?.clone()));
    Seen {
        id: lead.id,
        created_at: lead.created_at(),
        values: watched.iter().filter_map(value).collect(),
        digests: watched.into_iter().map(digest).collect(),
    }
}

/// The fields whose change takes a lead's group out: those of the key, those that decide the
/// winner, those with a rule, those that are written, and those that say whether it is one person.
fn watched_fields(lead: &Lead, group: &PlannedGroup, policy: &Policy) -> BTreeSet<String> {
    let mut fields: BTreeSet<String> = policy.winner.deciding_fields().into_iter().collect();
    if lead.id == group.winner {
        // An update of the lead that was updated last, by what is written to it for one, makes it
        // no less the winner.
        fields.remove("updatedAt");
    }
    fields.extend(policy.key.fields.iter().cloned());
    fields.extend(policy.fields.0.keys().chain(&policy.skip.differs).cloned());
    fields.extend(OPT_OUTS.iter().map(|field| (*field).to_owned()));
    fields.extend(group.expected.keys().cloned());
    fields.extend(["firstName", "lastName", "leadPartitionId"].map(str::to_owned));
    fields
}
