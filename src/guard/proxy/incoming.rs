//! A lead write as a caller sent it: its records, their keys, and what it must agree in with
//! another write to leave in one call with it. Pure.
//!
//! Values are kept as the bytes that came, so that no number changes on its way. Of a name that is
//! given twice the last counts, for the key and for what is sent alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use serde::Serialize as _;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::route::Verb;
use crate::dedupe::KeyKind;
use crate::guard::lease::LeaseKey;
use crate::marketo::BATCH;

/// The members of a JSON object, by name.
pub(super) type Members = BTreeMap<String, Box<RawValue>>;

/// What Sync Leads is asked to do; Push Lead and Submit Form always do the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    CreateOrUpdate,
    CreateOnly,
    UpdateOnly,
    CreateDuplicate,
    /// A word that is none of these: Marketo refuses it.
    Unknown,
}

/// Everything of a write but its records. Writes that agree in it may leave as one call.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) verb: Verb,
    pub(super) action: Action,
    /// The field that is looked up; `email` where none is named.
    pub(super) lookup: String,
    /// Whether a partition is named: then what Marketo does depends on where the lead is.
    pub(super) in_partition: bool,
    /// The members beside `input`, as they came.
    pub(super) members: Members,
    /// The method, as it came: what is no POST is Marketo's to refuse.
    pub(super) method: Method,
    /// Path and query, as they came.
    pub(super) target: String,
}

/// One record of a write.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// As it is to be sent, where it is an object.
    pub(super) shape: Shape,
    /// What is looked up: an email without regard to case, any other value with it; none where it
    /// is empty (law 1).
    pub(super) key: Option<String>,
    /// The rights that writing it takes: to the key, and to an email that it sets.
    pub(super) leases: BTreeSet<LeaseKey>,
    /// Its size in a body.
    pub(super) bytes: usize,
}

/// How a record is written.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// The values of a lead, by field.
    Fields(Members),
    /// A form's values, with what goes with them; or something that is no object, which Marketo
    /// refuses.
    Whole(Box<RawValue>),
}

/// Why a write cannot be one: what Marketo says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

/// A write, taken apart.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) envelope: Arc<Envelope>,
    pub(super) records: Vec<Record>,
}

/// Takes a body apart.
pub(super) fn read(
    verb: Verb,
    method: &Method,
    target: &str,
    body: &[u8],
    instance: &str,
) -> Result<Incoming, Refused> {
    // Some writers begin each text with it, and JSON's readers pass over it.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let invalid = Refused { code: "609", message: "Invalid JSON" };
    let unspecified = Refused { code: "1003", message: "Leads not specified" };
    let mut members: Members = serde_json::from_slice(body).map_err(|_no_object| invalid)?;
    let input = members.remove("input").ok_or(unspecified)?;
    // An answer that comes before the write is done would free the key too early: every write is
    // waited for.
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
    let lookup = match verb {
        Verb::Sync | Verb::Push => text("lookupField").unwrap_or_else(|| "email".to_owned()),
        Verb::Form => "email".to_owned(),
    };
    let envelope = Envelope {
        verb,
        action: match verb {
            Verb::Sync => action(members.get("action").map(|raw| &**raw)),
            Verb::Push | Verb::Form => Action::CreateOrUpdate,
        },
        lookup,
        in_partition: members.get("partitionName").is_some_and(|raw| raw.get() != "null"),
        members,
        method: method.clone(),
        target: target.to_owned(),
    };
    let records = input.into_iter().map(|raw| Record::read(raw, &envelope, instance)).collect();
    Ok(Incoming { envelope: Arc::new(envelope), records })
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

impl Envelope {
    /// What writes must agree in to leave as one call, their token among it, and how their bodies
    /// are to be read.
    pub(super) fn agreement(&self, headers: &HeaderMap) -> [u8; 32] {
        let mut hash = Sha256::new();
        let token = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        let content_type = content_type(headers);
        let own = [
            token,
            content_type.as_bytes(),
            self.method.as_str().as_bytes(),
            self.target.as_bytes(),
            self.verb.name().as_bytes(),
        ];
        let members =
            self.members.iter().flat_map(|(name, raw)| [name.as_bytes(), raw.get().as_bytes()]);
        for part in own.into_iter().chain(members) {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// Whether records of one key may become one record: what is left is what each of them would
    /// have left, one after another.
    pub(super) fn coalesces(&self) -> bool {
        self.verb == Verb::Sync
            && matches!(self.action, Action::CreateOrUpdate | Action::UpdateOnly)
    }

    /// The body of a call with these records.
    pub(super) fn body<'a>(&self, records: impl IntoIterator<Item = &'a Shape>) -> Vec<u8> {
        body(&self.members, records)
    }

    /// The body of a call that asks for the same in other words: by this action and look-up field.
    pub(super) fn rewritten<'a>(
        &self,
        action: &'static str,
        lookup: &str,
        records: impl IntoIterator<Item = &'a Shape>,
    ) -> Vec<u8> {
        let mut members = self.members.clone();
        members.insert("action".to_owned(), raw(&action));
        members.insert("lookupField".to_owned(), raw(&lookup));
        body(&members, records)
    }
}

/// The type of a body in one spelling: JSON is UTF-8, whether that is said or not.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let spelled: String =
        String::from_utf8_lossy(value).to_ascii_lowercase().split([' ', '"']).collect();
    if spelled == "application/json;charset=utf-8" {
        "application/json".to_owned()
    } else {
        spelled
    }
}

