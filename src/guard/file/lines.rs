//! The lines of a file as the engine takes them, and the result of each. Pure.
//!
//! Lines of one key follow one another, in their order, so that the engine makes one record of
//! them: what a later one says wins, field by field, and the lead ends as if they had been written
//! one after another.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::result::{LineResult, Status};
use crate::dedupe::{Key, KeyKind};
use crate::guard::engine::{Outcome, Refused};
use crate::guard::read::Record;
use crate::lead::LeadId;

/// A line that has a key to be written to.
#[derive(Debug)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) key: Key,
    /// What is to be written, without the looked-up field.
    pub(super) fields: Map<String, Value>,
}

/// The end of a line, as far as the run saw it.
#[derive(Debug)]
pub(super) enum Fate {
    /// The engine brought it to an end.
    Ended(Outcome),
    /// The run was over before it was sent.
    NotSent,
    /// The run was over while a call with it was in doubt.
    InDoubt,
}

/// The last values that were written to each lead, and for which line.
pub(super) type Written = BTreeMap<LeadId, (u64, Map<String, Value>)>;

impl Line {
    /// The record to be sent. What is written is the key itself: blanks and invisible characters
    /// around a value would hide the lead from the next look-up.
    pub(super) fn record(&self, field: &str) -> Map<String, Value> {
        let mut record = self.fields.clone();
        record.insert(field.to_owned(), Value::from(self.key.as_str()));
        record
    }
}

/// The lines to be sent, by key in the order in which the keys first appear; and those that cannot
/// be.
pub(super) fn in_order(
    records: Vec<Record>,
    field: &str,
    kind: KeyKind,
) -> (Vec<Line>, Vec<LineResult>) {
    let mut places: BTreeMap<Key, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<Line>> = Vec::new();
    // Whether Marketo tells values apart by case alone is not known, so two such keys are never
    // both sent.
    let mut spellings: BTreeMap<String, (Key, u64)> = BTreeMap::new();
    let mut skipped = Vec::new();
    for Record { line, mut fields } in records {
        let value = fields.remove(field).unwrap_or_default();
        let Some(key) = kind.key(&value) else {
            let why = format!("`{field}` is empty, and an empty key never matches");
            skipped.push(skip(line, why));
            continue;
        };
        if key.as_str().contains(',') {
            let why =
                format!("`{field}` holds a comma, and Marketo cannot be asked for such a value");
            skipped.push(skip(line, why));
            continue;
        }
        let folded = key.as_str().to_lowercase();
        let (first, at) = spellings.entry(folded).or_insert_with(|| (key.clone(), line));
        if *first != key {
            let why =
                format!("`{field}` differs from that of line {at} in case alone; use one spelling");
            skipped.push(skip(line, why));
            continue;
        }
        let place = *places.entry(key.clone()).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.push(Line { number: line, key, fields });
        }
    }
    (groups.into_iter().flatten().collect(), skipped)
}

fn skip(line: u64, why: String) -> LineResult {
    LineResult { line, key: None, status: Status::Skipped, id: None, reason: Some(why) }
}

/// The result of each line, in their order here, and what is to be read back. `why` the run was
/// over, for lines that it did not come to.
pub(super) fn results(lines: &[Line], fates: &[Fate], why: &str) -> (Vec<LineResult>, Written) {
    let mut results: Vec<LineResult> =
        lines.iter().zip(fates).map(|(line, fate)| result(line, fate, why)).collect();
    // From the last line to the first, so that an earlier one of the key is told into which later
    // one it went.
    for later in (1..results.len()).rev() {
        let (before, after) = results.split_at_mut(later);
        let taker = after.iter_mut().find(|result| result.status != Status::Coalesced);
        let (Some(earlier), Some(taker)) = (before.last_mut(), taker) else { continue };
        if went_into_the_next(lines, fates, later - 1) {
            // The engine gives the first record of a new lead the word `created`.
            if earlier.status == Status::Created {
                taker.status = Status::Created;
            }
            earlier.status = Status::Coalesced;
            let with = format!("with line {}, which has the same key and comes later", taker.line);
            earlier.reason = Some(with);
        }
    }
    let written = written(lines, fates, &results);
    (results, written)
}

