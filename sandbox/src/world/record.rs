//! One lead as the sandbox keeps it: small, since there may be a great many.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde_json::{Value, json};

use crate::schema::{self, Kind};

/// What a record is in Salesforce, lowest rank first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SfdcType {
    Lead,
    Contact,
    /// A person account, which cannot be merged from Marketo at all.
    PersonAccount,
}

/// A lead.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) partition: u64,
    pub(crate) sfdc: Option<(SfdcType, String)>,
    /// Values by field number, in its order; null is absent.
    values: Vec<(u16, Value)>,
}

impl Record {
    pub(crate) fn new(id: u64, created_at: DateTime<Utc>, partition: u64) -> Self {
        let created_at = created_at.trunc_subsecs(0);
        Self { id, created_at, updated_at: created_at, partition, sfdc: None, values: Vec::new() }
    }

    /// The stored value; booleans of callers' own that were never set have none.
    pub(crate) fn get(&self, field: u16) -> Option<&Value> {
        let place = self.values.binary_search_by_key(&field, |(number, _)| *number).ok()?;
        self.values.get(place).map(|(_, value)| value)
    }

    /// Sets a value; null removes it.
    pub(crate) fn set(&mut self, field: u16, value: Value) {
        match (self.values.binary_search_by_key(&field, |(number, _)| *number), value.is_null()) {
            (Ok(place), true) => {
                self.values.remove(place);
            }
            (Ok(place), false) => {
                if let Some(slot) = self.values.get_mut(place) {
                    slot.1 = value;
                }
            }
            (Err(_), true) => {}
            (Err(place), false) => self.values.insert(place, (field, value)),
        }
    }

    /// Sets a value by the field's name; for seeds and tests.
    pub(crate) fn set_named(&mut self, name: &str, value: impl Into<Value>) {
        if let Some((number, _)) = schema::find(name) {
            self.set(number, value.into());
        }
    }

    /// What the API shows for a field: null where it is empty, but false for an unset boolean.
    pub(crate) fn shown(&self, field: u16) -> Value {
        let Some(facts) = schema::by_number(field) else { return Value::Null };
        let sfdc_id = |wanted: SfdcType| match &self.sfdc {
            Some((kind, id)) if *kind == wanted => json!(id),
            _ => Value::Null,
        };
        match facts.name {
            "id" => json!(self.id),
            // These differ on every lead by nature.
            "leadPerson" | "personPrimaryLeadInterest" => json!(self.id.to_string()),
            "mktoName" => self.full_name(),
            "createdAt" => json!(shown_time(self.created_at)),
            "updatedAt" => json!(shown_time(self.updated_at)),
            "leadPartitionId" => json!(self.partition),
            "isLead" => json!(true),
            "sfdcLeadId" => sfdc_id(SfdcType::Lead),
            "sfdcContactId" => sfdc_id(SfdcType::Contact),
            "sfdcId" => self.sfdc.as_ref().map_or(Value::Null, |(_, id)| json!(id)),
            "sfdcType" => match self.sfdc {
                Some((SfdcType::Lead, _)) => json!("Lead"),
                Some((SfdcType::Contact | SfdcType::PersonAccount, _)) => json!("Contact"),
                None => Value::Null,
            },
            _ => match self.get(field) {
                Some(value) => value.clone(),
                None if facts.kind == Kind::Boolean => Value::Bool(false),
                None => Value::Null,
            },
        }
    }

    fn full_name(&self) -> Value {
        let part = |name: &str| self.get(schema::find(name)?.0)?.as_str();
        let parts: Vec<&str> =
            [part("firstName"), part("lastName")].into_iter().flatten().collect();
        if parts.is_empty() { Value::Null } else { json!(parts.join(" ")) }
    }

    /// The fields whose values differ from those of an earlier state, each with the old value and
    /// the new one.
    pub(crate) fn differences(&self, earlier: &Self) -> Vec<(u16, Value, Value)> {
        let numbers: BTreeSet<u16> =
            self.values.iter().chain(&earlier.values).map(|(number, _)| *number).collect();
        let value = |record: &Self, number| record.get(number).cloned().unwrap_or_default();
        numbers
            .into_iter()
            .map(|number| (number, value(earlier, number), value(self, number)))
            .filter(|(_, old, new)| old != new)
            .collect()
    }

    /// A value as text, for comparing and for files; none where it is empty.
    pub(crate) fn text_of(&self, field: u16) -> Option<String> {
        match self.shown(field) {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    /// What the index of emails has this lead under.
    pub(crate) fn email_key(&self, trim: bool) -> Option<String> {
        let (email, _) = schema::find("email")?;
        fold(self.get(email)?.as_str()?, trim)
    }
}

/// An email as Marketo compares it; a blank one is none. Whether blanks around it count is not
/// documented.
pub(crate) fn fold(email: &str, trim: bool) -> Option<String> {
    let folded = email.to_lowercase();
    if folded.trim().is_empty() {
        return None;
    }
    Some(if trim { folded.trim().to_owned() } else { folded })
}

/// Whole seconds, in UTC.
pub(crate) fn shown_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
