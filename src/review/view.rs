//! Plans and decisions in lists, for the command line.

use std::collections::BTreeSet;

use serde::Serialize;

use super::card::Card;
use super::carried::CarriedState;
use crate::dedupe::{Choice, PlannedGroup};
use crate::lead::LeadId;

/// A plan in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedPlan {
    /// Its id.
    pub plan: String,
    /// By which people call it.
    pub name: Option<String>,
    /// The digest with what is decided; none of an older version's.
    pub digest: Option<String>,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// How many groups it has.
    pub groups: u64,
    /// How many of them are decided.
    pub decided: u64,
    /// Who approved it as it stands.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<String>,
    /// When a run last worked on it, RFC 3339.
    pub run: Option<String>,
    /// How far it was carried out; none of an older version's.
    pub state: Option<CarriedState>,
    /// How many groups runs of it merged.
    pub merged: u64,
    /// How many its last run left alone.
    pub left_alone: u64,
}

/// A group as a card, and as it would be merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// For people.
    pub card: Card,
    /// As it would be merged with what is decided; as the plan has it where that cannot be done.
    pub group: PlannedGroup,
}

/// What somebody decided that outlives its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptDecision {
    /// The number by which it is forgotten.
    pub number: i64,
    /// `hold` or `not_same`; none where records alone are left out.
    pub decision: Option<Choice>,
    /// The records that are left out.
    pub left_out: BTreeSet<LeadId>,
    /// The plan in which it was said, by its id.
    pub plan: String,
    /// What people call that plan.
    #[serde(skip)]
    pub plan_name: String,
    /// What the leads have in common, for a person.
    pub key: String,
    /// The leads.
    pub leads: Vec<LeadId>,
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why, in their words.
    pub note: Option<String>,
}

/// A group that two plans have otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What the leads have in common, for a person.
    pub key: String,
    /// Whether the first plan has it.
    pub in_a: bool,
    /// Whether the second one has.
    pub in_b: bool,
    /// What is otherwise, a line each.
    pub what: Vec<String>,
}

impl Difference {
    /// `+` for a group of the second plan alone, `-` for one of the first, `~` for one of both.
    pub fn sign(&self) -> char {
        match (self.in_a, self.in_b) {
            (true, true) => '~',
            (true, false) => '-',
            (false, _) => '+',
        }
    }
}
