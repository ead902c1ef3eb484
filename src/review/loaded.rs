//! A plan as it is read from the ledger: its head, what it says of all its groups, and the list of
//! them.
//!
//! What a group is made of is read when it is asked for ([`Loaded::kept`]) or its turn comes
//! ([`Loaded::each`]). Never: holds more than one of them.

use std::cell::OnceCell;
use std::ops::ControlFlow;

use super::error::Error;
use super::index::Index;
use super::meanwhile;
use crate::dedupe::{Decisions, PlanHeader, PlannedGroup};
use crate::lead::Lead;
use crate::ledger::{GroupBody, Ledger, PlanHead};
use crate::merge;
use crate::merge::kept_plan::{head_of, header_of, parsed};

const MISSING: &str = "a group of it is missing";

/// A plan without what its groups are made of.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) head: PlanHead,
    pub(crate) header: PlanHeader,
    pub(super) index: Index,
    /// How many groups nobody can decide about.
    pub(super) blocked: u64,
    /// The digest as things stand, once it was asked for.
    digest: OnceCell<String>,
}

/// What one group is made of.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) planned: PlannedGroup,
    pub(super) leads: Vec<Lead>,
}

/// What one group is made of, not looked into yet, and what is decided about it.
#[derive(Debug, PartialEq)]
pub(super) struct MadeOf {
    body: GroupBody,
    pub(super) decisions: Decisions,
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
        let mut loaded = Self { head, header, index, blocked, digest: OnceCell::new() };
        loaded.refresh(ledger)?;
        Ok(loaded)
    }

    /// Takes in what was decided since, by whomever.
    pub(crate) fn refresh(&mut self, ledger: &Ledger) -> Result<(), Error> {
        let rows = ledger.decisions_since(&self.head.plan, self.index.last())?;
        if !rows.is_empty() {
            self.digest = OnceCell::new();
        }
        self.index.learn(rows).map_err(|error| self.damaged(&error.to_string()))?;
        Ok(self.index.carried.refresh(ledger, &self.head.plan)?)
    }

    /// The digest with what is decided: what is shown, approved and carried out.
    pub(crate) fn digest(&self) -> String {
        self.digest.get_or_init(|| self.index.digest(&self.head.digest)).clone()
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
        let body = self.body(ledger, place)?;
        self.parsed(&body.body, &body.leads)
    }

    /// The same, not looked into yet, with what is decided.
    pub(super) fn made_of(&self, ledger: &Ledger, place: usize) -> Result<MadeOf, Error> {
        let made = self.index.key(place).and_then(|key| self.index.made(key));
        let decisions = made.map(|made| made.decisions.clone()).unwrap_or_default();
        Ok(MadeOf { body: self.body(ledger, place)?, decisions })
    }

    /// Looks into it.
    pub(super) fn look_into(&self, made_of: &MadeOf) -> Result<Kept, Error> {
        self.parsed(&made_of.body.body, &made_of.body.leads)
    }

    fn body(&self, ledger: &Ledger, place: usize) -> Result<GroupBody, Error> {
        let body = ledger.group_body(self.head.number, place as u64)?;
        body.ok_or_else(|| self.damaged(MISSING))
    }

    /// Hands every group over, in order, each before the next is read, until the closure says to
    /// stop. A group that is missing is an error.
    pub(super) fn each<E: From<Error>>(
        &self,
        ledger: &Ledger,
        mut each: impl FnMut(usize, Kept) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let (mut ended, mut next) = (Ok(ControlFlow::Continue(())), 0);
        let read = ledger.each_body(self.head.number, 0, |place, body, leads| {
            let here = next;
            next += 1;
            ended = if place == here as u64 {
                self.parsed(body, leads).map_err(E::from).and_then(|kept| each(here, kept))
            } else {
                Err(self.damaged(MISSING).into())
            };
            if matches!(ended, Ok(ControlFlow::Continue(()))) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        read.map_err(Error::from)?;
        if ended?.is_continue() && next != self.index.len() {
            return Err(self.damaged(MISSING).into());
        }
        Ok(())
    }

    fn parsed(&self, body: &str, leads: &str) -> Result<Kept, Error> {
        let plan = &self.head.plan;
        Ok(Kept { planned: parsed(plan, body)?, leads: parsed(plan, leads)? })
    }

    fn damaged(&self, what: &str) -> Error {
        let (id, what) = (self.head.plan.clone(), what.to_owned());
        Error::Plan(merge::Error::UnusablePlan { id, what })
    }
}
