//! Everything that is no lead write: sent on as it comes, streamed both ways, within the limits that hold for all.
//!
//! That there are too many calls is waited out here where the request can be sent a second time: it has no body, or a
//! small one. A read that fails in passing is tried again likewise. Anything else goes through once, and its answer
//! is the caller's, whatever it is.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::Proxy;
use super::answer::{Answer, Body, whole};
use super::route::method_of_form;
use super::stream::{STALL, holding, stalling};
use super::upstream::NoAnswer;
use super::user::ApiUser;
use crate::guard::lease::Leases;
use crate::marketo::{Kind, Slot, Verdict, of_code, of_status};

/// A request body up to this size is kept, to be sent again.
const KEPT_BYTES: u64 = 64 * 1024;

/// An answer up to this size is read for an error in it.
const ERROR_BYTES: u64 = 2 * 1024;

/// The longest that Marketo takes for the head of any answer, by its documentation 300 s, and a margin.
const HEAD_LIMIT: Duration = Duration::from_secs(310);

/// How often a call is repeated for being one too many.
const CROWDED_ATTEMPTS: u32 = 30;

/// How often a read that failed in passing is tried.
const ATTEMPTS: u32 = 3;

impl<L: Leases> Proxy<L> {
    /// Sends a request on within the limits.
    pub(super) async fn pass(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let user = self.users.of(request.headers());
        if self.shadow.is_some() {
            let (head, body) = request.into_parts();
            return self.pass_once(&head, stalling(body), None).await;
        }
        let Some(_place) = self.places.enter(&user) else {
            return self
                .refusal("606", "Max rate limit exceeded: too many calls wait already")
                .answer
                .into_response();
        };
        let (head, body) = request.into_parts();
        if body.size_hint().exact().is_none_or(|length| length > KEPT_BYTES) {
            return match self.turns.next(&user).await {
                Ok(slot) => self.pass_once(&head, stalling(body), Some(slot)).await,
                Err(spent) => self.no_call(spent).answer.into_response(),
            };
        }
        let Ok(Ok(body)) = tokio::time::timeout(STALL, body.collect()).await else {
            return Answer::http(StatusCode::REQUEST_TIMEOUT, "the body did not come").into_response();
        };
        self.pass_kept(&user, &head, body.to_bytes()).await
    }

    /// The token endpoint: Marketo does not count it. Its answer says whose token it is.
    pub(super) async fn pass_token(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let (head, body) = self.pass_once(&head, stalling(body), None).await.into_parts();
        match body.collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                self.users.learn(&body);
                Response::from_parts(head, whole(body))
            }
            Err(_broken) => {
                Answer::http(StatusCode::BAD_GATEWAY, "the token endpoint's answer broke off").into_response()
            }
        }
    }

    /// Sends a request on that can be sent a second time.
    pub(super) async fn pass_kept(&self, user: &ApiUser, head: &Parts, body: Bytes) -> Response<Body> {
        let reads = is_read(head) || method_of_form(head, &body) == Some(Method::GET);
        let (mut crowded, mut failed) = (0_u32, 0_u32);
        loop {
            let slot = match self.turns.next(user).await {
                Ok(slot) => slot,
                Err(spent) => return self.no_call(spent).answer.into_response(),
            };
            let response = self.pass_once(head, whole(body.clone()), Some(slot)).await;
            let (response, verdict) = judge(response, if reads { Kind::Read } else { Kind::Write }).await;
            match verdict {
                Some(Verdict::SlowDown) if crowded < CROWDED_ATTEMPTS => {
                    crowded += 1;
                    self.metrics.crowded();
                    let pause =
                        Duration::from_secs(u64::from(crowded.min(5))).mul_f64(0.5 + rand::random::<f64>());
                    self.turns.slow_down(self.settings.clock.wall(pause));
                }
                Some(Verdict::TryAgain) if reads && failed + 1 < ATTEMPTS => {
                    failed += 1;
                    self.settings.clock.sleep(Duration::from_secs(u64::from(failed))).await;
                }
                _ => return response,
            }
        }
    }

    /// Sends a request on once. The right to call lasts until the answer's last byte has gone.
    pub(super) async fn pass_once(&self, head: &Parts, body: Body, slot: Option<Slot>) -> Response<Body> {
        let started = tokio::time::Instant::now();
        let request = Request::from_parts(head.clone(), body);
        let answer = tokio::time::timeout(HEAD_LIMIT, self.upstream.forward(request)).await;
        self.metrics.upstream(if is_read(head) { Kind::Read } else { Kind::Write }, started.elapsed());
        match answer {
            Ok(Ok(response)) => {
                self.metrics.passed(response.status().as_u16());
                response.map(|body| holding(stalling(body), slot))
            }
            Ok(Err(NoAnswer::NotSent(what))) => {
                tracing::warn!(what, "marketo cannot be reached");
                Answer::http(StatusCode::BAD_GATEWAY, "Marketo cannot be reached; nothing was sent")
                    .into_response()
            }
            Ok(Err(NoAnswer::Lost(what))) => {
                tracing::warn!(what, "an answer was lost");
                Answer::http(StatusCode::BAD_GATEWAY, "Marketo's answer was lost").into_response()
            }
            Err(_elapsed) => {
                Answer::http(StatusCode::GATEWAY_TIMEOUT, "no answer of Marketo's in time").into_response()
            }
        }
    }
}

/// Whether a call only reads, so that it may be repeated.
fn is_read(head: &Parts) -> bool {
    head.method == Method::GET
        || head.method == Method::HEAD
        || head.uri.query().is_some_and(|query| query.contains("_method=GET"))
}

/// What an answer says of its call, where it is small enough to be an error; and the answer, whole again.
async fn judge(response: Response<Body>, kind: Kind) -> (Response<Body>, Option<Verdict>) {
    // A part of a file, a redirect, what has not changed: all of them are answers.
    if response.status().is_success() && response.status() != StatusCode::OK
        || response.status().is_redirection()
    {
        return (response, None);
    }
    if response.status() != StatusCode::OK {
        let verdict = of_status(kind, response.status().as_u16());
        return (response, Some(verdict));
    }
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(is_json);
    if !is_json || response.body().size_hint().upper().is_none_or(|length| length > ERROR_BYTES) {
        return (response, None);
    }
    let (head, body) = response.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return (Answer::http(StatusCode::BAD_GATEWAY, "Marketo's answer broke off").into_response(), None);
    };
    let code = error_code(&body).map(|code| of_code(kind, &code));
    (Response::from_parts(head, whole(body)), code)
}

fn is_json(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"application/json")
}

fn error_code(body: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let code = document.get("errors")?.get(0)?.get("code")?;
    Some(code.as_str().map_or_else(|| code.to_string(), str::to_owned))
}
