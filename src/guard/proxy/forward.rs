//! All requests that are no lead writes: sent on as they come, streamed both ways, within the
//! limits that hold for all.
//!
//! A request with no body or a small one can be sent a second time. If Marketo has too many calls,
//! such a request waits here; a read that fails in passing is tried again. All other requests go
//! through once, and the caller gets whatever the answer is.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::body::{LastMoved, beginning, continued, holding, noting, stalling};
use super::classify::{JSON, media_type, method_of_form, only_reads};
use super::identity::ApiUsers;
use super::metrics::Metrics;
use super::response::{Answer, Body, MadeUp, refusal, whole};
use crate::guard::engine::admission::Admission;
use crate::guard::engine::{ApiUser, FairQueue, Refused};
use crate::marketo::transport::NoAnswer;
use crate::marketo::{
    Client, Clock, Kind, NoCall, Slot, Verdict, code_of, crowded_pause, of_code, of_http,
};

/// A request body up to this size is kept, to be sent again.
const KEPT_BYTES: u64 = 64 * 1024;

/// An answer up to this size is read for an error in it.
const ERROR_BYTES: u64 = 2 * 1024;

/// The longest that Marketo takes for the head of any answer, by its documentation 300 s, and a
/// margin.
const HEAD_LIMIT: Duration = Duration::from_secs(310);

/// How often a call is repeated for being one too many.
const CROWDED_ATTEMPTS: u32 = 30;

/// How often a call is tried that failed in passing, or that could not be sent.
const ATTEMPTS: u32 = 3;

#[derive(Debug)]
pub(super) struct Forwarder {
    pub(super) client: Client,
    pub(super) users: ApiUsers,
    pub(super) metrics: Arc<Metrics>,
    /// None where nothing is limited, as in shadow mode.
    pub(super) limits: Option<Arc<Limits>>,
    /// How long a body may stand still.
    pub(super) stall: Duration,
    pub(super) clock: Clock,
    pub(super) made_up: MadeUp,
}

#[derive(Debug)]
pub(super) struct Limits {
    pub(super) admission: Admission,
    pub(super) turns: Arc<FairQueue>,
    /// Places of calls that may last as long as their callers like.
    pub(super) lasting: Arc<Semaphore>,
}

/// The places of a call that passes; the second if it may last as long as its caller likes.
struct Leave {
    _slot: Slot,
    lasting: Option<OwnedSemaphorePermit>,
}

impl Limits {
    /// The places for a call. Calls that may last as long as their callers like leave at least one
    /// place to all others.
    async fn leave(&self, user: &ApiUser, lasting: bool) -> Result<Leave, NoCall> {
        let lasting =
            if lasting { Arc::clone(&self.lasting).acquire_owned().await.ok() } else { None };
        Ok(Leave { _slot: self.turns.next(user).await?, lasting })
    }
}

impl Forwarder {
    pub(super) async fn pass(&self, request: Request<Incoming>) -> Response<Body> {
        let user = self.users.of(request.headers());
        let (head, body) = request.into_parts();
        let body_size = body.size_hint().exact();
        let body = stalling(body, self.stall);
        let Some(limits) = &self.limits else {
            return self.pass_once(&head, body).await;
        };
        let Some(_place) = limits.admission.enter(&user) else {
            return self.made_up.too_many_wait().into_response();
        };
        if body_size.is_none_or(|length| length > KEPT_BYTES) {
            return match limits.leave(&user, true).await {
                Ok(leave) => {
                    let sent = self.send_once(&head, body).await;
                    self.held(sent, leave).unwrap_or_else(no_answer)
                }
                Err(none) => self.no_call(none),
            };
        }
        let Ok(body) = body.collect().await else {
            return Answer::http(StatusCode::REQUEST_TIMEOUT, "the body did not come")
                .into_response();
        };
        self.pass_kept(limits, &user, &head, body.to_bytes()).await
    }

