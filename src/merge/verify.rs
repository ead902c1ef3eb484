//! The last look at a group before its merge leaves: it must be what the plan looked at (law 2),
//! and its winner must hold what was written to it (law 9). The ledger then has its leads as they
//! are (law 3).

use std::collections::BTreeMap;

use serde_json::Value;

use super::look::Look;
use super::report::{Difference, Outcome, Said};
use super::run::Run;
use super::work::Work;
use super::{Error, Merge, MergeClient};
use crate::dedupe::{PlannedGroup, rest_as_seen, still_as_seen};
use crate::lead::{Lead, LeadId};
use crate::ledger::{Backup, Role};

/// How often a value that was written is looked for: a read can lag behind a write.
const READS: u32 = 3;

/// Why a group is left alone.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) why: String,
    /// Values that Marketo answered to have taken and did not.
    pub(super) not_written: Vec<Difference>,
    /// What Marketo said, where it refused.
    pub(super) marketo: Option<Said>,
}

impl Verdict {
    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, why: why.into(), not_written: Vec::new(), marketo: None }
    }
}

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
        work.read_back = true;
        self.back_up_changed(work, &live, &run.confirmed.plan().id)?;
        work.live = live;
        work.verified = true;
        Ok(None)
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
        let as_before = run.written.as_before(leads, &self.facts);
        still_as_seen(work.group, &as_before, policy, &self.facts)
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

    /// Backs leads up again that changed since the last backup: a merge destroys what they are now.
    fn back_up_changed(
        &mut self,
        work: &mut Work<'_>,
        live: &BTreeMap<LeadId, Lead>,
        plan: &str,
    ) -> Result<(), Error> {
        let changed = live.values().filter(|lead| work.live.get(&lead.id) != Some(*lead));
        let backups: Vec<Backup> =
            changed.map(|lead| backup(work.group, lead.clone(), &work.memberships)).collect();
        if backups.is_empty() {
            return Ok(());
        }
        Ok(self.ledger.back_up(plan, &backups, &self.at())?)
    }
}

/// A lead of a group, whole, for the ledger.
pub(super) fn backup(
    group: &PlannedGroup,
    lead: Lead,
    memberships: &BTreeMap<LeadId, (super::memberships::Rows, super::memberships::Rows)>,
) -> Backup {
    let (lists, programs) = memberships.get(&lead.id).cloned().unzip();
    let role = if lead.id == group.winner { Role::Winner } else { Role::Loser };
    Backup { key: group.key.as_str().to_owned(), role, lead, lists, programs }
}

fn in_words(difference: &Difference) -> String {
    let Difference { lead, name, wanted, found } = difference;
    format!("`{name}` of lead {lead} should be {} and is {}", shown(wanted), shown(found))
}

/// A value in a reason: `(blank)` for none.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(blank)".to_owned(),
        Value::String(text) if text.trim().is_empty() => "(blank)".to_owned(),
        other => other.to_string(),
    }
}
