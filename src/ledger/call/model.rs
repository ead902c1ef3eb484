//! What the ledger knows of a call.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::lead::LeadId;
use crate::ledger::backup::Role;
use crate::ledger::state::State;

/// The ledger's number of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(in crate::ledger) i64);

#[cfg(test)]
impl From<u32> for CallId {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// Sync Leads on winners, by id.
    Write,
    /// Merge Leads.
    Merge,
    /// Sync Custom Objects: rows are linked to other leads.
    Rows,
}

impl CallKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            // What sets a call for rows apart is in a table of its own.
            Self::Write | Self::Rows => "write",
            Self::Merge => "merge",
        }
    }
}

/// A lead that a call touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLead {
    /// The lead.
    pub id: LeadId,
    /// Whether it stays or goes.
    pub role: Role,
}

/// Why a write is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A winner gets the values that must outlive its merge.
    #[default]
    Prepare,
    /// A survivor gets again what the merge took.
    Mend,
    /// A winner whose merge was not made gets its former values back.
    GiveBack,
}

impl Purpose {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Mend => "mend",
            Self::GiveBack => "give_back",
        }
    }
}

/// One field that a write changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallValue {
    /// The lead.
    pub lead: LeadId,
    /// The field's REST API name.
    pub field: String,
    /// What the lead held.
    pub before: Value,
    /// What it gets.
    pub after: Value,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCall {
    /// What it does.
    pub kind: CallKind,
    /// The key of its group; empty for a write, which serves many.
    pub key: String,
    /// The leads that it touches, in the order of the call.
    pub leads: Vec<CallLead>,
    /// Why, of a write.
    pub purpose: Purpose,
    /// What a write asks for; none of a merge, and of a write that an older version wrote down.
    pub values: Vec<CallValue>,
}

/// A call as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub id: CallId,
    /// The plan that it carries out.
    pub plan: String,
    /// What it does, and to whom.
    pub what: NewCall,
    /// Where it stands.
    pub state: State,
    /// When its start was written down; it may have left later, but not before.
    pub started_at: Option<DateTime<Utc>>,
    /// Marketo's id of it, where an answer or an error told it.
    pub request_id: Option<String>,
}

impl Call {
    /// The losers, in the order of the call.
    pub fn losers(&self) -> impl Iterator<Item = LeadId> {
        self.what.leads.iter().filter(|lead| lead.role == Role::Loser).map(|lead| lead.id)
    }

    /// The leads that are to stay: one for a merge, many for a write.
    pub fn winners(&self) -> impl Iterator<Item = LeadId> {
        self.what.leads.iter().filter(|lead| lead.role == Role::Winner).map(|lead| lead.id)
    }
}

/// The proof that the intent of a call, and the backup of each of its losers, is on disk.
#[derive(Debug)]
pub struct Started(CallId);

impl Started {
    /// To be called once both are synced, and nowhere else.
    pub(super) fn new(call: CallId) -> Self {
        Self(call)
    }

    /// The call.
    pub fn call(&self) -> CallId {
        self.0
    }
}
