//! Merges that others made in the past, and what they look to have lost. Pure.
//!
//! Marketo keeps no copy of a merged record. What is left are its activities, which go over to the
//! record that stayed: an opt-out or a list that these tell of and that the survivor does not have
//! now looks lost. Never: takes what the log does not say for a sign of anything. Marketo keeps
//! changed values and additions to lists for 90 days, so that older ones cannot be told.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use crate::lead::{Lead, LeadId};
use crate::marketo::{LeadChange, ListChange, MergeRecord};

mod lost;

use lost::lost_of;

/// A merge that somebody else made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OthersMerge {
    /// When, to the second.
    pub at: Option<DateTime<Utc>>,
    /// Who made it, where the log says so.
    pub user: Option<String>,
    /// The API method, where the log says so.
    pub method: Option<String>,
    /// Marketo's id of the call, where the log says so.
    pub request_id: Option<String>,
    /// What Marketo calls its source. It is missing where an anonymous visitor turned out to be a
    /// known person, and perhaps elsewhere.
    pub merge_source: Option<String>,
    /// The record that stayed then.
    pub winner_id: LeadId,
    /// The record that has its activities now.
    pub survivor_id: LeadId,
    /// Whether that record is there now; none where it was not looked for.
    pub survivor_lives: Option<bool>,
    /// The records that went; none where the log does not name them.
    pub loser_ids: Vec<LeadId>,
    /// What looks lost.
    pub lost: Vec<Lost>,
}

/// An opt-out or a list membership that the log tells of, and that the survivor does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lost {
    /// What it is.
    pub kind: LostKind,
    /// The field's REST name, or the list's name.
    pub name: String,
    /// The list's id.
    pub list_id: Option<u64>,
    /// When a record got it last, before the merge.
    pub since: Option<DateTime<Utc>>,
}

/// What looks lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LostKind {
    /// A person's no.
    OptOut,
    /// A place on a static list.
    List,
}

/// What was read of Marketo to judge merges by.
#[derive(Debug, Default)]
pub struct Read {
    /// Changes of consent fields.
    pub consent: Vec<LeadChange>,
    /// Additions to static lists, and removals.
    pub lists: Vec<ListChange>,
    /// The survivors that are there now.
    pub now: BTreeMap<LeadId, Lead>,
    /// The static lists that they are on now; of the others it was not read.
    pub on_lists: BTreeMap<LeadId, BTreeSet<u64>>,
    /// The names of lists.
    pub names: BTreeMap<u64, String>,
}

/// Merges by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OthersTotals {
    /// How many.
    pub merges: u64,
    /// Records that went.
    pub removed: u64,
    /// Opt-outs that look lost.
    pub opt_outs_lost: u64,
    /// List memberships that look lost.
    pub lists_lost: u64,
}

impl OthersTotals {
    fn add(&mut self, merge: &OthersMerge) {
        let of = |kind: LostKind| merge.lost.iter().filter(|lost| lost.kind == kind).count() as u64;
        self.merges += 1;
        self.removed += merge.loser_ids.len() as u64;
        self.opt_outs_lost += of(LostKind::OptOut);
        self.lists_lost += of(LostKind::List);
    }
}

/// The totals of all, by user (none where the log names nobody) and by day (UTC).
pub fn totals_of(
    merges: &[OthersMerge],
) -> (OthersTotals, BTreeMap<Option<String>, OthersTotals>, BTreeMap<NaiveDate, OthersTotals>) {
    let mut all = OthersTotals::default();
    let (mut by_user, mut by_day) = (BTreeMap::new(), BTreeMap::new());
    for merge in merges {
        all.add(merge);
        by_user.entry(merge.user.clone()).or_insert_with(OthersTotals::default).add(merge);
        if let Some(at) = merge.at {
            by_day.entry(at.date_naive()).or_insert_with(OthersTotals::default).add(merge);
        }
    }
    (all, by_user, by_day)
}

