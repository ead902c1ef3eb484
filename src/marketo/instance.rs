//! What an instance holds beside its leads, and what was spent of its calls, in the words of Marketo's answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lead::LeadId;

/// A static list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticList {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
}

/// A lead's membership of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramMember {
    /// The member.
    pub lead: LeadId,
    /// The membership as Marketo describes it (`progressionStatus`, `membershipDate`, `reachedSuccess`, …).
    pub membership: Map<String, Value>,
}

/// A custom object whose rows belong to leads. A merge leaves a loser's rows behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomObjectType {
    /// Its API name.
    pub name: String,
    /// The object's own field that holds the link.
    pub link_field: String,
    /// The lead field whose value the link holds, usually `id`.
    pub lead_field: String,
}

/// Calls of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// By all integrations together.
    pub total: u64,
    /// By API user.
    pub by_user: Vec<(String, u64)>,
}
