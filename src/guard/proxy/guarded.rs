//! A guarded write, from the request to the answer: read whole, taken apart, put on the board,
//! waited for.

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::{Request, Response, StatusCode};

use super::answer::{Answer, Body};
use super::caller::{Caller, Ending};
use super::incoming::{self, Action, Record, Refused};
use super::places::Places;
use super::route::{Verb, method_of_form};
use super::{CreateDuplicate, Proxy};
use crate::guard::lease::Leases;

/// Marketo's own limit of a body: 1 MB.
const BODY_BYTES: usize = 1_048_576;

impl<L: Leases> Proxy<L> {
    /// Takes a write in, and answers it.
    pub(super) async fn guard(
        self: &Arc<Self>,
        verb: Verb,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let user = self.users.of(request.headers());
        let announced = request
            .body()
            .size_hint()
            .upper()
            .map_or(BODY_BYTES, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced > BODY_BYTES {
            return Answer::http(StatusCode::PAYLOAD_TOO_LARGE, "").into_response();
        }
        let (Some(place), Some(mut room)) = (self.places.enter(&user), self.places.room(announced))
        else {
            tracing::warn!(%user, "a write is turned away: too many wait already");
            let refusal =
                self.refusal("606", "Max rate limit exceeded: too many calls wait already");
            return refusal.answer.into_response();
        };
        let (head, body) = request.into_parts();
        if head.headers.contains_key(CONTENT_ENCODING) {
            return self.refusal("612", "Invalid Content Type").answer.into_response();
        }
        let collected = Limited::new(body, BODY_BYTES).collect();
        let body = match tokio::time::timeout(self.patience.body, collected).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_too_large)) => {
                return Answer::http(StatusCode::PAYLOAD_TOO_LARGE, "").into_response();
            }
            Err(_elapsed) => return Answer::http(StatusCode::REQUEST_TIMEOUT, "").into_response(),
        };
        drop(Places::shrink(&mut room, body.len()));
        if method_of_form(&head, &body).is_some() || writes_nobody(&head.headers, &body) {
            // `place` and `room` are held until the answer is there.
            return self.pass_kept(&user, &head, body).await;
        }
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let incoming =
            match incoming::read(verb, &head.method, target, &body, &self.settings.instance) {
                Ok(incoming) => incoming,
                Err(Refused { code: "609", .. }) if !is_json(&head.headers) => {
                    return self.refusal("612", "Invalid Content Type").answer.into_response();
                }
                Err(refused) => {
                    return self.refusal(refused.code, refused.message).answer.into_response();
                }
            };
        if incoming.envelope.action == Action::CreateDuplicate {
            self.metrics.create_duplicate(incoming.records.len());
            if self.settings.create_duplicate == CreateDuplicate::Forbid {
                tracing::warn!(%user, records = incoming.records.len(), "createDuplicate is forbidden here");
                let message = "createDuplicate is forbidden by the guard (guard.create_duplicate)";
                return self.refusal("1003", message).answer.into_response();
            }
        }
        let envelope = Arc::clone(&incoming.envelope);
        let records = incoming.records.len();
        let (caller, waiting) = Caller::new(user, envelope, head.headers, records, [place, room]);
        self.enter(&caller, incoming.records);
        drop(caller);
        match waiting.within(self.settings.max_wait).await {
            Ending::Answered(answer) => answer,
            Ending::NothingSent => {
                self.refusal("606", "Max rate limit exceeded: nothing was sent in time").answer
            }
            Ending::Open => self.refusal("604", "Request timed out").answer,
        }
        .into_response()
    }

    /// Puts a caller's records on the board.
    fn enter(self: &Arc<Self>, caller: &Arc<Caller>, records: Vec<Record>) {
        let (attend, behind) = {
            let mut board = self.board();
            let behind = board.behind_others(&records);
            (board.enter(caller, records), behind)
        };
        self.metrics.prevented(behind);
        tracing::debug!(user = %caller.user, call = caller.envelope.verb.name(), behind, "a write came in");
        if attend {
            self.attend(caller.user.clone());
        }
    }
}

/// Whether a body cannot be a lead write in any reading: it is none, or a form, as a query in a
/// body is. Marketo says what it is then.
fn writes_nobody(headers: &HeaderMap, body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    let is_form = media_type(headers).starts_with("application/x-www-form-urlencoded");
    body.first().is_none_or(|first| is_form && (first.is_ascii_alphanumeric() || *first == b'_'))
}

fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).starts_with("application/json")
}

fn media_type(headers: &HeaderMap) -> String {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase()
}
