//! The map of merged leads: who went into whom, and who lives in their place now. Pure.
//!
//! For: programs that hold ids of leads that are gone. Never: has a merge in it that no look at
//! Marketo has shown.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::lead::LeadId;
use crate::ledger::MergedLead;

/// A lead that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MapRow {
    /// The lead that is gone.
    pub loser_id: LeadId,
    /// The lead that it went into.
    pub winner_id: LeadId,
    /// The lead that lives in its place now: chains of merges are followed, and a lead that was
    /// restored is the new one.
    pub survivor_id: LeadId,
    /// When the loser was created, as Marketo wrote it.
    pub loser_created_at: Option<String>,
    /// The same of the winner.
    pub winner_created_at: Option<String>,
    /// When the merge was sent, or when Marketo recorded it.
    pub merged_at: Option<DateTime<Utc>>,
    /// Who made it.
    pub by: ByWhom,
    /// This program's run.
    pub run: Option<u64>,
    /// Marketo's id of the call.
    pub request_id: Option<String>,
}

/// Who made a merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ByWhom {
    /// A run of this program, and whoever ran it, where that is known.
    Us(Option<String>),
    /// Somebody or something else: `others`.
    Others(&'static str),
}

impl ByWhom {
    /// A merge that is not this program's.
    pub fn others() -> Self {
        Self::Others("others")
    }

    /// As it is shown; empty where nobody knows.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Us(by) => by.as_deref().unwrap_or_default(),
            Self::Others(word) => word,
        }
    }
}

/// A lost lead that is there again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The lead that was lost.
    pub lost: LeadId,
    /// The lead that was made in its place.
    pub new: LeadId,
}

/// The map of these merges, of this program and of others, the oldest first. A merge that both tell
/// of is this program's.
pub fn map_of(ours: &[MergedLead], others: Vec<MapRow>, restored: &[Restored]) -> Vec<MapRow> {
    let known: BTreeSet<(LeadId, LeadId)> =
        ours.iter().map(|merged| (merged.loser, merged.winner)).collect();
    let losers: BTreeSet<LeadId> = ours.iter().map(|merged| merged.loser).collect();
    let mut rows: Vec<MapRow> = ours.iter().map(row).collect();
    // An id is lost once: what the log tells of it by the winner of today is the same merge.
    rows.extend(others.into_iter().filter(|row| {
        !known.contains(&(row.loser_id, row.winner_id)) && !losers.contains(&row.loser_id)
    }));
    let mut next: BTreeMap<LeadId, LeadId> = BTreeMap::new();
    for row in &rows {
        next.insert(row.loser_id, row.winner_id);
    }
    for one in restored {
        next.insert(one.lost, one.new);
    }
    for row in &mut rows {
        row.survivor_id = end_of(&next, row.loser_id);
    }
    rows.sort_by(|a, b| {
        (a.merged_at, a.loser_id, a.winner_id).cmp(&(b.merged_at, b.loser_id, b.winner_id))
    });
    rows
}

fn row(merged: &MergedLead) -> MapRow {
    MapRow {
        loser_id: merged.loser,
        winner_id: merged.winner,
        survivor_id: merged.winner,
        loser_created_at: merged.loser_created_at.clone(),
        winner_created_at: merged.winner_created_at.clone(),
        merged_at: Some(merged.at),
        by: ByWhom::Us(merged.by.clone()),
        run: merged.run.map(crate::ledger::RunId::number),
        request_id: merged.request_id.clone(),
    }
}

/// Where a chain ends. One that runs in a circle, since an id came back, ends where it was left.
fn end_of(next: &BTreeMap<LeadId, LeadId>, from: LeadId) -> LeadId {
    let (mut at, mut seen) = (from, BTreeSet::new());
    while let Some(into) = next.get(&at) {
        if !seen.insert(at) {
            break;
        }
        at = *into;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(loser: LeadId, winner: LeadId, second: u32) -> MergedLead {
        MergedLead {
            loser,
            winner,
            call: 1,
            key: "ada@example.com".to_owned(),
            plan: "p".to_owned(),
            run: None,
            by: Some("ada".to_owned()),
            at: format!("2026-11-29T01:11:{second:02}Z").parse().unwrap(),
            request_id: None,
            loser_created_at: None,
            winner_created_at: None,
        }
    }

    fn of_others(loser: LeadId, winner: LeadId) -> MapRow {
        MapRow { by: ByWhom::others(), ..row(&merged(loser, winner, 0)) }
    }

    fn survivors(rows: &[MapRow]) -> Vec<(LeadId, LeadId, LeadId)> {
        rows.iter().map(|row| (row.loser_id, row.winner_id, row.survivor_id)).collect()
    }

    #[test]
    fn a_chain_is_followed_to_the_lead_that_lives_now() {
        let ours = [merged(3, 2, 1), merged(2, 1, 2), merged(9, 8, 3)];
        assert_eq!(survivors(&map_of(&ours, vec![], &[])), [(3, 2, 1), (2, 1, 1), (9, 8, 8)]);
        // Also over a merge that somebody else made.
        let rows = map_of(&ours, vec![of_others(1, 7)], &[]);
        assert_eq!(survivors(&rows), [(1, 7, 7), (3, 2, 7), (2, 1, 7), (9, 8, 8)]);
        assert_eq!((rows[0].by.as_str(), rows[1].by.as_str()), ("others", "ada"));
    }

    #[test]
    fn a_restored_lead_is_the_new_one_until_that_is_merged() {
        let restored = [Restored { lost: 2, new: 20 }];
        assert_eq!(survivors(&map_of(&[merged(2, 1, 1)], vec![], &restored)), [(2, 1, 20)]);
        let again = [merged(2, 1, 1), merged(20, 1, 2)];
        assert_eq!(survivors(&map_of(&again, vec![], &restored)), [(2, 1, 1), (20, 1, 1)]);
    }

    #[test]
    fn a_merge_that_both_tell_of_is_there_once_and_a_circle_ends() {
        let rows = map_of(&[merged(2, 1, 1)], vec![of_others(2, 1), of_others(2, 5)], &[]);
        assert_eq!((rows.len(), rows[0].by.as_str()), (1, "ada"));
        assert_eq!(map_of(&[merged(2, 1, 1), merged(1, 2, 2)], vec![], &[]).len(), 2);
    }
}
