//! What an instance holds and tells beside its leads, and what was spent of its calls, in the words
//! of Marketo's answers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
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

/// A lead partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadPartition {
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
    /// The membership as Marketo describes it (`progressionStatus`, `membershipDate`,
    /// `reachedSuccess`, …).
    pub membership: Map<String, Value>,
}

/// A custom object whose rows belong to leads. A merge leaves a loser's rows behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomObjectType {
    /// Its API name.
    pub name: String,
    /// The object's own field that holds the link; empty where the relation does not name it.
    pub link_field: String,
    /// The lead field whose value the link holds, as the relation names it: by REST name, or as the
    /// screens do. Empty where it does not say.
    pub lead_field: String,
    /// By which of its fields its rows are told apart; none where Marketo does not say.
    #[serde(default)]
    pub dedupe_fields: Vec<String>,
    /// The other objects to which its rows link: it is then the bridge between them and leads.
    #[serde(default)]
    pub bridges: Vec<String>,
}

/// What describe tells of a field of a custom object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectField {
    /// Whether callers may change it.
    pub updateable: bool,
    /// Whether the CRM manages it.
    pub crm_managed: bool,
}

/// Calls of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// By all integrations together.
    pub total: u64,
    /// By API user.
    pub by_user: Vec<(String, u64)>,
}

/// From where a log of activities is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// From this time on, to the second.
    Time(DateTime<Utc>),
    /// From where an earlier call ended.
    Token(String),
}

/// A merge as Marketo recorded it, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRecord {
    /// The lead that the record belongs to: the survivor, or whom that was merged into since.
    pub winner: LeadId,
    /// The survivor at the time, whatever became of it since; none where the record does not say.
    #[serde(default)]
    pub then: Option<LeadId>,
    /// The leads that went; none where the record does not name them.
    pub losers: Vec<LeadId>,
    /// When, to the second.
    pub at: Option<DateTime<Utc>>,
    /// Marketo's id of the call, where the API made it and the instance records that.
    pub request_id: Option<String>,
    /// Who made it, where it is recorded.
    pub user: Option<String>,
    /// The API method that made it, where it is recorded.
    pub method: Option<String>,
    /// What Marketo calls the way in which it was made; it is missing where an anonymous visitor
    /// turned out to be a known person.
    #[serde(default)]
    pub source: Option<String>,
    /// Whether it names another user than this client's. False where one of the two names is not
    /// known.
    pub by_another_user: bool,
}

/// One change of one field of one lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeadChange {
    /// The lead, or whom it was merged into since.
    pub lead: LeadId,
    /// The field's REST name; as Marketo named it where Describe does not know the name.
    pub field: String,
    /// What it held before, as Marketo wrote it; null where it says nothing.
    pub old: Value,
    /// What it holds since.
    pub new: Value,
    /// When, to the second.
    pub at: Option<DateTime<Utc>>,
    /// What changed it, in Marketo's words (`Web service API`, `Marketo Flow Action`, …).
    pub source: Option<String>,
    /// Marketo's id of the call that changed it, where it is recorded.
    pub request_id: Option<String>,
}

/// An activity type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityType {
    /// Its number here; look it up by name.
    pub id: u32,
    /// For example `New Lead`.
    pub name: String,
}

/// One activity.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// Its identity.
    pub guid: String,
    /// The lead that it belongs to now; a merge moves it to the winner.
    pub lead: LeadId,
    /// When it happened, to the second.
    pub at: Option<DateTime<Utc>>,
    /// Its type's number.
    pub kind: u32,
    /// What it is about; of a New Lead the lead's id at birth, which a merge leaves alone.
    pub primary: Option<LeadId>,
    /// Attributes by lower-cased name: rows and type definitions differ in case.
    pub attributes: BTreeMap<String, Value>,
}

/// A page of activities.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityPage {
    /// Possibly none, although more follow.
    pub activities: Vec<Activity>,
    /// From where to go on, now or another day.
    pub next: String,
    /// Whether to go on now.
    pub more: bool,
}