    /// The token endpoint: Marketo does not count it. Its answer says whose token it is.
    pub(super) async fn pass_token(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = stalling(body, self.stall);
        let (head, body) = self.pass_once(&head, body).await.into_parts();
        match body.collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                self.users.learn(&body);
                Response::from_parts(head, whole(body))
            }
            Err(_broken) => {
                Answer::http(StatusCode::BAD_GATEWAY, "the token endpoint's answer broke off")
                    .into_response()
            }
        }
    }

    /// Sends a request on that can be sent a second time.
    pub(super) async fn pass_kept(
        &self,
        limits: &Limits,
        user: &ApiUser,
        head: &Parts,
        body: Bytes,
    ) -> Response<Body> {
        let asks = || method_of_form(head, &body) == Some(Method::GET);
        let reads = only_reads(&head.method, &head.uri) || asks();
        let kind = if reads { Kind::Read } else { Kind::Write };
        let (mut crowded, mut failed) = (0_u32, 0_u32);
        loop {
            let leave = match limits.leave(user, is_file(head)).await {
                Ok(leave) => leave,
                Err(none) => return self.no_call(none),
            };
            let sent = self.send_once(head, whole(body.clone())).await;
            if let Err(NoAnswer::Untrusted(why)) = sent {
                return no_answer(NoAnswer::Untrusted(why));
            }
            let not_sent = matches!(sent, Err(NoAnswer::NotSent(_)));
            let (response, verdict, code) =
                judge(self.held(sent, leave).unwrap_or_else(no_answer), kind).await;
            match verdict {
                Some(Verdict::SlowDown) if crowded < CROWDED_ATTEMPTS => {
                    crowded += 1;
                    self.metrics.too_many.inc();
                    limits.turns.pacer().slow_down(self.clock.wall(crowded_pause(crowded)));
                }
                // A read may be sent again, and so may a call that did not leave; a second later
                // each time, since Marketo may need time.
                again
                    if (not_sent || reads && again == Some(Verdict::TryAgain))
                        && failed + 1 < ATTEMPTS =>
                {
                    failed += 1;
                    self.clock.sleep(Duration::from_secs(u64::from(failed))).await;
                }
                Some(Verdict::RenewToken) => {
                    self.metrics.refusals.token_refused(user, &code);
                    return response;
                }
                _ => return response,
            }
        }
    }

    /// Sends a request on once, whatever the limits are.
    pub(super) async fn pass_once(&self, head: &Parts, body: Body) -> Response<Body> {
        let sent = self.send_once(head, body).await;
        sent.map_or_else(no_answer, |response| response.map(|body| stalling(body, self.stall)))
    }

    async fn send_once(&self, head: &Parts, body: Body) -> Result<Response<Incoming>, NoAnswer> {
        let started = tokio::time::Instant::now();
        let moved = LastMoved::now();
        let request = Request::from_parts(head.clone(), noting(body, moved.clone()));
        // Marketo's time counts from when the whole request is there, however long its caller takes
        // to send it.
        let answer = tokio::select! {
            answer = self.client.transport().forward(request) => answer,
            () = moved.over(HEAD_LIMIT) => Err(NoAnswer::Late),
        };
        let kind = if only_reads(&head.method, &head.uri) { Kind::Read } else { Kind::Write };
        self.metrics.answered(kind, started.elapsed());
        let answer = answer?;
        self.metrics.passed(answer.status().as_u16());
        Ok(answer)
    }

    fn no_call(&self, none: NoCall) -> Response<Body> {
        if let NoCall::Uncounted(error) = &none {
            tracing::error!(%error, "a call is refused");
        }
        refusal(&Refused::NoCall(none), &self.made_up.id()).into_response()
    }

    /// An answer that keeps its places until it is read. Except for a file, Marketo is done when
    /// the head comes, so that a caller that reads slowly keeps nobody from calling for long.
    fn held(
        &self,
        sent: Result<Response<Incoming>, NoAnswer>,
        leave: Leave,
    ) -> Result<Response<Body>, NoAnswer> {
        let stall = self.stall;
        Ok(sent?.map(|body| {
            let body = stalling(body, stall);
            if body.is_end_stream() {
                return body;
            }
            if leave.lasting.is_some() {
                return holding(body, leave);
            }
            holding(body, no_longer_than(stall, leave))
        }))
    }
}

/// A guard that drops something with itself, and after this span at the latest.
fn no_longer_than<T: Send + 'static>(span: Duration, held: T) -> DropGuard {
    let released = CancellationToken::new();
    let guard = released.clone().drop_guard();
    tokio::spawn(async move {
        // Either way it is over.
        drop(tokio::time::timeout(span, released.cancelled_owned()).await);
        drop(held);
    });
    guard
}

