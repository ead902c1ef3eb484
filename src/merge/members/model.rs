//! What records are members of, and what a survivor lacks of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lead::LeadId;
use crate::merge::member_fields::program_of;
use crate::merge::memberships::Rows;
use crate::merge::programs::status::standings;

/// What a record is a member of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The static lists that it is on: names by id.
    pub lists: BTreeMap<u64, String>,
    /// The programs that it is in, by id.
    pub programs: BTreeMap<u64, InProgram>,
}

/// A record in a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InProgram {
    /// The program's name; empty where it is not known.
    pub name: String,
    /// Whether the record reached the program's success.
    pub success: bool,
}

/// What the records of a merge were members of, and what its survivor is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersRecord {
    /// The records before the merge; those of which it is not known are left out.
    pub before: BTreeMap<LeadId, Membership>,
    /// Records of which nobody knows it any more.
    pub unknown: Vec<LeadId>,
    /// The survivor afterwards, in the lists and programs that any of them was in.
    pub after: Membership,
    /// Whether Marketo has the survivor no more: it was deleted, or merged by somebody else.
    #[serde(default, skip_serializing_if = "is_false")]
    pub gone: bool,
    /// Lists and programs of `before` that Marketo has no more: nobody can be in them.
    #[serde(default, skip_serializing_if = "Ended::is_empty")]
    pub ended: Ended,
}

/// Lists and programs that were deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Static lists, by id.
    pub lists: BTreeSet<u64>,
    /// Programs, by id.
    pub programs: BTreeSet<u64>,
}

impl Ended {
    fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.programs.is_empty()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn named(what: &str, id: u64, name: &str) -> String {
    match name {
        "" => format!("{what} {id}"),
        _ => format!("{what} `{name}` ({id})"),
    }
}

impl MembersRecord {
    /// The lists and programs, and the successes, that a record had and the survivor does not, in
    /// words. Of a survivor that is gone, and of lists and programs that are, nothing is said.
    pub fn missing(&self) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        if self.gone {
            return missing;
        }
        let (lists, programs) = self.missing_ids();
        for held in self.before.values() {
            let lists = held.lists.iter().filter(|(id, _)| lists.contains(id));
            missing.extend(lists.map(|(id, name)| named("list", *id, name)));
            for (id, program) in held.programs.iter().filter(|(id, _)| programs.contains(id)) {
                let program_named = named("program", *id, &program.name);
                if !self.after.programs.contains_key(id) {
                    missing.insert(program_named);
                } else if program.success {
                    missing.insert(format!("success in {program_named}"));
                }
            }
        }
        missing
    }

    /// The lists and the programs of which something is missing.
    pub(super) fn missing_ids(&self) -> (BTreeSet<u64>, BTreeSet<u64>) {
        let (mut lists, mut programs) = (BTreeSet::new(), BTreeSet::new());
        for held in self.before.values() {
            lists.extend(
                held.lists.keys().filter(|id| {
                    !self.after.lists.contains_key(id) && !self.ended.lists.contains(id)
                }),
            );
            for (id, program) in &held.programs {
                let now = self.after.programs.get(id);
                let has_it = now.is_some_and(|now| now.success || !program.success);
                if !has_it && !self.ended.programs.contains(id) {
                    programs.insert(*id);
                }
            }
        }
        (lists, programs)
    }

    /// What nobody can tell of it, in words.
    pub fn not_known(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        if self.gone {
            lines.insert("the surviving record is gone from Marketo".to_owned());
        }
        let of = |lead| format!("what record {lead} was in: there is no backup of it any more");
        lines.extend(self.unknown.iter().map(of));
        for held in self.before.values() {
            let lists = held.lists.iter().filter(|(id, _)| self.ended.lists.contains(id));
            lines.extend(lists.map(|(id, name)| no_longer(&named("list", *id, name))));
            for (id, program) in &held.programs {
                if self.ended.programs.contains(id) {
                    lines.insert(no_longer(&named("program", *id, &program.name)));
                }
            }
        }
        lines
    }

    pub(super) fn verdict(&self) -> &'static str {
        match () {
            () if self.gone => SURVIVOR_GONE,
            () if !self.missing().is_empty() => MISSING,
            () if !self.not_known().is_empty() => NOT_KNOWN,
            () => CARRIED,
        }
    }

    /// Whether it says less than that something is missing, which was seen before.
    pub(super) fn is_less_than_missing(&self) -> bool {
        matches!(self.verdict(), NOT_KNOWN | SURVIVOR_GONE)
    }

    /// Notes which of its lists and programs were deleted.
    pub(super) fn leave_out(&mut self, ended: &Ended) {
        for held in self.before.values() {
            let lists = held.lists.keys().filter(|id| ended.lists.contains(id));
            self.ended.lists.extend(lists);
            let programs = held.programs.keys().filter(|id| ended.programs.contains(id));
            self.ended.programs.extend(programs);
        }
    }

    pub(super) fn is_to_be_looked_for(&self) -> bool {
        self.before.values().any(|held| !held.lists.is_empty() || !held.programs.is_empty())
    }
}

