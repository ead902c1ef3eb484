//! Gives a winner its former values back whose merge was not made: a group that is left alone is as it
//! was (law 2).
//!
//! What cannot be set back, or was never seen as it was written, stays open in the ledger with its value
//! before; it is there before the values are written back, so that a kill cannot make it silent.
//! Never: takes back what somebody else wrote since, or an opt-out that no other lead of the group says
//! any more (law 5).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fresh::Fresh;
use super::report::Difference;
use super::take_in::members;
use super::verify::shown;
use super::write::Record;
use super::{Error, Merge, MergeClient};
use crate::dedupe::{FieldChange, Plan, PlannedGroup};
use crate::lead::{Lead, LeadId};
use crate::ledger::{Finding, FindingKind, Purpose};
use crate::marketo::UntilStopped;

/// How often it is tried where the look becomes too old before the write can leave.
const TRIES: usize = 10;

/// What became of a winner.
#[derive(Debug)]
pub(super) struct GivenBack {
    /// In words.
    pub(super) words: String,
    /// The fields that do not hold what they held before the run, by its doing or by what it set off.
    pub(super) left: Vec<Difference>,
}

/// What a field of a winner holds that was written to for a merge which was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// What it held before.
    AsBefore,
    /// What was written, or what Marketo left of that.
    Ours,
    /// An opt-out that was written, and that no other lead says any more: it stays.
    OptOut,
    /// Something else, where a look has shown the written value: somebody changed it since.
    Theirs,
    /// Something else, and no look has shown the written value: the instance made it of the write, or somebody typed it.
    Unexplained,
}

