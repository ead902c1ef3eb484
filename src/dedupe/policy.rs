//! The policy: everything that a person chose about merges.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::bundle::Bundles;
use super::cause::Cause;
use super::field_rule::{FieldRule, FieldRules};
use super::key_spec::KeySpec;
use super::listed::ReadFile;
use super::person::Skip;
use super::skip_rule::SkipRules;
use super::winner::{NamedIds, WinnerOrder};
use crate::lead::{Lead, LeadId};

/// Everything that decides what a plan does with a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of `merge` that stands for itself"
)]
pub struct Policy {
    /// What makes leads the same.
    pub key: KeySpec,
    /// Which lead stays.
    pub winner: WinnerOrder,
    /// The file of ids that the winner rule `ids` goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner_ids: Option<ReadFile>,
    /// Which values it keeps.
    pub fields: FieldRules,
    /// Which fields come from one lead together.
    #[serde(default)]
    pub bundles: Bundles,
    /// What is decided otherwise for the groups of a cause.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub causes: BTreeMap<Cause, CauseRules>,
    /// Plan groups that look like several people behind one mailbox too. These and the next two are
    /// red, and merged only where a person decides so.
    pub include_shared: bool,
    /// Plan groups with several CRM records too, and have the CRM merge them.
    pub merge_in_crm: bool,
    /// Plan groups that span lead partitions too.
    pub across_partitions: bool,
    /// No Salesforce is connected to the instance: a person says so, since Marketo's API does not.
    #[serde(default)]
    pub no_crm: bool,
    /// Merge groups that an integration made on purpose, by `createDuplicate`, too.
    #[serde(default)]
    pub include_deliberate: bool,
    /// Rows of custom objects are never linked to another lead: a group whose losers have some
    /// takes a person's decision.
    #[serde(default, skip_serializing_if = "is_false")]
    pub leave_rows: bool,
    /// Which groups are left alone until somebody names or allows them.
    #[serde(default)]
    pub skip: Skip,
    /// Which groups are left alone whatever else is allowed.
    #[serde(default, skip_serializing_if = "SkipRules::is_empty")]
    pub skip_rules: SkipRules,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The rules of one cause, in place of the general ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseRules {
    /// Which lead stays; the general order where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<WinnerOrder>,
    /// The rules of these fields; all others have the general ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldRule>,
}

impl Policy {
    /// The policy for groups of a cause: the general one, with the settings of this cause on top.
    pub fn for_cause(&self, cause: Option<Cause>) -> Cow<'_, Self> {
        let Some(rules) = cause.and_then(|cause| self.causes.get(&cause)) else {
            return Cow::Borrowed(self);
        };
        let mut policy = self.clone();
        if let Some(winner) = &rules.winner {
            policy.winner = winner.clone();
        }
        let rules = rules.fields.iter().map(|(field, rule)| (field.clone(), rule.clone()));
        policy.fields.0.extend(rules);
        // Once is enough: the ids of a group, for one, must not be replaced by the cause's again.
        policy.causes.clear();
        Cow::Owned(policy)
    }

