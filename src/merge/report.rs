//! What a run did, group by group, and why it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::brakes::Brake;
use super::error::Error;
use super::rows::LateRows;
use crate::dedupe::{Dropped, FieldChange, LeftOut, PlannedGroup, Risk};
use crate::lead::{Lead, LeadId};
use crate::ledger::{LeftAlone, RunId, WrittenNotMerged};
use crate::marketo;

/// Why a group of which nothing was sent is left alone.
pub(super) const STOPPED: &str = "the run was stopped before";

/// Why it is not known whether all opt-outs are set that came while merges ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwatched {
    /// Marketo's log of changes cannot be read, for this reason.
    Unreadable(String),
    /// These records lack some that the log names, since others went on writing them.
    PutOff(Vec<LeadId>),
}

impl Unwatched {
    pub(super) fn of(put_off: BTreeSet<LeadId>) -> Option<Self> {
        (!put_off.is_empty()).then(|| Self::PutOff(put_off.into_iter().collect()))
    }
}

impl fmt::Display for Unwatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(
                f,
                "NOT KNOWN: whether anybody opted out on a record while its merge ran, since Marketo's log of changes cannot be read: {why}"
            ),
            Self::PutOff(leads) => {
                let leads: Vec<String> = leads.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "NOT SET YET: opt-outs that came while merges ran, on the surviving records {}, since others went on writing them; the next run sets them",
                    leads.join(", ")
                )
            }
        }
    }
}

/// What became of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A dry run: it would be merged.
    WouldMerge,
    /// All its losers are gone, and the survivor was looked at.
    Merged,
    /// It was left alone.
    Skipped,
    /// Its record to keep was written to, its merge was not made, and something of what was written
    /// is still there.
    Prepared,
    /// It was tried, and is not, or only in part, merged.
    Failed,
    /// What Marketo shows fits no outcome, or could not be looked at before the run stopped.
    Unknown,
}

impl Outcome {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WouldMerge => "would_merge",
            Self::Merged => "merged",
            Self::Skipped => "skipped",
            Self::Prepared => "prepared",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The outcome that a word of the contract stands for.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::WouldMerge,
            Self::Merged,
            Self::Skipped,
            Self::Prepared,
            Self::Failed,
            Self::Unknown,
        ];
        all.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// A group, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupReport {
    /// What its leads have in common.
    pub key: String,
    /// The lead that stays, or stayed: the CRM's precedence can make it another than the plan's.
    /// None where none was chosen.
    pub winner: Option<LeadId>,
    /// The other leads.
    pub losers: Vec<LeadId>,
    /// Those of them that are gone.
    pub merged: Vec<LeadId>,
    /// How much there is to decide about it; none where it was not planned.
    pub risk: Option<Risk>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why; of a merged group only where there is something to say.
    pub reason: Option<String>,
    /// What the winner gets.
    pub fields: Vec<FieldChange>,
    /// The values that the merge destroys, or destroyed.
    pub dropped: Vec<Dropped>,
    /// What stays in the fields that lose values.
    pub kept: BTreeMap<String, Value>,
    /// What decided over the fields that are changed or lose values.
    pub rules: BTreeMap<String, String>,
    /// Values that cannot be written and that the winner lacks: Marketo's merge decides whether the
    /// survivor has them.
    pub at_risk: Vec<Dropped>,
    /// How many fields have the same value on all leads that have any.
    pub equal: usize,
    /// What Marketo said, where it refused the merge or a write for it.
    pub marketo: Option<Said>,
    /// Values that Marketo answered to have taken, and that were not there: why nothing was merged.
    pub not_written: Vec<Difference>,
    /// How many rows of each custom object move to the winner, or moved.
    pub rows: BTreeMap<String, usize>,
    /// Fields of the survivor that hold something else than predicted, and what was done about
    /// each.
    pub surprises: Vec<Surprise>,
    /// What the run wrote to the record to keep, where it merged nothing.
    pub written: Option<WrittenNotMerged>,
}

/// Marketo's refusal, word by word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its code.
    pub code: String,
    /// Its words.
    pub message: String,
    /// Its id of the call.
    pub request_id: Option<String>,
}

impl Said {
    /// What an error carries of Marketo's words.
    pub(super) fn of(error: &marketo::Error) -> Option<Self> {
        let code = error.code()?.to_owned();
        let message = error.message().unwrap_or_default().to_owned();
        Some(Self { code, message, request_id: error.request_id().map(str::to_owned) })
    }
}

/// A field that holds something else than it should.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The lead.
    pub lead: LeadId,
    /// The field's REST API name.
    pub name: String,
    /// What it should hold.
    pub wanted: Value,
    /// What it holds.
    pub found: Value,
}

/// A difference on a survivor.
#[derive(Debug, Clone, PartialEq)]
pub struct Surprise {
    /// What is different.
    pub difference: Difference,
    /// What became of it.
    pub fate: Fate,
}

/// Rows of one custom object that were linked to the record that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsProof {
    /// The object's API name.
    pub object: String,
    /// How many were moved.
    pub moved: usize,
    /// How many of them were seen on the survivor after the merge.
    pub verified: usize,
}

