//! Gives a winner its former values back whose merge was not made: a group that is left alone is as it
//! was (law 2).
//!
//! Never: takes back what somebody else wrote since, or an opt-out that no other lead of the group says
//! any more (law 5).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fresh::Fresh;
use super::take_in::members;
use super::write::Record;
use super::{Error, Merge, MergeClient};
use crate::dedupe::{FieldChange, Plan, PlannedGroup};
use crate::lead::{Lead, LeadId};
use crate::ledger::Purpose;
use crate::marketo::UntilStopped;

/// How often it is tried where the look becomes too old before the write can leave.
const TRIES: usize = 10;

impl<M: MergeClient> Merge<'_, M> {
    /// Gives winners their former values back. Tells of each what became of it, in words.
    pub(super) async fn give_back(
        &mut self,
        plan: &str,
        groups: &[&PlannedGroup],
    ) -> Result<BTreeMap<LeadId, String>, Error> {
        let groups: Vec<&PlannedGroup> =
            groups.iter().filter(|group| !group.changes.is_empty()).copied().collect();
        let ids: Vec<LeadId> = groups.iter().flat_map(|group| members(group)).collect();
        let mut told = BTreeMap::new();
        if ids.is_empty() {
            return Ok(told);
        }
        let mut asked: BTreeMap<LeadId, Vec<FieldChange>> = BTreeMap::new();
        for _ in 0..TRIES {
            let Some(look) = self.look(&ids).await? else { return Ok(told) };
            asked = groups
                .iter()
                .filter_map(|group| Some((group.winner, self.to_give_back(group, &look.leads)?)))
                .collect();
            let records: Vec<Record> = asked
                .iter()
                .filter(|(_, changes)| !changes.is_empty())
                .map(|(lead, changes)| Record { lead: *lead, changes: changes.clone() })
                .collect();
            if records.is_empty() {
                break;
            }
            let stop = UntilStopped::after(self.stop.clone(), self.grace());
            let permit = Fresh::new(look.at, self.clock, stop);
            let written = self.write(&permit, plan, Purpose::GiveBack, records).await?;
            if !written.withheld {
                break;
            }
            if self.stop.is_cancelled() {
                return Ok(told);
            }
        }
        let Some(look) = self.look(&ids).await? else { return Ok(told) };
        for group in groups {
            let Some(changes) = asked.get(&group.winner) else { continue };
            let words = match look.leads.get(&group.winner) {
                None => {
                    "the record to keep is gone, and could not be given its former values back".to_owned()
                }
                Some(lead) => self.in_words(group, changes, lead),
            };
            told.insert(group.winner, words);
        }
        Ok(told)
    }

    /// Gives the winners of earlier runs their values back whose merges those runs did not come to.
    pub(super) async fn give_back_earlier(&mut self) -> Result<usize, Error> {
        let mut plans: BTreeMap<String, (Plan, BTreeSet<LeadId>)> = BTreeMap::new();
        for unfinished in self.ledger.unfinished_writes()? {
            // Where losers are gone already, the values are the survivor's for good.
            if !unfinished.gone.is_empty() {
                continue;
            }
            if let Some((_, winners)) = plans.get_mut(&unfinished.plan) {
                winners.insert(unfinished.winner);
                continue;
            }
            let body = self.ledger.plan(&unfinished.plan)?;
            // A plan of an older format cannot be read any more; its values then count as the winner's own.
            if let Some(plan) = body.and_then(|body| serde_json::from_str::<Plan>(&body).ok()) {
                plans.insert(unfinished.plan, (plan, BTreeSet::from([unfinished.winner])));
            }
        }
        let mut given_back = 0;
        for (plan, winners) in plans.values() {
            let groups: Vec<&PlannedGroup> =
                plan.groups.iter().filter(|group| winners.contains(&group.winner)).collect();
            for groups in groups.chunks(100) {
                given_back += self.give_back(&plan.id, groups).await?.len();
            }
        }
        Ok(given_back)
    }

    /// What is to be written so that the winner is as it was; none where it is gone.
    fn to_give_back(&self, group: &PlannedGroup, live: &BTreeMap<LeadId, Lead>) -> Option<Vec<FieldChange>> {
        let winner = live.get(&group.winner)?;
        let changes = group.changes.iter().filter_map(|change| {
            let held = winner.value(&change.name).cloned().unwrap_or(Value::Null);
            let is_ours = self.is_ours(change, &held);
            let as_it_was = self.facts.holds(&change.name, &held, &change.before);
            let consent = self.facts.is_opt_out(&change.name);
            let still_said = members(group)
                .filter(|id| *id != group.winner)
                .filter_map(|id| live.get(&id))
                .any(|lead| lead.flag(&change.name));
            (is_ours && !as_it_was && (!consent || still_said)).then(|| FieldChange {
                name: change.name.clone(),
                before: held,
                after: change.before.clone(),
                from: None,
            })
        });
        Some(changes.collect())
    }

    /// Whether a winner holds what was written to it, or what Marketo left of it.
    fn is_ours(&self, change: &FieldChange, held: &Value) -> bool {
        self.facts.holds(&change.name, held, &change.after)
            || self.facts.is_cut_from(&change.name, held, &change.after)
    }

    fn in_words(&self, group: &PlannedGroup, asked: &[FieldChange], now: &Lead) -> String {
        let others: Vec<String> = group
            .changes
            .iter()
            .filter(|change| {
                let held = now.value(&change.name).unwrap_or(&Value::Null);
                !self.facts.holds(&change.name, held, &change.before)
            })
            .map(|change| {
                let was_asked = asked.iter().any(|asked| asked.name == change.name);
                let held = now.value(&change.name).unwrap_or(&Value::Null);
                let is_ours = self.is_ours(change, held);
                match (was_asked, is_ours) {
                    (false, true) => {
                        format!("`{}` keeps the opt-out, which no other record says", change.name)
                    }
                    (false, false) => {
                        format!("`{}` was changed by somebody else meanwhile, and stays", change.name)
                    }
                    (true, _) => format!("`{}` could not be set back", change.name),
                }
            })
            .collect();
        if others.is_empty() {
            return "the record to keep has its former values".to_owned();
        }
        format!("the record to keep has its former values but for these: {}", others.join("; "))
    }
}
