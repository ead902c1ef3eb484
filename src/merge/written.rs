//! What this program itself wrote to winners, for merges that did not follow yet.
//!
//! For: the values that a run writes before a merge must not look like somebody else's change to the re-check, nor be
//! added up a second time when a killed run's group is planned again. Never: I/O beyond the ledger.

use std::collections::BTreeMap;

use super::Error;
use crate::dedupe::{FieldChange, FieldRule, Plan, PlannedGroup, Policy};
use crate::lead::{Lead, LeadId};
use crate::ledger::Ledger;

/// By winner, the changes that were, or may have been, written to it.
#[derive(Debug, Default)]
pub(super) struct Written {
    changes: BTreeMap<LeadId, Change>,
}

#[derive(Debug)]
struct Change {
    fields: Vec<FieldChange>,
    /// Some of the losers are gone; their part of the values must stay.
    part_done: bool,
}

impl Written {
    /// What runs before this one left.
    pub(super) fn by_earlier_runs(ledger: &Ledger) -> Result<Self, Error> {
        let mut written = Self::default();
        let mut plans: BTreeMap<String, Option<Plan>> = BTreeMap::new();
        for unfinished in ledger.unfinished_writes()? {
            if !plans.contains_key(&unfinished.plan) {
                // A plan of an older format cannot be read any more; its values then count as the winner's own.
                let plan = ledger.plan(&unfinished.plan)?.and_then(|body| serde_json::from_str(&body).ok());
                plans.insert(unfinished.plan.clone(), plan);
            }
            let plan = plans.get(&unfinished.plan).and_then(Option::as_ref);
            let group = plan.and_then(|plan| {
                plan.groups
                    .iter()
                    .find(|group| group.winner == unfinished.winner && !group.changes.is_empty())
            });
            if let Some(group) = group {
                written.add(group, unfinished.part_done);
            }
        }
        Ok(written)
    }

    /// A group's changes are about to be written.
    pub(super) fn add(&mut self, group: &PlannedGroup, part_done: bool) {
        self.changes.insert(group.winner, Change { fields: group.changes.clone(), part_done });
    }

    /// The lead as it would be had this program not written to it. A value that is not the one that was written is
    /// somebody else's, and stays.
    pub(super) fn as_before(&self, mut lead: Lead) -> Lead {
        let Some(change) = self.changes.get(&lead.id).filter(|change| !change.part_done) else {
            return lead;
        };
        for field in &change.fields {
            if lead.value(&field.name).is_some_and(|held| same(held, &field.after)) {
                lead.set(&field.name, field.before.clone());
            }
        }
        lead
    }

    /// Why a group cannot be planned on top of what was written: a sum holds its remaining losers' part already.
    pub(super) fn objection(&self, group: &PlannedGroup, policy: &Policy) -> Option<String> {
        let change = self.changes.get(&group.winner).filter(|change| change.part_done)?;
        let summed = change.fields.iter().find(|field| policy.fields.of(&field.name) == FieldRule::Sum)?;
        Some(format!(
            "an earlier run merged a part of it, and `{}` holds the sum of all its leads already; set `fields.{} = \"winner\"` to merge the rest",
            summed.name, summed.name
        ))
    }
}

/// Marketo may answer a number that was written as a number with a fraction, or as text.
pub(super) fn same(held: &serde_json::Value, written: &serde_json::Value) -> bool {
    held == written
        || match (held.as_f64(), written.as_f64()) {
            (Some(held), Some(written)) => (held - written).abs() < f64::EPSILON,
            _ => false,
        }
}
