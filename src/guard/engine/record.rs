//! One record as JSON, value for value as it came, and the match key of a value. Pure.

use std::collections::BTreeMap;

use serde::Serialize as _;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The three endpoints that write people one call at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    /// Sync Leads.
    SyncLeads,
    /// Push Lead.
    PushLead,
    /// Submit Form.
    SubmitForm,
}

impl Endpoint {
    /// As log lines and counters name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SyncLeads => "sync_leads",
            Self::PushLead => "push_lead",
            Self::SubmitForm => "submit_form",
        }
    }
}

/// The members of a JSON object, by name.
pub(crate) type Members = BTreeMap<String, Box<RawValue>>;

/// A record as it is sent.
#[derive(Debug, Clone)]
pub(crate) enum RawRecord {
    /// The values of a lead, by field.
    Fields(Members),
    /// A form's values, with what goes with them; or something that is no object, which Marketo
    /// refuses.
    Whole(Box<RawValue>),
}

impl RawRecord {
    /// A record of a write to this endpoint, and the lead's values in it.
    pub(super) fn read(json: Box<RawValue>, endpoint: Endpoint) -> (Self, Members) {
        match endpoint {
            Endpoint::SubmitForm => match Form::read(&json) {
                Some(form) => (Self::Whole(form.whole), form.fields),
                None => (Self::Whole(json), Members::new()),
            },
            Endpoint::SyncLeads | Endpoint::PushLead => {
                match serde_json::from_str::<Members>(json.get()) {
                    Ok(members) => (Self::Fields(members.clone()), members),
                    Err(_no_object) => (Self::Whole(json), Members::new()),
                }
            }
        }
    }

    pub(super) fn json(&self) -> Vec<u8> {
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
    pub(crate) fn values(&self) -> Map<String, Value> {
        let parse = |members: &Members| {
            let value = |raw: &RawValue| serde_json::from_str(raw.get()).ok();
            members.iter().filter_map(|(name, raw)| Some((name.clone(), value(raw)?))).collect()
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

    /// Whether it can be addressed in other words: by the id in place of the field that it is
    /// looked up by.
    pub(super) fn is_addressed_by(&self, lookup: &str) -> bool {
        matches!(self, Self::Fields(members) if members.contains_key(lookup) && !members.contains_key("id"))
    }

    /// The same record with what a later one of the same key says on top.
    #[must_use]
    pub(super) fn then(mut self, later: &Self) -> Self {
        if let (Self::Fields(earlier), Self::Fields(later)) = (&mut self, later) {
            earlier.extend(later.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        self
    }

    /// The same record, addressed by the lead's id.
    #[must_use]
    pub(super) fn addressed_to(mut self, lookup: &str, id: u64) -> Self {
        if let Self::Fields(members) = &mut self {
            members.remove(lookup);
            members.insert("id".to_owned(), raw(&id));
        }
        self
    }
}

/// A form's record: what is named twice in it is left once, so that what is sent has the key that
/// it is leased by.
struct Form {
    whole: Box<RawValue>,
    fields: Members,
}

impl Form {
    fn read(json: &RawValue) -> Option<Self> {
        let (mut members, fields) = Self::parts(json)?;
        members.insert("leadFormFields".to_owned(), raw(&fields));
        Some(Self { whole: raw(&members), fields })
    }

    /// The record with another value of one of the form's fields; none where it is no form's.
    fn with(json: &RawValue, field: &str, value: &RawValue) -> Option<Box<RawValue>> {
        let (mut members, mut fields) = Self::parts(json)?;
        fields.insert(field.to_owned(), value.to_owned());
        members.insert("leadFormFields".to_owned(), raw(&fields));
        Some(raw(&members))
    }

    fn parts(json: &RawValue) -> Option<(Members, Members)> {
        let members: Members = serde_json::from_str(json.get()).ok()?;
        let fields = serde_json::from_str(members.get("leadFormFields")?.get()).ok()?;
        Some((members, fields))
    }
}

/// A string, number or map as JSON.
pub(crate) fn raw(value: &(impl serde::Serialize + ?Sized)) -> Box<RawValue> {
    // Strings, numbers and maps of JSON have a JSON form; null stands where a value had none.
    serde_json::value::to_raw_value(value).unwrap_or_default()
}
