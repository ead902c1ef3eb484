//! The last look at a group before its merge leaves: it must be what the plan looked at (law 2),
//! and its winner must hold what was written to it (law 9). The ledger then has its leads as they
//! are (law 3).

use std::collections::BTreeMap;

use serde_json::Value;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::leads::end_of;
use super::look::Look;
use super::refusal;
use super::report::{Difference, Outcome, shown};
use super::run::Run;
use super::verdict::Verdict;
use super::work::Work;
use crate::dedupe::{rest_as_seen, still_as_seen};
use crate::lead::{Lead, LeadId};

/// How often a value that was written is looked for: a read can lag behind a write.
const READS: u32 = 3;

/// What the winner of a group holds in place of what was written to it.
enum ReadBack {
    AsWritten,
    Not(Vec<Difference>),
}

impl<M: MergeClient> Merge<'_, M> {
    /// Verifies a group for its next call by a look. Gives why it is left alone, where it is; a
    /// group that is neither verified nor left alone is looked at again.
    pub(super) async fn verify<'p>(
        &mut self,
        work: &mut Work<'p>,
        look: &Look,
        run: &Run<'p, '_>,
    ) -> Result<Option<Verdict>, Error> {
        let ids: Vec<LeadId> = work.leads_left().collect();
        let mut live: BTreeMap<LeadId, Lead> =
            ids.iter().filter_map(|id| Some((*id, look.leads.get(id)?.clone()))).collect();
        let missing: Vec<LeadId> =
            ids.iter().filter(|id| !live.contains_key(id)).copied().collect();
        if !missing.is_empty() {
            // A read can be incomplete; absence is believed when it is seen twice.
            let Some(again) = self.read_unless_stopped(&missing).await? else { return Ok(None) };
            live.extend(again.leads);
        }
        if let ReadBack::Not(differences) = self.read_back(work, &live)
            && !work.has_merged()
            && missing.iter().all(|id| live.contains_key(id))
        {
            return self.not_written(work, differences);
        }
        if work.digest.is_empty()
            && let Some(verdict) = self.first_look(work, &live, run)?
        {
            return Ok(Some(verdict));
        }
        if let Err(why) = self.is_as_planned(work, &live, run) {
            return Ok(Some(Verdict::skipped(why)));
        }
        self.holds.keys.learn(live.values());
        if !self.holds.covers(live.values()) {
            // Somebody may have written to a lead by a value that was not known before this look.
            work.too_old += 1;
            return Ok(None);
        }
        work.read_back = true;
        self.back_up_changed(work, &live, &run.confirmed.plan().id)?;
        work.live = live;
        work.verified = true;
        Ok(None)
    }

    /// What the first look at a group says of it beyond its plan: it is merged already, or Marketo
    /// has refused its merge as it is. A lead that lives is not merged, whatever the ledger has.
    pub(super) fn first_look<'p>(
        &self,
        work: &mut Work<'p>,
        live: &BTreeMap<LeadId, Lead>,
        run: &Run<'p, '_>,
    ) -> Result<Option<Verdict>, Error> {
        let group = work.group;
        if live.contains_key(&group.winner) && group.losers.iter().all(|id| !live.contains_key(id))
        {
            let into = self.ledger.merged_into()?;
            if group.losers.iter().all(|id| end_of(*id, &into) == Some(group.winner)) {
                return Ok(Some(Verdict::merged_earlier()));
            }
        }
        let leads: Vec<Lead> = live.values().cloned().collect();
        let as_planned = run.written.as_planned(group, leads, &self.facts);
        work.digest = refusal::digest(group, &as_planned, &self.facts);
        let known = run.refused.get(group.key.as_str()).filter(|known| known.digest == work.digest);
        Ok(known.map(|known| Verdict::skipped(refusal::passed_over(known))))
    }

    pub(super) fn is_as_planned(
        &self,
        work: &Work<'_>,
        live: &BTreeMap<LeadId, Lead>,
        run: &Run<'_, '_>,
    ) -> Result<(), String> {
        let policy = &run.confirmed.plan().policy;
        let leads: Vec<Lead> = live.values().cloned().collect();
        if work.has_merged() {
            let losers: Vec<LeadId> = work.losers_left().collect();
            return rest_as_seen(work.group, &losers, &leads, policy, &self.facts);
        }
        let as_planned = run.written.as_planned(work.group, leads, &self.facts);
        still_as_seen(work.group, &as_planned, policy, &self.facts)
    }

    fn read_back(&self, work: &Work<'_>, live: &BTreeMap<LeadId, Lead>) -> ReadBack {
        let Some(winner) = live.get(&work.group.winner).filter(|_| work.written) else {
            return ReadBack::AsWritten;
        };
        let differences: Vec<Difference> = work
            .group
            .changes
            .iter()
            .filter_map(|change| {
                let found = winner.value(&change.name).unwrap_or(&Value::Null);
                (!self.facts.arrived(&change.name, found, &change.after)).then(|| Difference {
                    lead: winner.id,
                    name: change.name.clone(),
                    wanted: change.after.clone(),
                    found: found.clone(),
                })
            })
            .collect();
        if differences.is_empty() { ReadBack::AsWritten } else { ReadBack::Not(differences) }
    }

    /// A value that was written is not there. It is looked for again where a read may lag; where it
    /// was there before, somebody has changed it since.
    fn not_written(
        &mut self,
        work: &mut Work<'_>,
        differences: Vec<Difference>,
    ) -> Result<Option<Verdict>, Error> {
        work.not_there += 1;
        if !work.read_back && work.not_there < READS {
            return Ok(None);
        }
        let before = |name: &str| {
            let change = work.group.changes.iter().find(|change| change.name == name);
            change.map_or(Value::Null, |change| change.before.clone())
        };
        for difference in &differences {
            let kept_its_value = !difference.found.is_null()
                && self.facts.holds(&difference.name, &difference.found, &before(&difference.name));
            if !work.read_back && kept_its_value {
                self.ledger.remember_not_taken(&difference.name, difference.lead, &self.at())?;
                self.facts.not_taken.insert(difference.name.clone());
            }
        }
        let words: Vec<String> = differences.iter().map(in_words).collect();
        let why = if work.read_back {
            format!(
                "somebody changed the record to keep after this program wrote to it: {}",
                words.join("; ")
            )
        } else {
            format!(
                "not_written: Marketo answered that it updated the record to keep, and reading it back shows otherwise: {}. Updates of the field may be blocked, or a campaign or formula writes it; nothing was merged",
                words.join("; ")
            )
        };
        Ok(Some(Verdict {
            outcome: Outcome::Skipped,
            why,
            not_written: differences,
            marketo: None,
        }))
    }
}

fn in_words(difference: &Difference) -> String {
    let Difference { lead, name, wanted, found } = difference;
    format!("`{name}` of lead {lead} should be {} and is {}", shown(wanted), shown(found))
}
