//! What a restore did, or would do, lead by lead: as it is shown and as JSON has it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::lead::LeadId;
use crate::ledger::RunId;
use crate::merge::error::Error;

/// What became of a lost lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A dry run: it would be made anew.
    WouldRestore,
    /// It is there again, with all that can come back.
    Restored,
    /// It is there again, and something that can come back is missing; the same command goes on.
    Partial,
    /// It was left alone.
    Skipped,
    /// It was not made.
    Failed,
    /// It is not known whether it was made; the same command looks first.
    Unknown,
}

/// A value of a lead.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueOf {
    /// The field's REST API name.
    pub name: String,
    /// The value.
    pub value: Value,
}

/// A list or a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its id.
    pub id: u64,
    /// Its name; empty where the backup does not tell it.
    pub name: String,
    /// The status, of a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What a program keeps of the member, by REST name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub member_fields: Map<String, Value>,
}

/// A program's former fields of the lead that took the lost one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormerMember {
    /// The program's id.
    pub id: u64,
    /// Its name; empty where the backup does not tell it.
    pub name: String,
    /// The fields that go back to what they were.
    pub fields: Vec<FormerValue>,
}

/// Something that does not come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Missing {
    pub(super) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

/// A former value of the lead that took the lost one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormerValue {
    /// The field's REST API name.
    pub name: String,
    /// What the lead holds, or held before the restore.
    pub before: Value,
    /// What it gets.
    pub after: Value,
}

/// What becomes of the lead that took the lost one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WinnerReport {
    /// The lead.
    pub id: LeadId,
    /// The former values that it gets back.
    pub fields: Vec<FormerValue>,
    /// The lists that it is taken off.
    pub lists_left: Vec<Named>,
    /// The programs that it leaves, or in which its status is lowered.
    pub programs_left: Vec<Named>,
    /// The former fields of the member that it gets back, program by program.
    pub member_fields: Vec<FormerMember>,
}

/// A lost lead, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestoredReport {
    /// The lead that was lost.
    pub lost_id: LeadId,
    /// The key of the group that it was merged in.
    pub key: String,
    /// What became of it.
    pub status: Status,
    /// Why, where it is not there again.
    pub reason: Option<String>,
    /// The lead that was made in its place.
    pub new_id: Option<LeadId>,
    /// The values that it has, or would get.
    pub fields: Vec<ValueOf>,
    /// The lists that it is on, or would be put on.
    pub lists: Vec<Named>,
    /// The programs that it is in, or would be put into.
    pub programs: Vec<Named>,
    /// How many rows of each custom object hang on it again, or would.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<String, usize>,
    /// What becomes of the lead that took it; none where nothing is to be done about that.
    pub winner: Option<WinnerReport>,
    /// What does not come back.
    pub not_restored: Vec<Missing>,
}

impl RestoredReport {
    pub(super) fn ended(
        lost_id: LeadId,
        key: &str,
        status: Status,
        reason: impl Into<Option<String>>,
    ) -> Self {
        Self {
            lost_id,
            key: key.to_owned(),
            status,
            reason: reason.into(),
            new_id: None,
            fields: Vec::new(),
            lists: Vec::new(),
            programs: Vec::new(),
            rows: BTreeMap::new(),
            winner: None,
            not_restored: Vec::new(),
        }
    }
}

/// What a restore did.
#[derive(Debug, Default)]
pub struct RestoreReport {
    /// Its number in the ledger; none of a dry run.
    pub run: Option<RunId>,
    /// The lost leads that it came to.
    pub restored: Vec<RestoredReport>,
    /// Makings of earlier runs whose outcome is known now.
    pub settled: usize,
    /// Whether it was told to stop before it had come to all.
    pub interrupted: bool,
    /// Why it could not go on.
    pub failed: Option<Error>,
}

impl RestoreReport {
    /// How many leads ended so.
    pub fn count(&self, status: Status) -> usize {
        self.restored.iter().filter(|one| one.status == status).count()
    }
}
