//! Custom objects: rows that belong to leads by the value of a lead's field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refused, refused, skipped};
use super::instance::Shared;
use super::request::{BATCH, Request};
use super::world::objects::{CustomObject, GUID, text};
use super::world::record::shown_time;

pub(super) mod sync;

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

/// Rows whose field has one of the values, a page at a time. Fields that nobody asked for are left
/// out, but for the GUID.
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
    let filter = if filter == "idField" { GUID } else { filter };
    if !searchable(object).contains(filter) {
        return Err(refused("1003", format!("Field '{filter}' is not searchable")));
    }
    let asked: BTreeSet<String> = request.param_list("fields").into_iter().collect();
    let known: BTreeSet<String> = fields(object)
        .iter()
        .filter_map(|field| Some(field.get("name")?.as_str()?.to_owned()))
        .chain(["createdAt".to_owned(), "updatedAt".to_owned()])
        .collect();
    if let Some(unknown) = asked.iter().find(|field| !known.contains(*field)) {
        return Err(refused("1006", format!("Field '{unknown}' not found")));
    }
    let after = request.param("nextPageToken").unwrap_or_default();
    let size = request.batch_size()?;
    let mut found: Vec<(&String, &Map<String, Value>)> = object
        .rows
        .iter()
        .filter(|(guid, _)| guid.as_str() > after)
        .filter(|(_, row)| {
            row.get(filter).is_some_and(|held| values.iter().any(|value| *value == text(held)))
        })
        .collect();
    let more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| more).map(|(guid, _)| (*guid).clone());
    let rows = found.iter().zip(0_u64..).map(|((guid, row), seq)| {
        let is_shown =
            |name: &String| asked.is_empty() || asked.contains(name) || name.as_str() == GUID;
        let mut row: Map<String, Value> =
            (*row).clone().into_iter().filter(|(name, _)| is_shown(name)).collect();
        row.insert("seq".to_owned(), json!(seq));
        if let Some((made, changed)) = object.times.get(*guid) {
            for (name, at) in [("createdAt", made), ("updatedAt", changed)] {
                if is_shown(&name.to_owned()) {
                    row.insert(name.to_owned(), json!(shown_time(*at)));
                }
            }
        }
        Value::Object(row)
    });
    Ok(Answer::Page { rows: rows.collect(), next, more: more.then_some(true) })
}

/// Deletes rows by GUID.
pub(super) fn delete(shared: &Shared, request: &Request, name: &str) -> Result<Answer, Refused> {
    let body = request.json()?;
    let input = Request::input(&body, "Records not specified")?;
    let mut world = shared.world();
    let object = find_mut(&mut world.objects, name)?;
    if object.crm_managed {
        return Err(of_the_crm(name));
    }
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

fn of_the_crm(name: &str) -> Refused {
    refused("1018", format!("Object '{name}' is managed by the CRM and cannot be written"))
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

/// The fields by which rows can be looked up one by one.
fn searchable(object: &CustomObject) -> BTreeSet<&str> {
    let links = object.relations.iter().map(|relation| relation.field.as_str());
    let mut all: BTreeSet<&str> = links.chain([object.link_field.as_str(), GUID]).collect();
    if let [field] = object.dedupe_fields.as_slice() {
        all.insert(field);
    }
    all
}

fn described(object: &CustomObject) -> Value {
    let relationships = object.relations.iter().map(|relation| {
        json!({
            "field": relation.field,
            "type": "child",
            "relatedTo": {"name": relation.object, "field": relation.related_field},
        })
    });
    let searchable: Vec<[&str; 1]> = searchable(object).into_iter().map(|name| [name]).collect();
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
        "dedupeFields": object.dedupe_fields,
        "searchableFields": searchable,
        "relationships": relationships.collect::<Vec<_>>(),
    })
}

/// The GUID, the link, and whatever else stands in the rows or tells them apart.
fn fields(object: &CustomObject) -> Vec<Value> {
    let by_id: BTreeMap<&str, bool> = object
        .relations
        .iter()
        .map(|relation| (relation.field.as_str(), relation.is_by_id()))
        .collect();
    let field = |name: &str| {
        let is_number = by_id.get(name).copied().unwrap_or_default();
        let mut field = json!({
            "name": name,
            "displayName": name,
            "dataType": if is_number { "integer" } else { "string" },
            "updateable": name != GUID
                && !object.crm_managed
                && !object.fixed.iter().any(|fixed| fixed == name),
            "crmManaged": object.crm_managed && name != GUID,
        });
        if let Some(members) = field.as_object_mut().filter(|_| !is_number) {
            members.insert("length".to_owned(), json!(255));
        }
        field
    };
    let in_rows = object.rows.values().flat_map(Map::keys).map(String::as_str);
    let links = object.relations.iter().map(|relation| relation.field.as_str());
    let others: BTreeSet<&str> = in_rows
        .chain(links)
        .chain(object.dedupe_fields.iter().map(String::as_str))
        .filter(|name| *name != GUID && *name != object.link_field)
        .collect();
    [GUID, object.link_field.as_str()].into_iter().chain(others).map(field).collect()
}

fn not_found(name: &str) -> Refused {
    refused("1013", format!("Object '{name}' not found"))
}
