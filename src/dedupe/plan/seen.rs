//! What a plan believed of its leads, and whether that still holds (law 2).

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{FieldFacts, PlannedGroup, Policy, Seen, plan_group};
use crate::dedupe::field_rule::OPT_OUTS;
use crate::dedupe::value::canonical;
use crate::lead::{Lead, LeadId};

/// What the plan has to remember of a lead of the group.
pub(super) fn look(lead: &Lead, group: &PlannedGroup, policy: &Policy) -> Seen {
    let values: Vec<String> = watched_fields(lead, group, policy)
        .iter()
        .map(|field| format!("{field}={}", lead.value(field).map(canonical).unwrap_or_default()))
        .collect();
    Seen {
        id: lead.id,
        created_at: lead.created_at(),
        digest: short_digest(&values.iter().map(String::as_bytes).collect::<Vec<_>>()),
    }
}

/// The fields whose change takes a lead's group out: those of the key, those that decide the winner, those with a rule,
/// those that are written, and those that say whether it is one person.
fn watched_fields(lead: &Lead, group: &PlannedGroup, policy: &Policy) -> BTreeSet<String> {
    let mut fields: BTreeSet<String> = policy.winner.deciding_fields().into_iter().collect();
    if lead.id == group.winner {
        // An update of the lead that was updated last, by what is written to it for one, makes it no less the winner.
        fields.remove("updatedAt");
    }
    fields.extend(policy.key.fields.iter().cloned());
    fields.extend(policy.fields.0.keys().cloned());
    fields.extend(OPT_OUTS.iter().map(|field| (*field).to_owned()));
    fields.extend(group.expected.keys().cloned());
    fields.extend(["firstName", "lastName", "leadPartitionId"].map(str::to_owned));
    fields
}

/// Whether the live leads are still what the plan looked at; otherwise what changed.
pub fn still_as_seen(
    planned: &PlannedGroup,
    live: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<(), String> {
    let mut leads = live.to_vec();
    for before in &planned.seen {
        let lead = same_lead(planned, before, &mut leads, policy)?;
        if look(lead, planned, policy) != *before {
            *lead = without_spread_opt_out(lead, planned)
                .filter(|lead| look(lead, planned, policy) == *before)
                .ok_or_else(|| changed(before))?;
        }
    }
    match plan_group(&planned.key, &leads, policy, facts) {
        Ok(again) if again == *planned => Ok(()),
        Ok(_) => {
            Err("the group's leads changed since the plan was made, so that it would be merged otherwise"
                .to_owned())
        }
        Err(left_out) => Err(left_out.reason),
    }
}

/// The same between two calls of a group, of which others are merged already: whether the losers that are left are what
/// the plan looked at, and the winner, whose values have changed by the merges, is the same lead with the same key.
pub fn rest_as_seen(
    planned: &PlannedGroup,
    losers: &[LeadId],
    live: &[Lead],
    policy: &Policy,
    _facts: &FieldFacts,
) -> Result<(), String> {
    let mut leads = live.to_vec();
    for before in &planned.seen {
        let is_loser = losers.contains(&before.id);
        if !is_loser && before.id != planned.winner {
            continue;
        }
        let lead = same_lead(planned, before, &mut leads, policy)?;
        let as_seen = |lead: &Lead| look(lead, planned, policy) == *before;
        if is_loser
            && !as_seen(lead)
            && !without_spread_opt_out(lead, planned).is_some_and(|lead| as_seen(&lead))
        {
            return Err(changed(before));
        }
    }
    Ok(())
}

/// The live lead that was seen; or why it is none of the group any more.
fn same_lead<'l>(
    planned: &PlannedGroup,
    before: &Seen,
    leads: &'l mut [Lead],
    policy: &Policy,
) -> Result<&'l mut Lead, String> {
    let Some(lead) = leads.iter_mut().find(|lead| lead.id == before.id) else {
        return Err(format!("lead {} is gone since the plan was made", before.id));
    };
    if lead.created_at() != before.created_at {
        return Err(format!(
            "lead {} is another one than when the plan was made: its creation time differs",
            lead.id
        ));
    }
    if policy.key.key_of(lead).as_ref() != Some(&planned.key) {
        return Err(format!("lead {} has another key than when the plan was made", lead.id));
    }
    Ok(lead)
}

fn changed(before: &Seen) -> String {
    format!("lead {} changed since the plan was made, in a field that the plan leans on", before.id)
}

/// The loser as it was before the plan's own opt-out reached it: Marketo spreads `unsubscribed` to every lead of the same
/// address (reported by users), so that writing it to the winner changes the losers too, and changes nothing of the plan.
fn without_spread_opt_out(lead: &Lead, planned: &PlannedGroup) -> Option<Lead> {
    const SPREADS: &str = "unsubscribed";
    let writes =
        planned.changes.iter().any(|change| change.name == SPREADS && change.after == Value::Bool(true));
    (writes && lead.id != planned.winner && lead.flag(SPREADS)).then(|| lead.clone().with(SPREADS, false))
}

/// A short digest of texts, in their order.
pub fn digest_of(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().collect();
    short_digest(&parts.iter().map(String::as_bytes).collect::<Vec<_>>())
}

/// The first 16 hexadecimal digits of the SHA-256 of the parts, each with its length before it.
pub(super) fn short_digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
