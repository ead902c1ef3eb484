//! The fields that programs keep of the lead that took a lost one. Pure.
//!
//! Of two memberships of one program a merge keeps one, with the fields of that one. Where it was
//! the lost lead's, or the membership is to be made anew, the former fields are written again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::find::Loss;
use super::live::{Live, id_of};
use super::report::{FormerMember, FormerValue, Missing, Named};
use super::steps::{held_in, told};
use super::wanted::{WinnerWanted, membership};
use crate::ledger::Backup;
use crate::merge::member_fields::of_member;

/// The programs of which the ledger has fields of the lost lead or of the one that took it.
pub(super) fn programs_of(loss: &Loss) -> BTreeSet<u64> {
    let backups = loss.backup.iter().chain(&loss.winner);
    let rows = backups.flat_map(|backup| backup.programs.iter().flatten());
    rows.filter(|row| of_member(row).1).filter_map(id_of).collect()
}

/// What the lead that took the lost one gets back of what programs keep of it.
pub(super) fn former(wanted: &mut WinnerWanted, loss: &Loss, live: &Live) {
    let winner = loss.merged.winner;
    let rows = |backup: &Option<Backup>| backup.as_ref().and_then(|one| one.programs.clone());
    let (Some(of_lost), Some(own)) = (rows(&loss.backup), rows(&loss.winner)) else { return };
    if live.lead.as_ref().is_none_or(|lead| lead.id != winner) {
        return;
    }
    let of_others: Vec<_> =
        loss.others.iter().map(|other| by_program(other.programs.iter().flatten())).collect();
    let (gone, held) = (by_program(&of_lost), by_program(&live.programs));
    for row in own.iter().filter(|row| of_member(row).1) {
        let Some((program, before)) = membership(row) else { continue };
        let (Some(given), Some(now)) = (gone.get(&program.id), held.get(&program.id)) else {
            continue;
        };
        let is_made_anew = wanted.report.programs_left.iter().any(|left| left.id == program.id);
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let mut back = Vec::new();
        for name in names {
            let (then, is) = (before.get(name), now.get(name));
            // What is not the lost lead's, somebody wrote since.
            let is_lost_ones = then != is && given.get(name) == is;
            let of_another = |other: &BTreeMap<u64, Map<String, Value>>| {
                other.get(&program.id).is_some_and(|fields| fields.get(name) == is)
            };
            let is_of_another = is_lost_ones && of_others.iter().any(of_another);
            if is_of_another {
                let what = format!("`{name}` of record {winner} in {}", told("program", &program));
                let why = "other records that went into it, and are still lost, may have given it";
                wanted.missing.push(Missing::new(what, why));
            }
            let goes_back = is_lost_ones && !is_of_another;
            if goes_back || (is_made_anew && is.is_some()) {
                let after = if goes_back { then } else { is };
                let value = |value: Option<&Value>| value.cloned().unwrap_or_default();
                let (name, before) = (name.clone(), value(is));
                back.push(FormerValue { name, before, after: value(after) });
            }
        }
        if !back.is_empty() {
            let Named { id, name, .. } = program;
            wanted.report.member_fields.push(FormerMember { id, name, fields: back });
        }
    }
}

/// The programs in which the lead has not got them back.
pub(super) fn not_there(members: &[FormerMember], live: &Live) -> Vec<Named> {
    let lacks = |member: &&FormerMember| {
        let held = held_in(live, member.id).map(|(_, fields)| fields).unwrap_or_default();
        member
            .fields
            .iter()
            .any(|value| held.get(&value.name).unwrap_or(&Value::Null) != &value.after)
    };
    let named = |member: &FormerMember| Named {
        id: member.id,
        name: member.name.clone(),
        ..Named::default()
    };
    members.iter().filter(lacks).map(named).collect()
}

fn by_program<'r>(
    rows: impl IntoIterator<Item = &'r Map<String, Value>>,
) -> BTreeMap<u64, Map<String, Value>> {
    let rows = rows.into_iter().filter_map(membership);
    rows.map(|(program, fields)| (program.id, fields)).collect()
}
