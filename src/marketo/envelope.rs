//! The envelope that every answer comes in, and what may be wrong with it.
//!
//! Never: reads a row that it does not understand as no row at all. That a lead is missing from an
//! answer is what proves a merge, so an answer in which something cannot be read is an error as a
//! whole.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::meaning::code_text;
use super::{Error, InFlight, Moment, Reason, Result};

/// An answer as it comes over the wire. Members that have nothing to say are left out by Marketo,
/// or null.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    pub(super) request_id: Option<String>,
    #[serde(default)]
    pub(super) success: bool,
    #[serde(default)]
    result: Value,
    #[serde(default, deserialize_with = "null_as_default")]
    errors: Vec<RawReason>,
    #[serde(default, deserialize_with = "null_as_default")]
    warnings: Vec<Value>,
    next_page_token: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    more_result: bool,
}

/// A code and a text.
#[derive(Debug, Deserialize)]
pub(super) struct RawReason {
    code: Value,
    #[serde(default, deserialize_with = "null_as_default")]
    message: String,
}

/// When and how an answer came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    /// When sending began, by two clocks.
    pub(super) left: Moment,
    pub(super) in_flight: InFlight,
    /// The time of day that the answer bears.
    pub(super) date: Option<DateTime<Utc>>,
}

/// A successful answer, with the call that it answers.
#[derive(Debug)]
pub(super) struct Answer {
    call: String,
    pub(super) came: Came,
    pub(super) request_id: Option<String>,
    pub(super) warnings: Vec<Value>,
    /// Whether there is more; only activities are to be paged by it.
    pub(super) more: bool,
    next: Option<String>,
    result: Value,
}

impl Envelope {
    /// The first error, where there is one.
    pub(super) fn error(&self) -> Option<Reason> {
        self.errors.first().map(Reason::from)
    }

    /// Whether it carries a result, be it an empty one.
    pub(super) fn has_result(&self) -> bool {
        !self.result.is_null()
    }

    pub(super) fn into_answer(self, call: String, came: Came) -> Answer {
        let Self { request_id, result, warnings, next_page_token, more_result, .. } = self;
        let next = next_page_token.filter(|token| !token.is_empty());
        Answer { call, came, request_id, warnings, more: more_result, next, result }
    }
}

impl Answer {
    /// The rows of the result; none where the member is absent.
    pub(super) fn rows(&mut self) -> Result<Vec<Value>> {
        self.raw_rows().ok_or_else(|| self.senseless("its result is no list"))
    }

    /// The rows of the result, where it is a list or absent.
    pub(super) fn raw_rows(&mut self) -> Option<Vec<Value>> {
        match self.result.take() {
            Value::Array(rows) => Some(rows),
            Value::Null => Some(Vec::new()),
            _ => None,
        }
    }

    /// The rows, read; one that cannot be read fails the answer.
    pub(super) fn read<T>(&mut self, row: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
        let rows = self.rows()?;
        rows.iter()
            .map(row)
            .collect::<Option<_>>()
            .ok_or_else(|| self.senseless("a row of it cannot be read"))
    }

    /// Whether it carries a result, be it an empty one.
    pub(super) fn has_result(&self) -> bool {
        !self.result.is_null()
    }

    /// The token of the next page; an empty one is none.
    pub(super) fn next(&self) -> Option<String> {
        self.next.clone()
    }

    /// The error that this answer is.
    pub(super) fn senseless(&self, what: &str) -> Error {
        Error::Answer {
            call: self.call.clone(),
            what: what.to_owned(),
            request_id: self.request_id.clone(),
        }
    }

    /// The error that this answer is to a write: it does not say what was written.
    pub(super) fn unclear(self, what: String) -> Error {
        let in_flight = Box::new(self.came.in_flight);
        Error::Unclear { call: self.call, what, request_id: self.request_id, in_flight }
    }
}

impl From<&RawReason> for Reason {
    fn from(raw: &RawReason) -> Self {
        Self { code: code_text(&raw.code), message: raw.message.clone() }
    }
}

/// Reads null as if the member were absent.
pub(super) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