/// The answer to a caller where Marketo gave none.
fn no_answer(why: NoAnswer) -> Response<Body> {
    let (status, words) = match why {
        NoAnswer::NotSent(what) => {
            tracing::warn!(what, "marketo cannot be reached");
            (StatusCode::BAD_GATEWAY, "Marketo cannot be reached; nothing was sent")
        }
        NoAnswer::Untrusted(why) => {
            why.tell();
            (
                StatusCode::BAD_GATEWAY,
                "Marketo's TLS certificate cannot be trusted; nothing was sent",
            )
        }
        NoAnswer::Lost(what) => {
            tracing::warn!(what, "an answer was lost");
            (StatusCode::BAD_GATEWAY, "Marketo's answer was lost")
        }
        NoAnswer::Late => (StatusCode::GATEWAY_TIMEOUT, "no answer of Marketo's in time"),
    };
    Answer::http(status, words).into_response()
}

/// Whether the answer is a file, which may take long to fetch.
fn is_file(head: &Parts) -> bool {
    let path = head.uri.path();
    ["/file.json", "/failures.json", "/warnings.json"].iter().any(|name| path.ends_with(name))
}

/// The verdict of an answer that is small enough to be an error, and its code; and the answer,
/// whole again.
async fn judge(response: Response<Body>, kind: Kind) -> (Response<Body>, Option<Verdict>, String) {
    let none = String::new;
    // A part of a file, a redirect, what has not changed: all of them are answers.
    if response.status().is_success() && response.status() != StatusCode::OK
        || response.status().is_redirection()
    {
        return (response, None, none());
    }
    let status = response.status().as_u16();
    let is_ok = response.status() == StatusCode::OK;
    let by_code = |code: Option<String>| match code {
        Some(code) if is_ok => (Some(of_code(kind, &code)), code),
        None if is_ok => (None, none()),
        Some(code) => (Some(of_http(kind, status, Some(&code))), code),
        None => (Some(of_http(kind, status, None)), format!("HTTP {status}")),
    };
    let is_json = media_type(response.headers()) == JSON;
    if !is_json || response.body().size_hint().lower() > ERROR_BYTES {
        let (verdict, code) = by_code(None);
        return (response, verdict, code);
    }
    let (head, body) = response.into_parts();
    match beginning(body, ERROR_BYTES).await {
        Ok((body, None)) => {
            let (verdict, code) = by_code(code_of(&body));
            (Response::from_parts(head, whole(body)), verdict, code)
        }
        Ok((read, Some(rest))) => {
            let (verdict, code) = by_code(None);
            (Response::from_parts(head, continued(read, rest)), verdict, code)
        }
        Err(_broken) => (
            Answer::http(StatusCode::BAD_GATEWAY, "Marketo's answer broke off").into_response(),
            None,
            none(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{CONTENT_TYPE, HeaderValue};

    use super::*;

    #[tokio::test]
    async fn a_refusal_is_read_whatever_the_http_status_and_passed_on_as_it_came() {
        for status in [200, 401, 403, 500] {
            for (code, verdict) in [
                ("601", Verdict::RenewToken),
                ("602", Verdict::RenewToken),
                ("603", Verdict::Deny),
                ("606", Verdict::SlowDown),
            ] {
                let body = format!(
                    r#"{{"success":false,"errors":[{{"code":"{code}","message":"words"}}]}}"#
                );
                let mut response = Response::new(whole(body.clone().into()));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                let (response, judged, named) = judge(response, Kind::Write).await;
                assert_eq!((judged, named.as_str()), (Some(verdict), code), "{status}");
                assert_eq!(response.status(), status);
                let passed = http_body_util::BodyExt::collect(response.into_body())
                    .await
                    .unwrap()
                    .to_bytes();
                assert_eq!(passed, body.as_bytes());
            }
        }
        let mut bare = Response::new(whole("no".into()));
        *bare.status_mut() = StatusCode::UNAUTHORIZED;
        assert_eq!(judge(bare, Kind::Read).await.1, Some(Verdict::RenewToken));
    }
}
