//! What `merge --json` prints, as the contract has it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{EachGroup, Shown};
use crate::dedupe::{Dropped, FieldChange, Risk};
use crate::lead::LeadId;
use crate::ledger::{Finding, FindingId, RunId, WrittenNotMerged, WrittenValue};
use crate::merge::{
    Difference, GroupReport, LateRow, LateRows, LeftRows, Outcome, PlanState, Said,
};

/// The document of `--json`, as the contract has it.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema: &'static str,
    plan: Option<&'a str>,
    dry_run: bool,
    /// The number of the run, for `history`.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<u64>,
    /// Of a kept plan that is shown: `new`, `begun` or `carried_out`, and when something was last
    /// done of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run_at: Option<DateTime<Utc>>,
    groups: usize,
    merged: usize,
    skipped: usize,
    /// Written to, and not merged.
    prepared: usize,
    failed: usize,
    removed: usize,
    calls: u64,
    complete: bool,
    group: Groups<'a>,
    /// Rows of custom objects that came to merged records after the last look.
    #[serde(skip_serializing_if = "Option::is_none")]
    late_rows: Option<LateDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open: Vec<OpenDocument<'a>>,
}

/// What became of such rows.
#[derive(Debug, Serialize)]
pub(in crate::cli::merge) struct LateDocument<'a> {
    /// Linked to the records that stayed, and seen there.
    moved: Vec<&'a LateRow>,
    /// Still on the merged records, each with the reason.
    left: Vec<&'a LeftRows>,
    /// Why it is not known whether there are others.
    not_known: Vec<&'a str>,
}

impl<'a> LateDocument<'a> {
    pub(in crate::cli::merge) fn of(rows: &'a LateRows) -> Option<Self> {
        (!rows.is_empty()).then(|| Self {
            moved: rows.moved().collect(),
            left: rows.left().collect(),
            not_known: rows.unreadable().into_iter().collect(),
        })
    }
}

impl<'a> Document<'a> {
    pub(super) fn of(shown: &'a Shown<'a>) -> Self {
        let tally = shown.tally;
        Self {
            schema: "mkto-audit/merge/1",
            plan: shown.plan,
            dry_run: shown.dry_run,
            run: shown.run.map(RunId::number),
            state: shown.kept.map(PlanState::as_str),
            last_run_at: shown.kept.and_then(PlanState::at),
            groups: tally.groups,
            merged: tally.count(Outcome::Merged),
            skipped: tally.count(Outcome::Skipped),
            prepared: tally.count(Outcome::Prepared),
            failed: tally.count(Outcome::Failed) + tally.count(Outcome::Unknown),
            removed: tally.removed,
            calls: shown.calls,
            complete: !shown.is_stopped && !matches!(shown.kept, Some(PlanState::Begun(_))),
            group: Groups(shown.groups),
            late_rows: shown.late_rows.and_then(LateDocument::of),
            open: shown.open.iter().map(OpenDocument::of).collect(),
        }
    }
}

/// The groups, each written as it comes.
struct Groups<'a>(&'a dyn EachGroup);

impl fmt::Debug for Groups<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}

impl Serialize for Groups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut groups = serializer.serialize_seq(None)?;
        let mut written = Ok(());
        let read = self.0.each(&mut |group| {
            written = groups.serialize_element(&GroupDocument::of(group));
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        written?;
        read.map_err(S::Error::custom)?;
        groups.end()
    }
}

/// A field that this run or an earlier one left otherwise than it should be.
#[derive(Debug, Serialize)]
struct OpenDocument<'a> {
    /// For `merge --acknowledge`.
    finding: u64,
    key: &'a str,
    lead: LeadId,
    name: &'a str,
    wanted: &'a Value,
    found: &'a Value,
}

impl<'a> OpenDocument<'a> {
    fn of((id, finding): &'a (FindingId, Finding)) -> Self {
        let Finding { key, lead, field, wanted, found, .. } = finding;
        Self { finding: id.number(), key, lead: *lead, name: field, wanted, found }
    }
}

