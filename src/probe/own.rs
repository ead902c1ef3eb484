//! Leads that this program made itself, as a look has just shown them: the only ones that an order
//! to merge or to delete can name.
//!
//! Never: makes an order for a lead that is not in the ledger's journal of test people, whose
//! address is another one by now, or that is a record of the CRM by now.

use super::people::{Person, why_left};
use super::{Probe, ProbeClient, Step, Trouble};
use crate::lead::{Lead, LeadId};
use crate::ledger::{OpenPerson, ProbeMergeId};
use crate::marketo::{BATCH, DeleteOrder, MergeOrder, sealed};

/// Test people's leads, each looked at under its address.
#[derive(Debug)]
pub(super) struct Own {
    leads: Vec<LeadId>,
}

impl sealed::Sealed for Own {}
impl DeleteOrder for Own {
    fn leads(&self) -> &[LeadId] {
        &self.leads
    }
}

impl Own {
    /// Those of the leads that were read which are in the journal and have their address. No more
    /// than a call takes.
    pub(super) fn of(read: &[Lead], people: &[OpenPerson]) -> Self {
        let is_own = |lead: &&Lead| {
            let mut owners = people.iter().filter(|person| person.leads.contains(&lead.id));
            owners.any(|person| why_left(lead, &person.address).is_none())
        };
        Self { leads: read.iter().filter(is_own).map(|lead| lead.id).take(BATCH).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leads.is_empty()
    }

    /// The order to merge them into the first, once that is written down.
    fn merge(self, _on_disk: ProbeMergeId) -> OwnMerge {
        OwnMerge(self.leads)
    }
}

/// A merge of test people that is in the ledger: the winner, then the losers in order.
#[derive(Debug)]
pub(super) struct OwnMerge(Vec<LeadId>);

impl sealed::Sealed for OwnMerge {}
impl MergeOrder for OwnMerge {
    fn winner(&self) -> LeadId {
        // It is made of two leads or more.
        self.0.first().copied().unwrap_or_default()
    }

    fn losers(&self) -> &[LeadId] {
        self.0.get(1..).unwrap_or_default()
    }

    fn in_crm(&self) -> bool {
        false
    }
}

impl<M: ProbeClient> Probe<'_, M> {
    /// Looks at people again, and writes down that the others are about to be merged into the
    /// first.
    pub(super) async fn order_merge(
        &mut self,
        probe: crate::ledger::ProbeId,
        people: &[Person],
    ) -> Step<(ProbeMergeId, OwnMerge)> {
        let ids: Vec<LeadId> = people.iter().map(|person| person.lead).collect();
        let read = self.marketo.leads_by_id(&ids, &self.looked_at).await?;
        let journal = self.ledger.open_people()?;
        // In the order of the call, not of the answer.
        let in_order: Vec<Lead> =
            ids.iter().filter_map(|id| read.iter().find(|lead| lead.id == *id)).cloned().collect();
        let own = Own::of(&in_order, &journal);
        if own.leads != ids || ids.len() < 2 {
            return Err(Trouble::Here(
                "a look did not show every test person under its address, so that none was merged"
                    .to_owned(),
            ));
        }
        let losers = own.leads.get(1..).unwrap_or_default();
        let winner = own.leads.first().copied().unwrap_or_default();
        let merge = self.ledger.begin_probe_merge(probe, winner, losers, &self.at())?;
        Ok((merge, own.merge(merge)))
    }
}

#[cfg(test)]
mod tests {
    use super::Own;
    use crate::lead::Lead;
    use crate::ledger::Ledger;

    #[test]
    fn only_a_lead_of_the_journal_under_its_address_can_be_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(&folder.path().join("a.ledger.db"), "a").unwrap();
        let at = "2026-11-30T00:00:00Z";
        let probe = ledger.begin_probe(None, at).unwrap();
        let addresses = ["a@b.invalid".to_owned(), "c@b.invalid".to_owned()];
        let people = ledger.begin_people(probe, &addresses, at).unwrap();
        ledger.keep_probe_lead(people[0], 1, "answer", at).unwrap();
        ledger.keep_probe_lead(people[1], 2, "answer", at).unwrap();
        let people = ledger.open_people().unwrap();
        let lead = |id, email: &str| Lead::new(id).with("email", email);
        for (read, named) in [
            (lead(1, "a@b.invalid"), true),
            (lead(1, " A@B.invalid "), true),
            // Another person's address, another one's lead, and a stranger.
            (lead(1, "c@b.invalid"), false),
            (lead(1, "ada@example.com"), false),
            (lead(3, "a@b.invalid"), false),
            (Lead::new(1), false),
            // Deleting it in Marketo would leave the CRM's record.
            (lead(1, "a@b.invalid").with("sfdcLeadId", "00Q000000000001"), false),
        ] {
            let own = Own::of(std::slice::from_ref(&read), &people);
            assert_eq!(!own.is_empty(), named, "{read:?}");
        }
    }
}
