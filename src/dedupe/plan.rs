//! The plan: groups with their winners, losers in order, and field changes, fixed at one moment, to be looked at and then
//! carried out as they are (law 2).
//!
//! A planned group is a function of its leads and the policy alone. That is what the re-check before a merge leans on:
//! planned again from the live leads, the group must come out the same, or it is left alone.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::field_rule::{Chosen, FieldRule, FieldRules, OPT_OUTS};
use super::group::likely_shared;
use super::key::{Key, KeySpec};
use super::winner::{WinnerOrder, completeness, filled, is_empty};
use crate::lead::{Crm, Lead, LeadId};

/// Everything that decides what a plan does with a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What makes leads the same.
    pub key: KeySpec,
    /// Which lead stays.
    pub winner: WinnerOrder,
    /// Which values it keeps.
    pub fields: FieldRules,
    /// Merge groups that look like several people behind one mailbox too.
    pub include_shared: bool,
    /// Merge groups with several CRM records too, and have the CRM merge them.
    pub merge_in_crm: bool,
    /// Merge groups that span lead partitions too.
    pub across_partitions: bool,
}

/// What is known of the instance's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldFacts {
    /// The fields that may be written to a lead, less those that the CRM owns.
    pub writeable: BTreeSet<String>,
}

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The first digits of the SHA-256 of everything below.
    pub id: String,
    /// The instance it is for.
    pub instance: String,
    /// When the leads were read.
    pub made_at: DateTime<Utc>,
    /// By what it was made.
    pub policy: Policy,
    /// What is to be merged, by key.
    pub groups: Vec<PlannedGroup>,
    /// What is left alone, and why.
    pub left_out: Vec<LeftOut>,
}

impl Plan {
    /// Puts the groups in order and names the plan by its content.
    pub fn new(
        instance: String,
        made_at: DateTime<Utc>,
        policy: Policy,
        mut groups: Vec<PlannedGroup>,
        mut left_out: Vec<LeftOut>,
    ) -> Self {
        groups.sort_by(|a, b| a.key.cmp(&b.key));
        left_out.sort_by(|a, b| a.key.cmp(&b.key));
        let mut plan = Self { id: String::new(), instance, made_at, policy, groups, left_out };
        plan.id = plan.digest();
        plan
    }

    /// Whether the plan is what it was when it was made, to the byte.
    pub fn is_intact(&self) -> bool {
        Self { id: String::new(), ..self.clone() }.digest() == self.id
    }

    fn digest(&self) -> String {
        // A plan is made of maps with text keys, texts and finite numbers, which always serialise.
        let body = serde_json::to_vec(self).unwrap_or_default();
        short_digest(&[&body])
    }
}

/// A group as it is to be merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedGroup {
    /// What the leads have in common.
    pub key: Key,
    /// The lead that stays.
    pub winner: LeadId,
    /// The leads that go, most complete first: where the winner's field is empty, Marketo takes the first loser's value.
    pub losers: Vec<LeadId>,
    /// What is written to the winner before the merge, by field.
    pub changes: Vec<FieldChange>,
    /// What the survivor must hold afterwards: every changed and every ruled field.
    pub expected: BTreeMap<String, Value>,
    /// The leads as they were when this was decided, by id.
    pub seen: Vec<Seen>,
    /// Why this lead wins, in words.
    pub reason: String,
    /// Whether several of the leads are CRM records, which the CRM then merges, one loser a call.
    pub in_crm: bool,
}

/// A value that the winner gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field's REST API name.
    pub name: String,
    /// The winner's value, null where it has none.
    pub before: Value,
    /// The value it gets.
    pub after: Value,
    /// The lead that the value is from; none where it was made of several.
    pub from: Option<LeadId>,
}

/// What a decision believed of a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The lead.
    pub id: LeadId,
    /// Together with the id its identity, since ids may be used again after a purge.
    pub created_at: Option<DateTime<Utc>>,
    /// Of the values of the fields that the decision looked at.
    pub digest: String,
}

/// A group that is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What the leads have in common.
    pub key: Key,
    /// The leads, by id.
    pub leads: Vec<LeadId>,
    /// Why, in words.
    pub reason: String,
}

