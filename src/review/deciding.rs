//! Decisions on their way into the ledger: checked against the plan, and kept all or none; with
//! what of them outlives the plan, and what of earlier plans they end. A group that was merged is
//! not decided about again.

use std::collections::BTreeSet;

use super::effect::effective;
use super::error::Error;
use super::index::Effect;
use super::loaded::{Kept, Loaded};
use super::meanwhile;
use super::model::{Decided, Door, Seen};
use crate::dedupe::{Decisions, Key, Named, PlanHeader, PlannedGroup, lasting_part};
use crate::lead::LeadId;
use crate::ledger::{DecisionRow, LastingRow, Ledger, NewDecision};
use crate::merge::lasting::word_of;

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
    let mut rows = Vec::new();
    for (key, decisions) in decided {
        let place = loaded.index.place_of(key).ok_or_else(|| Error::NoSuchGroup {
            plan: loaded.head.plan.clone(),
            key: key.clone(),
        })?;
        let nothing = Decisions::default();
        let before = loaded.index.made(key).map_or(&nothing, |made| &made.decisions);
        if before == decisions {
            continue;
        }
        if let Some(past) = loaded.index.carried.of(key).filter(|past| past.is_fixed) {
            return Err(Error::CarriedOut {
                plan: loaded.head.plan.clone(),
                key: Key::stored(key.clone()).map(|key| key.to_string()).unwrap_or_default(),
                what: past.words.clone(),
            });
        }
        let kept = loaded.kept(ledger, place)?;
        if let Some(why) = decisions.leaves_out_the_kept(kept.planned.winner) {
            return Err(Error::LeavesOutTheKept { key: kept.planned.key.to_string(), why });
        }
        let row = row_of(&kept, &loaded.header, decisions, by, door, at);
        let is_change = without_note(before) != without_note(decisions);
        rows.push(new_decision(ledger, loaded, &kept, decisions, row, is_change)?);
    }
    ledger.decide(&loaded.head.plan, &rows)?;
    loaded.refresh(ledger)?;
    let numbers = decided.iter().map(|(key, _)| (key.clone(), loaded.index.number(key)));
    Ok(Decided { changed: rows.len(), digest: loaded.digest(), numbers: numbers.collect() })
}

fn without_note(decisions: &Decisions) -> Decisions {
    Decisions { note: None, ..decisions.clone() }
}

/// A decision with what it says for later plans, and with the words of earlier ones that it ends.
/// What the plan took over from a word and somebody sets back is that word again.
fn new_decision(
    ledger: &Ledger,
    loaded: &Loaded,
    kept: &Kept,
    decisions: &Decisions,
    row: DecisionRow,
    is_change: bool,
) -> Result<NewDecision, Error> {
    let (plan, note) = (&loaded.head.plan, row.note.as_deref());
    let word = ledger.word_taken_over(plan, &row.key, &row.state, note)?;
    let part: BTreeSet<LeadId> = kept.leads.iter().map(|lead| lead.id).collect();
    let part = &part - &decisions.left_out;
    let mut ends = Vec::new();
    let mut still = None;
    for earlier in ledger.words_before(plan, &row.key)? {
        let earlier = word_of(earlier)?;
        let agrees = word == Some(earlier.number);
        if agrees {
            still = word;
        }
        if earlier.is_ended_by(decisions, &part, agrees) {
            ends.push(earlier.number);
        }
    }
    let says = if still.is_some() { None } else { said(kept, decisions, &row, plan) };
    Ok(NewDecision { row, word: still, says, ends, is_change })
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

pub(super) fn row_of(
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
        taken_over: None,
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

/// What of a decision outlives its plan, with who the records were.
fn said(kept: &Kept, decisions: &Decisions, row: &DecisionRow, plan: &str) -> Option<LastingRow> {
    let (choice, left_out) = lasting_part(decisions)?;
    // Ids and names always serialise.
    let json = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
    Some(LastingRow {
        seq: 0,
        plan: plan.to_owned(),
        plan_name: String::new(),
        key: row.key.clone(),
        choice: choice.map(|choice| choice.as_str().to_owned()),
        left_out: json(serde_json::to_string(&left_out)),
        leads: json(serde_json::to_string(&Named::of(&kept.leads))),
        note: row.note.clone(),
        by: row.by.clone(),
        at: row.at.clone(),
    })
}
