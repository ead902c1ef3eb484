//! The fields that programs keep of the lead that took a lost one. Pure.
//!
//! Of two memberships of one program a merge keeps one, with the fields of that one. Where it was
//! the lost lead's, or the membership is to be made anew, the former fields are written again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::find::Loss;
use super::live::{Live, id_of};
use super::membership::{MemberRows, membership};
use super::report::{FormerMember, FormerValue, Missing, Named};
use super::steps::{held_in, told};
use super::wanted::WinnerWanted;
use crate::ledger::Backup;
use crate::merge::member_fields::of_member;

/// The programs of which the fields of the member are to be read: those of which the ledger has
/// fields, and where a status may be lowered all of the lost lead's.
pub(super) fn programs_of(loss: &Loss, lower_status: bool) -> BTreeSet<u64> {
    let rows = |backup: &'_ Option<Backup>| {
        backup.iter().flat_map(|one| one.programs.iter().flatten()).cloned().collect::<Vec<_>>()
    };
    let of_lost = rows(&loss.backup);
    let lowered = of_lost.iter().filter(|_| lower_status);
    let own = rows(&loss.winner);
    let with_fields = of_lost.iter().chain(&own).filter(|row| of_member(row).1);
    lowered.chain(with_fields).filter_map(id_of).collect()
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
    for row in own.iter().filter(|row| of_member(row).1) {
        let Some((program, before)) = membership(row) else { continue };
        let of_this = |rows: &'_ [Map<String, Value>]| {
            rows.iter().find(|row| id_of(row) == Some(program.id)).cloned()
        };
        let Some(gone) = of_this(&of_lost) else { continue };
        let now = of_this(&live.programs);
        let is_left = wanted.report.programs_left.iter().any(|left| left.id == program.id);
        if now.is_none() && !is_left {
            continue;
        }
        let went_on = loss.earlier.is_some();
        let rows = MemberRows { gone: &gone, own: Some(row), now: now.as_ref(), went_on };
        let is_bare = now.is_none() || rows.may_be_made_anew();
        let (given, _) = of_member(&gone);
        let now = now.as_ref().map(|row| of_member(row).0).unwrap_or_default();
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let mut back = Vec::new();
        for name in names {
            let (then, is) = (before.get(name), now.get(name));
            // What is not the lost lead's, somebody wrote since.
            let is_lost_ones = then != is && given.get(name) == is;
            let of_another = |other: &BTreeMap<u64, Map<String, Value>>| {
                other.get(&program.id).is_some_and(|fields| fields.get(name) == is)
            };
            let is_of_another = is_lost_ones && !is_bare && of_others.iter().any(of_another);
            if is_of_another {
                let what = format!("`{name}` of record {winner} in {}", told("program", &program));
                let why = "other records that went into it, and are still lost, may have given it";
                wanted.missing.push(Missing::new(what, why));
            }
            let goes_back = is_bare || (is_lost_ones && !is_of_another);
            if goes_back || (is_left && is.is_some()) {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::merge::restore::membership::not_to_be_lowered;

    fn row(value: Value) -> Map<String, Value> {
        let Value::Object(row) = value else { panic!("{value}") };
        row
    }

    #[test]
    fn a_membership_is_ended_only_where_the_backups_hold_all_of_it() {
        let own = row(json!({"id": 7, "status": "Invited", "memberFields": {"meal": "fish"}}));
        let gone = row(json!({"id": 7, "status": "Attended", "memberFields": {"meal": "vegan"}}));
        let no_status = row(json!({"id": 7, "memberFields": {"meal": "fish"}}));
        let unread = row(json!({"id": 7, "status": "Attended"}));
        let since = row(json!({"id": 7, "status": "Attended", "memberFields": {"meal": "soup"}}));
        for (own, now, may) in [
            (Some(&own), &gone, true),
            (Some(&own), &unread, false),
            (Some(&own), &since, false),
            (Some(&no_status), &gone, false),
            (Some(&unread), &gone, false),
            (None, &gone, true),
            (None, &unread, false),
            (None, &since, false),
        ] {
            let rows = MemberRows { gone: &gone, own, now: Some(now), went_on: false };
            assert_eq!(not_to_be_lowered(&rows).is_none(), may, "{rows:?}");
        }
    }
}
