//! What is known of one field of the instance.

use serde::{Deserialize, Serialize};

/// One field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
