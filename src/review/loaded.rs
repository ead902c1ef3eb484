//! A plan as it is read from the ledger: its head, what it says of all its groups, and the list of
//! them.

use super::error::Error;
use super::index::Index;
use super::meanwhile;
use crate::dedupe::{PlanHeader, PlannedGroup};
use crate::lead::Lead;
use crate::ledger::{Ledger, PlanHead};
use crate::merge;
use crate::merge::kept_plan::{head_of, header_of, parsed};

/// A plan without what its groups are made of.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) head: PlanHead,
    pub(crate) header: PlanHeader,
    pub(super) index: Index,
    /// How many groups nobody can decide about.
    pub(super) blocked: u64,
}

/// What one group is made of.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) planned: PlannedGroup,
    pub(super) leads: Vec<Lead>,
}

impl Loaded {
    /// Reads the plan of this id or name.
    pub(crate) fn of(ledger: &Ledger, instance: &str, plan: &str) -> Result<Self, Error> {
        let head = head_of(ledger, plan, instance)?;
        let header = header_of(&head)?;
        let mut index = Index::default();
        ledger.each_group(head.number, |row| index.push(row))?;
        index.sort();
        let blocked = ledger.count_left(head.number)?;
        let mut loaded = Self { head, header, index, blocked };
        loaded.refresh(ledger)?;
        Ok(loaded)
    }

    /// Takes in what was decided since, by whomever.
    pub(crate) fn refresh(&mut self, ledger: &Ledger) -> Result<(), Error> {
        let rows = ledger.decisions_since(&self.head.plan, self.index.last())?;
        self.index.learn(rows).map_err(|error| self.damaged(&error.to_string()))
    }

    /// The digest with what is decided: what is shown, approved and carried out.
    pub(crate) fn digest(&self) -> String {
        self.index.digest(&self.head.digest)
    }

    /// Who decided after the plan had this digest, in words; none where it has it still.
    pub(super) fn decided_since(
        &self,
        ledger: &Ledger,
        digest: &str,
    ) -> Result<Option<String>, Error> {
        let digest = digest.trim();
        if digest.eq_ignore_ascii_case(&self.digest()) {
            return Ok(None);
        }
        let rows = ledger.decisions_since(&self.head.plan, 0)?;
        Ok(Some(meanwhile::in_words(meanwhile::since(&rows, &self.head.digest, digest))))
    }

    /// What the group at a place is made of.
    pub(super) fn kept(&self, ledger: &Ledger, place: usize) -> Result<Kept, Error> {
        let body = ledger
            .group_body(self.head.number, place as u64)?
            .ok_or_else(|| self.damaged("a group of it is missing"))?;
        Ok(Kept {
            planned: parsed(&self.head.plan, &body.body)?,
            leads: parsed(&self.head.plan, &body.leads)?,
        })
    }

    fn damaged(&self, what: &str) -> Error {
        let (id, what) = (self.head.plan.clone(), what.to_owned());
        Error::Plan(merge::Error::UnusablePlan { id, what })
    }
}
