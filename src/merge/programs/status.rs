//! How far leads are in programs, and which statuses take a survivor as far as any of its group
//! was. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::merge::member_fields::program_of;
use crate::merge::memberships::Rows;

/// A status that a lead of the group had, and the survivor is not known to have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::merge) struct Raise {
    /// The program's id.
    pub(in crate::merge) program: u64,
    /// The status.
    pub(in crate::merge) status: String,
    /// Whether a lead had reached success with it.
    pub(in crate::merge) success: bool,
}

/// Whether a merge of leads with these memberships can set anybody back, so that the survivor must
/// be looked at: two of them are in one program and not equally far. A membership that only one
/// lead has is carried over (documented by Adobe), and looked for later.
pub(in crate::merge) fn is_concerned(before: &[&Rows]) -> bool {
    let mut first: BTreeMap<u64, (String, bool)> = BTreeMap::new();
    before.iter().flat_map(|rows| standings(rows)).any(|(program, standing)| {
        let standing = (standing.status, standing.success);
        *first.entry(program).or_insert_with(|| standing.clone()) != standing
    })
}

/// The memberships of a lead in programs that another one is not in.
pub(in crate::merge) fn only_of_others(rows: &Rows, own: &Rows) -> Rows {
    let own = standings(own);
    let is_other =
        |row: &&Map<String, Value>| program_of(row).is_some_and(|id| !own.contains_key(&id));
    rows.iter().filter(is_other).cloned().collect()
}

/// Whether a lead with these programs is in each of those before, and as far.
pub(in crate::merge) fn is_as_far(before: &[Rows], after: &Rows) -> bool {
    let held = standings(after);
    before.iter().flat_map(standings).all(|(program, standing)| {
        held.get(&program).is_some_and(|held| {
            (standing.status.is_empty() || held.status == standing.status)
                && (held.success || !standing.success)
        })
    })
}

/// The statuses to apply to a survivor with these programs, so that it is where any lead of the
/// group was: those with success first, so that a lower one is skipped and sets nothing off.
pub(in crate::merge) fn to_raise(before: &[&Rows], after: &Rows) -> Vec<Raise> {
    let held = standings(after);
    let mut wanted: BTreeMap<(u64, String), bool> = BTreeMap::new();
    for (program, standing) in before.iter().flat_map(|rows| standings(rows)) {
        if !standing.status.is_empty() {
            *wanted.entry((program, standing.status)).or_default() |= standing.success;
        }
    }
    let missing = |program: u64, status: &str, success: bool| {
        held.get(&program).is_none_or(|held| held.status != status || (success && !held.success))
    };
    let mut raises: Vec<Raise> = wanted
        .into_iter()
        .filter(|((program, status), success)| missing(*program, status, *success))
        .map(|((program, status), success)| Raise { program, status, success })
        .collect();
    raises.sort_by(|a, b| (!a.success, a).cmp(&(!b.success, b)));
    raises
}

/// How far a lead is in a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::merge) struct Standing {
    pub(in crate::merge) name: String,
    pub(in crate::merge) status: String,
    pub(in crate::merge) success: bool,
}

pub(in crate::merge) type Programs = BTreeMap<u64, Standing>;

/// How far a lead is in each of its programs.
pub(in crate::merge) fn standings(rows: &Rows) -> Programs {
    rows.iter().filter_map(|row| Some((program_of(row)?, standing(row)))).collect()
}

fn standing(row: &Map<String, Value>) -> Standing {
    let text = |member: &str| {
        row.get(member).and_then(Value::as_str).unwrap_or_default().trim().to_owned()
    };
    let success = match row.get("reachedSuccess") {
        Some(Value::Bool(reached)) => *reached,
        Some(Value::String(reached)) => reached.trim().eq_ignore_ascii_case("true"),
        _ => false,
    };
    let status = [text("progressionStatus"), text("statusName"), text("status")];
    Standing {
        name: text("name"),
        status: status.into_iter().find(|status| !status.is_empty()).unwrap_or_default(),
        success,
    }
}
