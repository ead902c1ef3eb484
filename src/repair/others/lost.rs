//! What merges look to have lost: merges and the rows of the log are walked in the order of time.
//! Pure.
//!
//! Each record is by itself until a merge joins it to others. What a record got and took back
//! again before that is its own matter. Once it is joined, a taking back is that of all records
//! joined until then, and clears what any of them got. A record that is joined only later keeps
//! what it got. Never: reports what the person took back after the merge.
//!
//! Marketo moves the rows of a merged record to the one that stayed, so that rows with the id of
//! the survivor can be of any of its records. They count as the survivor's own, which joins the
//! first merge that leads to it: rather a loss that is not seen than one that never was.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Lost, LostKind, OthersMerge, Read};
use crate::lead::LeadId;

/// Something that a record can have: a no in a field, or a place on a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    OptOut(String),
    List(u64),
}

/// A row of the log: who got something or lost it, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    at: DateTime<Utc>,
    lead: LeadId,
    got: bool,
}

/// A merge of the past: when, and which records it made one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Joint {
    at: DateTime<Utc>,
    place: usize,
    leads: BTreeSet<LeadId>,
}

/// What a record got and nobody took back so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Gain {
    at: DateTime<Utc>,
    /// The first merge of its record after that.
    place: Option<usize>,
}

/// Records that are one by now.
#[derive(Debug, Default)]
struct Joined {
    leads: BTreeSet<LeadId>,
    merged: bool,
    gains: Vec<Gain>,
}

/// What looks lost, by the place of the merge that lost it.
pub(super) fn lost_of(merges: &[OthersMerge], read: &Read) -> Vec<(usize, Lost)> {
    let mut of_survivor: BTreeMap<LeadId, Vec<Joint>> = BTreeMap::new();
    let mut lives_in: BTreeMap<LeadId, LeadId> = BTreeMap::new();
    for (place, merge) in
        merges.iter().enumerate().filter(|(_, merge)| merge.survivor_lives == Some(true))
    {
        // Rows may carry the id of then as well as that of now.
        let then = merge.loser_ids.iter().copied().chain([merge.winner_id, merge.survivor_id]);
        let leads: BTreeSet<LeadId> = then.collect();
        lives_in.extend(leads.iter().map(|lead| (*lead, merge.survivor_id)));
        if let Some(at) = merge.at {
            of_survivor.entry(merge.survivor_id).or_default().push(Joint { at, place, leads });
        }
    }
    let mut lost = Vec::new();
    for ((survivor, thing), rows) in rows(read, &lives_in) {
        let Some(joints) = of_survivor.get(&survivor) else { continue };
        if has_now(read, survivor, &thing) != Some(false) {
            continue;
        }
        let Some((since, place)) = still_had(joints, &rows) else { continue };
        let (kind, name, list_id) = match thing {
            Thing::OptOut(field) => (LostKind::OptOut, field, None),
            Thing::List(id) => {
                let name = read.names.get(&id).cloned().unwrap_or_else(|| id.to_string());
                (LostKind::List, name, Some(id))
            }
        };
        lost.push((place, Lost { kind, name, list_id, since: Some(since) }));
    }
    lost
}

fn rows(read: &Read, lives_in: &BTreeMap<LeadId, LeadId>) -> BTreeMap<(LeadId, Thing), Vec<Row>> {
    let mut rows: BTreeMap<(LeadId, Thing), Vec<Row>> = BTreeMap::new();
    for change in &read.consent {
        let (Some(survivor), Some(at)) = (lives_in.get(&change.lead), change.at) else { continue };
        let row = Row { at, lead: change.lead, got: is_true(&change.new) };
        rows.entry((*survivor, Thing::OptOut(change.field.clone()))).or_default().push(row);
    }
    for change in &read.lists {
        let (Some(survivor), Some(at)) = (lives_in.get(&change.lead), change.at) else { continue };
        let row = Row { at, lead: change.lead, got: change.added };
        rows.entry((*survivor, Thing::List(change.list))).or_default().push(row);
    }
    rows
}

/// Whether the survivor has it now; none where that was not read.
fn has_now(read: &Read, survivor: LeadId, thing: &Thing) -> Option<bool> {
    match thing {
        Thing::OptOut(field) => read.now.get(&survivor).map(|lead| lead.flag(field)),
        Thing::List(list) => read.on_lists.get(&survivor).map(|lists| lists.contains(list)),
    }
}

/// When a record last got what none of them took back, and the first merge after that; none where
/// all was taken back, or where it was got after the last merge of its record.
fn still_had(joints: &[Joint], rows: &[Row]) -> Option<(DateTime<Utc>, usize)> {
    let mut rows: Vec<Row> = rows.to_vec();
    // A taking back in the same second comes after.
    rows.sort_by_key(|row| (row.at, !row.got));
    let mut joints: Vec<&Joint> = joints.iter().collect();
    joints.sort_by_key(|joint| (joint.at, joint.place));
    let mut joints = joints.into_iter().peekable();
    let mut walk = Walk::default();
    for row in rows {
        // A merge in the same second comes after.
        while let Some(joint) = joints.next_if(|joint| joint.at < row.at) {
            walk.join(joint);
        }
        walk.see(row);
    }
    joints.for_each(|joint| walk.join(joint));
    let gains = walk.0.into_iter().flat_map(|joined| joined.gains);
    let last = gains.max()?;
    Some((last.at, last.place?))
}

