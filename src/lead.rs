//! One record of Marketo's lead database, as every other module passes it around.
//!
//! For: the words that the cache, the ledger, the client and the decisions share. Never: I/O, a
//! clock, an opinion on duplicates. A [`Lead`] holds what Marketo answered, value by value,
//! untrimmed; the accessors interpret.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod birth;
mod time;
mod window;

pub use birth::Birth;
pub(crate) use time::is_plain as is_plain_time;
pub use time::{Precision, parse_time, parse_time_as_known, request_arrival};
pub use window::Window;

/// Marketo's number of a lead. Ids only grow, but are sparse; one freed by a purge may, by a user's
/// report, come back, so that id and creation time together are the identity.
pub type LeadId = u64;

/// The fields that the audit itself needs: who it is, when and how it came, where it is synced,
/// whether it opted out.
pub const AUDIT_FIELDS: &[&str] = &[
    "id",
    "email",
    "firstName",
    "lastName",
    "company",
    "createdAt",
    "updatedAt",
    "originalSourceType",
    "originalSourceInfo",
    "leadPartitionId",
    "sfdcType",
    "sfdcLeadId",
    "sfdcContactId",
    "unsubscribed",
    "marketingSuspended",
    "doNotCall",
    "blackListed",
];

/// Where a lead stands in the CRM that Marketo syncs with, lowest rank first: in a merge a contact
/// beats a lead, and either beats a record that only Marketo has, whatever winner was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crm {
    /// Only Marketo knows it.
    None,
    /// A Salesforce lead.
    Lead,
    /// A Salesforce contact.
    Contact,
}

impl Crm {
    /// The word that tables, CSV and JSON show: `lead`, `contact`, or nothing.
    pub fn label(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Lead => "lead",
            Self::Contact => "contact",
        }
    }
}

/// A lead: its id, and its non-null values by REST API name.
///
/// A field that is null or was not asked for is absent. A blank string is a value here, since that
/// is what Marketo stored; [`Lead::text`] is what treats it as empty.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Lead {
    /// Marketo's id.
    pub id: LeadId,
    /// Values by REST API name, without the id.
    pub fields: BTreeMap<String, Value>,
}

/// Prints the id and the names of the fields alone: a log line must never show a person.
impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead").field("id", &self.id).field("fields", &self.fields.keys()).finish()
    }
}

impl Lead {
    /// A lead without any value.
    pub fn new(id: LeadId) -> Self {
        Self { id, fields: BTreeMap::new() }
    }

    /// The same lead with one more value; null removes it.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.set(field, value.into());
        self
    }

    /// Sets a value; null removes it.
    pub fn set(&mut self, field: &str, value: Value) {
        if value.is_null() {
            self.fields.remove(field);
        } else {
            self.fields.insert(field.to_owned(), value);
        }
    }

    /// The value as Marketo gave it.
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    /// The value of a text field, trimmed; `None` where it is absent, blank or not text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.value(field)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// Whether a boolean field is true. Absent and false are the same: over REST Marketo shows null
    /// as false.
    pub fn flag(&self, field: &str) -> bool {
        match self.value(field) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true") || text == "1",
            Some(Value::Number(number)) => number.as_f64().is_some_and(|number| number != 0.0),
            _ => false,
        }
    }

    /// The email as stored, trimmed.
    pub fn email(&self) -> Option<&str> {
        self.text("email")
    }

    /// The first name.
    pub fn first_name(&self) -> Option<&str> {
        self.text("firstName")
    }

    /// The last name.
    pub fn last_name(&self) -> Option<&str> {
        self.text("lastName")
    }

    /// The company.
    pub fn company(&self) -> Option<&str> {
        self.text("company")
    }

    /// How the lead first came, as Marketo's field *Original Source Type* says (`Web service API`,
    /// `List import`, …).
    pub fn source(&self) -> Option<&str> {
        self.text("originalSourceType")
    }

    /// When it was created, to the second; of a time that a file told less precisely the beginning.
    pub fn created_at(&self) -> Option<DateTime<Utc>> {
        self.text("createdAt").and_then(parse_time_as_known).map(|(time, _)| time)
    }

    /// How much of its creation time is known.
    pub fn creation_precision(&self) -> Option<Precision> {
        self.text("createdAt").and_then(parse_time_as_known).map(|(_, precision)| precision)
    }

    /// When a standard field last changed, to the second. It may precede `createdAt` by a second on
    /// a fresh lead.
    pub fn updated_at(&self) -> Option<DateTime<Utc>> {
        self.text("updatedAt").and_then(parse_time_as_known).map(|(time, _)| time)
    }

    /// The lead partition's id.
    pub fn partition_id(&self) -> Option<u64> {
        match self.value("leadPartitionId")? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The lead partition: its id, or the name that an export of the screens has in its place.
    pub fn partition(&self) -> Option<String> {
        match self.partition_id() {
            Some(id) => Some(id.to_string()),
            None => self.text("leadPartitionId").map(str::to_owned),
        }
    }

    /// Where it stands in the CRM: by its ids there, else by `sfdcType`.
    pub fn crm(&self) -> Crm {
        if self.text("sfdcContactId").is_some() {
            return Crm::Contact;
        }
        if self.text("sfdcLeadId").is_some() {
            return Crm::Lead;
        }
        match self.text("sfdcType") {
            Some(kind) if kind.eq_ignore_ascii_case("contact") => Crm::Contact,
            Some(kind) if kind.eq_ignore_ascii_case("lead") => Crm::Lead,
            // An export of the screens may have the one id alone; its first three characters say of
            // what.
            _ => match self.text("sfdcId").and_then(|id| id.get(..3)) {
                Some("003") => Crm::Contact,
                Some("00Q") => Crm::Lead,
                _ => Crm::None,
            },
        }
    }
}
