//! What a write of leads asks for, and what its look-up decides for each record.
//!
//! Pure: the world is looked at, and nothing is written.

use serde_json::{Map, Value, json};

use crate::answer::{Refused, refused, skipped};
use crate::options::Knobs;
use crate::world::World;
use crate::{schema, stored, values};

/// What a call does with its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    CreateOrUpdate,
    CreateOnly,
    UpdateOnly,
    CreateDuplicate,
}

/// What a call asks for, its records aside.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) action: Action,
    pub(crate) lookup: (u16, &'static schema::Field),
    pub(crate) partition: Option<u64>,
    /// Whether several matches mean the one that was updated last.
    pub(crate) newest_of_many: bool,
    pub(crate) method: &'static str,
}

/// What the look-up decided for a record.
#[derive(Debug)]
pub(crate) enum Decision {
    Insert(Vec<(u16, Value)>),
    Update(u64, Vec<(u16, Value)>),
    Skip(Value),
}

/// What the body of a call asks for, its records aside.
pub(crate) fn order(world: &World, body: &Map<String, Value>) -> Result<Order, Refused> {
    let known = [
        "action",
        "lookupField",
        "partitionName",
        "asyncProcessing",
        "input",
        "programName",
        "programStatus",
        "source",
        "reason",
    ];
    if let Some(unknown) = body.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(refused("1006", format!("Field '{unknown}' not found")));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let action = match text("action").unwrap_or("createOrUpdate") {
        "createOrUpdate" => Action::CreateOrUpdate,
        "createOnly" => Action::CreateOnly,
        "updateOnly" => Action::UpdateOnly,
        "createDuplicate" => Action::CreateDuplicate,
        other => return Err(refused("1003", format!("Invalid action '{other}'"))),
    };
    if body.get("asyncProcessing").and_then(Value::as_bool) == Some(true) {
        return Err(refused(
            "1003",
            "asyncProcessing is not supported by the sandbox, since its results are not documented",
        ));
    }
    let name = text("lookupField").unwrap_or("email");
    let lookup = schema::find(name).filter(|(_, field)| field.searchable).ok_or_else(|| {
        refused("1011", format!("Field '{name}' is not supported as a lookup field"))
    })?;
    if lookup.1.name == "id" && action != Action::UpdateOnly {
        return Err(refused("1003", "The lookup field 'id' goes with updateOnly alone"));
    }
    let partition =
        match text("partitionName") {
            None => None,
            Some(_) if matches!(action, Action::UpdateOnly | Action::CreateDuplicate) => {
                return Err(refused(
                    "1003",
                    "partitionName goes with createOnly and createOrUpdate alone",
                ));
            }
            Some(name) => {
                let found =
                    world.partitions.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
                Some(found.ok_or_else(|| {
                    refused("1008", format!("Partition '{name}' is not accessible"))
                })?)
            }
        };
    Ok(Order { action, lookup, partition, newest_of_many: false, method: "syncLead" })
}

/// What an import asks for: an upsert, or an update where it looks up by id; of several matches the
/// one that was updated last, as users report.
pub(crate) fn import_order(world: &World, mut asked: Map<String, Value>) -> Result<Order, Refused> {
    if asked.get("lookupField").and_then(Value::as_str) == Some("id") {
        asked.insert("action".to_owned(), json!("updateOnly"));
    }
    Ok(Order { method: "importLead", newest_of_many: true, ..order(world, &asked)? })
}

/// Looks a record up, and decides what is to be written.
pub(crate) fn decide(knobs: &Knobs, world: &World, order: &Order, record: &Value) -> Decision {
    let Some(record) = record.as_object() else {
        return Decision::Skip(skipped("1003", "Invalid record"));
    };
    let values = match accept(knobs, order, record) {
        Ok(values) => values,
        Err(skip) => return Decision::Skip(skip),
    };
    if order.action == Action::CreateDuplicate {
        return Decision::Insert(values);
    }
    let Some(key) = record.get(order.lookup.1.name) else {
        return Decision::Skip(skipped(
            "1003",
            &format!("Lookup field '{}' is missing", order.lookup.1.name),
        ));
    };
    let is_empty = key.is_null() || key.as_str().is_some_and(|text| text.trim().is_empty());
    let found = if is_empty { Vec::new() } else { world.find(order.lookup.0, &values::shown(key)) };
    match (found.as_slice(), order.action) {
        ([], Action::UpdateOnly) => Decision::Skip(skipped("1004", "Lead not found")),
        ([], _) => Decision::Insert(values),
        ([_], Action::CreateOnly) => Decision::Skip(skipped("1005", "Lead already exists")),
        ([id], _) => {
            let elsewhere = world
                .lead(*id)
                .is_some_and(|lead| order.partition.is_some_and(|asked| asked != lead.partition));
            if elsewhere {
                return Decision::Skip(skipped("1010", "Lead exists in a different partition"));
            }
            Decision::Update(*id, values)
        }
        (many, _) if order.newest_of_many => {
            let newest = many
                .iter()
                .filter_map(|id| world.lead(*id))
                .max_by_key(|lead| (lead.updated_at, lead.id));
            newest.map_or_else(
                || Decision::Skip(skipped("1004", "Lead not found")),
                |lead| Decision::Update(lead.id, values),
            )
        }
        (_, Action::CreateOnly) if knobs.is("create_only_multi", "1005") => {
            Decision::Skip(skipped("1005", "Lead already exists"))
        }
        _ => Decision::Skip(skipped("1007", "Multiple lead match lookup criteria")),
    }
}

/// The record's values as they are to be stored, or why the whole record is skipped.
fn accept(
    knobs: &Knobs,
    order: &Order,
    record: &Map<String, Value>,
) -> Result<Vec<(u16, Value)>, Value> {
    let by_id = order.lookup.1.name == "id";
    let mut accepted = Vec::with_capacity(record.len());
    for (name, value) in record {
        let Some((number, field)) = schema::find(name) else {
            return Err(skipped("1006", &format!("Field '{name}' not found")));
        };
        if field.name == "id" {
            if by_id {
                continue;
            }
            return Err(skipped(
                "1003",
                "Invalid record: 'id' goes with the lookup field 'id' alone",
            ));
        }
        if !field.owner.lets_callers_write() {
            return Err(skipped("1003", &format!("Field '{name}' is read-only")));
        }
        let taken = values::accept(field.kind, value)
            .filter(|_| !knobs.names("refused_fields", field.name))
            .and_then(|taken| stored::stored(knobs, field, taken).ok());
        let Some(taken) = taken else {
            return Err(skipped(
                "1003",
                &format!("Invalid value for field '{name}' and value '{}'", values::shown(value)),
            ));
        };
        accepted.push((number, taken));
    }
    Ok(accepted)
}
