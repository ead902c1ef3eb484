//! A guarded write, from the request to the answer: read whole, parsed, submitted to the engine,
//! waited for, answered.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, HeaderMap};
use hyper::{Request, Response, StatusCode};

use super::classify::{FORM, JSON, media_type, method_of_form};
use super::forward::{Forwarder, Limits};
use super::parse::{Refused, parse};
use super::response::{Answer, Body, answer, timed_out};
use super::sender::{Origin, fingerprint};
use super::settings::CreateDuplicate;
use crate::guard::engine::admission::Admission;
use crate::guard::engine::{Action, ApiUser, Endpoint, Engine, Waited, WriteRequest};
use crate::marketo::Borrowed;

/// Marketo's own limit of a body: 1 MB.
const BODY_BYTES: usize = 1_048_576;

#[derive(Debug)]
pub(super) struct WriteHandler {
    pub(super) engine: Engine<Origin>,
    pub(super) forwarder: Arc<Forwarder>,
    pub(super) limits: Arc<Limits>,
    /// The name of the instance, which keys are leased under.
    pub(super) instance: String,
    pub(super) create_duplicate: CreateDuplicate,
    /// How long the body of a write may take to come.
    pub(super) body_time: Duration,
    pub(super) max_wait: Duration,
}

impl WriteHandler {
    pub(super) async fn handle(
        &self,
        endpoint: Endpoint,
        request: Request<Incoming>,
    ) -> Response<Body> {
        self.guarded(endpoint, request).await.unwrap_or_else(Answer::into_response)
    }

    /// The answer, or why there is none of Marketo's.
    async fn guarded(
        &self,
        endpoint: Endpoint,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Answer> {
        let made_up = self.forwarder.made_up;
        let user = self.forwarder.users.of(request.headers());
        let announced = request
            .body()
            .size_hint()
            .upper()
            .map_or(BODY_BYTES, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced > BODY_BYTES {
            return Err(Answer::http(StatusCode::PAYLOAD_TOO_LARGE, ""));
        }
        let admission = &self.limits.admission;
        let (Some(place), Some(mut room)) = (admission.enter(&user), admission.room(announced))
        else {
            tracing::warn!(%user, "a write is turned away: too many wait already");
            return Err(made_up.too_many_wait());
        };
        let (head, body) = request.into_parts();
        if head.headers.contains_key(CONTENT_ENCODING) {
            return Err(made_up.refused("612", "Invalid Content Type"));
        }
        let body = self.read(body).await?;
        drop(Admission::shrink(&mut room, body.len()));
        if method_of_form(&head, &body).is_some() || writes_nobody(&head.headers, &body) {
            // `place` and `room` are held until the answer is there.
            return Ok(self.forwarder.pass_kept(&self.limits, &user, &head, body).await);
        }
        let incoming = parse(endpoint, &body, &self.instance).map_err(|refused| match refused {
            Refused { code: "609", .. } if media_type(&head.headers) != JSON => {
                made_up.refused("612", "Invalid Content Type")
            }
            Refused { code, message } => made_up.refused(code, message),
        })?;
        if incoming.envelope.action == Action::CreateDuplicate {
            self.create_duplicate(&user, incoming.records.len())?;
        }
        let target = head.uri.path_and_query().map_or("", |target| target.as_str()).to_owned();
        let fingerprint = fingerprint(&head.headers, &head.method, &target);
        let headers = Borrowed::new(&head.headers);
        let origin = Origin { headers, method: head.method, target };
        let pending = self.engine.submit(WriteRequest {
            user,
            origin,
            fingerprint,
            envelope: incoming.envelope,
            records: incoming.records,
            admitted: vec![place, room],
        });
        let id = made_up.id();
        match pending.within(self.max_wait).await {
            Waited::Done(outcomes) => Ok(answer(outcomes, &id).into_response()),
            Waited::NothingSent => {
                Err(made_up.refused("606", "Max rate limit exceeded: nothing was sent in time"))
            }
            Waited::Open => Err(timed_out(&id)),
        }
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Answer> {
        let collected = Limited::new(body, BODY_BYTES).collect();
        match tokio::time::timeout(self.body_time, collected).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(_too_large)) => Err(Answer::http(StatusCode::PAYLOAD_TOO_LARGE, "")),
            Err(_elapsed) => Err(Answer::http(StatusCode::REQUEST_TIMEOUT, "")),
        }
    }

    /// Counts records that are to be duplicates, and lets them pass or not.
    fn create_duplicate(&self, user: &ApiUser, records: usize) -> Result<(), Answer> {
        self.forwarder.metrics.create_duplicate.inc_by(records as u64);
        if self.create_duplicate == CreateDuplicate::Pass {
            return Ok(());
        }
        tracing::warn!(%user, records, "createDuplicate is forbidden here");
        let message = "createDuplicate is forbidden by the guard (guard.create_duplicate)";
        Err(self.forwarder.made_up.refused("1003", message))
    }
}

/// Whether a body cannot be a lead write in any reading: it is empty, or a form, such as a query in
/// a body. Then the request passes, and Marketo answers it.
fn writes_nobody(headers: &HeaderMap, body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    let is_form = media_type(headers) == FORM;
    body.first().is_none_or(|first| is_form && (first.is_ascii_alphanumeric() || *first == b'_'))
}
