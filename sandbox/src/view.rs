//! Leads as a test or the demo looks at them, past the API.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::schema;
use super::world::record::Record;
use super::world::{Program, StaticList, World};

/// A lead as a test or the demo looks at it, past the API.
#[derive(Debug, Clone, PartialEq)]
pub struct LeadView {
    /// Marketo's id.
    pub id: u64,
    /// What the API shows, nulls left out.
    pub fields: Map<String, Value>,
    /// The static lists that it is on.
    pub lists: Vec<u64>,
    /// The programs that it is in, with its status.
    pub programs: BTreeMap<u64, String>,
    /// Those of them in which it reached success.
    pub successes: Vec<u64>,
}

/// A living lead, with its memberships.
pub(super) fn view(world: &World, record: &Record) -> LeadView {
    let on = |(id, list): (&u64, &StaticList)| list.members.contains(&record.id).then_some(*id);
    let is_in = |(id, program): (&u64, &Program)| {
        let member = program.members.get(&record.id)?;
        Some((*id, (member.status.clone(), member.reached_success)))
    };
    let lists = world.lists.iter().filter_map(on).collect();
    view_of(record, lists, world.programs.iter().filter_map(is_in).collect())
}

/// A lead with memberships that it has or had.
pub(super) fn view_of(
    record: &Record,
    lists: Vec<u64>,
    programs: BTreeMap<u64, (String, bool)>,
) -> LeadView {
    let successes =
        programs.iter().filter(|(_, (_, reached))| *reached).map(|(id, _)| *id).collect();
    LeadView {
        id: record.id,
        fields: shown_fields(record),
        lists,
        programs: programs.into_iter().map(|(id, (status, _))| (id, status)).collect(),
        successes,
    }
}

/// What the API shows of a lead, nulls left out.
pub(super) fn shown_fields(record: &Record) -> Map<String, Value> {
    schema::FIELDS
        .iter()
        .zip(0..)
        .map(|(field, number)| (field.name.to_owned(), record.shown(number)))
        .filter(|(_, value)| !value.is_null())
        .collect()
}
