//! A group of a plan with what is decided about it. Pure.

use super::loaded::Kept;
use crate::dedupe::{
    Choice, Decisions, Known, Objection, PlanHeader, PlannedGroup, Reason, plan_decided,
};

/// The group as it would be merged; or why what is decided cannot be carried out.
pub(super) fn effective(
    kept: &Kept,
    header: &PlanHeader,
    decisions: &Decisions,
) -> Result<PlannedGroup, String> {
    let planned = &kept.planned;
    let asks = decisions.changes_the_merge()
        || (decisions.choice == Some(Choice::Merge) && !planned.open_consent.is_empty());
    if decisions.is_left_alone() || !asks {
        let decided = Decisions { choice: decisions.choice, ..planned.decided.clone() };
        return Ok(PlannedGroup { decided, ..planned.clone() });
    }
    let needs_a_name =
        |objection: &Objection| matches!(objection.reason, Reason::Deliberate | Reason::Large);
    let known = Known { cause: planned.cause, named: !planned.objections.iter().any(needs_a_name) };
    let PlanHeader { policy, facts, .. } = header;
    let policy = planned.policy(policy);
    let mut group = plan_decided(&planned.key, &kept.leads, known, &policy, facts, decisions)
        .map_err(|left| left.reason)?;
    // The leads do not show their rows of custom objects. A plan of an older version kept only what
    // speaks against the merge.
    let of_objects = |objection: &&Objection| objection.reason == Reason::CustomObjects;
    if !planned.rows.is_empty() {
        group.take_rows(planned.rows.clone());
    } else if let Some(objection) = planned.objections.iter().find(of_objects) {
        group.object(objection.clone());
    }
    // A red group stays one until somebody wants it merged.
    group.risk = group.risk.max(planned.risk);
    Ok(group)
}
