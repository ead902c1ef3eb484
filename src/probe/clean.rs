//! Removes test people: of this run, and of runs that were cut short.
//!
//! A person is gone when two looks have found no lead with its address, the second of them when no
//! call can be running any more that could make one, and whoever was made is shown. Never: deletes
//! a lead whose address is another one by now, or that is a record of the CRM by now, where it
//! would stay; it is named, for somebody to look at.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::own::Own;
use super::people::{LAG, has_address, why_left};
use super::{Left, Probe, ProbeClient, Step, Trouble};
use crate::lead::{Lead, LeadId};
use crate::ledger::OpenPerson;
use crate::marketo::{
    self, BATCH, DeleteOrder as _, MERGE_LIMIT, Outcome, STATUS_LIMIT, SYNC_LIMIT, until_over,
};

/// So many deletions of what is still there, and then somebody must look.
const ROUNDS: usize = 8;

impl<M: ProbeClient> Probe<'_, M> {
    /// Removes what earlier runs left behind. Their calls left before this run opened the ledger;
    /// how long before, nobody can say.
    pub(super) async fn clean_earlier(&mut self) -> Step<()> {
        let people = self.ledger.open_people()?;
        let merges = self.ledger.open_probe_merges()?;
        if people.is_empty() && merges.is_empty() {
            return Ok(());
        }
        let limit = if merges.is_empty() { SYNC_LIMIT } else { MERGE_LIMIT.max(SYNC_LIMIT) };
        self.over_at = self.over_at.max(self.opened_at + until_over(limit, self.settings.clock));
        if !merges.is_empty() {
            // A merge that may be running keeps its people until it must be over.
            self.wait_until(self.over_at).await?;
        }
        for merge in merges {
            let how = "an earlier run was cut short; its people are removed";
            self.ledger.end_probe_merge(merge, how, None, &self.at())?;
        }
        let removed = self.report.removed;
        self.clean().await?;
        self.report.cleaned = people.len().saturating_sub(self.report.open);
        self.report.removed = removed;
        Ok(())
    }

    /// Removes every person that may still be there.
    pub(super) async fn clean(&mut self) -> Step<()> {
        let done = self.clean_all().await;
        self.report.open = self.ledger.open_people()?.len();
        done
    }

    async fn clean_all(&mut self) -> Step<()> {
        let mut empty_looks = 0;
        let mut deletions = 0;
        loop {
            let people = self.ledger.open_people()?;
            if people.is_empty() {
                return Ok(());
            }
            let looked_at = Instant::now();
            let there = self.who_is_there(&people).await?;
            // With what was found just now.
            let people = self.ledger.open_people()?;
            self.tell_left(&there, &people);
            let own = Own::of(&there, &people);
            if own.is_empty() {
                empty_looks += 1;
                if empty_looks >= 2 && looked_at >= self.over_at {
                    return self.all_gone(&people, &there);
                }
                // A call that may still make one is waited for, with its margin.
                let next = looked_at + self.settings.clock.wall(LAG);
                let next = if empty_looks >= 2 { next.max(self.over_at) } else { next };
                tokio::time::sleep_until(next).await;
                continue;
            }
            empty_looks = 0;
            if deletions == ROUNDS {
                let what = format!(
                    "{} of the test people are still there after {ROUNDS} deletions",
                    own.leads().len()
                );
                return Err(Trouble::Here(what));
            }
            deletions += 1;
            self.delete(&own).await?;
        }
    }

    async fn delete(&mut self, own: &Own) -> Step<()> {
        match self.marketo.delete_leads(own).await {
            Ok(results) => {
                self.report.removed += results.iter().filter(|result| result.set).count();
                Ok(())
            }
            Err(error) if error.outcome() == Outcome::Unclear => {
                // Nothing is sent again before it must be over.
                let in_flight = self.in_doubt(&error, STATUS_LIMIT);
                tokio::time::sleep_until(in_flight.over_at()).await;
                Ok(())
            }
            Err(error) if error.stops_the_run() => Err(Trouble::Everywhere(error.into())),
            // The next round looks first.
            Err(marketo::Error::Unavailable { .. } | marketo::Error::Refused { .. }) => {
                self.settings.clock.sleep(LAG).await;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The leads that have one of the addresses, or once had; a lead that is found by its address
    /// alone is written down.
    async fn who_is_there(&mut self, people: &[OpenPerson]) -> Step<Vec<Lead>> {
        let mut there: Vec<Lead> = Vec::new();
        let addresses: Vec<String> = people.iter().map(|person| person.address.clone()).collect();
        for addresses in addresses.chunks(BATCH) {
            there.extend(self.with_addresses(addresses).await?);
        }
        for lead in &there {
            let owner = people.iter().find(|person| has_address(lead, &person.address));
            if let Some(person) = owner.filter(|person| !person.leads.contains(&lead.id)) {
                self.ledger.keep_probe_lead(person.id, lead.id, "a look", &self.at())?;
            }
        }
        let found: BTreeSet<LeadId> = there.iter().map(|lead| lead.id).collect();
        let known: Vec<LeadId> = people.iter().flat_map(|person| &person.leads).copied().collect();
        let known: Vec<LeadId> = known.into_iter().filter(|id| !found.contains(id)).collect();
        for ids in known.chunks(BATCH) {
            there.extend(self.marketo.leads_by_id(ids, &self.looked_at).await?);
        }
        Ok(there)
    }

    /// Names leads that are not deleted.
    fn tell_left(&mut self, there: &[Lead], people: &[OpenPerson]) {
        for person in people {
            for lead in there.iter().filter(|lead| person.leads.contains(&lead.id)) {
                let Some(since) = why_left(lead, &person.address) else { continue };
                if self.report.left.iter().any(|left| left.lead == lead.id) {
                    continue;
                }
                let why = format!(
                    "this program made it, and {since} since; it was not touched. Look at it in \
                     Marketo, and delete it there if it is of no use (its address was {})",
                    person.address
                );
                let address = person.address.clone();
                self.report.left.push(Left { lead: lead.id, address, why });
            }
        }
    }

    /// Nobody of them can be there or come any more.
    fn all_gone(&mut self, people: &[OpenPerson], there: &[Lead]) -> Step<()> {
        for person in people {
            let mut how = "no lead has its address";
            for lead in &person.leads {
                if there.iter().any(|found| found.id == *lead) {
                    how = "a lead of it is another one's by now, and was left alone";
                } else {
                    self.ledger.keep_probe_gone(person.id, *lead, "a look", &self.at())?;
                }
            }
            self.ledger.end_person(person.id, how, &self.at())?;
        }
        Ok(())
    }
}