/// The survivor is in all that its records were in.
pub(super) const CARRIED: &str = "carried";

/// It lacks something so far.
pub(super) const MISSING: &str = "missing";

/// It lacks nothing that is known, but not of all that its records were in can anybody tell.
pub(super) const NOT_KNOWN: &str = "not_known";

/// Marketo has it no more, so that nobody can tell.
pub(super) const SURVIVOR_GONE: &str = "survivor_gone";

fn no_longer(named: &str) -> String {
    format!("{named} is no longer there")
}

pub(super) fn membership(lists: &Rows, programs: &Rows) -> Membership {
    let list = |row: &serde_json::Map<String, Value>| {
        let name = row.get("name").and_then(Value::as_str).unwrap_or_default();
        Some((program_of(row)?, name.to_owned()))
    };
    let programs = standings(programs)
        .into_iter()
        .map(|(id, standing)| (id, InProgram { name: standing.name, success: standing.success }));
    Membership { lists: lists.iter().filter_map(list).collect(), programs: programs.collect() }
}

impl Membership {
    /// Of it what any record of a merge was in, by the names that are known.
    pub(super) fn of(&self, record: &MembersRecord) -> Self {
        let mut of = Self::default();
        for held in record.before.values() {
            let lists = held.lists.iter().filter(|(id, _)| self.lists.contains_key(id));
            of.lists.extend(lists.map(|(id, name)| (*id, name.clone())));
            for (id, program) in &held.programs {
                if let Some(now) = self.programs.get(id) {
                    let name = program.name.clone();
                    of.programs.insert(*id, InProgram { name, success: now.success });
                }
            }
        }
        of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(lists: &[u64], programs: &[(u64, bool)]) -> Membership {
        let program = |(id, success): &(u64, bool)| {
            (*id, InProgram { name: "Webinar".to_owned(), success: *success })
        };
        Membership {
            lists: lists.iter().map(|id| (*id, "News".to_owned())).collect(),
            programs: programs.iter().map(program).collect(),
        }
    }

    #[test]
    fn what_a_record_had_and_the_survivor_has_not_is_named() {
        let mut record = MembersRecord {
            before: [(1, member(&[5], &[(7, false)])), (2, member(&[6], &[(7, true)]))].into(),
            unknown: vec![],
            after: member(&[5, 6], &[(7, true)]),
            ..MembersRecord::default()
        };
        assert_eq!(record.verdict(), CARRIED);
        record.after = member(&[5], &[(7, false)]);
        let missing: Vec<String> = record.missing().into_iter().collect();
        assert_eq!(missing, ["list `News` (6)", "success in program `Webinar` (7)"]);
        assert_eq!(record.verdict(), MISSING);
        record.after = member(&[5, 6], &[]);
        assert_eq!(record.missing().into_iter().collect::<Vec<_>>(), ["program `Webinar` (7)"]);
    }

    #[test]
    fn where_it_is_not_known_what_records_were_in_nothing_is_said_to_be_carried() {
        let mut record = MembersRecord { unknown: vec![1, 2], ..MembersRecord::default() };
        assert_eq!(record.verdict(), NOT_KNOWN);
        assert_eq!(record.not_known().len(), 2);
        record.unknown = vec![1];
        record.before = [(2, member(&[6], &[]))].into();
        assert_eq!(record.verdict(), MISSING, "what is known to be missing is said");
        record.after = member(&[6], &[]);
        assert_eq!(record.verdict(), NOT_KNOWN);
    }

    #[test]
    fn a_survivor_that_is_gone_and_a_list_that_is_deleted_have_lost_nothing() {
        let mut record = MembersRecord {
            before: [(2, member(&[5, 6], &[(7, true)]))].into(),
            after: member(&[5], &[]),
            ended: Ended { lists: [6].into(), programs: [7].into() },
            ..MembersRecord::default()
        };
        assert_eq!((record.verdict(), record.missing().len()), (NOT_KNOWN, 0));
        let told: Vec<String> = record.not_known().into_iter().collect();
        assert_eq!(
            told,
            ["list `News` (6) is no longer there", "program `Webinar` (7) is no longer there"]
        );
        record.after = Membership::default();
        assert_eq!(record.missing().into_iter().collect::<Vec<_>>(), ["list `News` (5)"]);
        record.gone = true;
        assert_eq!((record.verdict(), record.missing().len()), (SURVIVOR_GONE, 0));
    }

    #[test]
    fn of_a_survivor_only_what_its_records_were_in_is_kept() {
        let record =
            MembersRecord { before: [(2, member(&[6], &[]))].into(), ..MembersRecord::default() };
        assert_eq!(member(&[5, 6], &[(7, true)]).of(&record), member(&[6], &[]));
    }
}
