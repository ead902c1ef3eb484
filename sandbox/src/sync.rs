//! Sync Leads, Push Lead and Submit Form: look up, take a while, write.
//!
//! **The race is here, and real.** Each call looks its keys up when it arrives, and writes what it
//! then decided after the race window and whatever else delays it, without looking again: nothing
//! in Marketo keeps two inserts of one email apart, and a call whose answer was lost still writes
//! what it decided long ago.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

mod commit;

use self::commit::commit;
use super::activities::log::Call;
use super::answer::{Answer, Refused, refused, skipped};
use super::meddle;
use super::options::Knobs;
use super::request::{Request, take_time};
use super::schema;
use super::server::{Shared, now};
use super::world::{Membership, World};
use super::{stored, values};

/// How long Marketo lets a write of leads run.
const LIMIT: Duration = Duration::from_secs(90);

/// What a call does with its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    CreateOrUpdate,
    CreateOnly,
    UpdateOnly,
    CreateDuplicate,
}

/// What a call asks for, its records aside.
#[derive(Debug)]
pub(super) struct Order {
    action: Action,
    lookup: (u16, &'static schema::Field),
    partition: Option<u64>,
    /// Whether several matches mean the one that was updated last.
    newest_of_many: bool,
    method: &'static str,
}

/// What the look-up decided for a record.
enum Decision {
    Insert(Vec<(u16, Value)>),
    Update(u64, Vec<(u16, Value)>),
    Skip(Value),
}

/// Sync Leads.
pub(super) async fn leads(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let body = request.json()?;
    let order = order(shared, &body)?;
    let input = Request::input(&body, "Leads not specified")?;
    let results = write(shared, request, &order, input).await;
    Ok(Answer::Rows(results))
}

/// Push Lead: an upsert that also puts the lead into a program.
pub(super) async fn push(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let body = request.json()?;
    let name = body.get("programName").and_then(Value::as_str).unwrap_or_default();
    let program =
        shared.world().programs.iter().find(|(_, program)| program.name == name).map(|(id, _)| *id);
    let program = program.ok_or_else(|| refused("1013", format!("Program '{name}' not found")))?;
    let newest_of_many = shared.options.knobs.is("push_multi", "newest");
    let order = Order { method: "pushLead", newest_of_many, ..order(shared, &body)? };
    let input = Request::input(&body, "Leads not specified")?;
    let results = write(shared, request, &order, input).await;
    let mut world = shared.world();
    for id in results.iter().filter_map(|row| row.get("id")?.as_u64()) {
        join(&mut world, program, id);
    }
    Ok(Answer::Rows(results))
}

/// Submit Form: one lead; of several matches the one that was updated last.
pub(super) async fn submit_form(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let body = request.json()?;
    if body.get("formId").is_none() {
        return Err(refused("1002", "Missing parameter 'formId'"));
    }
    let fields: Vec<Value> = Request::input(&body, "Leads not specified")?
        .iter()
        .take(1)
        .map(|row| row.get("leadFormFields").cloned().unwrap_or_default())
        .collect();
    let order = Order { method: "submitForm", newest_of_many: true, ..order(shared, &Map::new())? };
    Ok(Answer::Rows(write(shared, request, &order, &fields).await))
}

/// What an import asks for: an upsert, or an update where it looks up by id; of several matches the
/// one that was updated last, as users report.
pub(super) fn import_order(
    shared: &Shared,
    mut asked: Map<String, Value>,
) -> Result<Order, Refused> {
    if asked.get("lookupField").and_then(Value::as_str) == Some("id") {
        asked.insert("action".to_owned(), json!("updateOnly"));
    }
    Ok(Order { method: "importLead", newest_of_many: true, ..order(shared, &asked)? })
}

/// Writes a row of an import.
pub(super) fn import(
    shared: &Shared,
    world: &mut World,
    order: &Order,
    call: &Call,
    row: &Value,
) -> Value {
    let decision = decide(shared, world, order, row);
    commit(world, &shared.options.knobs, order, call, decision)
}

async fn write(shared: &Shared, request: &Request, order: &Order, input: &[Value]) -> Vec<Value> {
    let decisions: Vec<Decision> = {
        let world = shared.world();
        input.iter().map(|record| decide(shared, &world, order, record)).collect()
    };
    shared.let_go().await;
    // However long it is made to take: Marketo ends a call at its own limit, which passes as fast
    // as its clock.
    let most = shared.options.knobs.wall(LIMIT);
    take_time((request.delay + shared.options.race_window).min(most)).await;
    meddle::during(shared, request, &touched(&decisions));
    let call = Call {
        method: order.method,
        user: request.user.as_str().into(),
        request_id: request.call_id.as_str().into(),
    };
    let looks_again = |key: &str, seen: &BTreeSet<String>| {
        (order.action == Action::CreateOnly
            && shared.options.knobs.is("create_only_races", "false"))
            || (shared.options.knobs.is("batch_dupes", "sequential") && seen.contains(key))
    };
    let mut world = shared.world_for(request);
    let mut seen = BTreeSet::new();
    let mut results = Vec::with_capacity(input.len());
    for (decision, record) in decisions.into_iter().zip(input) {
        let key =
            record.get(order.lookup.1.name).map(values::shown).unwrap_or_default().to_lowercase();
        let again = looks_again(&key, &seen);
        let decision = if again { decide(shared, &world, order, record) } else { decision };
        seen.insert(key);
        results.push(commit(&mut world, &shared.options.knobs, order, &call, decision));
    }
    results
}

/// The leads that the look-up found.
fn touched(decisions: &[Decision]) -> Vec<u64> {
    let found = |decision: &Decision| match decision {
        Decision::Update(id, _) => Some(*id),
        Decision::Insert(_) | Decision::Skip(_) => None,
    };
    decisions.iter().filter_map(found).collect()
}

fn order(shared: &Shared, body: &Map<String, Value>) -> Result<Order, Refused> {
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
                let world = shared.world();
                let found =
                    world.partitions.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
                Some(found.ok_or_else(|| {
                    refused("1008", format!("Partition '{name}' is not accessible"))
                })?)
            }
        };
    Ok(Order { action, lookup, partition, newest_of_many: false, method: "syncLead" })
}

fn decide(shared: &Shared, world: &World, order: &Order, record: &Value) -> Decision {
    let Some(record) = record.as_object() else {
        return Decision::Skip(skipped("1003", "Invalid record"));
    };
    let values = match accept(&shared.options.knobs, order, record) {
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
        (_, Action::CreateOnly) if shared.options.knobs.is("create_only_multi", "1005") => {
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

fn join(world: &mut World, program: u64, lead: u64) {
    let Some(program) = world.programs.get_mut(&program) else { return };
    let status = program.statuses.first().cloned().unwrap_or_default();
    program.members.entry(lead).or_insert(Membership {
        status,
        since: now(),
        reached_success: false,
    });
}
