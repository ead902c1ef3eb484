//! Rows that are to be on a lead: where they stand by a look, the calls that link them there, and
//! what is said of them. Pure.

use std::collections::BTreeMap;

use serde_json::json;

use super::link::{Place, folded};
use crate::dedupe::rows_in_words;
use crate::lead::LeadId;
use crate::ledger::{CallId, LinkedRow, MovedRow, NewRows, RowPurpose};
use crate::marketo::BATCH;
use crate::merge::report::{Difference, Fate, RowsProof, Surprise};

/// A row, and the lead on which it is to be.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// The calls that moved it, the last one first; none of a row that a merge left behind.
    pub(super) calls: Vec<CallId>,
    pub(super) plan: String,
    pub(super) object: String,
    pub(super) field: String,
    pub(super) guid: String,
    pub(super) winner: LeadId,
    /// The lead that it hung on before it was moved.
    pub(super) was: LeadId,
    /// Where it hangs, unless somebody moved it.
    pub(super) from: LeadId,
    pub(super) to: LeadId,
    pub(super) purpose: RowPurpose,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RowFate {
    There,
    /// The row is gone.
    Gone,
    /// Somebody linked it to another lead.
    Elsewhere(Option<LeadId>),
    /// The lead is gone, and not by this program.
    NoLead,
    /// It could not be linked, for this reason.
    Stuck(String),
}

/// What was told of rows that were to be linked back, by the record that was to stay.
#[derive(Debug, Default)]
pub(in crate::merge) struct RowsBack {
    /// How many are back.
    pub(in crate::merge) back: usize,
    /// In words.
    pub(in crate::merge) words: String,
    /// Whether all are.
    pub(in crate::merge) all: bool,
}

impl Wish {
    pub(super) fn of(moved: MovedRow, to: LeadId, purpose: RowPurpose) -> Self {
        let MovedRow { call, plan, object, field, row } = moved;
        let LinkedRow { guid, winner, was, becomes } = row;
        let (calls, from) = (vec![call], becomes);
        Self { calls, plan, object, field, guid, winner, was, from, to, purpose }
    }

    pub(super) fn id(&self) -> (String, String) {
        (self.object.clone(), folded(&self.guid))
    }
}

/// One entry for each row, by its latest move, since no call may name a row twice. The second list
/// has the rows that their latest call found on another lead than the one before had linked them to.
pub(super) fn each_once(wishes: Vec<Wish>) -> (Vec<Wish>, Vec<Wish>) {
    let mut once: BTreeMap<(String, String), Wish> = BTreeMap::new();
    let mut later = Vec::new();
    for wish in wishes.into_iter().rev() {
        match once.get_mut(&wish.id()) {
            None => drop(once.insert(wish.id(), wish)),
            Some(last) if last.from == wish.from => last.calls.extend(wish.calls),
            Some(_) => later.push(wish),
        }
    }
    (once.into_values().collect(), later)
}

/// What a look says of a row; none where it is to be linked. `is_sure` where a read cannot lag
/// behind the call that moved the row: this program has linked it since, or a look has shown it
/// where that call linked it. Pure.
pub(super) fn standing(
    wish: &Wish,
    place: Option<&Place>,
    lives: bool,
    is_sure: bool,
) -> Option<RowFate> {
    let lags = |lead: LeadId| {
        // What shows it where it was may be older than the call. Linking it once more does no harm.
        !is_sure && wish.from != wish.to && (lead == wish.to || lead == wish.was)
    };
    // A lead that was merged away holds no row: what hangs on it follows as well.
    let follows = |lead: LeadId| wish.purpose == RowPurpose::Follow && lead == wish.was;
    match place {
        Some(Place::On(Some(lead))) if *lead == wish.to && !lags(*lead) => Some(RowFate::There),
        Some(Place::On(Some(lead))) if *lead == wish.from || lags(*lead) || follows(*lead) => {
            (!lives).then_some(RowFate::NoLead)
        }
        Some(Place::On(lead)) => Some(RowFate::Elsewhere(*lead)),
        Some(Place::Gone) => Some(RowFate::Gone),
        Some(Place::Unreadable(why)) => Some(RowFate::Stuck(why.clone())),
        None => Some(RowFate::Stuck("it was not read".to_owned())),
    }
}

