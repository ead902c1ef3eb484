//! The consent to a plan, as a value.
//!
//! For: a merge order can come only from a plan that somebody confirmed, and only together with the
//! ledger's proof that its intent and its backups are on disk. Never: I/O.

use crate::dedupe::Plan;
use crate::lead::LeadId;
use crate::ledger::Started;
use crate::marketo::{MERGE_LOSERS, MergeOrder, sealed};

/// A plan that somebody looked at and agreed to. It uses the plan up.
#[derive(Debug)]
pub struct Confirmed {
    plan: Plan,
    /// The digest of the plan with all that is decided, where it was asked for.
    digest: Option<String>,
}

impl Confirmed {
    /// To be called where a person, or a script in a person's name, said yes, and nowhere else.
    pub fn new(plan: Plan) -> Self {
        Self { plan, digest: None }
    }

    /// The same, with the digest under which it was agreed to: it is kept with the run.
    #[must_use]
    pub fn under(self, digest: Option<String>) -> Self {
        Self { digest, ..self }
    }

    /// What was agreed to.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The digest under which it was agreed to.
    pub(super) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The merge calls of the group with this winner, in order: as many losers a call as Marketo
    /// takes, one where the CRM merges too. None for a group that was not agreed to.
    pub(super) fn steps(&self, winner: LeadId) -> Vec<Step<'_>> {
        let Some(group) = self.plan.groups.iter().find(|group| group.winner == winner) else {
            return Vec::new();
        };
        let size = if group.in_crm || group.one_per_call { 1 } else { MERGE_LOSERS };
        let step = |losers| Step { winner, losers, in_crm: group.in_crm };
        group.losers.chunks(size).map(step).collect()
    }
}

/// One merge call of a confirmed plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    winner: LeadId,
    losers: &'a [LeadId],
    in_crm: bool,
}

impl<'a> Step<'a> {
    pub(super) fn losers(self) -> &'a [LeadId] {
        self.losers
    }

    /// The order to send. Taking the ledger's proof is what makes it impossible to send before
    /// writing it down.
    pub(super) fn order(self, _on_disk: &Started) -> Order<'a> {
        Order(self)
    }
}

/// A merge whose intent is on disk.
#[derive(Debug)]
pub(super) struct Order<'a>(Step<'a>);

impl sealed::Sealed for Order<'_> {}

impl MergeOrder for Order<'_> {
    fn winner(&self) -> LeadId {
        self.0.winner
    }

    fn losers(&self) -> &[LeadId] {
        self.0.losers
    }

    fn in_crm(&self) -> bool {
        self.0.in_crm
    }
}
