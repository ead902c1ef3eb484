//! Answers in Marketo's shape: of Marketo's own rows, or of the proxy itself.

use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::guard::engine::{Outcome, Refused};
use crate::marketo::NoCall;

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

const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");

/// A row for a record that was not written.
fn skipped(code: &str, message: &str) -> Value {
    json!({"status": "skipped", "reasons": [{"code": code, "message": message}]})
}

/// Request ids for answers that Marketo had no part in, in Marketo's shape: the second half is the
/// time.
#[derive(Debug, Clone, Copy)]
pub(super) struct MadeUp(pub(super) fn() -> DateTime<Utc>);

impl MadeUp {
    pub(super) fn id(self) -> String {
        format!("{:x}#{:x}", rand::random::<u16>(), (self.0)().timestamp_millis())
    }

    /// A refusal of the guard's own, in Marketo's shape.
    pub(super) fn refused(self, code: &str, message: &str) -> Answer {
        Answer::refused(&self.id(), code, message)
    }

    /// No call of this user is let in.
    pub(super) fn too_many_wait(self) -> Answer {
        self.refused("606", "Max rate limit exceeded: too many calls wait already")
    }
}

/// The answer to a call, made of the outcomes of its records. If one of them is open, so is the
/// call: its caller may safely send it again through the guard. `made_up` is the id of an answer
/// that Marketo had no part in.
pub(super) fn answer(outcomes: Vec<Outcome>, made_up: &str) -> Answer {
    let is_open = |outcome: &Outcome| matches!(outcome, Outcome::Open | Outcome::NotSent);
    if outcomes.iter().any(is_open) {
        return timed_out(made_up);
    }
    let all_refused = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Refused(_)));
    let mut rows = Vec::with_capacity(outcomes.len());
    let mut last_id = String::new();
    let mut warnings: Vec<Value> = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Refused(refused) if all_refused => return refusal(&refused, made_up),
            Outcome::Refused(refused) => rows.push(skipped(refused.code(), &message(&refused))),
            Outcome::Several { request_id, .. } => {
                rows.push(skipped("1007", "Multiple lead match lookup criteria"));
                request_id.as_deref().unwrap_or_default().clone_into(&mut last_id);
            }
            Outcome::Row { row, request_id, warnings: said, .. } => {
                rows.push(row);
                (*request_id).clone_into(&mut last_id);
                let is_new = |one: &&Value| !warnings.contains(one);
                let new: Vec<Value> = said.iter().filter(is_new).cloned().collect();
                warnings.extend(new);
            }
            // Not asked for by this face.
            _ => {}
        }
    }
    let id = if last_id.is_empty() { made_up } else { &last_id };
    Answer::rows(id, &rows, &warnings)
}

/// Some of it was sent, and its outcome is open.
pub(super) fn timed_out(made_up: &str) -> Answer {
    Answer::refused(made_up, "604", "Request timed out")
}

/// A refusal of Marketo's goes on as it came; one of the guard's own is in Marketo's shape.
pub(super) fn refusal(refused: &Refused, made_up: &str) -> Answer {
    let Refused::Marketo(said) = refused else {
        return Answer::refused(made_up, refused.code(), &message(refused));
    };
    Answer {
        status: StatusCode::from_u16(said.status).unwrap_or(StatusCode::BAD_GATEWAY),
        content_type: said.content_type.clone().unwrap_or(JSON),
        body: said.body.clone(),
    }
}

fn message(refused: &Refused) -> String {
    let unavailable = "API Temporarily Unavailable";
    match refused {
        Refused::Marketo(refusal) => refusal.message.clone(),
        Refused::NoCall(NoCall::Spent { budget }) => {
            format!("Daily quota reached: the guard's own budget (limits.daily_calls) of {budget}")
        }
        Refused::NoCall(NoCall::Uncounted(_)) => {
            format!("{unavailable}: the guard cannot count its calls")
        }
        Refused::Leases(_) => {
            format!("{unavailable}: the guard's lease store cannot be reached, nothing was written")
        }
        Refused::Untrusted(why) => format!(
            "{unavailable}: the guard does not trust Marketo's TLS certificate, {}; nothing was sent",
            why.what()
        ),
        Refused::Withheld => {
            "Max rate limit exceeded: the lease of the key ended each time before the write could leave, nothing was sent"
                .to_owned()
        }
        Refused::Fault => format!("{unavailable}: a fault of the guard, nothing was sent"),
        Refused::Unavailable => unavailable.to_owned(),
    }
}

impl Answer {
    pub(super) fn rows(request_id: &str, rows: &[Value], warnings: &[Value]) -> Self {
        Self::json(&Accepted { request_id, result: rows, success: true, warnings })
    }

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
        Self { status: StatusCode::OK, content_type: JSON, body: body.into() }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hyper::StatusCode;
    use serde_json::json;

    use super::{Answer, answer};
    use crate::guard::engine::{Outcome, Refused};
    use crate::marketo::Refusal;

    fn row(id: u64) -> Outcome {
        Outcome::Row {
            row: json!({"id": id, "status": "updated"}),
            request_id: format!("a#{id}").into(),
            warnings: Arc::new([json!("careful")]),
            coalesced: false,
        }
    }

    fn refused() -> Outcome {
        let (code, message) = ("603".to_owned(), "Access denied".to_owned());
        let body = Answer::refused("a#1", &code, &message).body;
        let refusal = Refusal::for_tests(&code, &message, body);
        Outcome::Refused(Refused::Marketo(Arc::new(refusal)))
    }

    fn text(outcomes: Vec<Outcome>) -> String {
        let answer = answer(outcomes, "m#1");
        assert_eq!(answer.status, StatusCode::OK);
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    #[test]
    fn rows_come_in_the_order_of_the_records_under_the_last_calls_id() {
        assert_eq!(
            text(vec![row(7), row(3)]),
            r#"{"requestId":"a#3","result":[{"id":7,"status":"updated"},{"id":3,"status":"updated"}],"success":true,"warnings":["careful"]}"#
        );
    }

    #[test]
    fn a_refusal_of_everything_is_passed_on_and_one_of_a_part_is_told_record_by_record() {
        let whole = text(vec![refused(), refused()]);
        assert!(whole.contains("\"success\":false") && whole.contains("a#1"), "{whole}");
        let mixed = text(vec![row(7), refused()]);
        assert!(mixed.contains("\"success\":true") && mixed.contains("\"603\""), "{mixed}");
    }

    #[test]
    fn what_is_open_for_one_record_is_open_for_the_call() {
        assert!(text(vec![row(7), Outcome::Open]).contains("\"604\""));
    }
}
