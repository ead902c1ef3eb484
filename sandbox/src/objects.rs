//! Custom objects: rows that belong to leads by the value of a lead's field.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refused, refused, skipped};
use super::instance::Shared;
use super::request::{BATCH, Request};
use super::world::objects::{self, CustomObject, GUID};

/// The objects, each with its relationship to the lead.
pub(super) fn list(shared: &Shared) -> Answer {
    Answer::Rows(shared.world().objects.iter().map(described).collect())
}

/// One object, with its fields.
pub(super) fn describe(shared: &Shared, name: &str) -> Result<Answer, Refused> {
    let world = shared.world();
    let object = find(&world.objects, name)?;
    let mut row = described(object);
    if let Some(members) = row.as_object_mut() {
        members.insert("fields".to_owned(), Value::Array(fields(object)));
    }
    Ok(Answer::Rows(vec![row]))
}

/// Rows whose field has one of the values.
pub(super) fn query(shared: &Shared, request: &Request, name: &str) -> Result<Answer, Refused> {
    let filter = request
        .param("filterType")
        .ok_or_else(|| refused("1002", "Missing parameter 'filterType'"))?;
    let values = request.param_list("filterValues");
    if values.is_empty() || values.len() > BATCH {
        return Err(refused("1003", "filterValues must hold 1 to 300 values"));
    }
    let world = shared.world();
    let object = find(&world.objects, name)?;
    if filter != object.link_field && filter != GUID {
        return Err(refused("1003", format!("Field '{filter}' is not searchable")));
    }
    let rows = object
        .rows
        .values()
        .filter(|row| {
            row.get(filter).is_some_and(|held| values.iter().any(|value| *value == text(held)))
        })
        .cloned()
        .zip(0_u64..)
        .map(|(mut row, seq)| {
            row.insert("seq".to_owned(), json!(seq));
            Value::Object(row)
        })
        .collect();
    Ok(Answer::Rows(rows))
}

/// Writes rows: by GUID where one is given, else anew.
pub(super) fn sync(shared: &Shared, request: &Request, name: &str) -> Result<Answer, Refused> {
    let body = request.json()?;
    let input = Request::input(&body, "Records not specified")?;
    let may_create = body.get("action").and_then(Value::as_str) != Some("updateOnly");
    let mut world = shared.world();
    let object = find_mut(&mut world.objects, name)?;
    let rows = input
        .iter()
        .zip(0_u64..)
        .map(|(row, seq)| {
            let Some(row) = row.as_object() else { return skipped("1003", "Invalid record") };
            let known = row
                .get(GUID)
                .and_then(Value::as_str)
                .filter(|guid| object.rows.contains_key(*guid));
            match known {
                Some(guid) => {
                    let guid = guid.to_owned();
                    object.rows.entry(guid.clone()).or_default().extend(row.clone());
                    json!({"seq": seq, "status": "updated", GUID: guid})
                }
                None if may_create => {
                    let guid = objects::add_row(object, row.clone());
                    json!({"seq": seq, "status": "created", GUID: guid})
                }
                None => skipped("1013", "Record not found"),
            }
        })
        .collect();
    Ok(Answer::Rows(rows))
}

/// Deletes rows by GUID.
pub(super) fn delete(shared: &Shared, request: &Request, name: &str) -> Result<Answer, Refused> {
    let body = request.json()?;
    let input = Request::input(&body, "Records not specified")?;
    let mut world = shared.world();
    let object = find_mut(&mut world.objects, name)?;
    let rows = input
        .iter()
        .zip(0_u64..)
        .map(|(row, seq)| {
            let guid = row.get(GUID).and_then(Value::as_str).unwrap_or_default();
            match object.rows.remove(guid) {
                Some(_) => json!({"seq": seq, "status": "deleted", GUID: guid}),
                None => skipped("1013", "Record not found"),
            }
        })
        .collect();
    Ok(Answer::Rows(rows))
}

/// An object by name, if the API user may read it.
fn find<'a>(objects: &'a [CustomObject], name: &str) -> Result<&'a CustomObject, Refused> {
    let object =
        objects.iter().find(|object| object.name == name).ok_or_else(|| not_found(name))?;
    readable(object)?;
    Ok(object)
}

fn find_mut<'a>(
    objects: &'a mut [CustomObject],
    name: &str,
) -> Result<&'a mut CustomObject, Refused> {
    let object =
        objects.iter_mut().find(|object| object.name == name).ok_or_else(|| not_found(name))?;
    readable(object)?;
    Ok(object)
}

fn readable(object: &CustomObject) -> Result<(), Refused> {
    object
        .refused
        .as_ref()
        .map_or(Ok(()), |(code, message)| Err(refused(code.clone(), message.clone())))
}

fn described(object: &CustomObject) -> Value {
    let relationships = object.relations.iter().map(|relation| {
        json!({
            "field": relation.field,
            "type": "child",
            "relatedTo": {"name": relation.object, "field": relation.related_field},
        })
    });
    json!({
        "name": object.name,
        "apiName": object.name,
        "displayName": object.display_name,
        "pluralName": object.display_name,
        "description": object.display_name,
        "createdAt": "2021-01-01T00:00:00Z",
        "updatedAt": "2021-01-01T00:00:00Z",
        "state": "approved",
        "idField": GUID,
        "dedupeFields": [],
        "searchableFields": [[object.link_field], [GUID]],
        "relationships": relationships.collect::<Vec<_>>(),
    })
}

/// The GUID, the link, and whatever else stands in the rows.
fn fields(object: &CustomObject) -> Vec<Value> {
    let field = |name: &str, data_type: &str| {
        let mut field = json!({
            "name": name,
            "displayName": name,
            "dataType": data_type,
            "updateable": name != GUID,
            "crmManaged": false,
        });
        if let Some(members) = field.as_object_mut().filter(|_| data_type == "string") {
            members.insert("length".to_owned(), json!(255));
        }
        field
    };
    let numbers =
        object.rows.values().any(|row| row.get(&object.link_field).is_some_and(Value::is_number));
    let names: BTreeSet<&String> = object.rows.values().flat_map(Map::keys).collect();
    let others = names.into_iter().filter(|name| *name != GUID && **name != object.link_field);
    let mut fields = vec![
        field(GUID, "string"),
        field(&object.link_field, if numbers { "integer" } else { "string" }),
    ];
    fields.extend(others.map(|name| field(name, "string")));
    fields
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn not_found(name: &str) -> Refused {
    refused("1013", format!("Object '{name}' not found"))
}
