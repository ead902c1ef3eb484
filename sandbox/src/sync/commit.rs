//! Writing what a call decided: fields that are blocked keep their values, campaigns write over
//! others at once.

use serde_json::{Map, Value, json};

use super::decide::{Decision, Order};
use crate::answer::skipped;
use crate::clock::now;
use crate::options::Knobs;
use crate::schema::{self, Kind};
use crate::values;
use crate::world::log::{Call, Source, What};
use crate::world::record::Record;
use crate::world::{DEFAULT_PARTITION, World, by_hand};

/// Writes what was decided, and gives the row of the answer.
pub(crate) fn commit(
    world: &mut World,
    knobs: &Knobs,
    order: &Order,
    call: &Call,
    decision: Decision,
) -> Value {
    match decision {
        Decision::Skip(skip) => skip,
        Decision::Insert(values) => {
            let born = now();
            let mut record =
                Record::new(world.next_id(), born, order.partition.unwrap_or(DEFAULT_PARTITION));
            let id = record.id;
            let opts_out = values.iter().any(is_opt_out);
            let overwritten = overwritten(knobs, &values);
            for (number, value) in values {
                if !is_blocked(knobs, &record, number) {
                    record.set(number, value);
                }
            }
            for field in ["originalSourceType", "registrationSourceType"] {
                record.set_named(field, "Web service API");
            }
            if knobs.is("durable_unsubscribe", "always") && is_of_unsubscribed(world, &record) {
                record.set_named("unsubscribed", true);
            }
            world.insert(record);
            world.record(id, born, What::NewLead(Source::Api(Some(call.clone()))));
            if opts_out {
                spread_opt_out(world, id, call);
            }
            overwrite(world, id, &overwritten);
            json!({"id": id, "status": "created"})
        }
        Decision::Update(id, values) => {
            if update(world, knobs, id, values, call) {
                json!({"id": id, "status": "updated"})
            } else {
                skipped("1004", "Lead not found")
            }
        }
    }
}

/// Writes values to a lead that still lives, and each that differs into the log.
fn update(
    world: &mut World,
    knobs: &Knobs,
    id: u64,
    values: Vec<(u16, Value)>,
    call: &Call,
) -> bool {
    let opts_out = values.iter().any(is_opt_out);
    let overwritten = overwritten(knobs, &values);
    let changed = world.change(id, now(), |record| {
        let mut changed = Vec::new();
        for (number, value) in values {
            if is_blocked(knobs, record, number) {
                continue;
            }
            let old = record.shown(number);
            record.set(number, value);
            let new = record.shown(number);
            if old != new {
                changed.push((number, old, new));
            }
        }
        changed
    });
    let Some(changed) = changed else { return false };
    for (number, old, new) in changed {
        note_change(world, id, number, &old, &new, call);
    }
    if opts_out {
        spread_opt_out(world, id, call);
    }
    overwrite(world, id, &overwritten);
    true
}

/// Whether a write says that the person unsubscribes.
fn is_opt_out((number, value): &(u16, Value)) -> bool {
    *value == Value::Bool(true)
        && schema::by_number(*number).is_some_and(|field| field.name == "unsubscribed")
}

/// Whether a lead with the same email is unsubscribed.
fn is_of_unsubscribed(world: &World, record: &Record) -> bool {
    let (Some((email, _)), Some((unsubscribed, _))) =
        (schema::find("email"), schema::find("unsubscribed"))
    else {
        return false;
    };
    let others = record.text_of(email).map(|address| world.find(email, &address));
    others.into_iter().flatten().any(|other| {
        world.lead(other).is_some_and(|lead| lead.get(unsubscribed) == Some(&Value::Bool(true)))
    })
}

/// Unsubscribing is durable: it spreads to every lead with the email, with an activity on each;
/// reported by users.
fn spread_opt_out(world: &mut World, id: u64, call: &Call) {
    let (Some((email, _)), Some((unsubscribed, _))) =
        (schema::find("email"), schema::find("unsubscribed"))
    else {
        return;
    };
    let Some(lead) =
        world.lead(id).filter(|lead| lead.get(unsubscribed) == Some(&Value::Bool(true)))
    else {
        return;
    };
    let Some(address) = lead.text_of(email) else { return };
    for other in world.find(email, &address) {
        let opted_in = world
            .lead(other)
            .is_some_and(|lead| lead.get(unsubscribed) != Some(&Value::Bool(true)));
        if opted_in
            && world
                .change(other, now(), |record| record.set(unsubscribed, Value::Bool(true)))
                .is_some()
        {
            note_change(world, other, unsubscribed, &Value::Bool(false), &Value::Bool(true), call);
        }
    }
}

fn note_change(world: &mut World, id: u64, number: u16, old: &Value, new: &Value, call: &Call) {
    let Some(field) = schema::by_number(number) else { return };
    let text = |value: &Value| (!value.is_null()).then(|| values::shown(value).as_str().into());
    let what = match (field.kind, old.as_i64(), new.as_i64()) {
        (Kind::Score, Some(old), Some(new)) if field.name == "leadScore" => {
            What::ChangeScore { old, new }
        }
        _ => What::ChangeDataValue {
            field: field.name.into(),
            old: text(old),
            new: text(new),
            by: Some(call.clone()),
        },
    };
    world.record(id, now(), what);
}

/// Whether an administrator blocked updates of a field by the API: of one that has a value, or of
/// any.
fn is_blocked(knobs: &Knobs, record: &Record, number: u16) -> bool {
    schema::by_number(number).is_some_and(|field| knobs.names("blocked_fields", field.name))
        && (knobs.is("blocked", "always") || record.get(number).is_some())
}

/// The values that a campaign writes as soon as a call wrote these fields.
fn overwritten(knobs: &Knobs, values: &[(u16, Value)]) -> Map<String, Value> {
    let over = |(number, _): &(u16, Value)| {
        let field = schema::by_number(*number)?;
        let text = knobs.value_for("overwritten_fields", field.name)?;
        Some((field.name.to_owned(), values::accept(field.kind, &json!(text)).unwrap_or_default()))
    };
    values.iter().filter_map(over).collect()
}

fn overwrite(world: &mut World, id: u64, overwritten: &Map<String, Value>) {
    if !overwritten.is_empty() {
        by_hand::change(world, id, &Value::Object(overwritten.clone()), now());
    }
}
