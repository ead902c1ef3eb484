//! One record as JSON, value for value as it came. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The three endpoints that write people one call at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    SyncLeads,
    PushLead,
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

/// The member of a form's record that holds the lead's values.
const FORM_FIELDS: &str = "leadFormFields";

/// A record as it is sent. A name that the JSON gave twice is in it once, so that what is sent has
/// the key that it is leased by.
#[derive(Debug, Clone)]
pub(crate) enum RawRecord {
    /// The values of a lead, by field.
    Fields(Members),
    /// The values that a form was sent with, and the members beside them.
    Form { fields: Members, beside: Members },
    /// Something else, which Marketo refuses.
    Other(Box<RawValue>),
}

impl RawRecord {
    pub(super) fn read(json: Box<RawValue>, endpoint: Endpoint) -> Self {
        let members = |json: &RawValue| serde_json::from_str::<Members>(json.get()).ok();
        let record = match endpoint {
            Endpoint::SubmitForm => members(&json).and_then(|mut beside| {
                let fields = members(&beside.remove(FORM_FIELDS)?)?;
                Some(Self::Form { fields, beside })
            }),
            Endpoint::SyncLeads | Endpoint::PushLead => members(&json).map(Self::Fields),
        };
        record.unwrap_or(Self::Other(json))
    }

    pub(super) fn json(&self) -> Box<RawValue> {
        match self {
            Self::Fields(fields) => raw(fields),
            Self::Form { fields, beside } => {
                let mut members = beside.clone();
                members.insert(FORM_FIELDS.to_owned(), raw(fields));
                raw(&members)
            }
            Self::Other(json) => json.clone(),
        }
    }

    /// The lead's values, as they came.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&String, &RawValue)> {
        let fields = match self {
            Self::Fields(fields) | Self::Form { fields, .. } => Some(fields),
            Self::Other(_) => None,
        };
        fields.into_iter().flatten().map(|(name, json)| (name, &**json))
    }

    /// The lead's values, for comparing.
    pub(crate) fn values(&self) -> Map<String, Value> {
        self.fields().filter_map(|(name, json)| Some((name.clone(), parsed(json)?))).collect()
    }

    /// The value of one field, by exactly this name.
    pub(super) fn value(&self, field: &str) -> Option<Value> {
        self.fields().find(|(name, _)| *name == field).and_then(|(_, json)| parsed(json))
    }

    /// Gives one field another value, by exactly this name.
    pub(super) fn set(&mut self, field: &str, value: &Value) {
        if let Self::Fields(fields) | Self::Form { fields, .. } = self {
            fields.insert(field.to_owned(), raw(value));
        }
    }

    /// Whether it can be addressed by the id in place of the field that it is looked up by.
    pub(super) fn is_addressed_by(&self, lookup: &str) -> bool {
        matches!(self, Self::Fields(fields) if fields.contains_key(lookup) && !fields.contains_key("id"))
    }

    /// The record with the values of a later one of the same key on top.
    #[must_use]
    pub(super) fn then(mut self, later: &Self) -> Self {
        if let (Self::Fields(earlier), Self::Fields(later)) = (&mut self, later) {
            earlier.extend(later.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        self
    }

    #[must_use]
    pub(super) fn addressed_to(mut self, lookup: &str, id: u64) -> Self {
        if let Self::Fields(fields) = &mut self {
            fields.remove(lookup);
            fields.insert("id".to_owned(), raw(&id));
        }
        self
    }
}

pub(super) fn parsed(json: &RawValue) -> Option<Value> {
    serde_json::from_str(json.get()).ok()
}

pub(crate) fn raw(value: &(impl serde::Serialize + ?Sized)) -> Box<RawValue> {
    // Strings, numbers, maps and lists of JSON have a JSON form.
    serde_json::value::to_raw_value(value).unwrap_or_default()
}
