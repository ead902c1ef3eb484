//! Takes the body of a lead write apart. Pure.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::dedupe::KeyKind;
use crate::guard::engine::{Action, Endpoint, Envelope, Goal, Members, Record};
use crate::marketo::BATCH;

/// Why a body is no write, in Marketo's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) envelope: Envelope,
    pub(super) records: Vec<Record>,
}

pub(super) fn parse(endpoint: Endpoint, body: &[u8], instance: &str) -> Result<Incoming, Refused> {
    // Some writers begin each text with a byte order mark, and readers of JSON pass over it.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let invalid = Refused { code: "609", message: "Invalid JSON" };
    let unspecified = Refused { code: "1003", message: "Leads not specified" };
    let mut members: Members = serde_json::from_slice(body).map_err(|_no_object| invalid)?;
    let input = members.remove("input").ok_or(unspecified)?;
    // With asynchronous processing the answer would come before the write is done, and free the key
    // too early.
    members
        .retain(|name, value| name != "asyncProcessing" || matches!(value.get(), "false" | "null"));
    let input: Vec<Box<RawValue>> =
        serde_json::from_str(input.get()).map_err(|_no_list| unspecified)?;
    if input.is_empty() {
        return Err(unspecified);
    }
    if input.len() > BATCH {
        return Err(Refused { code: "1003", message: "Max allowed leads per request is 300" });
    }
    let text = |name: &str| {
        members.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
    };
    let lookup = match endpoint {
        Endpoint::SyncLeads | Endpoint::PushLead => {
            text("lookupField").unwrap_or_else(|| "email".to_owned())
        }
        Endpoint::SubmitForm => "email".to_owned(),
    };
    let envelope = Envelope {
        endpoint,
        action: match endpoint {
            Endpoint::SyncLeads => action(members.get("action").map(|raw| &**raw)),
            Endpoint::PushLead | Endpoint::SubmitForm => Action::CreateOrUpdate,
        },
        kind: KeyKind::standard(&lookup),
        lookup,
        in_partition: members.get("partitionName").is_some_and(|raw| raw.get() != "null"),
        members,
        goal: Goal::Write,
        only_on_create: Members::new(),
    };
    let records = input.into_iter().map(|raw| Record::of_json(raw, &envelope, instance)).collect();
    Ok(Incoming { envelope, records })
}

fn action(raw: Option<&RawValue>) -> Action {
    let Some(raw) = raw else { return Action::CreateOrUpdate };
    match serde_json::from_str(raw.get()) {
        Ok(Value::Null) => Action::CreateOrUpdate,
        Ok(Value::String(word)) => match word.as_str() {
            "createOrUpdate" => Action::CreateOrUpdate,
            "createOnly" => Action::CreateOnly,
            "updateOnly" => Action::UpdateOnly,
            "createDuplicate" => Action::CreateDuplicate,
            _ => Action::Unknown,
        },
        _ => Action::Unknown,
    }
}

#[cfg(test)]
mod tests;
