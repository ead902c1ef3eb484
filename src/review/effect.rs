//! A group of a plan with what is decided about it. Pure.
//!
//! A record that is left out takes no part, and stays a record of its group all the same: what
//! spoke against the merge because of it is said still.

use std::collections::BTreeSet;

use super::loaded::Kept;
use crate::dedupe::{
    Choice, Decisions, Known, Objection, PlanHeader, PlannedGroup, Reason, plan_decided, records,
};
use crate::lead::LeadId;

/// The group as it would be merged; or why what is decided cannot be carried out.
pub(super) fn effective(
    kept: &Kept,
    header: &PlanHeader,
    decisions: &Decisions,
) -> Result<PlannedGroup, String> {
    let planned = &kept.planned;
    if let Some(why) = decisions.leaves_out_the_kept(planned.winner) {
        return Err(why);
    }
    let asks = decisions.changes_the_merge()
        || (decisions.choice == Some(Choice::Merge) && !planned.open_consent.is_empty());
    if decisions.is_left_alone() || !asks {
        let decided = Decisions { choice: decisions.choice, ..planned.decided.clone() };
        return Ok(PlannedGroup { decided, ..planned.clone() });
    }
    let mut group = planned_anew(kept, header, decisions)?;
    // The leads do not show their rows of custom objects. A plan of an older version kept only what
    // speaks against the merge.
    let of_objects = |objection: &&Objection| objection.reason == Reason::CustomObjects;
    if !planned.rows.is_empty() {
        group.take_rows(planned.rows.clone());
    } else if let Some(objection) = planned.objections.iter().find(of_objects) {
        group.object(objection.clone());
    }
    let of_words = |objection: &&Objection| objection.reason == Reason::SaidBefore;
    for objection in planned.objections.iter().filter(of_words) {
        group.object(objection.clone());
    }
    for objection in gone_with_left_out(planned, &group, decisions) {
        group.object(objection);
    }
    // A red group stays one until somebody wants it merged.
    group.risk = group.risk.max(planned.risk);
    Ok(group)
}

/// The record to keep where these records take no part; none where fewer than two are left.
pub(super) fn winner_without(
    kept: &Kept,
    header: &PlanHeader,
    left_out: &BTreeSet<LeadId>,
) -> Option<LeadId> {
    let decided = Decisions { left_out: left_out.clone(), ..Decisions::default() };
    planned_anew(kept, header, &decided).ok().map(|group| group.winner)
}

fn planned_anew(
    kept: &Kept,
    header: &PlanHeader,
    decisions: &Decisions,
) -> Result<PlannedGroup, String> {
    let planned = &kept.planned;
    let needs_a_name =
        |objection: &Objection| matches!(objection.reason, Reason::Deliberate | Reason::Large);
    let known = Known { cause: planned.cause, named: !planned.objections.iter().any(needs_a_name) };
    let PlanHeader { policy, facts, .. } = header;
    let policy = planned.policy(policy);
    plan_decided(&planned.key, &kept.leads, known, &policy, facts, decisions)
        .map_err(|left| left.reason)
}

/// What speaks against the merge of all records, and not against that of those that take part.
fn gone_with_left_out(
    planned: &PlannedGroup,
    group: &PlannedGroup,
    decisions: &Decisions,
) -> Vec<Objection> {
    if decisions.left_out.is_empty() {
        return Vec::new();
    }
    let is_there = |objection: &&Objection| {
        group.objections.iter().any(|there| there.reason == objection.reason)
    };
    // Rows were found for each record by itself: those of one that is left out stay with it.
    let of_rows = |objection: &&Objection| objection.reason == Reason::CustomObjects;
    let gone = planned.objections.iter().filter(|one| !is_there(one) && !of_rows(one));
    let counting = |objection: &Objection| {
        let why = format!("{}, counting {}, left out", objection.why, records(&decisions.left_out));
        Objection { reason: objection.reason, words: why.clone(), why }
    };
    gone.map(counting).collect()
}
