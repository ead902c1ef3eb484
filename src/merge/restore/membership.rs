//! One membership of a program, by backups and as it is now, and whether it may be ended to make it
//! anew. Pure.

use serde_json::{Map, Value};

use super::live::{id_of, name_of};
use super::report::Named;
use crate::merge::member_fields::of_member;

/// The rows that one program has of the lost lead and of the lead that took it.
#[derive(Debug)]
pub(super) struct MemberRows<'r> {
    /// The lost lead's, by its backup.
    pub(super) gone: &'r Map<String, Value>,
    /// The other one's before the merge, by its backup; none where it was no member.
    pub(super) own: Option<&'r Map<String, Value>>,
    /// The other one's now.
    pub(super) now: Option<&'r Map<String, Value>>,
    /// Whether an earlier restore of the lost lead came so far that it may have ended it.
    pub(super) went_on: bool,
}

impl MemberRows<'_> {
    /// Whether the membership holds nothing any more of what it held before the merge, after a
    /// restore that may have ended it and made it anew, and was cut short then.
    pub(super) fn may_be_made_anew(&self) -> bool {
        let is_bare =
            self.now.map(of_member).is_none_or(|(now, is_read)| is_read && now.is_empty());
        self.went_on && is_bare
    }
}

/// Why a membership must not be ended to make it anew with its former status; none where it may.
///
/// Ending it deletes its fields. A run can be cut short right after that, and the next one has the
/// backups alone to make the membership again. So every field that it holds must be in them.
pub(super) fn not_to_be_lowered(rows: &MemberRows<'_>) -> Option<&'static str> {
    let before = rows.own.map(of_member);
    if rows.own.is_some_and(|own| membership(own).is_none_or(|(then, _)| then.status.is_none())) {
        return Some("its backup does not tell its former status, so that it stays as it is");
    }
    let (now, is_read) = of_member(rows.now?);
    if !is_read {
        return Some(
            "it stays as it is: lowering its status would delete its member fields, and Marketo did not show them",
        );
    }
    let (given, given_is_read) = of_member(rows.gone);
    if !now.is_empty() && !before.as_ref().map_or(given_is_read, |(_, is_read)| *is_read) {
        return Some(
            "it stays as it is: lowering its status would delete its member fields, and the backup does not hold the former ones",
        );
    }
    let is_kept = |(name, value): (&String, &Value)| {
        let former = before.as_ref().and_then(|(before, _)| before.get(name));
        former == Some(value) || given.get(name) == Some(value)
    };
    (!now.iter().all(is_kept)).then_some(
        "it stays as it is: lowering its status would delete member fields that were written since the merge and are in no backup",
    )
}

/// The list or program of a membership.
pub(super) fn named(row: &Map<String, Value>) -> Option<Named> {
    Some(Named { id: id_of(row)?, name: name_of(row), ..Named::default() })
}

/// A membership, and the fields of the member that differ from those of a new one.
pub(super) fn membership(row: &Map<String, Value>) -> Option<(Named, Map<String, Value>)> {
    let status = ["progressionStatus", "statusName", "status"]
        .into_iter()
        .find_map(|name| row.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty()));
    let program = Named { status: status.map(str::to_owned), ..named(row)? };
    Some((program, of_member(row).0))
}