fn went_into_the_next(lines: &[Line], fates: &[Fate], place: usize) -> bool {
    let pair = place..place + 2;
    let (Some([line, next]), Some([Fate::Ended(outcome), Fate::Ended(after)])) =
        (lines.get(pair.clone()), fates.get(pair))
    else {
        return false;
    };
    let is_one = match (outcome, after) {
        (Outcome::Row { coalesced, .. }, Outcome::Row { .. }) => *coalesced,
        (Outcome::Unchanged(id), Outcome::Unchanged(other))
        | (Outcome::WouldUpdate(id), Outcome::WouldUpdate(other)) => id == other,
        (Outcome::WouldCreate, Outcome::WouldCreate) => true,
        _ => false,
    };
    is_one && line.key == next.key
}

/// What Marketo answered to have written, for each lead the last of it.
fn written(lines: &[Line], fates: &[Fate], results: &[LineResult]) -> Written {
    let (mut written, mut so_far) = (Written::new(), Map::new());
    for ((line, fate), result) in lines.iter().zip(fates).zip(results) {
        so_far.extend(line.fields.clone());
        if result.status == Status::Coalesced {
            continue;
        }
        let fields = std::mem::take(&mut so_far);
        if let (Fate::Ended(Outcome::Row { .. }), Status::Created | Status::Updated, Some(id)) =
            (fate, result.status, result.id)
        {
            written.insert(id, (line.number, fields));
        }
    }
    written
}

/// The result of a line by itself.
fn result(line: &Line, fate: &Fate, why: &str) -> LineResult {
    let (status, id, reason) = match fate {
        Fate::Ended(outcome) => said(outcome, why),
        Fate::NotSent => (Status::Skipped, None, Some(why.to_owned())),
        Fate::InDoubt => {
            let reason =
                format!("{why}; whether an earlier call wrote it is not known, run it again");
            (Status::Failed, None, Some(reason))
        }
    };
    LineResult { line: line.number, key: Some(line.key.to_string()), status, id, reason }
}

fn said(outcome: &Outcome, why: &str) -> (Status, Option<LeadId>, Option<String>) {
    match outcome {
        Outcome::Row { row, .. } => said_by_row(row),
        Outcome::Unchanged(id) => (Status::Unchanged, Some(*id), None),
        Outcome::WouldCreate => (Status::WouldCreate, None, None),
        Outcome::WouldUpdate(id) => (Status::WouldUpdate, Some(*id), None),
        Outcome::Several { ids, .. } => (Status::Skipped, None, Some(several(ids))),
        Outcome::Refused(Refused::Marketo(refusal)) => {
            let reason = format!("Marketo refused the call: {} {}", refusal.code, refusal.message);
            (Status::Failed, None, Some(reason))
        }
        Outcome::Refused(Refused::Withheld) => {
            let reason = "the lease of its key ended each time before it could be sent; nothing was sent, run it again";
            (Status::Failed, None, Some(reason.to_owned()))
        }
        Outcome::Refused(Refused::Fault) => {
            let reason = "a fault of this program ended it before it was sent; run it again";
            (Status::Failed, None, Some(reason.to_owned()))
        }
        // All others end the run.
        Outcome::Refused(_) | Outcome::NotSent => (Status::Skipped, None, Some(why.to_owned())),
        Outcome::Open => {
            let reason = "a call that may have written it was not answered, and its outcome stays open; look the \
                          lead up, then run it again";
            (Status::Failed, None, Some(reason.to_owned()))
        }
    }
}

/// What Marketo says of a record.
fn said_by_row(row: &Value) -> (Status, Option<LeadId>, Option<String>) {
    let id = row.get("id").and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()));
    match row.get("status").and_then(Value::as_str) {
        Some("created") => (Status::Created, id, None),
        Some("updated") => (Status::Updated, id, None),
        _ => (Status::Failed, None, Some(format!("Marketo refused it: {}", reasons(row)))),
    }
}

/// Adobe's definitions name the reasons `reason`, its answers `reasons`.
fn reasons(row: &Value) -> String {
    let reasons = ["reasons", "reason"].iter().find_map(|name| row.get(name)?.as_array());
    let in_words = |reason: &Value| {
        let text = |name: &str| match reason.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        format!("{} {}", text("code"), text("message")).trim().to_owned()
    };
    let words: Vec<String> = reasons.into_iter().flatten().map(in_words).collect();
    words.join(", ")
}

fn several(ids: &[LeadId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!(
        "leads {} have this key, and which is meant cannot be known; merge them first",
        ids.join(", ")
    )
}

#[cfg(test)]
mod tests;
