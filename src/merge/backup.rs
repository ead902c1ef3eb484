//! Whole leads go into the ledger before a merge takes them (law 3).

use std::collections::BTreeMap;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::memberships::Rows;
use super::work::Work;
use crate::dedupe::PlannedGroup;
use crate::lead::{Lead, LeadId};
use crate::ledger::{Backup, Role};

impl<M: MergeClient> Merge<'_, M> {
    /// Backs leads up again that changed since the last backup: a merge destroys what they are now.
    pub(super) fn back_up_changed(
        &mut self,
        work: &mut Work<'_>,
        live: &BTreeMap<LeadId, Lead>,
        plan: &str,
    ) -> Result<(), Error> {
        let changed = live.values().filter(|lead| work.live.get(&lead.id) != Some(*lead));
        let backups: Vec<Backup> =
            changed.map(|lead| backup(work.group, lead.clone(), &work.memberships)).collect();
        self.back_up(plan, &backups)
    }

    pub(super) fn back_up(&mut self, plan: &str, backups: &[Backup]) -> Result<(), Error> {
        if backups.is_empty() {
            return Ok(());
        }
        Ok(self.ledger.back_up(plan, backups, &self.at())?)
    }
}

/// A lead of a group, whole, for the ledger.
pub(super) fn backup(
    group: &PlannedGroup,
    lead: Lead,
    memberships: &BTreeMap<LeadId, (Rows, Rows)>,
) -> Backup {
    let (lists, programs) = memberships.get(&lead.id).cloned().unzip();
    let role = if lead.id == group.winner { Role::Winner } else { Role::Loser };
    Backup { key: group.key.as_str().to_owned(), role, lead, lists, programs }
}
