//! What a plan is made of, as it is kept on disk and shown.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::objection::{Objection, Reason};
use super::rows::LeadRows;
use crate::dedupe::cause::Cause;
use crate::dedupe::decision::{Choice, Decisions};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::field_rule::FieldRules;
use crate::dedupe::key::Key;
use crate::dedupe::policy::Policy;
use crate::dedupe::risk::Risk;
use crate::lead::LeadId;

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The first digits of its digest; the ledger gives it when it keeps the plan.
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
    /// Puts the groups in order. A group with a lead of an
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
        Self { id: String::new(), instance, made_at, policy, groups, left_out }
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
    /// What the survivor most likely holds in the fields that lose values.
    #[serde(default)]
    pub kept: BTreeMap<String, Value>,
    /// What decided over each field that is changed or loses values: a rule, `bundle NAME`, or
    /// `with FIELD` where it came with a consent field.
    #[serde(default)]
    pub rules: BTreeMap<String, String>,
    /// Values that cannot be written and that the winner lacks: Marketo's merge decides whether the
    /// survivor has them.
    #[serde(default)]
    pub at_risk: Vec<Dropped>,
    /// How many fields have one value on all leads that have any, and keep it.
    #[serde(default)]
    pub equal: usize,
    /// How the group came about, where that is known: the rules of this cause decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Those of its leads that the file of ids named, by which the winner rule `ids` decided.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub named: BTreeSet<LeadId>,
    /// How much there is to decide about it.
    #[serde(default)]
    pub risk: Risk,
    /// Why the risk is not green, a sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Why it is merged only where a person decided so.
    #[serde(default)]
    pub objections: Vec<Objection>,
    /// What would have kept it out of the plan, had a flag not let it in. It takes a person's
    /// decision all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub let_in: Option<Reason>,
    /// Consent fields in which the leads differ and that neither a rule nor a person has decided.
    #[serde(default)]
    pub open_consent: BTreeSet<String>,
    /// What a person decided about it, which is in all of the above.
    #[serde(default)]
    pub decided: Decisions,
    /// The rows of custom objects that hang on its leads, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<LeadRows>,
}

impl PlannedGroup {
    /// The policy that decided about this group, from the plan's: a cause that would be told
    /// otherwise by now, or another file of ids, changes nothing.
    pub fn policy<'p>(&self, of_plan: &'p Policy) -> Cow<'p, Policy> {
        of_plan.of_group(self.cause, &self.named)
    }

    /// The rules of fields that decided about this group, from the plan's policy.
    pub fn rules<'p>(&self, of_plan: &'p Policy) -> Cow<'p, FieldRules> {
        match of_plan.for_cause(self.cause) {
            Cow::Borrowed(policy) => Cow::Borrowed(&policy.fields),
            Cow::Owned(policy) => Cow::Owned(policy.fields),
        }
    }

    /// Every lead of the merge, the winner first.
    pub fn leads(&self) -> impl Iterator<Item = LeadId> {
        std::iter::once(self.winner).chain(self.losers.iter().copied())
    }

    /// Whether a person wanted the merge although this speaks against it.
    pub fn overrules(&self, reason: Reason) -> bool {
        self.decided.choice == Some(Choice::Merge)
            && self.objections.iter().any(|objection| objection.reason == reason)
    }

    /// Whether the plan's run merges it: a person said so, or nothing speaks against it and nobody
    /// decided otherwise.
    pub fn merges(&self) -> bool {
        match self.decided.choice {
            Some(Choice::Merge) => true,
            Some(Choice::Skip | Choice::Hold | Choice::NotSame) => false,
            None => self.risk != Risk::Red,
        }
    }
}

/// What a kept plan says of all its groups: enough to plan each of them again without Marketo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanHeader {
    /// The version of this form.
    pub form: u32,
    /// The instance it is for.
    pub instance: String,
    /// When the leads were read.
    pub made_at: DateTime<Utc>,
    /// Who had it made; none where nobody knows, as of a plan of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// By what it was made.
    pub policy: Policy,
    /// The fields of the instance as they were then.
    pub facts: FieldFacts,
}

impl PlanHeader {
    /// The version that this program writes.
    pub const FORM: u32 = 1;
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The lead.
    pub id: LeadId,
    /// Together with the id its identity, since ids may be used again after a purge.
    pub created_at: Option<DateTime<Utc>>,
    /// Digests of the values that the decision looked at, by field, so that what changed can be
    /// found.
    pub digests: BTreeMap<String, String>,
    /// The values themselves, so that changes can be shown; blanks are left out.
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
}

impl Seen {
    /// Whether it is the same lead with the same values, as Marketo stores them.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.id, self.created_at, &self.digests) == (other.id, other.created_at, &other.digests)
    }
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
