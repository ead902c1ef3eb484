//! Writing rows of custom objects: by their GUID, or by the fields that tell them apart.
//!
//! What Adobe leaves open is what becomes of a row that gets the key of another one: by the knob
//! `relink_collision` it is skipped, or takes that one's place.

use serde_json::{Map, Value, json};

use super::{find, of_the_crm, text};
use crate::answer::{Answer, Refused, refused, skipped};
use crate::clock::now;
use crate::instance::Shared;
use crate::request::Request;
use crate::world::World;
use crate::world::objects::{self, CustomObject, GUID};

/// What a call may do with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    CreateOrUpdate,
    CreateOnly,
    UpdateOnly,
}

/// How a call writes.
#[derive(Debug, Clone, Copy)]
struct Mode {
    action: Action,
    by_guid: bool,
    overwrites: bool,
}

/// Writes rows.
pub(crate) fn rows(shared: &Shared, request: &Request, name: &str) -> Result<Answer, Refused> {
    let body = request.json()?;
    let input = Request::input(&body, "Records not specified")?;
    let text_of = |member: &str| body.get(member).and_then(Value::as_str);
    let action = match text_of("action").unwrap_or("createOrUpdate") {
        "createOrUpdate" => Action::CreateOrUpdate,
        "createOnly" => Action::CreateOnly,
        "updateOnly" => Action::UpdateOnly,
        other => return Err(refused("1003", format!("Invalid value for 'action': {other}"))),
    };
    let by_guid = match text_of("dedupeBy").unwrap_or("dedupeFields") {
        "dedupeFields" => false,
        "idField" if action == Action::UpdateOnly => true,
        "idField" => return Err(refused("1003", "'idField' may be used with 'updateOnly' alone")),
        other => return Err(refused("1003", format!("Invalid value for 'dedupeBy': {other}"))),
    };
    let overwrites = shared.options.knobs.is("relink_collision", "overwrite");
    let mode = Mode { action, by_guid, overwrites };
    let mut world = shared.world();
    if find(&world.objects, name)?.crm_managed {
        return Err(of_the_crm(name));
    }
    let Some(place) = world.objects.iter().position(|object| object.name == name) else {
        return Ok(Answer::Rows(Vec::new()));
    };
    let rows = input.iter().zip(0_u64..).map(|(row, seq)| {
        let mut result = match row.as_object() {
            Some(row) => write(&mut world, place, row, mode),
            None => skipped("1003", "Invalid record"),
        };
        if let Some(members) = result.as_object_mut() {
            members.insert("seq".to_owned(), json!(seq));
        }
        result
    });
    Ok(Answer::Rows(rows.collect()))
}

fn write(world: &mut World, place: usize, row: &Map<String, Value>, mode: Mode) -> Value {
    let Some(object) = world.objects.get(place) else { return skipped("1013", "Object not found") };
    let known = match known(object, row, mode) {
        Ok(known) => known,
        Err(why) => return why,
    };
    if let Some(why) = refusal(world, object, known.as_deref(), row) {
        return why;
    }
    let written = match &known {
        Some(_) if mode.action == Action::CreateOnly => {
            return skipped("1005", "Record already exists");
        }
        None if mode.action == Action::UpdateOnly => return skipped("1013", "Record not found"),
        Some(guid) => {
            let mut after = object.rows.get(guid).cloned().unwrap_or_default();
            after.extend(row.clone());
            let same_key: Vec<String> = object
                .rows
                .iter()
                .filter(|(other, held)| *other != guid && has_key_of(object, held, &after))
                .map(|(other, _)| other.clone())
                .collect();
            if !same_key.is_empty() && !mode.overwrites {
                return skipped("1005", "Record already exists");
            }
            let Some(object) = world.objects.get_mut(place) else { return Value::Null };
            for other in same_key {
                object.rows.remove(&other);
            }
            object.rows.insert(guid.clone(), after);
            objects::touch(object, guid, now());
            json!({"status": "updated", GUID: guid})
        }
        None => {
            let Some(object) = world.objects.get_mut(place) else { return Value::Null };
            let guid = objects::add_row(object, row.clone());
            json!({"status": "created", GUID: guid})
        }
    };
    let guid = written.get(GUID).and_then(Value::as_str).unwrap_or_default().to_owned();
    objects::attach(world, place, &guid);
    written
}

/// The row that a record is for; none where there is none yet.
fn known(
    object: &CustomObject,
    row: &Map<String, Value>,
    mode: Mode,
) -> Result<Option<String>, Value> {
    let named = row.get(GUID).and_then(Value::as_str);
    if mode.by_guid {
        let guid = named.ok_or_else(|| skipped("1003", "marketoGUID is missing"))?;
        return Ok(object.rows.contains_key(guid).then(|| guid.to_owned()));
    }
    if object.dedupe_fields.iter().any(|field| !row.contains_key(field)) {
        return Err(skipped("1003", "A dedupe field is missing"));
    }
    let found = object.rows.iter().find(|(_, held)| has_key_of(object, held, row));
    Ok(found.map(|(guid, _)| guid.clone()))
}

/// Why a record is skipped whatever it is for.
fn refusal(
    world: &World,
    object: &CustomObject,
    known: Option<&str>,
    row: &Map<String, Value>,
) -> Option<Value> {
    if let Some((code, message)) = known.and_then(|guid| object.refused_rows.get(guid)) {
        return Some(skipped(code, message));
    }
    let held = known.and_then(|guid| object.rows.get(guid));
    for field in &object.fixed {
        let changes = held.is_some_and(|held| {
            row.get(field).is_some_and(|value| held.get(field).map(text) != Some(text(value)))
        });
        if changes {
            return Some(skipped("1003", &format!("Field '{field}' is not updateable")));
        }
    }
    let by_id = object.relations.iter().filter(|relation| relation.is_by_id());
    let lives = |value: &Value| text(value).parse().is_ok_and(|id| world.lead(id).is_some());
    let mut links = by_id.filter_map(|relation| row.get(&relation.field));
    links.any(|value| !lives(value)).then(|| skipped("1004", "Lead not found"))
}

/// Whether a row has the key of another one.
fn has_key_of(object: &CustomObject, row: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    let of = |row: &Map<String, Value>, field: &String| {
        row.get(field).map(text).filter(|text| !text.is_empty()).map(|text| text.to_lowercase())
    };
    !object.dedupe_fields.is_empty()
        && object.dedupe_fields.iter().all(|field| {
            let value = of(row, field);
            value.is_some() && value == of(other, field)
        })
}
