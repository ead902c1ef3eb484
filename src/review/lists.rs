//! Plans and decisions in lists, for the command line.

use super::approval;
use super::carried::Carried;
use super::error::Error;
use super::index::Index;
use super::view::{KeptDecision, ListedPlan};
use crate::dedupe::{Key, normalise};
use crate::ledger::{KeptPlan, LastingRow, Ledger};
use crate::merge::kept_plan::{head_of, unusable};
use crate::merge::lasting::word_of;

/// The plans of the ledger, the newest first.
pub fn listed(ledger: &Ledger, instance: &str) -> Result<Vec<ListedPlan>, Error> {
    ledger.kept_plans()?.iter().map(|plan| in_list(ledger, instance, plan)).collect()
}

fn in_list(ledger: &Ledger, instance: &str, plan: &KeptPlan) -> Result<ListedPlan, Error> {
    let run = ledger.runs_of(&plan.id)?.last_at;
    let mut listed = ListedPlan {
        plan: plan.id.clone(),
        name: None,
        digest: None,
        made_at: plan.made_at.to_rfc3339(),
        groups: 0,
        decided: 0,
        approved_by: None,
        approved_at: None,
        run: run.map(|at| at.to_rfc3339()),
        state: None,
        merged: 0,
        left_alone: 0,
    };
    // An older version's is there, and cannot be carried out.
    if ledger.plan_head(&plan.id)?.is_none_or(|head| head.plan != plan.id) {
        return Ok(listed);
    }
    let head = head_of(ledger, &plan.id, instance)?;
    // What is decided tells all that a line says: the groups themselves, which may be a hundred
    // thousand, are not read.
    let mut index = Index::default();
    let decisions = ledger.decisions_since(&plan.id, 0)?;
    index.learn(decisions).map_err(|error| unusable(&plan.id, &error.to_string()))?;
    let digest = index.digest(&head.digest);
    let carried = Carried::read(ledger, &plan.id)?;
    let approval = approval::valid_of(ledger, &plan.id, &digest)?;
    listed.groups = ledger.count_groups(head.number)?;
    listed.state = Some(carried.state(listed.groups, ledger.count_left(head.number)?));
    let counts = carried.counts();
    (listed.merged, listed.left_alone) = (counts.merged, counts.left_alone);
    listed.decided = index.in_force().count() as u64;
    (listed.name, listed.digest) = (head.name, Some(digest));
    if let Some(approval) = approval {
        (listed.approved_by, listed.approved_at) = (Some(approval.by), Some(approval.at));
    }
    Ok(listed)
}

/// What people decided that outlives its plan and is in force, oldest first.
pub fn kept_decisions(ledger: &Ledger) -> Result<Vec<KeptDecision>, Error> {
    ledger.lasting_words()?.into_iter().map(kept).collect()
}

fn kept(row: LastingRow) -> Result<KeptDecision, Error> {
    let key = Key::stored(row.key.clone()).map(|key| key.to_string()).unwrap_or_default();
    let word = word_of(row)?;
    Ok(KeptDecision {
        number: word.number,
        decision: word.choice,
        left_out: word.left_out,
        plan: word.plan,
        plan_name: word.plan_name,
        key,
        leads: word.leads.iter().map(|named| named.id).collect(),
        by: word.by,
        at: word.at,
        note: word.note,
    })
}

/// Takes such a decision back, by its number or by an address; gives how many were.
pub fn forget_words(ledger: &mut Ledger, which: &str, by: &str, at: &str) -> Result<usize, Error> {
    let by = by.trim();
    if by.is_empty() {
        return Err(Error::Nameless { what: "takes a decision back" });
    }
    let key = normalise(which);
    let is_meant =
        |row: &LastingRow| row.seq.to_string() == which.trim() || Some(&row.key) == key.as_ref();
    let meant: Vec<i64> =
        ledger.lasting_words()?.iter().filter(|row| is_meant(row)).map(|row| row.seq).collect();
    ledger.forget_words(&meant, by, at)?;
    Ok(meant.len())
}
