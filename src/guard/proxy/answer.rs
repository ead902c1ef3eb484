//! Answers in Marketo's shape: those put together of Marketo's own rows, and those that the proxy
//! has to give itself.

use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

pub(super) use crate::marketo::transport::Body;

/// An answer as a whole, which several callers may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted<'a> {
    request_id: &'a str,
    result: &'a [Value],
    success: bool,
    #[serde(skip_serializing_if = "<[Value]>::is_empty")]
    warnings: &'a [Value],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refusal<'a> {
    request_id: &'a str,
    success: bool,
    errors: [Reason<'a>; 1],
}

#[derive(Serialize)]
struct Reason<'a> {
    code: &'a str,
    message: &'a str,
}

/// A row for a record that was not written.
pub(super) fn skipped(code: &str, message: &str) -> Value {
    json!({"status": "skipped", "reasons": [{"code": code, "message": message}]})
}

/// A row for a record that was.
pub(super) fn written(id: u64, status: &str) -> Value {
    json!({"id": id, "status": status})
}

/// A request id for an answer that Marketo had no part in, in Marketo's shape: its second half is
/// the time.
pub(super) fn request_id(now: DateTime<Utc>) -> String {
    format!("{:x}#{:x}", rand::random::<u16>(), now.timestamp_millis())
}

impl Answer {
    /// `success: true` with these rows.
    pub(super) fn rows(request_id: &str, rows: &[Value], warnings: &[Value]) -> Self {
        Self::json(&Accepted { request_id, result: rows, success: true, warnings })
    }

    /// `success: false` with this code.
    pub(super) fn refused(request_id: &str, code: &str, message: &str) -> Self {
        Self::json(&Refusal { request_id, success: false, errors: [Reason { code, message }] })
    }

    /// An answer of HTTP's own, in words.
    pub(super) fn http(status: StatusCode, words: impl Into<Bytes>) -> Self {
        let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
        Self { status, content_type, body: words.into() }
    }

    fn json(document: &impl Serialize) -> Self {
        // Texts, numbers and rows that were JSON before: writing them to memory cannot fail.
        let body = serde_json::to_vec(document).unwrap_or_default();
        let content_type = HeaderValue::from_static("application/json;charset=UTF-8");
        Self { status: StatusCode::OK, content_type, body: body.into() }
    }

    /// As it goes over the wire.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(whole(self.body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, self.content_type);
        response
    }
}

/// A body that is all there.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
