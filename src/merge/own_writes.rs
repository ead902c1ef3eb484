//! What this program itself wrote to winners, for merges that did not follow yet.
//!
//! For: the values that a run writes before a merge must not look like somebody else's change to
//! the re-check, nor be added up a second time when a killed run's group is planned again. Never:
//! I/O beyond the ledger.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Number, Value};

use super::error::Error;
use super::kept_plan::plan_of_run;
use crate::dedupe::{FieldChange, FieldFacts, FieldRule, Plan, PlannedGroup};
use crate::lead::{Lead, LeadId};
use crate::ledger::{CallValue, Ledger};

/// By winner, the changes that were, or may have been, written to it.
#[derive(Debug, Default)]
pub(super) struct OwnWrites {
    /// By this run, which knows what was there before.
    by_this_run: BTreeMap<LeadId, Vec<FieldChange>>,
    /// By earlier ones.
    changes: BTreeMap<LeadId, Change>,
    /// By earlier runs of the plan that is carried out, whether it is to be given back or not.
    of_plan: BTreeMap<LeadId, Vec<CallValue>>,
    /// By runs whose ledger is lost: the surplus in each field of the winner, by Marketo's log.
    sums: BTreeMap<LeadId, BTreeMap<String, f64>>,
}

#[derive(Debug)]
struct Change {
    fields: Vec<FieldChange>,
    /// Those of the fields that hold a sum.
    sums: BTreeSet<String>,
    /// Whether merges of the plan took some of the losers already.
    part_done: bool,
    /// The leads whose values are in what was written.
    losers: Vec<LeadId>,
}

impl OwnWrites {
    /// What runs before this one left.
    pub(super) fn by_earlier_runs(ledger: &Ledger) -> Result<Self, Error> {
        let mut written = Self::default();
        let all = ledger.unfinished_writes()?;
        let mut winners: BTreeMap<&str, Vec<LeadId>> = BTreeMap::new();
        for unfinished in &all {
            winners.entry(&unfinished.plan).or_default().push(unfinished.winner);
        }
        let mut plans: BTreeMap<&str, Plan> = BTreeMap::new();
        for (plan, winners) in winners {
            // A plan of an older format cannot be read any more; its values then count as the
            // winner's own.
            plans.extend(plan_of_run(ledger, plan, &winners)?.map(|found| (plan, found)));
        }
        for unfinished in &all {
            let Some(plan) = plans.get(unfinished.plan.as_str()) else { continue };
            if let Some(group) = plan.groups.iter().find(|group| group.winner == unfinished.winner)
            {
                let rules = group.rules(&plan.policy);
                let is_sum = |field: &&String| *rules.of(field) == FieldRule::Sum;
                let sums = group
                    .changes
                    .iter()
                    .map(|change| &change.name)
                    .filter(is_sum)
                    .cloned()
                    .collect();
                let part_done = !unfinished.gone.is_empty();
                if group.losers.iter().all(|loser| unfinished.gone.contains(loser)) {
                    continue;
                }
                written.insert(group, sums, part_done);
            }
        }
        Ok(written)
    }

    /// The same for a run of a plan, which may be one that was stopped before.
    pub(super) fn of_run(ledger: &Ledger, plan: &str) -> Result<Self, Error> {
        Ok(Self { of_plan: ledger.written_for(plan)?, ..Self::by_earlier_runs(ledger)? })
    }

    /// A group's changes are about to be written by this run.
    pub(super) fn add(&mut self, group: &PlannedGroup) {
        self.by_this_run.insert(group.winner, group.changes.clone());
    }

    /// A field of a winner holds a sum that no ledger knows of.
    pub(super) fn holds_sum(&mut self, winner: LeadId, field: &str, added: f64) {
        self.sums.entry(winner).or_default().insert(field.to_owned(), added);
    }

    /// Takes away what a lost run added, but where the ledger knows what was there before.
    fn without_lost_sums(&self, lead: &mut Lead, facts: &FieldFacts) {
        let earlier = self.changes.get(&lead.id).into_iter().flat_map(|change| &change.fields);
        let known: Vec<&FieldChange> =
            self.by_this_run.get(&lead.id).into_iter().flatten().chain(earlier).collect();
        for (field, added) in self.sums.get(&lead.id).into_iter().flatten() {
            let held = lead.value(field).unwrap_or(&Value::Null);
            if known.iter().any(|change| change.name == *field && is_ours(change, held, facts)) {
                continue;
            }
            let before = held.as_f64().unwrap_or_default() - added;
            lead.set(field, Number::from_f64(before).map_or(Value::Null, Value::Number));
        }
    }

