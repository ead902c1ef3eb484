//! What is known of the instance's fields, as far as a decision leans on it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::dedupe::value::same;

/// The fields of leads on one instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldFacts {
    /// By REST API name.
    pub fields: BTreeMap<String, FieldFact>,
    /// Fields of which this instance was seen to answer `updated` without taking the value: updates of
    /// them are blocked, or they are computed. A blank one may still take its first value.
    pub not_taken: BTreeSet<String>,
}

/// One field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldFact {
    /// As Marketo's screens name it, for example `Email Address`.
    pub label: String,
    /// Marketo's data type: `string`, `email`, `phone`, `integer`, `boolean`, `date`, `score`, ….
    pub data_type: String,
    /// The longest value of a text field.
    pub length: Option<u32>,
    /// Whether Sync Leads may write it and the CRM does not own it.
    pub writeable: bool,
}

impl FieldFacts {
    /// Whether Sync Leads may write the field.
    pub fn is_writeable(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|fact| fact.writeable)
    }

    /// Whether an honest write of `written` may read back as `held`.
    pub fn holds(&self, _field: &str, held: &Value, written: &Value) -> bool {
        same(held, written)
    }

    /// Facts of plain text fields that may be written, for tests and examples.
    pub fn of_writeable<'a>(fields: impl IntoIterator<Item = &'a str>) -> Self {
        let fact = |field: &str| FieldFact {
            label: field.to_owned(),
            data_type: "string".to_owned(),
            length: None,
            writeable: true,
        };
        let fields = fields.into_iter().map(|field| (field.to_owned(), fact(field))).collect();
        Self { fields, not_taken: BTreeSet::new() }
    }
}
