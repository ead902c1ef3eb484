//! Leads as a test or the demo looks at them, past the API.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::schema;
use super::world::record::Record;
use super::world::{Membership, Program, StaticList, World};

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
    /// Of each program in which it has some: the fields of the member that callers wrote.
    pub member_fields: BTreeMap<u64, Map<String, Value>>,
}

/// A living lead, with its memberships.
pub(super) fn view(world: &World, record: &Record) -> LeadView {
    let on = |(id, list): (&u64, &StaticList)| list.members.contains(&record.id).then_some(*id);
    let is_in = |(id, program): (&u64, &Program)| {
        let member = program.members.get(&record.id)?;
        Some((*id, member.clone()))
    };
    let lists = world.lists.iter().filter_map(on).collect();
    view_of(record, lists, world.programs.iter().filter_map(is_in).collect())
}

/// A lead with memberships that it has or had.
pub(super) fn view_of(
    record: &Record,
    lists: Vec<u64>,
    programs: BTreeMap<u64, Membership>,
) -> LeadView {
    let successes =
        programs.iter().filter(|(_, member)| member.reached_success).map(|(id, _)| *id).collect();
    let written = programs.iter().map(|(id, member)| {
        let values = member.data.iter().filter(|(_, value)| !value.is_null());
        (*id, values.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
    });
    LeadView {
        member_fields: written.filter(|(_, values)| !values.is_empty()).collect(),
        id: record.id,
        fields: shown_fields(record),
        lists,
        programs: programs.into_iter().map(|(id, member)| (id, member.status)).collect(),
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
