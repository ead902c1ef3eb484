//! What records are members of, and what a survivor lacks of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lead::LeadId;
use crate::merge::memberships::Rows;
use crate::merge::programs::status::{program_of, standings};

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
}

impl MembersRecord {
    /// The lists and programs, and the successes, that a record had and the survivor does not, in
    /// words.
    pub fn missing(&self) -> BTreeSet<String> {
        let named = |what: &str, id: &u64, name: &str| match name {
            "" => format!("{what} {id}"),
            _ => format!("{what} `{name}` ({id})"),
        };
        let mut missing = BTreeSet::new();
        for held in self.before.values() {
            let lists = held.lists.iter().filter(|(id, _)| !self.after.lists.contains_key(id));
            missing.extend(lists.map(|(id, name)| named("list", id, name)));
            for (id, program) in &held.programs {
                match self.after.programs.get(id) {
                    None => drop(missing.insert(named("program", id, &program.name))),
                    Some(now) if program.success && !now.success => {
                        let program = named("program", id, &program.name);
                        missing.insert(format!("success in {program}"));
                    }
                    Some(_) => {}
                }
            }
        }
        missing
    }

    pub(super) fn verdict(&self) -> &'static str {
        if self.missing().is_empty() { CARRIED } else { MISSING }
    }

    pub(super) fn is_to_be_looked_for(&self) -> bool {
        self.before.values().any(|held| !held.lists.is_empty() || !held.programs.is_empty())
    }
}

/// The survivor is in all that its records were in.
pub(super) const CARRIED: &str = "carried";

/// It lacks something so far.
pub(super) const MISSING: &str = "missing";

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
    fn of_a_survivor_only_what_its_records_were_in_is_kept() {
        let record =
            MembersRecord { before: [(2, member(&[6], &[]))].into(), ..MembersRecord::default() };
        assert_eq!(member(&[5, 6], &[(7, true)]).of(&record), member(&[6], &[]));
    }
}
