//! What of a ledger is still needed, and may therefore not be erased yet.
//!
//! For: a lost call, a restore under way and a finding need what was there before; so do values and
//! rows that were put on a winner whose merge was not made. Never: refuses for good: each reason
//! names the command after which it is gone.

use std::collections::BTreeSet;

use super::Group;
use crate::lead::LeadId;
use crate::ledger::rows::LinkedRow;
use crate::ledger::{Error, Ledger};

impl Ledger {
    pub(super) fn refuse_open(
        &self,
        keys: &BTreeSet<String>,
        leads: &BTreeSet<LeadId>,
    ) -> Result<(), Error> {
        for call in self.open_calls()? {
            let of_it = call.what.leads.iter().any(|lead| leads.contains(&lead.id));
            if keys.contains(&call.what.key) || of_it {
                return Err(still(
                    "a call to Marketo of which it is not known what came of it; run `mkto-audit merge --confirm` first, which looks",
                ));
            }
        }
        if self.open_makings()?.iter().any(|open| leads.contains(&open.what.lost)) {
            return Err(still(
                "a record that is being restored; run the same `mkto-audit restore` again first",
            ));
        }
        if self.open_findings()?.iter().any(|(_, _, finding)| keys.contains(&finding.key)) {
            return Err(still("a finding; put it right or acknowledge it first"));
        }
        Ok(())
    }

    /// Values that a winner got for a merge which was not made are given back by the plan's group
    /// alone. Where losers are gone already they are the survivor's for good.
    pub(super) fn refuse_to_give_back(
        &self,
        groups: &[Group],
        leads: &BTreeSet<LeadId>,
    ) -> Result<(), Error> {
        for unfinished in self.unfinished_writes()?.iter().filter(|write| write.gone.is_empty()) {
            let (plan, winner) = (&unfinished.plan, unfinished.winner);
            if groups.iter().any(|group| group.plan == *plan && group.leads.contains(&winner)) {
                return Err(still(&format!(
                    "lead {winner}, which got values for a merge that was not made; run `mkto-audit merge --confirm` first, which gives back what was there"
                )));
            }
        }
        let of_groups = groups.iter().flat_map(|group| &group.leads);
        let leads: BTreeSet<LeadId> = leads.iter().chain(of_groups).copied().collect();
        let is_of_them = |row: &LinkedRow| {
            [row.winner, row.was, row.becomes].iter().any(|lead| leads.contains(lead))
        };
        let mut rows: Vec<LinkedRow> =
            self.unsettled_rows(None)?.into_iter().map(|moved| moved.row).collect();
        for call in self.open_calls()? {
            rows.extend(self.rows_of(call.id)?.into_iter().flat_map(|call| call.rows));
        }
        match rows.iter().find(|row| is_of_them(row)) {
            Some(row) => Err(still(&format!(
                "a custom object row of lead {}, of which it is not known where it ends up; run `mkto-audit merge --confirm` first, which looks",
                row.was
            ))),
            None => Ok(()),
        }
    }
}

pub(super) fn still(what: &str) -> Error {
    Error::StillOpen { what: what.to_owned() }
}
