//! Who decided about a plan after somebody looked at it. Pure.
//!
//! For: a file, a page or a command that rests on how things stood is refused with the names of
//! those who decided since. Never: decides whether it is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Index;
use crate::dedupe::Key;
use crate::ledger::DecisionRow;
use crate::terminal::counted;

/// How many people are named.
const NAMED: usize = 3;

/// How far the digest of an earlier moment is looked for, in decisions that came at once.
const LOOKED_BACK: usize = 300;

/// The last of these decisions, the oldest first, that were made after the plan had this digest:
/// all of them where it had it too long ago, or never.
pub(super) fn since<'r>(rows: &'r [DecisionRow], plan: &str, digest: &str) -> &'r [DecisionRow] {
    let of_one_call = |row: &DecisionRow| (row.by.clone(), row.at.clone(), row.door.clone());
    let is_end = |end: usize| match (end.checked_sub(1).and_then(|at| rows.get(at)), rows.get(end))
    {
        (Some(before), Some(after)) => of_one_call(before) != of_one_call(after),
        _ => true,
    };
    let mut ends: Vec<usize> =
        (0..=rows.len()).rev().filter(|end| is_end(*end)).take(LOOKED_BACK).collect();
    ends.reverse();
    let (mut index, mut known, mut found) = (Index::default(), 0, 0);
    for end in ends {
        let more = rows.get(known..end).unwrap_or_default().to_vec();
        known = end;
        if index.learn(more).is_err() {
            break;
        }
        if index.digest(plan).eq_ignore_ascii_case(digest) {
            found = end;
        }
    }
    rows.get(found..).unwrap_or_default()
}

/// Who decided about what, and when: "Bo decided about ada@example.com on 2026-11-30 at 01:00 UTC".
pub(super) fn in_words<'r>(rows: impl IntoIterator<Item = &'r DecisionRow>) -> String {
    let mut people: BTreeMap<&str, (BTreeSet<&str>, &str)> = BTreeMap::new();
    for row in rows {
        let (keys, last) = people.entry(&row.by).or_default();
        keys.insert(&row.key);
        *last = (*last).max(row.at.as_str());
    }
    let mut people: Vec<_> = people.into_iter().collect();
    people.sort_by(|(_, (_, a)), (_, (_, b))| b.cmp(a));
    let told = people.iter().take(NAMED).map(|(by, (keys, last))| match keys.first() {
        Some(only) if keys.len() == 1 => {
            let key = Key::stored((*only).to_owned()).map(|key| key.to_string());
            format!("{by} decided about {} {}", key.unwrap_or_default(), when(last))
        }
        _ => {
            let groups = counted(keys.len() as u64, "group");
            format!("{by} decided about {groups}, the last one {}", when(last))
        }
    });
    let mut told: Vec<String> = told.collect();
    if people.len() > NAMED {
        told.push(format!("and {} did", counted((people.len() - NAMED) as u64, "other person")));
    }
    if told.is_empty() {
        return "it never had that digest".to_owned();
    }
    told.join("; ")
}

/// A time of the ledger as a person reads it.
fn when(at: &str) -> String {
    match chrono::DateTime::parse_from_rfc3339(at) {
        Ok(at) => at.to_utc().format("on %Y-%m-%d at %H:%M UTC").to_string(),
        Err(_no_time) => format!("at {at}"),
    }
}
