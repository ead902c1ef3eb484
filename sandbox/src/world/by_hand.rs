//! What somebody on Marketo's screens, a test or the demo does to leads, past the API.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::log::{Source, What};
use super::record::{Record, SfdcType};
use super::{DEFAULT_PARTITION, World};
use crate::schema;

/// Puts a lead in from what a test or the demo says of it.
pub(crate) fn put(world: &mut World, fields: &Value, now: DateTime<Utc>) -> u64 {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let born = text("createdAt").and_then(|text| text.parse().ok()).unwrap_or(now);
    let partition =
        fields.get("leadPartitionId").and_then(Value::as_u64).unwrap_or(DEFAULT_PARTITION);
    let mut record = Record::new(world.next_id(), born, partition);
    let id = record.id;
    set_all(&mut record, fields);
    world.insert(record);
    world.record(id, born, What::NewLead(Source::ByHand));
    id
}

/// Changes a lead as somebody on the screens does, with an activity for each value that differs;
/// whether it lives.
pub(crate) fn change(world: &mut World, id: u64, fields: &Value, now: DateTime<Utc>) -> bool {
    let numbers: Vec<u16> = fields
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, _)| schema::find(name))
        .map(|(number, _)| number)
        .collect();
    let shown =
        |record: &Record| numbers.iter().map(|number| record.text_of(*number)).collect::<Vec<_>>();
    let changed = world.change(id, now, |record| {
        let before = shown(record);
        set_all(record, fields);
        (before, shown(record))
    });
    let Some((before, after)) = changed else { return false };
    for ((number, old), new) in numbers.into_iter().zip(before).zip(after) {
        if let Some(field) = schema::by_number(number).filter(|_| old != new) {
            let (old, new) = (old.map(Into::into), new.map(Into::into));
            world.record(
                id,
                now,
                What::ChangeDataValue { field: field.name.into(), old, new, by: None },
            );
        }
    }
    true
}

/// Sets a record's values and its place in the CRM.
pub(crate) fn set_all(record: &mut Record, fields: &Value) {
    for (name, value) in fields.as_object().into_iter().flatten() {
        match (name.as_str(), value.as_str()) {
            ("sfdcLeadId", Some(id)) => record.sfdc = Some((SfdcType::Lead, id.to_owned())),
            ("sfdcContactId", Some(id)) => {
                record.sfdc = Some((SfdcType::Contact, id.to_owned()));
            }
            ("sfdcAccountId", Some(id)) => {
                record.sfdc = Some((SfdcType::PersonAccount, id.to_owned()));
            }
            ("id" | "createdAt" | "leadPartitionId", _) => {}
            _ => record.set_named(name, value.clone()),
        }
    }
}