impl<M: MergeClient> Merge<'_, M> {
    /// Gives winners their former values back. Tells of each what became of it.
    pub(super) async fn give_back(
        &mut self,
        plan: &str,
        groups: &[&PlannedGroup],
    ) -> Result<BTreeMap<LeadId, GivenBack>, Error> {
        let groups: Vec<&PlannedGroup> =
            groups.iter().filter(|group| !group.changes.is_empty()).copied().collect();
        let ids: Vec<LeadId> = groups.iter().flat_map(|group| members(group)).collect();
        let mut told = BTreeMap::new();
        if ids.is_empty() {
            return Ok(told);
        }
        for attempt in 0..TRIES {
            let Some(look) = self.look(&ids).await? else { return Ok(told) };
            if attempt == 0 {
                let all = groups.iter().map(|group| Ok((*group, self.wrong(group, &look.leads)?)));
                let all = all.collect::<Result<Vec<_>, Error>>()?;
                self.keep_open(plan, &all)?;
            }
            let mut records = Vec::new();
            for group in &groups {
                let changes = self.to_give_back(group, &look.leads)?;
                if !changes.is_empty() {
                    records.push(Record { lead: group.winner, changes });
                }
            }
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
        let mut all = Vec::new();
        for group in groups {
            let left = self.wrong(group, &look.leads)?;
            let words = match look.leads.get(&group.winner) {
                None => {
                    "the record to keep is gone, and could not be given its former values back".to_owned()
                }
                Some(_) => self.in_words(group, &look.leads)?,
            };
            all.push((group, left.clone()));
            told.insert(group.winner, GivenBack { words, left });
        }
        self.close_what_is_set_back(plan, &all, &look.leads)?;
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

    /// What a changed field of the winner holds now.
    fn held(
        &self,
        group: &PlannedGroup,
        change: &FieldChange,
        live: &BTreeMap<LeadId, Lead>,
    ) -> Result<Held, Error> {
        let Some(winner) = live.get(&group.winner) else { return Ok(Held::AsBefore) };
        let held = winner.value(&change.name).unwrap_or(&Value::Null);
        if self.facts.holds(&change.name, held, &change.before) {
            return Ok(Held::AsBefore);
        }
        let is_written = |held: &Value| self.facts.holds(&change.name, held, &change.after);
        if is_written(held) || self.facts.is_cut_from(&change.name, held, &change.after) {
            let others = group.losers.iter().filter_map(|id| live.get(id));
            let still_said = others.into_iter().any(|lead| lead.flag(&change.name));
            let stays = self.facts.is_opt_out(&change.name) && !still_said;
            return Ok(if stays { Held::OptOut } else { Held::Ours });
        }
        // A winner that was seen with the written value was backed up so before its merge was to leave.
        let last = self.ledger.backups_of(group.winner)?.pop();
        let was_seen = last.is_some_and(|backup| backup.lead.value(&change.name).is_some_and(is_written));
        Ok(if was_seen { Held::Theirs } else { Held::Unexplained })
    }

    /// What is to be written so that the winner is as it was.
    fn to_give_back(
        &self,
        group: &PlannedGroup,
        live: &BTreeMap<LeadId, Lead>,
    ) -> Result<Vec<FieldChange>, Error> {
        let mut changes = Vec::new();
        for change in &group.changes {
            if self.held(group, change, live)? == Held::Ours {
                let held = live.get(&group.winner).and_then(|winner| winner.value(&change.name));
                changes.push(FieldChange {
                    name: change.name.clone(),
                    before: held.cloned().unwrap_or(Value::Null),
                    after: change.before.clone(),
                    from: None,
                });
            }
        }
        Ok(changes)
    }

    /// The fields that do not hold what they held before, by this program's doing or by what it set off.
    fn wrong(&self, group: &PlannedGroup, live: &BTreeMap<LeadId, Lead>) -> Result<Vec<Difference>, Error> {
        let mut wrong = Vec::new();
        for change in &group.changes {
            if matches!(self.held(group, change, live)?, Held::Ours | Held::Unexplained) {
                let held = live.get(&group.winner).and_then(|winner| winner.value(&change.name));
                wrong.push(Difference {
                    lead: group.winner,
                    name: change.name.clone(),
                    wanted: change.before.clone(),
                    found: held.cloned().unwrap_or(Value::Null),
                });
            }
        }
        Ok(wrong)
    }

    fn keep_open(&mut self, plan: &str, all: &[(&PlannedGroup, Vec<Difference>)]) -> Result<(), Error> {
        let finding = |group: &PlannedGroup, difference: &Difference| Finding {
            key: group.key.as_str().to_owned(),
            lead: difference.lead,
            field: difference.name.clone(),
            // Also of an opt-out: one too many keeps nobody's mail coming.
            kind: FindingKind::Value,
            wanted: difference.wanted.clone(),
            found: difference.found.clone(),
        };
        let findings: Vec<Finding> =
            all.iter().flat_map(|(group, wrong)| wrong.iter().map(|one| finding(group, one))).collect();
        if findings.is_empty() {
            Ok(())
        } else {
            Ok(self.ledger.open_findings_with(plan, &findings, &self.at())?)
        }
    }

    /// Closes the findings of fields that hold what they held before, and keeps the others as they are found now.
    fn close_what_is_set_back(
        &mut self,
        plan: &str,
        all: &[(&PlannedGroup, Vec<Difference>)],
        live: &BTreeMap<LeadId, Lead>,
    ) -> Result<(), Error> {
        let open = self.ledger.open_findings()?;
        for (id, of_plan, finding) in open {
            let group = all.iter().find(|(group, _)| group.winner == finding.lead);
            let (Some((_, left)), true) = (group, of_plan == plan) else { continue };
            let Some(winner) = live.get(&finding.lead) else { continue };
            let held = winner.value(&finding.field).unwrap_or(&Value::Null);
            let still = left.iter().any(|one| one.name == finding.field);
            if self.facts.holds(&finding.field, held, &finding.wanted) {
                self.ledger.close_finding(id, "a look showed the former value", &self.at())?;
            } else if still && *held != finding.found {
                self.ledger.close_finding(id, "it holds something else by now", &self.at())?;
            }
        }
        self.keep_open(plan, all)
    }

    fn in_words(&self, group: &PlannedGroup, live: &BTreeMap<LeadId, Lead>) -> Result<String, Error> {
        let mut others = Vec::new();
        for change in &group.changes {
            let name = &change.name;
            let held = live.get(&group.winner).and_then(|winner| winner.value(name)).unwrap_or(&Value::Null);
            let (before, held_now) = (shown(&change.before), shown(held));
            match self.held(group, change, live)? {
                Held::AsBefore => {}
                Held::OptOut => others.push(format!("`{name}` keeps the opt-out, which no other record says")),
                Held::Theirs => {
                    others.push(format!("`{name}` was changed by somebody else meanwhile, and stays {held_now}"));
                }
                Held::Ours => others.push(format!(
                    "`{name}` was {before}, is {held_now}, and could not be set back: set it in Marketo"
                )),
                Held::Unexplained => others.push(format!(
                    "`{name}` was {before} before this run wrote to it, and is {held_now}, which this run did not write: a campaign or a person did; set it in Marketo"
                )),
            }
        }
        if others.is_empty() {
            return Ok("the record to keep has its former values".to_owned());
        }
        Ok(format!("the record to keep has its former values but for these: {}", others.join("; ")))
    }
}