/// The merges of the log that are not this program's, the oldest first, with what looks lost.
pub fn others_merges(
    records: &[MergeRecord],
    ours: &BTreeSet<LeadId>,
    read: &Read,
) -> Vec<OthersMerge> {
    let mut merges: Vec<OthersMerge> = not_ours(records, ours)
        .map(|record| OthersMerge {
            at: record.at,
            user: record.user.clone(),
            method: record.method.clone(),
            request_id: record.request_id.clone(),
            merge_source: record.source.clone(),
            winner_id: record.then.unwrap_or(record.winner),
            survivor_id: record.winner,
            survivor_lives: lives(record, read),
            loser_ids: record.losers.clone(),
            lost: Vec::new(),
        })
        .collect();
    merges
        .sort_by(|a, b| (a.at, a.winner_id, &a.loser_ids).cmp(&(b.at, b.winner_id, &b.loser_ids)));
    for (place, lost) in lost_of(&merges, read) {
        if let Some(merge) = merges.get_mut(place) {
            merge.lost.push(lost);
            merge.lost.sort();
        }
    }
    merges
}

/// A merge without a source is most likely a visitor who turned out to be known: of its survivor
/// nothing is read, unless another merge has the same one.
fn lives(record: &MergeRecord, read: &Read) -> Option<bool> {
    let lives = read.now.contains_key(&record.winner);
    (lives || record.source.is_some()).then_some(lives)
}

