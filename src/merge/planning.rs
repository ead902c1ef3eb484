//! What is to be planned, and what came of it.

use chrono::{DateTime, Utc};

use crate::dedupe::{Key, Known, LeftOut, PlannedGroup, Policy, Risk};
use crate::lead::LeadId;

/// A group as the cache knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What its leads have in common.
    pub key: Key,
    /// The leads.
    pub leads: Vec<LeadId>,
    /// What else is known of it.
    pub known: Known,
}

impl Candidate {
    pub(super) fn left_alone(&self, reason: &str) -> LeftOut {
        let mut leads = self.leads.clone();
        leads.sort_unstable();
        LeftOut { key: self.key.clone(), leads, reason: reason.to_owned() }
    }
}

/// What is to be planned, and for whom.
#[derive(Debug, Clone)]
pub struct Planning {
    /// Everything that decides about a group.
    pub policy: Policy,
    /// The instance.
    pub instance: String,
    /// Most groups.
    pub limit: usize,
    /// For people to decide about: what speaks against a merge makes a group red, and no more.
    pub for_review: bool,
    /// Only groups of these risks.
    pub risks: Vec<Risk>,
    /// By which people call the plan.
    pub name: Option<String>,
    /// Whether a person has decided already that every group is to be merged: for groups that are
    /// planned again in a rehearsal of merges that were made.
    pub decided: bool,
}

/// A plan that was made and kept.
#[derive(Debug)]
pub struct Planned {
    /// Its id; none where it has no groups at all, and was not kept.
    pub id: Option<String>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// How many groups were not taken, since their risk was not asked for.
    pub passed_over: usize,
    /// Whether it was stopped before it had everything that was asked for. It was not kept then.
    pub cut_short: bool,
    /// The groups, where it is to be carried out at once.
    pub(super) groups: Vec<PlannedGroup>,
    /// What is left alone, where it is to be carried out at once, or nothing was kept.
    pub left_out: Vec<LeftOut>,
}
