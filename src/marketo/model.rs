//! What writes are asked for, and what Marketo says of them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::meaning::Meaning;
use crate::lead::LeadId;

/// What Sync Leads is asked to do with its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncAction {
    /// Insert where none matches, else update. The action that races.
    CreateOrUpdate,
    /// Insert, or 1005 where one matches.
    CreateOnly,
    /// Update, or 1004 where none matches.
    UpdateOnly,
    /// Insert whatever there is.
    CreateDuplicate,
}

/// One call of Sync Leads.
#[derive(Clone)]
pub struct SyncRequest {
    /// What to do with the records.
    pub action: SyncAction,
    /// The field that is looked up; `id` goes with `updateOnly` alone.
    pub lookup_field: String,
    /// The partition that new leads go to; the default one where absent.
    pub partition: Option<String>,
    /// The records. Their values are people's data: `Debug` shows their number alone.
    pub input: Vec<Map<String, Value>>,
}

impl SyncRequest {
    /// A call with these records, whose new leads go to the default partition.
    pub fn new(
        action: SyncAction,
        lookup_field: impl Into<String>,
        input: Vec<Map<String, Value>>,
    ) -> Self {
        Self { action, lookup_field: lookup_field.into(), partition: None, input }
    }
}

impl std::fmt::Debug for SyncRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncRequest")
            .field("action", &self.action)
            .field("lookup_field", &self.lookup_field)
            .field("partition", &self.partition)
            .field("records", &self.input.len())
            .finish()
    }
}

/// What Marketo says of one record of a Sync Leads call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordResult {
    /// What became of it.
    pub status: RecordStatus,
    /// The lead; a skipped record has none.
    pub id: Option<LeadId>,
    /// Why it was skipped.
    pub reasons: Vec<Reason>,
    /// Marketo's id of the call, which carries the time at which it arrived.
    pub request_id: Option<String>,
}

impl RecordResult {
    /// Whether one of the reasons has this code.
    pub fn has_code(&self, code: &str) -> bool {
        self.reasons.iter().any(|reason| reason.code == code)
    }
}

/// What Marketo says of one lead of a change of program status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusResult {
    /// The lead.
    pub lead: LeadId,
    /// Whether it was given the status; where not, it was skipped.
    pub set: bool,
    /// Why it was skipped.
    pub reasons: Vec<Reason>,
}

impl StatusResult {
    /// Whether the lead was at that status already, or past it (1037).
    pub fn is_there_already(&self) -> bool {
        self.set || self.reasons.iter().any(|reason| reason.meaning() == Meaning::StatusReached)
    }
}

/// A row of a custom object, and the lead that it is to be linked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowLink {
    /// Marketo's own id of the row.
    pub guid: String,
    /// The lead.
    pub lead: LeadId,
}

/// What Marketo says of one row that was to be linked to a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowResult {
    /// Marketo's own id of the row.
    pub guid: String,
    /// Whether it was linked; where not, it was skipped.
    pub linked: bool,
    /// Why it was skipped.
    pub reasons: Vec<Reason>,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordStatus {
    /// A new lead.
    Created,
    /// An existing lead was written to, even where nothing changed.
    Updated,
    /// Nothing was written.
    Skipped,
}

/// Marketo's code and text for a refusal. Decide on the code: texts differ between Marketo's own
/// pages and answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// For example `1007`.
    pub code: String,
    /// Marketo's words.
    pub message: String,
}

impl Reason {
    /// What it means.
    pub(crate) fn meaning(&self) -> Meaning {
        Meaning::of(&self.code, &self.message)
    }
}

/// A merge that Marketo accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Marketo's id of the call.
    pub request_id: Option<String>,
}