fn body<'a>(members: &Members, records: impl IntoIterator<Item = &'a Shape>) -> Vec<u8> {
    let mut body = Vec::from(*b"{");
    for (name, value) in members {
        body.extend(raw(name).get().bytes());
        body.push(b':');
        body.extend(value.get().bytes());
        body.push(b',');
    }
    body.extend(b"\"input\":[");
    for (position, record) in records.into_iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        body.extend(record.json());
    }
    body.extend(b"]}");
    body
}

/// A string or number as JSON.
pub(super) fn raw(value: &(impl serde::Serialize + ?Sized)) -> Box<RawValue> {
    // Strings and numbers have a JSON form; null stands where a value had none.
    serde_json::value::to_raw_value(value).unwrap_or_default()
}

impl Shape {
    fn json(&self) -> Vec<u8> {
        match self {
            Self::Whole(raw) => raw.get().as_bytes().to_vec(),
            Self::Fields(members) => {
                let mut json = Vec::new();
                // Writing to memory cannot fail, and raw values are JSON by their type.
                drop(members.serialize(&mut serde_json::Serializer::new(&mut json)));
                json
            }
        }
    }

    /// The lead's values, for comparing.
    pub(super) fn values(&self) -> Map<String, Value> {
        let parse = |members: &Members| {
            members
                .iter()
                .filter_map(|(name, raw)| {
                    Some((name.clone(), serde_json::from_str(raw.get()).ok()?))
                })
                .collect()
        };
        match self {
            Self::Fields(members) => parse(members),
            Self::Whole(raw) => Form::read(raw).map(|form| parse(&form.fields)).unwrap_or_default(),
        }
    }

    /// The value of one field, by exactly this name.
    pub(super) fn value(&self, field: &str) -> Option<Value> {
        let read = |fields: &Members| serde_json::from_str(fields.get(field)?.get()).ok();
        match self {
            Self::Fields(fields) => read(fields),
            Self::Whole(raw) => read(&Form::read(raw)?.fields),
        }
    }

    /// Gives one field another value, by exactly this name.
    pub(super) fn set(&mut self, field: &str, value: &RawValue) {
        match self {
            Self::Fields(fields) => drop(fields.insert(field.to_owned(), value.to_owned())),
            Self::Whole(raw) => {
                if let Some(changed) = Form::with(raw, field, value) {
                    *raw = changed;
                }
            }
        }
    }

    /// Whether a field is given, by exactly this name.
    pub(super) fn has(&self, field: &str) -> bool {
        matches!(self, Self::Fields(members) if members.contains_key(field))
    }

    /// The same record with what a later one of the same key says on top.
    #[must_use]
    pub(super) fn then(mut self, later: &Self) -> Self {
        if let (Self::Fields(earlier), Self::Fields(later)) = (&mut self, later) {
            earlier.extend(later.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        self
    }

    /// The same record without a field, and with another one.
    #[must_use]
    pub(super) fn addressed(mut self, without: &str, field: &str, value: Box<RawValue>) -> Self {
        if let Self::Fields(members) = &mut self {
            members.remove(without);
            members.insert(field.to_owned(), value);
        }
        self
    }
}

impl Record {
    fn read(raw: Box<RawValue>, envelope: &Envelope, instance: &str) -> Self {
        let bytes = raw.get().len() + 1;
        let (shape, fields) = match envelope.verb {
            Verb::Form => match Form::read(&raw) {
                Some(form) => (Shape::Whole(form.whole), Some(form.fields)),
                None => (Shape::Whole(raw), None),
            },
            Verb::Sync | Verb::Push => match serde_json::from_str::<Members>(raw.get()) {
                Ok(members) => (Shape::Fields(members.clone()), Some(members)),
                Err(_) => (Shape::Whole(raw), None),
            },
        };
        let fields = fields.unwrap_or_default();
        let mut leases = BTreeSet::new();
        for (name, value) in &fields {
            let is_key = [envelope.lookup.as_str(), "email"]
                .iter()
                .any(|key| name.eq_ignore_ascii_case(key));
            if is_key && let Ok(value) = serde_json::from_str(value.get()) {
                leases.extend(LeaseKey::of_value(instance, name, &value));
            }
        }
        let key = fields.get(&envelope.lookup).and_then(|value| read_key(&envelope.lookup, value));
        Self { shape, key, leases, bytes }
    }
}

/// A form's record: what is named twice in it is left once, so that what is sent has the key that
/// it is leased by.
struct Form {
    whole: Box<RawValue>,
    fields: Members,
}

impl Form {
    fn read(raw: &RawValue) -> Option<Self> {
        let mut members: Members = serde_json::from_str(raw.get()).ok()?;
        let fields: Members = serde_json::from_str(members.get("leadFormFields")?.get()).ok()?;
        members.insert("leadFormFields".to_owned(), self::raw(&fields));
        Some(Self { whole: self::raw(&members), fields })
    }

    /// The record with another value of one of the form's fields; none where it is no form's.
    fn with(raw: &RawValue, field: &str, value: &RawValue) -> Option<Box<RawValue>> {
        let mut members: Members = serde_json::from_str(raw.get()).ok()?;
        let mut fields: Members =
            serde_json::from_str(members.get("leadFormFields")?.get()).ok()?;
        fields.insert(field.to_owned(), value.to_owned());
        members.insert("leadFormFields".to_owned(), self::raw(&fields));
        Some(self::raw(&members))
    }
}

fn read_key(field: &str, raw: &RawValue) -> Option<String> {
    key_of(field, &serde_json::from_str(raw.get()).ok()?)
}

/// What a value of a field is looked up by; an empty one is no key. The schema is not known here.
pub(super) fn key_of(field: &str, value: &Value) -> Option<String> {
    KeyKind::standard(field).key(value).map(String::from)
}

#[cfg(test)]
mod tests;