/// What became of a difference on a survivor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The merge took the value, and it was written again and read back.
    Mended,
    /// No merge makes such a value: somebody else wrote it meanwhile, and it stays.
    Changed,
    /// The merge took the value, and it could not be written again.
    Lost,
    /// Nothing was merged, and the field does not hold what it held before the run wrote to it.
    NotSetBack,
}

impl Fate {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mended => "mended",
            Self::Changed => "changed",
            Self::Lost => "lost",
            Self::NotSetBack => "not_set_back",
        }
    }
}

impl GroupReport {
    /// A planned group before anything happened to it.
    pub fn planned(group: &PlannedGroup) -> Self {
        Self {
            key: group.key.to_string(),
            winner: Some(group.winner),
            losers: group.losers.clone(),
            merged: Vec::new(),
            risk: Some(group.risk),
            outcome: Outcome::WouldMerge,
            reason: Some(group.reason.clone()),
            fields: group.changes.clone(),
            dropped: group.dropped.clone(),
            kept: group.kept.clone(),
            rules: group.rules.clone(),
            at_risk: group.at_risk.clone(),
            equal: group.equal,
            marketo: None,
            not_written: Vec::new(),
            rows: group.rows_moving(),
            surprises: Vec::new(),
            written: None,
        }
    }

    /// A group that the plan leaves alone.
    pub fn left_out(group: &LeftOut) -> Self {
        Self {
            key: group.key.to_string(),
            winner: None,
            losers: group.leads.clone(),
            merged: Vec::new(),
            risk: None,
            outcome: Outcome::Skipped,
            reason: Some(group.reason.clone()),
            fields: Vec::new(),
            dropped: Vec::new(),
            kept: BTreeMap::new(),
            rules: BTreeMap::new(),
            at_risk: Vec::new(),
            equal: 0,
            marketo: None,
            not_written: Vec::new(),
            rows: BTreeMap::new(),
            surprises: Vec::new(),
            written: None,
        }
    }

    /// The group for the ledger, where it is left alone. `winner` is the plan's.
    pub(super) fn left_alone(&self, winner: Option<LeadId>) -> Option<LeftAlone> {
        if self.outcome != Outcome::Skipped {
            return None;
        }
        let mut leads: Vec<LeadId> = self.winner.iter().chain(&self.losers).copied().collect();
        leads.sort_unstable();
        let reason = Some(self.reason.clone().unwrap_or_default());
        Some(LeftAlone { key: self.key.clone(), winner, leads, reason })
    }

    /// Whether no run has come to its end of the group.
    pub(crate) fn is_unfinished(&self) -> bool {
        let was_stopped = || self.reason.as_ref().is_some_and(|why| why.starts_with(STOPPED));
        match self.outcome {
            Outcome::WouldMerge | Outcome::Unknown => true,
            Outcome::Skipped | Outcome::Prepared => self.winner.is_some() && was_stopped(),
            Outcome::Failed => !self.merged.is_empty(),
            Outcome::Merged => false,
        }
    }

    /// The same group with another ending.
    pub(super) fn ended(group: &PlannedGroup, outcome: Outcome, reason: Option<String>) -> Self {
        Self { outcome, reason, ..Self::planned(group) }
    }
}

/// Why a run ended before its plan did.
#[derive(Debug)]
pub enum Stopped {
    /// Somebody asked it to.
    Interrupted,
    /// It heeds a brake; the same command goes on later.
    Braked(Brake),
    /// Too many groups failed one after the other.
    Errors(usize),
    /// Something that fits no outcome was seen; a person must look before more is merged.
    Alarm(String),
    /// A call or the ledger failed.
    Failed(Error),
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Report {
    /// The groups that it came to, in the plan's order, each with its ending.
    pub groups: Vec<GroupReport>,
    /// Why it ended early; none where it came to all groups.
    pub stopped: Option<Stopped>,
    /// Why it is not known whether opt-outs came while its merges ran.
    pub unwatched: Option<Unwatched>,
    /// Rows of custom objects that others wrote for merged records after the last look.
    pub late_rows: LateRows,
    /// Its number in the ledger; none where nothing was to be carried out.
    pub run: Option<RunId>,
}

impl Report {
    /// How many groups ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.groups.iter().filter(|group| group.outcome == outcome).count()
    }

    /// How many leads are gone.
    pub fn removed(&self) -> usize {
        self.groups.iter().map(|group| group.merged.len()).sum()
    }
}

/// Who follows a run while it goes on.
pub trait Watch {
    /// A group has come to its end.
    fn group(&mut self, report: &GroupReport);
    /// Leads are gone for good, and this is the one that stayed. What holds copies of them should
    /// learn it.
    fn merged(&mut self, survivor: &Lead, gone: &[LeadId]);
    /// The run waits until Marketo's time limit is over for calls whose outcome is not clear.
    fn waiting(&mut self, calls: usize);
}

impl Watch for () {
    fn group(&mut self, _: &GroupReport) {}
    fn merged(&mut self, _: &Lead, _: &[LeadId]) {}
    fn waiting(&mut self, _: usize) {}
}

/// A value in a reason: `(blank)` for none.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(blank)".to_owned(),
        Value::String(text) if text.trim().is_empty() => "(blank)".to_owned(),
        other => other.to_string(),
    }
}
