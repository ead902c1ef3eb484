//! Decisions on their way into the ledger: checked against the plan, and kept all or none.

use std::collections::BTreeSet;

use super::effect::effective;
use super::error::Error;
use super::index::Effect;
use super::loaded::{Kept, Loaded};
use super::meanwhile;
use super::model::{Decided, Door, Seen};
use crate::dedupe::{Choice, Decisions, PlanHeader, PlannedGroup};
use crate::ledger::{DecisionRow, Ledger, NotSameRow};
use crate::merge::not_same::Named;

/// Keeps decisions about groups, by their keys as stored. What is as it was is not written.
pub(super) fn decide(
    ledger: &mut Ledger,
    loaded: &mut Loaded,
    decided: &[(String, Decisions)],
    seen: &Seen,
    (by, door, at): (&str, Door, &str),
) -> Result<Decided, Error> {
    let by = by.trim();
    if by.is_empty() {
        return Err(Error::Nameless { what: "decides" });
    }
    refuse_unseen(ledger, loaded, decided, seen)?;
    let (mut rows, mut not_same) = (Vec::new(), Vec::new());
    for (key, decisions) in decided {
        let place = loaded.index.place_of(key).ok_or_else(|| Error::NoSuchGroup {
            plan: loaded.head.plan.clone(),
            key: key.clone(),
        })?;
        let before = loaded.index.made(key).map(|made| &made.decisions);
        if before.unwrap_or(&Decisions::default()) == decisions {
            continue;
        }
        let kept = loaded.kept(ledger, place)?;
        let row = row_of(&kept, &loaded.header, decisions, by, door, at);
        if decisions.choice == Some(Choice::NotSame) {
            not_same.push(said(&kept, &row, &loaded.head.plan));
        }
        rows.push(row);
    }
    ledger.decide(&loaded.head.plan, &rows, &not_same)?;
    loaded.refresh(ledger)?;
    let numbers = decided.iter().map(|(key, _)| (key.clone(), loaded.index.number(key)));
    Ok(Decided { changed: rows.len(), digest: loaded.digest(), numbers: numbers.collect() })
}

/// Refuses to decide on grounds that are gone: somebody decided about what was seen.
fn refuse_unseen(
    ledger: &Ledger,
    loaded: &Loaded,
    decided: &[(String, Decisions)],
    seen: &Seen,
) -> Result<(), Error> {
    let who = match seen {
        Seen::Plan(digest) => loaded.decided_since(ledger, digest)?,
        Seen::Groups(numbers) => {
            let is_newer = |key: &str, number: i64| number > numbers.get(key).copied().unwrap_or(0);
            let index = &loaded.index;
            let overwrites = |(key, decisions): &&(String, Decisions)| {
                index
                    .made(key)
                    .is_some_and(|made| is_newer(key, made.number) && made.decisions != *decisions)
            };
            let keys: BTreeSet<&str> =
                decided.iter().filter(overwrites).map(|(key, _)| key.as_str()).collect();
            if keys.is_empty() {
                return Ok(());
            }
            let rows = ledger.decisions_since(&loaded.head.plan, 0)?;
            let unseen =
                |row: &&DecisionRow| keys.contains(row.key.as_str()) && is_newer(&row.key, row.seq);
            Some(meanwhile::in_words(rows.iter().filter(unseen)))
        }
    };
    let plan = loaded.head.plan.clone();
    who.map_or(Ok(()), |who| Err(Error::DecidedMeanwhile { plan, who }))
}

fn row_of(
    kept: &Kept,
    header: &PlanHeader,
    decisions: &Decisions,
    by: &str,
    door: Door,
    at: &str,
) -> DecisionRow {
    let outcome = effective(kept, header, decisions);
    let refused = outcome.as_ref().err().cloned();
    let Effect { risk, losers, dropped, lost } =
        effect_of(outcome.as_ref().unwrap_or(&kept.planned), kept, header);
    let state = Decisions { note: None, ..decisions.clone() };
    DecisionRow {
        seq: 0,
        key: kept.planned.key.as_str().to_owned(),
        // Maps with text keys and plain values always serialise.
        state: serde_json::to_string(&state).unwrap_or_default(),
        note: decisions.note.clone(),
        by: by.to_owned(),
        at: at.to_owned(),
        door: door.as_str().to_owned(),
        refused,
        risk: risk.as_str().to_owned(),
        losers,
        dropped,
        lost,
    }
}

fn effect_of(group: &PlannedGroup, kept: &Kept, header: &PlanHeader) -> Effect {
    Effect {
        risk: group.risk,
        losers: group.losers.len() as u64,
        dropped: group.dropped.len() as u64,
        lost: group.opt_outs_lost(&kept.leads, &header.policy, &header.facts) as u64,
    }
}

/// That the records of a group are not one person, with who they were.
fn said(kept: &Kept, row: &DecisionRow, plan: &str) -> NotSameRow {
    NotSameRow {
        seq: 0,
        plan: plan.to_owned(),
        key: row.key.clone(),
        leads: serde_json::to_string(&Named::of(&kept.leads)).unwrap_or_default(),
        note: row.note.clone(),
        by: row.by.clone(),
        at: row.at.clone(),
    }
}
