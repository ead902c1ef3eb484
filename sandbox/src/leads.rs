//! Reading leads: by filter, by id; the schema; partitions. And deleting them.

mod lag;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Refused, refused, skipped_id};
use super::clock::now;
use super::instance::Shared;
use super::meddle;
use super::request::{BATCH, Request, page_token};
use super::schema::{self, FIELDS, Field};
use super::world::log::What;
use super::world::record::Record;

/// What comes without `fields`.
const DEFAULT_FIELDS: &[&str] = &["id", "firstName", "lastName", "email", "updatedAt", "createdAt"];

/// More matches than this are refused.
const MOST_MATCHES: usize = 1_000;

/// Get Leads by Filter.
pub(super) fn by_filter(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let filter = request
        .param("filterType")
        .ok_or_else(|| refused("1002", "Missing parameter 'filterType'"))?;
    let field = schema::find(filter)
        .filter(|(_, field)| field.searchable)
        .ok_or_else(|| refused("1011", format!("Field '{filter}' is not supported as a filter")))?;
    // Values are split at commas; there is no way to escape one.
    let values = request.param_list("filterValues");
    if values.is_empty() {
        return Err(refused("1003", "filterValues not specified"));
    }
    if values.len() > BATCH {
        return Err(refused("1003", format!("Too many filter values: {}", values.len())));
    }
    let (fields, after, size) = (fields(request)?, request.after()?, request.batch_size()?);
    let lag = lag::Lag::of(request);
    let mut world = shared.world();
    let mut ids: Vec<u64> = values.iter().flat_map(|value| world.find(field.0, value)).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > MOST_MATCHES {
        return Err(refused("1003", "Too many results match the filter"));
    }
    ids.retain(|id| *id > after);
    lag.leave_one_out(shared, &mut ids);
    let stale = lag.stale(shared, &mut world, &ids, field, &values, after);
    ids.extend(stale.as_ref().map(|stale| stale.id));
    ids.sort_unstable();
    ids.dedup();
    let of = |id: &u64| stale.as_ref().filter(|stale| stale.id == *id).or_else(|| world.lead(*id));
    let records: Vec<&Record> = ids.iter().filter_map(of).collect();
    let answer = page(&records, size, |record| shown(record, &fields));
    drop(world);
    meddle::during(shared, request, &ids);
    Ok(answer)
}

/// Get Lead by Id. What comes for an id that is gone is not documented.
pub(super) fn by_id(shared: &Shared, request: &Request, id: &str) -> Result<Answer, Refused> {
    let fields = fields(request)?;
    let id: u64 =
        id.parse().map_err(|_no_number| refused("610", "Requested resource not found"))?;
    match shared.world().lead(id) {
        Some(record) => Ok(Answer::Rows(vec![shown(record, &fields)])),
        None if shared.options.knobs.is("merged_lead", "empty") => Ok(Answer::Rows(Vec::new())),
        None => Err(refused("1004", format!("Lead [{id}] not found"))),
    }
}

/// A page of records that are sorted by id.
pub(super) fn page(records: &[&Record], size: usize, show: impl Fn(&Record) -> Value) -> Answer {
    let rows: Vec<Value> = records.iter().take(size).map(|record| show(record)).collect();
    let next = records
        .get(size.saturating_sub(1))
        .filter(|_| records.len() > size)
        .map(|last| page_token(last.id));
    let more = next.is_some().then_some(true);
    Answer::Page { rows, next, more }
}

/// The fields that a call asks for, by number.
pub(super) fn fields(request: &Request) -> Result<Vec<u16>, Refused> {
    let names = request.param_list("fields");
    if names.is_empty() {
        return Ok(DEFAULT_FIELDS
            .iter()
            .filter_map(|name| schema::find(name))
            .map(|(number, _)| number)
            .collect());
    }
    names
        .iter()
        .map(|name| {
            schema::find(name)
                .map(|(number, _)| number)
                .ok_or_else(|| refused("1006", format!("Field '{name}' not found")))
        })
        .collect()
}

