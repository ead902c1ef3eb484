//! Which leads were lost, and what the ledger kept of them.

use serde_json::{Map, Value};

use crate::dedupe::FieldChange;
use crate::lead::{Lead, LeadId};
use crate::ledger::{Backup, Ledger, MergedLead, RestoredLead, RunId};
use crate::merge::error::Error;
use crate::merge::planned::planned_groups;

/// Which lost leads are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All that a run merged away.
    Run(RunId),
    /// Those of the groups in which a lead had this address.
    Email(String),
    /// This one.
    Lead(LeadId),
}

/// A lead that was lost in a merge of this program, with the backups of its group.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The merge.
    pub merged: MergedLead,
    /// The lead as it was; none where its values were erased.
    pub backup: Option<Backup>,
    /// The lead before anything was written for the merge: an unsubscription that was written to
    /// the lead that took it spread to this one as well.
    pub(super) at_first: Option<Lead>,
    /// The lead that took it, before anything was written to it.
    pub(super) winner: Option<Backup>,
    /// The other leads that went into the same lead and are still lost.
    pub(super) others: Vec<Backup>,
    /// What was written to the winner for the merge.
    pub(super) changes: Vec<FieldChange>,
    /// The lead that lives in the place of the one that took it.
    pub(super) survivor: LeadId,
    /// What an earlier restore came to.
    pub(super) earlier: Option<RestoredLead>,
}

pub(super) type Rows = Vec<Map<String, Value>>;

impl Loss {
    pub(super) fn lead(&self) -> Option<&Lead> {
        self.backup.as_ref().map(|backup| &backup.lead)
    }
}

/// The lost leads that are asked for, in the order in which they were merged.
pub fn losses(ledger: &Ledger, which: &Which) -> Result<Vec<Loss>, Error> {
    let all = ledger.merged_leads()?;
    let restored = ledger.restored_leads()?;
    let keys: Vec<String> = match which {
        Which::Email(email) => {
            let is_it = |held: &str| held.trim().eq_ignore_ascii_case(email.trim());
            ledger.merges_of_email(is_it)?.into_iter().map(|merge| merge.key).collect()
        }
        Which::Run(_) | Which::Lead(_) => Vec::new(),
    };
    let is_asked = |merged: &&MergedLead| match which {
        Which::Run(run) => merged.run == Some(*run),
        Which::Email(_) => keys.contains(&merged.key),
        Which::Lead(lead) => merged.loser == *lead,
    };
    let asked: Vec<&MergedLead> = all.iter().filter(is_asked).collect();
    let together = |other: &MergedLead| {
        asked.iter().any(|one| one.call == other.call && one.loser == other.loser)
    };
    let is_back = |other: &MergedLead| {
        restored.iter().any(|one| one.lost == other.loser && one.call == other.call)
    };
    asked
        .iter()
        .map(|merged| {
            let others = all.iter().filter(|other| {
                other.winner == merged.winner
                    && other.plan == merged.plan
                    && other.loser != merged.loser
                    && !together(other)
                    && !is_back(other)
            });
            let mut kept = Vec::new();
            for other in others {
                kept.extend(ledger.backups_under(other.loser, &other.plan)?.pop());
            }
            let mut of_lost = ledger.backups_under(merged.loser, &merged.plan)?;
            Ok(Loss {
                at_first: of_lost.first().map(|backup| backup.lead.clone()),
                backup: of_lost.pop(),
                // The first one: a later one may hold what was written for the merge.
                winner: ledger.backups_under(merged.winner, &merged.plan)?.into_iter().next(),
                others: kept,
                changes: changes(ledger, merged)?,
                survivor: survivor(&all, merged.winner),
                earlier: restored
                    .iter()
                    .find(|one| one.lost == merged.loser && one.call == merged.call)
                    .copied(),
                merged: (*merged).clone(),
            })
        })
        .collect()
}

/// What the plan wrote to the winner; nothing where the plan cannot be read any more.
fn changes(ledger: &Ledger, merged: &MergedLead) -> Result<Vec<FieldChange>, Error> {
    let groups = planned_groups(ledger, &merged.plan, &[merged.winner])?;
    let of_key = groups.into_iter().find(|group| group.key.as_str() == merged.key);
    Ok(of_key.map(|group| group.changes).unwrap_or_default())
}

fn survivor(all: &[MergedLead], from: LeadId) -> LeadId {
    let mut at = from;
    // An id that came back could make a circle; no chain is longer than the merges.
    for _ in all {
        let Some(next) = all.iter().rev().find(|merged| merged.loser == at) else { break };
        at = next.winner;
    }
    at
}
