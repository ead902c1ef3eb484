//! What a call is answered: the envelope of Marketo's, with its habits of leaving members out.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// What an endpoint says, before the envelope is put around it.
#[derive(Debug)]
pub(super) enum Answer {
    /// Success of a lead database call: members that have nothing to say are left out.
    Rows(Vec<Value>),
    /// Success with a token of the next page and what goes with it.
    Page { rows: Vec<Value>, next: Option<String>, more: Option<bool> },
    /// Success of a read that leaves `result` out, though there may be more.
    NoResult { next: Option<String> },
    /// Success with nothing but a token to begin with.
    Token(String),
    /// Success of an asset call: `errors` and `warnings` are always there.
    Asset { rows: Vec<Value>, warnings: Vec<&'static str> },
    /// `success: false`.
    Refused(Refused),
    /// Something else than an envelope.
    Raw {
        status: u16,
        content_type: &'static str,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
}

/// Marketo's code and words of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
}

/// A refusal of the whole call.
pub(super) fn refused(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Refused {
    Refused { code: code.into(), message: message.into() }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl<E: Into<Answer>> From<Result<Self, E>> for Answer {
    fn from(result: Result<Self, E>) -> Self {
        result.unwrap_or_else(Into::into)
    }
}

/// A record that was not written, and why.
pub(super) fn skipped(code: &str, message: &str) -> Value {
    json!({"status": "skipped", "reasons": [{"code": code, "message": message}]})
}

/// The same of an endpoint that names the record.
pub(super) fn skipped_id(id: u64, code: &str, message: &str) -> Value {
    json!({"id": id, "status": "skipped", "reasons": [{"code": code, "message": message}]})
}

impl Answer {
    /// HTTP status, content type, headers and body.
    pub(super) fn render(self, request_id: &str) -> Rendered {
        let mut members = Map::new();
        members.insert("requestId".to_owned(), json!(request_id));
        let mut success = true;
        match self {
            Self::Raw { status, content_type, headers, body } => {
                return Rendered { status, content_type, headers, body };
            }
            Self::Rows(rows) => {
                members.insert("result".to_owned(), Value::Array(rows));
            }
            Self::Page { rows, next, more } => {
                // An activity call that found nothing was seen without `result`; a lead call with
                // an empty one.
                if !rows.is_empty() || more.is_none() {
                    members.insert("result".to_owned(), Value::Array(rows));
                }
                if let Some(next) = next {
                    members.insert("nextPageToken".to_owned(), json!(next));
                }
                if let Some(more) = more {
                    members.insert("moreResult".to_owned(), json!(more));
                }
            }
            Self::NoResult { next } => {
                if let Some(next) = next {
                    members.insert("nextPageToken".to_owned(), json!(next));
                }
            }
            Self::Token(token) => {
                members.insert("nextPageToken".to_owned(), json!(token));
            }
            Self::Asset { rows, warnings } => {
                members.insert("errors".to_owned(), json!([]));
                members.insert("warnings".to_owned(), json!(warnings));
                if warnings.is_empty() {
                    members.insert("result".to_owned(), Value::Array(rows));
                }
            }
            Self::Refused(Refused { code, message }) => {
                success = false;
                members.insert("errors".to_owned(), json!([{"code": code, "message": message}]));
            }
        }
        members.insert("success".to_owned(), json!(success));
        Rendered {
            status: 200,
            content_type: "application/json;charset=UTF-8",
            headers: Vec::new(),
            body: Value::Object(members).to_string().into_bytes(),
        }
    }

    /// The same success without its `result`; a refusal stays one.
    pub(super) fn without_result(self) -> Self {
        match self {
            Self::Rows(_) => Self::NoResult { next: None },
            Self::Page { next, .. } => Self::NoResult { next },
            other => other,
        }
    }

    /// The code of a refusal, for the day's statistics.
    pub(super) fn error_code(&self) -> Option<&str> {
        match self {
            Self::Refused(refused) => Some(&refused.code),
            _ => None,
        }
    }
}

/// An answer as it goes over the wire.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}