    fn insert(&mut self, group: &PlannedGroup, sums: BTreeSet<String>, part_done: bool) {
        let (fields, losers) = (group.changes.clone(), group.losers.clone());
        let change = Change { fields, sums, part_done, losers };
        self.changes.insert(group.winner, change);
    }

    /// The leads of a group as its plan looked at them, as far as the journal tells: without what
    /// an earlier run of this plan wrote to the winner and did not give back, such as an opt-out
    /// with its reason and its date. For the comparison with the plan alone, which writes these
    /// values again: nothing may be planned from it, since a person may have said no since.
    pub(super) fn as_planned(
        &self,
        group: &PlannedGroup,
        leads: Vec<Lead>,
        facts: &FieldFacts,
    ) -> Vec<Lead> {
        let mut leads = self.as_before(leads, facts);
        let written = self.of_plan.get(&group.winner).map(Vec::as_slice).unwrap_or_default();
        let winner = leads.iter_mut().find(|lead| lead.id == group.winner);
        let Some(winner) = winner.filter(|_| !written.is_empty()) else { return leads };
        for change in &group.changes {
            let was_written = written.iter().any(|value| {
                value.field == change.name && facts.holds(&change.name, &value.after, &change.after)
            });
            let held = winner.value(&change.name).unwrap_or(&Value::Null);
            if was_written && is_ours(change, held, facts) {
                winner.set(&change.name, change.before.clone());
            }
        }
        leads
    }

    /// The leads of a group as they would be had this program not written to them. A value that is
    /// not the one that was written is somebody else's, and stays. What came from a lead that is
    /// not there any more stays too: only of a sum is taken away what the losers that are left
    /// would add a second time. An opt-out of an earlier run stays as well (law 5): a person may
    /// have said no since.
    pub(super) fn as_before(&self, mut leads: Vec<Lead>, facts: &FieldFacts) -> Vec<Lead> {
        for lead in &mut leads {
            self.without_lost_sums(lead, facts);
            for field in self.by_this_run.get(&lead.id).into_iter().flatten() {
                let held = lead.value(&field.name).unwrap_or(&Value::Null);
                if is_ours(field, held, facts) {
                    lead.set(&field.name, field.before.clone());
                }
            }
        }
        for place in 0..leads.len() {
            let Some((lead, change)) =
                leads.get(place).and_then(|lead| Some((lead, self.changes.get(&lead.id)?)))
            else {
                continue;
            };
            let mut before = lead.clone();
            let is_here = |giver: LeadId| leads.iter().any(|lead| lead.id == giver);
            for field in &change.fields {
                let held = lead.value(&field.name).unwrap_or(&Value::Null);
                if !is_ours(field, held, facts) {
                    continue;
                }
                if facts.takes_back_a_no(&field.name, held, &field.before) {
                    continue;
                }
                if !change.part_done && change.givers(field).all(is_here) {
                    before.set(&field.name, field.before.clone());
                } else if change.sums.contains(&field.name) {
                    before.set(&field.name, change.sum_without_the_rest(field, &leads));
                }
            }
            if let Some(lead) = leads.get_mut(place) {
                *lead = before;
            }
        }
        leads
    }
}

impl Change {
    fn givers<'c>(&'c self, field: &'c FieldChange) -> impl Iterator<Item = LeadId> + 'c {
        givers(field, &self.losers)
    }

    fn sum_without_the_rest(&self, field: &FieldChange, leads: &[Lead]) -> Value {
        let number = |lead: &Lead| lead.value(&field.name).and_then(Value::as_f64);
        let rest: f64 =
            leads.iter().filter(|lead| self.losers.contains(&lead.id)).filter_map(number).sum();
        let value = field.after.as_f64().unwrap_or_default() - rest;
        Number::from_f64(value).map_or(Value::Null, Value::Number)
    }
}

/// The leads whose values a written value is made of: one, or any of the losers.
pub(super) fn givers<'c>(
    change: &'c FieldChange,
    losers: &'c [LeadId],
) -> impl Iterator<Item = LeadId> + 'c {
    let of_all = losers.iter().copied().filter(|_| change.from.is_none());
    change.from.into_iter().chain(of_all)
}

/// Whether a winner holds what was written to it, or what Marketo left of it.
pub(super) fn is_ours(change: &FieldChange, held: &Value, facts: &FieldFacts) -> bool {
    facts.holds(&change.name, held, &change.after)
        || facts.is_cut_from(&change.name, held, &change.after)
}