/// The calls that link rows to where they are to be, by their plans.
pub(super) fn calls_of(wishes: &[Wish]) -> Vec<(String, NewRows)> {
    let mut by_object: BTreeMap<(&str, &str, &str, bool), Vec<LinkedRow>> = BTreeMap::new();
    for wish in wishes {
        let row = LinkedRow {
            guid: wish.guid.clone(),
            winner: wish.winner,
            was: wish.from,
            becomes: wish.to,
        };
        let follows = wish.purpose == RowPurpose::Follow;
        by_object.entry((&wish.plan, &wish.object, &wish.field, follows)).or_default().push(row);
    }
    let mut calls = Vec::new();
    for ((plan, object, field, follows), rows) in by_object {
        let purpose = if follows { RowPurpose::Follow } else { RowPurpose::GiveBack };
        calls.extend(rows.chunks(BATCH).map(|rows| {
            let new = NewRows {
                object: object.to_owned(),
                field: field.to_owned(),
                purpose,
                rows: rows.to_vec(),
            };
            (plan.to_owned(), new)
        }));
    }
    calls
}

/// How many rows of each object were moved, and seen on the record that stayed.
pub(super) fn proofs(fates: &[(Wish, RowFate)]) -> Vec<RowsProof> {
    let mut all: BTreeMap<&str, RowsProof> = BTreeMap::new();
    for (wish, fate) in fates {
        let object = wish.object.clone();
        let proof = all.entry(&wish.object).or_insert(RowsProof { object, moved: 0, verified: 0 });
        proof.moved += 1;
        proof.verified += usize::from(*fate == RowFate::There);
    }
    all.into_values().collect()
}

/// What of the rows that were moved is not on the record that stayed.
pub(super) fn lost_rows(survivor: LeadId, fates: &[(Wish, RowFate)]) -> Vec<Surprise> {
    let proofs = proofs(fates);
    proofs
        .iter()
        .filter(|proof| proof.verified < proof.moved)
        .map(|proof| {
            let others = fates.iter().filter(|(wish, _)| wish.object == proof.object);
            let by_others = |fate: &RowFate| matches!(fate, RowFate::There | RowFate::Elsewhere(_));
            let all_by_others = others.into_iter().all(|(_, fate)| by_others(fate));
            let fate = if all_by_others { Fate::Changed } else { Fate::Lost };
            surprise(
                survivor,
                &format!("rows of {}", proof.object),
                proof.moved,
                proof.verified,
                fate,
            )
        })
        .collect()
}

pub(super) fn surprise(
    lead: LeadId,
    name: &str,
    wanted: usize,
    found: usize,
    fate: Fate,
) -> Surprise {
    let (wanted, found) = (json!(wanted), json!(found));
    Surprise { difference: Difference { lead, name: name.to_owned(), wanted, found }, fate }
}

/// What is said of rows that were to be linked back.
pub(super) fn told(fates: &[(Wish, RowFate)]) -> RowsBack {
    let mut back: BTreeMap<LeadId, BTreeMap<String, usize>> = BTreeMap::new();
    let mut words = Vec::new();
    let mut count = 0;
    let mut all = true;
    for (wish, fate) in fates {
        let Wish { object, guid, to, purpose, .. } = wish;
        let row = format!("a row of `{object}` ({guid})");
        match fate {
            RowFate::There if *purpose == RowPurpose::GiveBack => {
                count += 1;
                *back.entry(*to).or_default().entry(object.clone()).or_default() += 1;
            }
            RowFate::There => {}
            RowFate::Gone => {
                all = false;
                words.push(format!("{row} is not there any more: look for it in Marketo"));
            }
            RowFate::Elsewhere(_) => {
                words.push(format!("{row} was linked to another lead meanwhile, and stays there"));
            }
            RowFate::NoLead => {
                words.push(format!("{row} stays on lead {}, since lead {to} is gone", wish.from));
            }
            RowFate::Stuck(why) => {
                all = false;
                words.push(format!(
                    "{row} could not be linked to lead {to} again ({why}); the next run tries again"
                ));
            }
        }
    }
    let told = back
        .iter()
        .map(|(lead, rows)| format!("{} linked to lead {lead} again", rows_in_words(rows)));
    let words = told.chain(words).collect::<Vec<_>>().join("; ");
    RowsBack { back: count, words, all }
}