/// Of a group of which nothing moves.
static NO_ROWS: BTreeMap<String, usize> = BTreeMap::new();

#[derive(Debug, Serialize)]
pub(super) struct GroupDocument<'a> {
    key: &'a str,
    winner: Option<LeadId>,
    losers: &'a [LeadId],
    risk: Option<Risk>,
    outcome: &'static str,
    reason: Option<&'a str>,
    fields: &'a [FieldChange],
    dropped: &'a [Dropped],
    /// What decided over each field that is changed or of which values are dropped.
    rules: &'a BTreeMap<String, String>,
    equal: usize,
    /// Values that cannot be written, and of which Marketo's merge decides whether they stay.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    at_risk: &'a [Dropped],
    /// How many rows of each custom object move to the winner, or moved.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rows: &'a BTreeMap<String, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    marketo: Option<MarketoDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_written: Vec<DifferenceDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    surprises: Vec<DifferenceDocument<'a>>,
    /// What was written to the record to keep, where nothing was merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<WrittenDocument<'a>>,
}

/// What was written for a merge that was not made.
#[derive(Debug, Serialize)]
struct WrittenDocument<'a> {
    lead: LeadId,
    /// Whether a look has shown that nothing more of it is to be given back.
    settled: bool,
    fields: Vec<WrittenFieldDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct WrittenFieldDocument<'a> {
    name: &'a str,
    before: &'a Value,
    after: &'a Value,
    /// Whether the former value was written again, and Marketo took it.
    given_back: bool,
}

impl<'a> WrittenDocument<'a> {
    fn of(written: &'a WrittenNotMerged) -> Self {
        let field = |value: &'a WrittenValue| WrittenFieldDocument {
            name: &value.name,
            before: &value.before,
            after: &value.after,
            given_back: value.given_back,
        };
        let fields = written.values.iter().map(field).collect();
        Self { lead: written.lead, settled: written.looked, fields }
    }
}

/// Marketo's refusal.
#[derive(Debug, Serialize)]
struct MarketoDocument<'a> {
    code: &'a str,
    message: &'a str,
    request_id: Option<&'a str>,
}

/// A field that holds something else than it should.
#[derive(Debug, Serialize)]
struct DifferenceDocument<'a> {
    lead: LeadId,
    name: &'a str,
    wanted: &'a Value,
    found: &'a Value,
    /// What became of it: `mended`, `changed`, `lost` or `not_set_back`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fate: Option<&'static str>,
}

impl<'a> DifferenceDocument<'a> {
    fn of(difference: &'a Difference, fate: Option<&'static str>) -> Self {
        let Difference { lead, name, wanted, found } = difference;
        Self { lead: *lead, name, wanted, found, fate }
    }
}

impl<'a> GroupDocument<'a> {
    pub(super) fn of(group: &'a GroupReport) -> Self {
        let GroupReport {
            key, winner, losers, outcome, reason, fields, dropped, rules, equal, ..
        } = group;
        let said = |said: &'a Said| MarketoDocument {
            code: &said.code,
            message: &said.message,
            request_id: said.request_id.as_deref(),
        };
        let surprises = group.surprises.iter();
        let is_told = matches!(outcome, Outcome::WouldMerge | Outcome::Merged);
        Self {
            key,
            winner: *winner,
            losers,
            risk: group.risk,
            outcome: outcome.as_str(),
            reason: reason.as_deref(),
            fields,
            dropped,
            rules,
            at_risk: &group.at_risk,
            equal: *equal,
            rows: if is_told { &group.rows } else { &NO_ROWS },
            marketo: group.marketo.as_ref().map(said),
            not_written: group
                .not_written
                .iter()
                .map(|one| DifferenceDocument::of(one, None))
                .collect(),
            surprises: surprises
                .map(|one| DifferenceDocument::of(&one.difference, Some(one.fate.as_str())))
                .collect(),
            written: group.written.as_ref().map(WrittenDocument::of),
        }
    }
}
