//! What a plan is made of, as it is kept on disk and shown.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::short_digest;
use crate::dedupe::key::Key;
use crate::dedupe::policy::Policy;
use crate::lead::LeadId;

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
    /// What is to be merged: the largest groups first, then by key.
    pub groups: Vec<PlannedGroup>,
    /// What is left alone, and why.
    pub left_out: Vec<LeftOut>,
}

impl Plan {
    /// Puts the groups in order and names the plan by its content. A group with a lead of an
    /// earlier one is left out: no lead is merged twice.
    pub fn new(
        instance: String,
        made_at: DateTime<Utc>,
        policy: Policy,
        mut groups: Vec<PlannedGroup>,
        mut left_out: Vec<LeftOut>,
    ) -> Self {
        // The largest first, as a report shows them.
        groups.sort_by(|a, b| b.seen.len().cmp(&a.seen.len()).then_with(|| a.key.cmp(&b.key)));
        let mut taken = BTreeSet::new();
        groups.retain(|group| {
            let ids: Vec<LeadId> = group.seen.iter().map(|seen| seen.id).collect();
            if ids.iter().any(|id| taken.contains(id)) {
                let reason = "one of its leads is in another group of this plan".to_owned();
                left_out.push(LeftOut { key: group.key.clone(), leads: ids, reason });
                return false;
            }
            taken.extend(ids);
            true
        });
        left_out.sort_by(|a, b| (&a.key, &a.leads).cmp(&(&b.key, &b.leads)));
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
    /// The leads that go, most complete first: where the winner's field is empty, Marketo takes the
    /// first loser's value.
    pub losers: Vec<LeadId>,
    /// What is written to the winner before the merge, by field.
    pub changes: Vec<FieldChange>,
    /// What the survivor must hold afterwards: every changed and every ruled field.
    pub expected: BTreeMap<String, Value>,
    /// Fields that are blank on the winner and stay so, since the bundle that they belong to comes
    /// from one lead. Marketo fills them from a loser; the merge then empties them again.
    #[serde(default)]
    pub blank: BTreeSet<String>,
    /// The leads as they were when this was decided, by id.
    pub seen: Vec<Seen>,
    /// Why this lead wins, in words.
    pub reason: String,
    /// Whether several of the leads are CRM records, which the CRM then merges, one loser a call.
    pub in_crm: bool,
    /// Whether only one loser a call saves a value that cannot be written: each is then the first
    /// loser once.
    #[serde(default)]
    pub one_per_call: bool,
    /// The values that the merge destroys, since the survivor keeps another.
    #[serde(default)]
    pub dropped: Vec<Dropped>,
    /// What the survivor most likely holds in the fields of which values are dropped.
    #[serde(default)]
    pub kept: BTreeMap<String, Value>,
    /// What decided over each field that is changed or of which values are dropped: a rule, `bundle
    /// NAME`, or `with FIELD` where it came with a consent field.
    #[serde(default)]
    pub rules: BTreeMap<String, String>,
    /// Values that cannot be written and that the winner lacks: Marketo's merge decides whether the
    /// survivor has them.
    #[serde(default)]
    pub at_risk: Vec<Dropped>,
    /// How many fields have one value on all leads that have any, and keep it.
    #[serde(default)]
    pub equal: usize,
}

/// A value that the winner gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field's REST API name.
    pub name: String,
    /// The winner's value, null where it has none.
    pub before: Value,
    /// The value it gets. It can be false where `before` reads false: Marketo shows an unset
    /// boolean as false, but in a merge a loser's true would take the place of an unset one.
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
    /// Digests of the values that the decision looked at, by field, so that what changed can be
    /// named.
    pub digests: BTreeMap<String, String>,
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

/// A value that a merge destroys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// The field's REST API name.
    pub name: String,
    /// The lead that holds it, the winner too where a rule replaces its value.
    pub lead: LeadId,
    /// The value.
    pub value: Value,
}
