//! The envelope that every answer comes in, and what may be wrong with it.

use serde::Deserialize;
use serde_json::Value;

use super::Reason;

/// An answer, read. Members that have nothing to say are left out by Marketo.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    pub(super) request_id: Option<String>,
    pub(super) success: bool,
    #[serde(default)]
    pub(super) result: Value,
    #[serde(default)]
    errors: Vec<RawReason>,
    pub(super) next_page_token: Option<String>,
    #[serde(default)]
    pub(super) more_result: bool,
}

/// A code and a text. Codes are texts, by Adobe's documentation; a number is accepted too.
#[derive(Debug, Deserialize)]
pub(super) struct RawReason {
    code: Value,
    #[serde(default)]
    message: String,
}

impl Envelope {
    /// The first error, where there is one.
    pub(super) fn error(&self) -> Option<Reason> {
        self.errors.first().map(Reason::from)
    }

    /// The rows of the result; none where the member is absent.
    pub(super) fn rows(self) -> Vec<Value> {
        match self.result {
            Value::Array(rows) => rows,
            _ => Vec::new(),
        }
    }

    /// The token of the next page; an empty one is none.
    pub(super) fn next(&self) -> Option<String> {
        self.next_page_token.clone().filter(|token| !token.is_empty())
    }
}

impl From<&RawReason> for Reason {
    fn from(raw: &RawReason) -> Self {
        let code = match &raw.code {
            Value::String(code) => code.clone(),
            other => other.to_string(),
        };
        Self { code, message: raw.message.clone() }
    }
}
