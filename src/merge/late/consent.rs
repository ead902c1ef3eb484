//! The opt-outs that the log of changes named so far, and on which survivors they are. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::said::{Groups, said_no};
use crate::dedupe::{FieldFacts, Plan, PlannedGroup};
use crate::lead::{Lead, LeadId};
use crate::marketo::{LeadChange, Since};
use crate::merge::leads::members;
use crate::merge::report::Unwatched;

/// By how much this machine's clock and Marketo's may differ.
pub(super) const CLOCKS: TimeDelta = TimeDelta::minutes(10);

/// What is watched for, and from where on.
#[derive(Debug)]
pub(in crate::merge) struct LateConsent {
    pub(super) from: Since,
    pub(super) fields: Vec<String>,
    /// The leads of the plan: what the log says of any other is not kept.
    pub(super) of_plan: BTreeSet<LeadId>,
    /// What the log said of them so far.
    pub(super) changes: Vec<LeadChange>,
    /// Groups whose merges left, by every lead of theirs.
    pub(super) groups: Groups,
    /// How many merges left since the log was read.
    pub(super) merges: usize,
    /// The survivor of each lead that is gone.
    into: BTreeMap<LeadId, LeadId>,
    /// The opt-outs that a look after the merge showed on its survivor.
    pub(super) held: BTreeSet<(LeadId, String)>,
    /// The survivors that lack some, since others were writing them.
    pub(super) put_off: BTreeSet<LeadId>,
    /// Why the log cannot be read.
    pub(in crate::merge) unreadable: Option<String>,
}

/// The fields that are watched: an opt-out of this instance's own is as good as Marketo's.
pub(super) fn watched(facts: &FieldFacts) -> Vec<String> {
    let opt_outs =
        facts.fields.keys().filter(|field| facts.is_opt_out(field) && facts.is_writeable(field));
    opt_outs.cloned().collect()
}

impl LateConsent {
    pub(in crate::merge) fn new(since: DateTime<Utc>, facts: &FieldFacts, plan: &Plan) -> Self {
        Self {
            from: Since::Time(since - CLOCKS),
            fields: watched(facts),
            of_plan: plan.groups.iter().flat_map(members).collect(),
            changes: Vec::new(),
            groups: BTreeMap::new(),
            merges: 0,
            into: BTreeMap::new(),
            held: BTreeSet::new(),
            put_off: BTreeSet::new(),
            unreadable: None,
        }
    }

    /// A merge of this group has left.
    pub(in crate::merge) fn watch(&mut self, group: &PlannedGroup) {
        self.merges += 1;
        let entry = (group.winner, group.key.as_str().to_owned());
        self.groups.extend(members(group).map(|lead| (lead, entry.clone())));
    }

    /// Why it is not known whether all are set.
    pub(in crate::merge) fn unwatched(self) -> Option<Unwatched> {
        let Self { unreadable, put_off, .. } = self;
        unreadable.map(Unwatched::Unreadable).or_else(|| Unwatched::of(put_off))
    }

    /// Whether all that were found are set.
    pub(in crate::merge) fn is_done(&self) -> bool {
        self.put_off.is_empty()
    }

    /// Whether merges of this run have to be looked after at its end.
    pub(in crate::merge) fn has_merges(&self) -> bool {
        !self.groups.is_empty()
    }

    /// A look after a merge showed its survivor so: what it says no to needs nothing more.
    pub(in crate::merge) fn saw(&mut self, survivor: &Lead, gone: &[LeadId]) {
        self.into.extend(gone.iter().map(|lead| (*lead, survivor.id)));
        let said = self.fields.iter().filter(|field| survivor.flag(field));
        self.held.extend(said.map(|field| (survivor.id, field.clone())));
    }

    /// The opt-outs of merged groups that no look has shown on their survivors.
    pub(super) fn unseen(&mut self) -> BTreeMap<LeadId, BTreeSet<String>> {
        // What was read before the merge moved it to the survivor is the survivor's all the same.
        for change in &mut self.changes {
            change.lead = self.into.get(&change.lead).copied().unwrap_or(change.lead);
        }
        let mut said = said_no(&self.changes, &self.groups);
        for (lead, fields) in &mut said {
            fields.retain(|field| !self.held.contains(&(*lead, field.clone())));
        }
        // Where nothing was merged, every lead still says for itself what it said.
        let survivors: BTreeSet<&LeadId> = self.into.values().collect();
        said.retain(|lead, fields| survivors.contains(lead) && !fields.is_empty());
        said
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::{Value, json};

    use super::LateConsent;
    use crate::dedupe::{FieldFacts, OPT_OUTS, Plan, PlannedGroup, Policy};
    use crate::lead::Lead;
    use crate::marketo::LeadChange;

    /// Lead 2 goes into lead 1, and lead 4 is to go into lead 3.
    fn groups() -> [PlannedGroup; 2] {
        let group = |winner: u64| -> PlannedGroup {
            let group = json!({"key": format!("p{winner}@example.com"), "winner": winner, "losers": [winner + 1],
                "changes": [], "expected": {}, "seen": [], "reason": "", "in_crm": false});
            serde_json::from_value(group).unwrap()
        };
        [group(1), group(3)]
    }

    fn change(lead: u64, new: bool, second: i64) -> LeadChange {
        LeadChange {
            lead,
            field: "doNotCall".to_owned(),
            old: Value::Null,
            new: json!(new),
            at: DateTime::from_timestamp(second, 0),
            source: None,
            request_id: None,
        }
    }

    #[test]
    fn an_opt_out_counts_that_came_before_its_merge_and_is_not_on_the_survivor() {
        let no = || change(2, true, 7);
        for (changes, merged, on_survivor, wanted) in [
            // Read before the merge moved it to the survivor.
            (vec![no()], true, false, vec![1]),
            (vec![change(1, true, 7)], true, false, vec![1]),
            // A look has shown it there; or nothing was merged; or the person took it back.
            (vec![no()], true, true, vec![]),
            (vec![no()], false, false, vec![]),
            (vec![no(), change(2, false, 8)], true, false, vec![]),
            // Of two in one second the no counts.
            (vec![no(), change(2, false, 7)], true, false, vec![1]),
            (vec![change(4, true, 7)], true, false, vec![]),
        ] {
            let groups = groups();
            let facts = FieldFacts::of_writeable(OPT_OUTS.iter().copied());
            let plan = Plan::new(
                "example".to_owned(),
                DateTime::<Utc>::UNIX_EPOCH,
                Policy::default(),
                groups.to_vec(),
                Vec::new(),
            );
            let mut late = LateConsent::new(DateTime::<Utc>::UNIX_EPOCH, &facts, &plan);
            for group in &groups {
                late.watch(group);
            }
            late.changes.clone_from(&changes);
            if merged {
                late.saw(&Lead::new(1).with("doNotCall", on_survivor), &[2]);
            }
            let unseen: Vec<u64> = late.unseen().into_keys().collect();
            assert_eq!(unseen, wanted, "{changes:?} {merged} {on_survivor}");
        }
    }
}