/// A lead as the API shows it; the id is always there.
pub(super) fn shown(record: &Record, fields: &[u16]) -> Value {
    let mut members = Map::new();
    members.insert("id".to_owned(), json!(record.id));
    for number in fields {
        if let Some(field) = schema::by_number(*number) {
            members.insert(field.name.to_owned(), record.shown(*number));
        }
    }
    Value::Object(members)
}

/// The older form of Describe.
pub(super) fn describe() -> Answer {
    let rest =
        |field: &Field| json!({"name": field.name, "readOnly": !field.owner.lets_callers_write()});
    let row = |(field, id): (&Field, u64)| {
        let row = json!({
            "id": id,
            "displayName": field.display_name,
            "dataType": field.kind.name(),
            "rest": rest(field),
        });
        with_length(row, field)
    };
    Answer::Rows(FIELDS.iter().zip(10..).map(row).collect())
}

/// Describe2: with what can be looked up by, and what may be written.
pub(super) fn describe2() -> Answer {
    let searchable: Vec<[&str; 1]> =
        FIELDS.iter().filter(|field| field.searchable).map(|field| [field.name]).collect();
    let row = |field: &Field| {
        let row = json!({
            "name": field.name,
            "displayName": field.display_name,
            "dataType": field.kind.name(),
            "updateable": field.owner.lets_callers_write(),
            "crmManaged": field.owner.is_crm(),
        });
        with_length(row, field)
    };
    let fields: Vec<Value> = FIELDS.iter().map(row).collect();
    Answer::Rows(vec![json!({
        "name": "API Lead",
        "description": "API Lead Map",
        "createdAt": "2020-10-01T00:00:00Z",
        "updatedAt": "2020-10-01T00:00:00Z",
        "idField": "id",
        "dedupeFields": ["email"],
        "searchableFields": searchable,
        "fields": fields,
    })])
}

/// Only texts have a length.
fn with_length(mut row: Value, field: &Field) -> Value {
    if let Some(members) = row.as_object_mut().filter(|_| field.kind.is_text()) {
        members.insert("length".to_owned(), json!(field.length));
    }
    row
}

/// The lead partitions.
pub(super) fn partitions(shared: &Shared) -> Answer {
    let world = shared.world();
    Answer::Rows(
        world
            .partitions
            .iter()
            .map(|(id, name)| json!({"id": id, "name": name, "description": null}))
            .collect(),
    )
}

/// Update Lead Partition.
pub(super) fn move_partition(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let body = request.json()?;
    let mut world = shared.world_for(request);
    let rows = Request::input(&body, "Lead ids not specified")?
        .iter()
        .map(|row| {
            let id = row.get("id").and_then(Value::as_u64).unwrap_or_default();
            let name = row.get("partitionName").and_then(Value::as_str).unwrap_or_default();
            let partition =
                world.partitions.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
            let Some(partition) = partition else {
                return skipped_id(id, "1003", "Partition not found");
            };
            match world
                .change(id, now(), |record| std::mem::replace(&mut record.partition, partition))
            {
                Some(old) => {
                    if old != partition {
                        world.record(id, now(), What::ChangePartition { old, new: partition });
                    }
                    json!({"id": id, "status": "updated"})
                }
                None => skipped_id(id, "1004", "Lead not found"),
            }
        })
        .collect();
    Ok(Answer::Rows(rows))
}

/// Delete Leads.
pub(super) fn delete(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let ids = request.ids("Lead ids not specified")?;
    let mut world = shared.world_for(request);
    let rows = ids
        .into_iter()
        .map(|id| match world.remove(id, None, now()) {
            Some(_) => {
                world.record(id, now(), What::DeleteLead);
                json!({"id": id, "status": "deleted"})
            }
            None => skipped_id(id, "1004", "Lead not found"),
        })
        .collect();
    Ok(Answer::Rows(rows))
}
