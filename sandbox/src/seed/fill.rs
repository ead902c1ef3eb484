//! Puts a seed's instance into the sandbox's world.

use std::collections::{BTreeMap, HashMap};

use super::births::DAY;
use super::draw::{Instance, SeededLead};
use super::profile::{LISTS, PROGRAMS};
use super::spec::{Seed, SeedLabel};
use crate::schema;
use crate::world::record::Record;
use crate::world::{Membership, Program, StaticList, World, objects};

/// The custom object whose rows some leads have.
const OBJECT: &str = "purchase_c";

/// Fills an empty world, and gives the truth about its groups. A seed of no leads leaves it as it
/// is.
pub(crate) fn fill(world: &mut World, seed: &Seed) -> Vec<SeedLabel> {
    if seed.leads == 0 {
        return Vec::new();
    }
    let mut instance = Instance::of(seed);
    lists_and_programs(world);
    let numbers =
        schema::FIELDS.iter().zip(0..).map(|(field, number)| (field.name, number)).collect();
    for lead in instance.leads() {
        settle(world, lead, &numbers);
    }
    for gone in instance.gone() {
        world.bury(gone.id, gone.merged_into);
    }
    for activity in instance.activities() {
        world.log.record(activity);
    }
    world.log.end_history(Instance::present());
    instance.labels()
}

fn lists_and_programs(world: &mut World) {
    world.lists.extend(LISTS.iter().map(|list| {
        let empty =
            StaticList { name: list.name.to_owned(), members: std::collections::BTreeSet::new() };
        (list.id, empty)
    }));
    world.programs.extend(PROGRAMS.iter().map(|program| {
        let statuses = program.statuses.iter().map(|status| (*status).to_owned()).collect();
        (program.id, Program { name: program.name.to_owned(), statuses, members: BTreeMap::new() })
    }));
}

fn settle(world: &mut World, lead: SeededLead, numbers: &HashMap<&str, u16>) {
    let mut record = Record::new(lead.id, lead.created_at, lead.partition);
    record.updated_at = lead.updated_at;
    record.sfdc = lead.sfdc;
    for (name, value) in lead.fields {
        if let Some(number) = numbers.get(name) {
            record.set(*number, value);
        }
    }
    world.insert(record);
    for list in &lead.lists {
        if let Some(list) = world.lists.get_mut(list) {
            list.members.insert(lead.id);
        }
    }
    for (program, status) in lead.programs {
        if let Some(program) = world.programs.get_mut(&program) {
            let reached_success = program.statuses.last().is_some_and(|last| last == status);
            // A program's members join soon after they come to be.
            let since = lead.created_at + chrono::Duration::milliseconds(DAY);
            let membership = Membership::new(status.to_owned(), since, reached_success);
            program.members.insert(lead.id, membership);
        }
    }
    for _ in 0..lead.custom_objects {
        objects::put_object_row(world, OBJECT, objects::row_of(lead.id));
    }
}
