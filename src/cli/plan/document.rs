//! Plans for programs: the documents of `--json`.

use std::collections::BTreeMap;

use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::cli::Failure;
use crate::dedupe::{Decisions, Dropped, FieldChange, LeftOut, ProfileName, Risk};
use crate::lead::LeadId;
use crate::review::{
    Approval, Blocked, CardFilter, CardPast, CarriedState, Head, PlanReview, Shown,
};

/// So many groups are read at once.
pub(super) const AT_ONCE: usize = 200;

/// `plan create --json` and `plan show --json`. The groups are read while it is written, so that a
/// long plan is not held as a whole.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    head: HeadDocument,
    group: Groups<'a>,
    left_out: LeftOuts<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct HeadDocument {
    plan: String,
    name: Option<String>,
    digest: String,
    made_at: String,
    instance: String,
    groups: u64,
    records: u64,
    safe: u64,
    decide: u64,
    blocked: u64,
    done: u64,
    dropped_values: u64,
    opt_outs_lost: u64,
    approval: Option<Approval>,
    state: CarriedState,
    last_run_at: Option<String>,
    merged: u64,
    left_alone: u64,
    prepared: u64,
    failed: u64,
    profile: Option<ProfileName>,
}

impl HeadDocument {
    pub(super) fn of(head: Head) -> Self {
        let Head { plan, name, instance, made_at, digest, groups, records, safe, decide, .. } =
            head;
        let Head { state, last_run_at, merged, left_alone, prepared, failed, .. } = head;
        let Head { blocked, done, dropped_values, opt_outs_lost, approval, profile, .. } = head;
        Self {
            plan,
            name,
            digest,
            made_at,
            instance,
            groups,
            records,
            safe,
            decide,
            blocked,
            done,
            dropped_values,
            opt_outs_lost,
            approval,
            state,
            last_run_at,
            merged,
            left_alone,
            prepared,
            failed,
            profile,
        }
    }
}

impl<'a> Document<'a> {
    pub(super) fn of(review: &'a PlanReview, filter: CardFilter) -> Result<Self, Failure> {
        Ok(Self {
            schema: "mkto-audit/plan/1",
            head: HeadDocument::of(review.head()?),
            group: Groups { review, filter },
            left_out: LeftOuts(review),
        })
    }
}

#[derive(Debug)]
struct Groups<'a> {
    review: &'a PlanReview,
    filter: CardFilter,
}

impl Serialize for Groups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut groups = serializer.serialize_seq(None)?;
        let mut after = None;
        loop {
            let shown = self.review.shown(&self.filter, after, AT_ONCE, false);
            let shown = shown.map_err(S::Error::custom)?;
            let Some(last) = shown.last() else { break };
            after = Some(last.card.place);
            for shown in &shown {
                groups.serialize_element(&GroupDocument::of(shown))?;
            }
        }
        groups.end()
    }
}

#[derive(Debug)]
struct LeftOuts<'a>(&'a PlanReview);

impl Serialize for LeftOuts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(None)?;
        let mut from = 0;
        loop {
            let blocked = self.0.blocked(from, AT_ONCE).map_err(S::Error::custom)?;
            if blocked.is_empty() {
                break;
            }
            from += blocked.len() as u64;
            for Blocked { key, leads, reason } in &blocked {
                all.serialize_element(&LeftDocument { key, leads, reason })?;
            }
        }
        all.end()
    }
}

/// A group that nobody can decide about.
#[derive(Debug, Serialize)]
struct LeftDocument<'a> {
    key: &'a str,
    leads: &'a [LeadId],
    reason: &'a str,
}

/// A group of `merge --json`, with what there is to decide and what is decided.
#[derive(Debug, Serialize)]
struct GroupDocument<'a> {
    key: &'a str,
    winner: LeadId,
    losers: &'a [LeadId],
    risk: Risk,
    outcome: &'static str,
    /// What became of it in a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    past: Option<&'a CardPast>,
    reason: &'a str,
    warnings: &'a [String],
    objection: Option<&'a str>,
    refused: Option<&'a str>,
    #[serde(flatten)]
    decisions: &'a Decisions,
    /// Whose word from an earlier plan that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    said_before: Option<&'a str>,
    fields: &'a [FieldChange],
    dropped: &'a [Dropped],
    kept: &'a BTreeMap<String, Value>,
    rules: &'a BTreeMap<String, String>,
    equal: usize,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    at_risk: &'a [Dropped],
    /// How many rows of each custom object move to the winner.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rows: BTreeMap<String, usize>,
}

impl<'a> GroupDocument<'a> {
    fn of(shown: &'a Shown) -> Self {
        let Shown { card, group } = shown;
        Self {
            key: &card.key,
            winner: group.winner,
            losers: &group.losers,
            risk: card.risk,
            outcome: match &card.past {
                Some(past) if past.is_fixed => past.outcome,
                _ if card.merges => "would_merge",
                _ => "skipped",
            },
            past: card.past.as_ref(),
            reason: &group.reason,
            warnings: &card.warnings,
            objection: card.objection.as_deref(),
            refused: card.refused.as_deref(),
            decisions: &card.decisions,
            said_before: card.said_before.as_deref(),
            fields: &group.changes,
            dropped: &group.dropped,
            kept: &group.kept,
            rules: &group.rules,
            equal: group.equal,
            at_risk: &group.at_risk,
            rows: group.rows_moving(),
        }
    }
}

/// Where there is no group to plan.
#[derive(Debug, Serialize)]
pub(super) struct Nothing<'a> {
    schema: &'static str,
    plan: Option<String>,
    groups: usize,
    blocked: usize,
    group: [(); 0],
    left_out: Vec<LeftDocument<'a>>,
}

impl<'a> Nothing<'a> {
    pub(super) fn of(left_out: &'a [LeftOut]) -> Self {
        let document = |left: &'a LeftOut| LeftDocument {
            key: left.key.as_str(),
            leads: &left.leads,
            reason: &left.reason,
        };
        Self {
            schema: "mkto-audit/plan/1",
            plan: None,
            groups: 0,
            blocked: left_out.len(),
            group: [],
            left_out: left_out.iter().map(document).collect(),
        }
    }
}