/// The records, those that are one together.
#[derive(Debug, Default)]
struct Walk(Vec<Joined>);

impl Walk {
    fn join(&mut self, joint: &Joint) {
        let (touched, apart): (Vec<Joined>, Vec<Joined>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|joined| !joined.leads.is_disjoint(&joint.leads));
        self.0 = apart;
        let mut one = Joined { leads: joint.leads.clone(), merged: true, gains: Vec::new() };
        for joined in touched {
            one.leads.extend(joined.leads);
            one.gains.extend(joined.gains);
        }
        for gain in &mut one.gains {
            gain.place.get_or_insert(joint.place);
        }
        self.0.push(one);
    }

    fn see(&mut self, row: Row) {
        let found = self.0.iter_mut().find(|joined| joined.leads.contains(&row.lead));
        match found {
            Some(joined) if row.got => joined.gains.push(Gain { at: row.at, place: None }),
            Some(joined) if joined.merged => joined.gains.clear(),
            // Rows that went over to it may be of others: each got it once, and one took it back.
            Some(joined) => drop(joined.gains.pop()),
            None if row.got => self.0.push(Joined {
                leads: [row.lead].into(),
                merged: false,
                gains: vec![Gain { at: row.at, place: None }],
            }),
            None => {}
        }
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::String(text) => {
            let text = text.trim();
            text.eq_ignore_ascii_case("true") || text == "1"
        }
        Value::Number(number) => number.as_f64() == Some(1.0),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: u8) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(second.into())
    }

    /// The records that are one with a lead right before a time.
    fn one_with(joints: &[Joint], lead: LeadId, before: DateTime<Utc>) -> BTreeSet<LeadId> {
        let mut one = BTreeSet::from([lead]);
        for _ in joints {
            for joint in joints.iter().filter(|joint| joint.at < before) {
                if !joint.leads.is_disjoint(&one) {
                    one.extend(&joint.leads);
                }
            }
        }
        one
    }

    /// Whether any merge concerned a lead before a time.
    fn is_merged(joints: &[Joint], lead: LeadId, before: DateTime<Utc>) -> bool {
        joints.iter().any(|joint| joint.at < before && joint.leads.contains(&lead))
    }

    /// Each row that somebody got it by is held against each later one, by the words of the rule.
    fn slow(joints: &[Joint], rows: &[Row]) -> Option<(DateTime<Utc>, usize)> {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| (row.at, !row.got));
        let is_taken_back = |place: usize, gain: &Row| {
            let later = rows.iter().enumerate().skip(place + 1).filter(|(_, row)| !row.got);
            later.into_iter().any(|(other, taken)| {
                if is_merged(joints, taken.lead, taken.at) {
                    return one_with(joints, taken.lead, taken.at).contains(&gain.lead);
                }
                let own = rows[place..=other].iter().filter(|row| row.lead == gain.lead);
                let balance: i32 = own.map(|row| if row.got { 1 } else { -1 }).sum();
                taken.lead == gain.lead && balance <= 0
            })
        };
        let left =
            rows.iter().enumerate().filter(|(place, row)| row.got && !is_taken_back(*place, row));
        let first_merge = |gain: &Row| {
            let mut after: Vec<&Joint> =
                joints.iter().filter(|joint| joint.at >= gain.at).collect();
            after.sort_by_key(|joint| (joint.at, joint.place));
            let one = one_with(joints, gain.lead, gain.at);
            after.into_iter().find(|joint| !joint.leads.is_disjoint(&one)).map(|joint| joint.place)
        };
        let (since, place) = left.map(|(_, row)| (row.at, first_merge(row))).max()?;
        Some((since, place?))
    }

    fn joints() -> impl Strategy<Value = Vec<Joint>> {
        // Records 2 to 6 go one by one, each into 1 or into one that goes later.
        let merge = (0u8..40, any::<prop::sample::Index>());
        prop::collection::vec(merge, 0..5).prop_map(|mut merges| {
            merges.sort_by_key(|merge| merge.0);
            let all = merges.len() as u64;
            let joint = |(place, (second, into)): (usize, (u8, prop::sample::Index))| {
                let goes = place as u64 + 2;
                let stays: Vec<LeadId> = (goes + 1..all + 2).chain([1]).collect();
                let leads = [goes, *into.get(&stays), 1].into();
                Joint { at: at(second), place, leads }
            };
            merges.into_iter().enumerate().map(joint).collect()
        })
    }

    proptest! {
        #[test]
        fn the_walk_says_what_each_row_held_against_each_later_one_says(
            joints in joints(),
            rows in prop::collection::vec((0u8..40, 1u64..7, any::<bool>()), 0..14),
        ) {
            let row = |(second, lead, got)| Row { at: at(second), lead, got };
            let rows: Vec<Row> = rows.into_iter().map(row).collect();
            prop_assert_eq!(still_had(&joints, &rows), slow(&joints, &rows));
            let mut turned = rows.clone();
            turned.reverse();
            let in_a_second = rows.iter().any(|row| {
                rows.iter().filter(|other| other.at == row.at).count() > 1
            });
            prop_assume!(!in_a_second);
            prop_assert_eq!(still_had(&joints, &turned), slow(&joints, &rows));
        }
    }
}