    /// The policy that decided about a planned group, by what the plan has kept of it.
    pub fn of_group(&self, cause: Option<Cause>, named: &BTreeSet<LeadId>) -> Cow<'_, Self> {
        let mut policy = self.for_cause(cause);
        if policy.winner.asks_for_ids() {
            let winner = policy.winner.with_ids(&NamedIds::of(named.clone()));
            policy.to_mut().winner = winner;
        }
        policy
    }

    /// Every winner order, each with the key of the configuration that has it.
    pub fn winner_orders(&self) -> impl Iterator<Item = (String, &WinnerOrder)> {
        let of_causes = self.causes.iter().filter_map(|(cause, rules)| {
            Some((format!("cause.{cause}.winner.order"), rules.winner.as_ref()?))
        });
        std::iter::once(("winner.order".to_owned(), &self.winner)).chain(of_causes)
    }

    /// Every rule of a field, each with the section of the configuration that has it.
    pub(super) fn field_rules(&self) -> impl Iterator<Item = (String, &String, &FieldRule)> {
        let general = self.fields.0.iter().map(|(field, rule)| ("fields".to_owned(), field, rule));
        let of_causes = self.causes.iter().flat_map(|(cause, rules)| {
            let section = format!("cause.{cause}.fields");
            rules.fields.iter().map(move |(field, rule)| (section.clone(), field, rule))
        });
        general.chain(of_causes)
    }

    /// The fields that rules and bundles name.
    pub fn ruled_fields(&self) -> BTreeSet<String> {
        let ruled = self.field_rules().map(|(_, field, _)| field);
        ruled.chain(self.bundles.0.values().flatten()).cloned().collect()
    }

    /// Those of the leads that the file of ids names, whatever the cause.
    pub fn named_among(&self, leads: &[Lead]) -> BTreeSet<LeadId> {
        let orders = self.winner_orders().map(|(_, order)| order);
        orders
            .map(|order| order.named_among(leads))
            .find(|named| !named.is_empty())
            .unwrap_or_default()
    }

    /// Has every rule `ids` go by these ids.
    #[must_use]
    pub fn with_winner_ids(mut self, ids: &NamedIds) -> Self {
        self.winner = self.winner.with_ids(ids);
        for order in self.causes.values_mut().filter_map(|rules| rules.winner.as_mut()) {
            *order = order.with_ids(ids);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{CauseRules, Policy};
    use crate::dedupe::{Cause, FieldRule, NamedIds, WinnerOrder, WinnerRule};

    #[test]
    fn a_cause_has_its_own_order_and_its_own_rules_beside_the_general_ones() {
        let mut policy = Policy::default();
        policy.fields.0.insert("phone".to_owned(), FieldRule::Oldest);
        policy.fields.0.insert("title".to_owned(), FieldRule::Oldest);
        let race = CauseRules {
            winner: Some(WinnerOrder(vec![WinnerRule::Newest])),
            fields: BTreeMap::from([("title".to_owned(), FieldRule::Newest)]),
        };
        policy.causes.insert(Cause::Race, race);
        for cause in [None, Some(Cause::Import)] {
            assert_eq!(*policy.for_cause(cause), policy);
        }
        let of_race = policy.for_cause(Some(Cause::Race));
        assert_eq!(of_race.winner.0, [WinnerRule::Newest]);
        assert_eq!(of_race.fields.of("title"), &FieldRule::Newest);
        assert_eq!(of_race.fields.of("phone"), &FieldRule::Oldest);
        assert_eq!(of_race.fields.of("unsubscribed"), &FieldRule::AnyTrue);
        assert_eq!(*of_race.for_cause(Some(Cause::Race)), *of_race, "once is as good as twice");
    }

    #[test]
    fn a_planned_group_is_decided_by_the_ids_that_it_keeps() {
        let ids = |ids: &[u64]| ids.iter().copied().collect::<BTreeSet<u64>>();
        let mut policy = Policy::default();
        policy.winner.0.insert(0, "ids".parse().unwrap());
        let policy = policy.with_winner_ids(&NamedIds::of(ids(&[1, 2, 3])));
        let read: Policy = serde_json::from_str(&serde_json::to_string(&policy).unwrap()).unwrap();
        let of_group = read.of_group(None, &ids(&[2]));
        assert_eq!(of_group.winner.0[0], WinnerRule::Ids(NamedIds::of(ids(&[2]))));
    }
}

/// `review.policy`: which plans need a person's approval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewPolicy {
    /// Every one.
    Always,
    /// One that merges a red group, or a group that somebody decided about.
    #[default]
    Risky,
    /// None.
    Never,
}

impl FromStr for ReviewPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "always" => Ok(Self::Always),
            "risky" => Ok(Self::Risky),
            "never" => Ok(Self::Never),
            other => Err(format!("takes always, risky or never, not `{other}`")),
        }
    }
}