/// Decides what is to be done with a group, from its leads with every readable field.
pub fn plan_group(
    key: &Key,
    leads: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<PlannedGroup, LeftOut> {
    let leave = |reason: String| {
        let mut ids: Vec<LeadId> = leads.iter().map(|lead| lead.id).collect();
        ids.sort_unstable();
        LeftOut { key: key.clone(), leads: ids, reason }
    };
    let members: Vec<Lead> =
        leads.iter().filter(|lead| policy.key.key_of(lead).as_ref() == Some(key)).cloned().collect();
    if members.len() < 2 {
        return Err(leave("fewer than two leads have this key any more; scan again".to_owned()));
    }
    let in_crm = members.iter().filter(|lead| lead.crm() > Crm::None).count() > 1;
    if let Some(reason) = objection(&members, policy, in_crm) {
        return Err(leave(reason));
    }
    let Some((winner, reason)) = choose_winner(&members, &policy.winner) else {
        return Err(leave("no winner can be chosen".to_owned()));
    };
    let losers = losers_in_order(&members, winner.id);
    let in_order: Vec<&Lead> = std::iter::once(winner).chain(losers.iter().copied()).collect();
    let (changes, expected) = field_changes(&in_order, policy, facts).map_err(leave)?;
    let losers = losers.iter().map(|lead| lead.id).collect();
    let mut group = PlannedGroup {
        key: key.clone(),
        winner: winner.id,
        losers,
        changes,
        expected,
        seen: Vec::new(),
        reason,
        in_crm,
    };
    let watched = watched_fields(&group, policy);
    group.seen = members.iter().map(|lead| seen(lead, &watched)).collect();
    group.seen.sort_by_key(|seen| seen.id);
    Ok(group)
}

/// Whether the live leads are still what the plan looked at (law 2); otherwise what changed.
pub fn still_as_seen(
    planned: &PlannedGroup,
    live: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<(), String> {
    let watched = watched_fields(planned, policy);
    for before in &planned.seen {
        let Some(lead) = live.iter().find(|lead| lead.id == before.id) else {
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
        if seen(lead, &watched).digest != before.digest {
            return Err(format!(
                "lead {} changed since the plan was made, in a field that the plan leans on",
                lead.id
            ));
        }
    }
    match plan_group(&planned.key, live, policy, facts) {
        Ok(again) if again == *planned => Ok(()),
        Ok(_) => {
            Err("the group's leads changed since the plan was made, so that it would be merged otherwise"
                .to_owned())
        }
        Err(left_out) => Err(left_out.reason),
    }
}

/// What a survivor holds otherwise than the plan says, to be written again. An opt-out only ever counts where it was
/// lost: one that came in meanwhile stays.
pub fn deviations(planned: &PlannedGroup, survivor: &Lead) -> Vec<FieldChange> {
    planned
        .expected
        .iter()
        .filter_map(|(name, wanted)| {
            let held = survivor.value(name).cloned().unwrap_or(Value::Null);
            let gained_opt_out = OPT_OUTS.contains(&name.as_str()) && survivor.flag(name);
            (!gained_opt_out && !same(&held, wanted)).then(|| FieldChange {
                name: name.clone(),
                before: held,
                after: wanted.clone(),
                from: None,
            })
        })
        .collect()
}

fn objection(members: &[Lead], policy: &Policy, in_crm: bool) -> Option<String> {
    let partitions: BTreeSet<Option<u64>> = members.iter().map(Lead::partition_id).collect();
    if partitions.len() > 1 && !policy.across_partitions {
        return Some(
            "its leads are in several lead partitions; --across-partitions would merge it".to_owned(),
        );
    }
    if in_crm && !policy.merge_in_crm {
        return Some(
            "several of its leads are CRM records, whose merge is the CRM's business; --merge-in-crm would have the CRM merge them"
                .to_owned(),
        );
    }
    if policy.include_shared {
        return None;
    }
    likely_shared(members)
        .map(|why| format!("it may be several people: {why}; --include-shared would merge it"))
}

/// The CRM's precedence comes before the configured order: Marketo lets a contact survive, and then a CRM lead,
/// whatever winner it is given, so the plan names the one that will.
fn choose_winner<'a>(members: &'a [Lead], order: &WinnerOrder) -> Option<(&'a Lead, String)> {
    let rank = members.iter().map(Lead::crm).max()?;
    let winner = members.iter().filter(|lead| lead.crm() == rank).min_by(|a, b| order.compare(a, b))?;
    let named: Vec<String> = order.0.iter().map(ToString::to_string).collect();
    let reason = match rank {
        Crm::None => format!("first by {}", named.join(", ")),
        crm => format!("a CRM {} survives any merge; then {}", crm.label(), named.join(", ")),
    };
    Some((winner, reason))
}

fn losers_in_order(members: &[Lead], winner: LeadId) -> Vec<&Lead> {
    let mut losers: Vec<&Lead> = members.iter().filter(|lead| lead.id != winner).collect();
    losers.sort_by_key(|lead| (std::cmp::Reverse(completeness(lead)), lead.id));
    losers
}

type Changes = (Vec<FieldChange>, BTreeMap<String, Value>);

/// What the winner gets, and what it must hold afterwards; or why the rules cannot be carried out.
fn field_changes(in_order: &[&Lead], policy: &Policy, facts: &FieldFacts) -> Result<Changes, String> {
    let Some(winner) = in_order.first() else { return Err("the group is empty".to_owned()) };
    let mut fields: BTreeSet<&str> =
        in_order.iter().flat_map(|lead| lead.fields.keys()).map(String::as_str).collect();
    fields.extend(policy.fields.0.keys().map(String::as_str));
    fields.extend(OPT_OUTS);
    let (mut changes, mut expected) = (Vec::new(), BTreeMap::new());
    for field in fields {
        let rule = policy.fields.of(field);
        let ruled = rule != FieldRule::Winner;
        if ruled && in_order.iter().all(|lead| lead.value(field).is_none()) {
            continue;
        }
        let Chosen { value: after, from } = rule.choose(field, in_order);
        let before = winner.value(field).cloned().unwrap_or(Value::Null);
        let writeable = facts.writeable.contains(field);
        if same(&before, &after) {
            if ruled && writeable {
                expected.insert(field.to_owned(), before);
            }
            continue;
        }
        if writeable {
            expected.insert(field.to_owned(), after.clone());
            changes.push(FieldChange { name: field.to_owned(), before, after, from });
        } else if ruled {
            return Err(format!(
                "the rule `{rule}` would change `{field}`, which cannot be written on this instance"
            ));
        }
        // What cannot be written and has no rule is Marketo's to fill, from the first loser.
    }
    Ok((changes, expected))
}

/// Two ways to hold nothing are the same, and so are null and false, which Marketo shows alike.
fn same(a: &Value, b: &Value) -> bool {
    let nothing = |value: &Value| is_empty(value) || *value == Value::Bool(false);
    a == b || (nothing(a) && nothing(b))
}

fn watched_fields(group: &PlannedGroup, policy: &Policy) -> BTreeSet<String> {
    let mut fields: BTreeSet<String> = policy.winner.deciding_fields().into_iter().collect();
    fields.extend(policy.key.fields.iter().cloned());
    fields.extend(policy.fields.0.keys().cloned());
    fields.extend(OPT_OUTS.iter().map(|field| (*field).to_owned()));
    fields.extend(group.expected.keys().cloned());
    fields.extend(["firstName", "lastName", "leadPartitionId"].map(str::to_owned));
    fields
}

fn seen(lead: &Lead, watched: &BTreeSet<String>) -> Seen {
    let values: Vec<String> = watched
        .iter()
        .map(|field| {
            let value = filled(lead, field).filter(|value| **value != Value::Bool(false));
            format!("{field}={}", value.map(Value::to_string).unwrap_or_default())
        })
        .collect();
    Seen {
        id: lead.id,
        created_at: lead.created_at(),
        digest: short_digest(&values.iter().map(String::as_bytes).collect::<Vec<_>>()),
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of the parts, each with its length before it.
fn short_digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;