/// The merges that are not this program's: one of the records that went it did not take.
pub fn not_ours<'a>(
    records: &'a [MergeRecord],
    ours: &'a BTreeSet<LeadId>,
) -> impl Iterator<Item = &'a MergeRecord> {
    let is_ours = |record: &MergeRecord| {
        !record.losers.is_empty() && record.losers.iter().all(|lead| ours.contains(lead))
    };
    records.iter().filter(move |record| !is_ours(record))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(minute)
    }

    fn record(winner: LeadId, then: LeadId, losers: &[LeadId], minute: i64) -> MergeRecord {
        MergeRecord {
            winner,
            then: Some(then),
            losers: losers.to_vec(),
            at: Some(at(minute)),
            request_id: None,
            user: None,
            method: None,
            source: Some("leaddb".to_owned()),
            by_another_user: false,
        }
    }

    fn said(lead: LeadId, no: bool, minute: i64) -> LeadChange {
        LeadChange {
            lead,
            field: "unsubscribed".to_owned(),
            old: Value::Null,
            new: json!(no.to_string()),
            at: Some(at(minute)),
            source: None,
            request_id: None,
        }
    }

    fn read(consent: Vec<LeadChange>, lists: &[(LeadId, bool, i64)], is_out: bool) -> Read {
        Read {
            consent,
            lists: lists
                .iter()
                .map(|(lead, added, minute)| ListChange {
                    lead: *lead,
                    list: 5,
                    added: *added,
                    at: Some(at(*minute)),
                })
                .collect(),
            now: [(1, Lead::new(1).with("unsubscribed", is_out))].into(),
            on_lists: [(1, BTreeSet::new())].into(),
            names: [(5, "News".to_owned())].into(),
        }
    }

    fn lost(records: &[MergeRecord], read: &Read) -> Vec<(LeadId, LostKind)> {
        let merges = others_merges(records, &BTreeSet::new(), read);
        let each = merges
            .iter()
            .flat_map(|merge| merge.lost.iter().map(|lost| (merge.loser_ids[0], lost.kind)));
        each.collect()
    }

    #[test]
    fn an_opt_out_looks_lost_where_a_record_had_it_at_the_merge_and_the_survivor_has_not() {
        use LostKind::OptOut;
        let merge = [record(1, 1, &[2], 10)];
        let of = |consent: Vec<LeadChange>, is_out| lost(&merge, &read(consent, &[], is_out));
        // The row went over to the survivor, or still has its own id.
        assert_eq!(of(vec![said(1, true, 5)], false), [(2, OptOut)]);
        assert_eq!(of(vec![said(2, true, 5)], false), [(2, OptOut)]);
        assert_eq!(of(vec![said(1, true, 5)], true), [], "the survivor has it");
        assert_eq!(of(vec![said(1, true, 5), said(1, false, 6)], false), [], "taken back before");
        assert_eq!(of(vec![said(1, true, 5), said(1, false, 20)], false), [], "and after");
        // Both records said no, and one took it back.
        let two = vec![said(1, true, 4), said(1, true, 5), said(1, false, 6)];
        assert_eq!(of(two.clone(), false), [(2, OptOut)]);
        // Once they are one, one taking back is enough.
        let after = vec![said(1, true, 4), said(1, true, 5), said(1, false, 12)];
        assert_eq!(of(after, false), []);
        assert_eq!(of(vec![said(1, true, 12)], false), [], "after the merge it is not its loss");
    }

    #[test]
    fn a_no_that_was_taken_back_between_two_merges_is_not_lost() {
        let merges = [record(1, 1, &[2], 10), record(1, 1, &[3], 20)];
        let of = |consent: Vec<LeadChange>| lost(&merges, &read(consent, &[], false));
        // The rows went over to the survivor, or still have their own ids.
        for second in [1, 2] {
            let both = || vec![said(1, true, 4), said(second, true, 5), said(1, false, 12)];
            assert_eq!(of(both()), [], "what was one record by then took it back");
            let third = [both(), vec![said(3, true, 6)]].concat();
            assert_eq!(of(third), [(3, LostKind::OptOut)], "the third record never did");
        }
        let lists = [(1, true, 4), (2, true, 5), (1, false, 12)];
        assert_eq!(lost(&merges, &read(vec![], &lists, false)), []);
    }

    #[test]
    fn a_loss_belongs_to_the_first_merge_after_it() {
        let merges = [record(1, 1, &[2], 10), record(1, 1, &[3], 20)];
        let found = lost(&merges, &read(vec![said(1, true, 15)], &[(1, true, 5)], false));
        assert_eq!(found, [(2, LostKind::List), (3, LostKind::OptOut)]);
    }

    #[test]
    fn a_chain_is_followed_and_our_own_merges_are_left_out() {
        let records = [record(1, 7, &[2], 10), record(1, 1, &[7], 20), record(1, 1, &[9], 30)];
        let merges =
            others_merges(&records, &[9].into(), &read(vec![said(7, true, 5)], &[], false));
        assert_eq!(merges.len(), 2);
        assert_eq!((merges[0].winner_id, merges[0].survivor_id), (7, 1));
        assert_eq!(merges[0].lost.len(), 1);
        let (all, by_user, by_day) = totals_of(&merges);
        assert_eq!((all.merges, all.removed, all.opt_outs_lost), (2, 2, 1));
        assert_eq!((by_user.len(), by_day.len()), (1, 1));
    }

    #[test]
    fn whether_the_survivor_of_a_merge_without_a_source_lives_is_not_said() {
        let visitor = |winner| MergeRecord { source: None, ..record(winner, winner, &[8], 10) };
        let merges = [visitor(1), visitor(7), record(9, 9, &[3], 20)];
        let found = others_merges(&merges, &BTreeSet::new(), &read(vec![], &[], false));
        let lives: Vec<Option<bool>> = found.iter().map(|merge| merge.survivor_lives).collect();
        assert_eq!(lives, [Some(true), None, Some(false)]);
    }

    #[test]
    fn of_a_survivor_that_is_gone_or_whose_lists_were_not_read_nothing_is_said() {
        let merge = [record(1, 1, &[2], 10)];
        let mut read = read(vec![said(1, true, 5)], &[(1, true, 5)], false);
        read.on_lists.clear();
        assert_eq!(lost(&merge, &read), [(2, LostKind::OptOut)]);
        read.now.clear();
        assert_eq!(lost(&merge, &read), []);
    }
}
