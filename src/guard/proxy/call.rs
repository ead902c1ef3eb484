//! One call to Marketo within the limits: its turn, its rights renewed, sent, and what was said,
//! judged by the same table as every other call of this crate.
//!
//! That there are too many calls is waited out here, and so is a connection that cannot be made: in
//! both cases nothing was done. Never: sends a write again of which that is not certain.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue,
};
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::Proxy;
use super::answer::Answer;
use super::board::Unit;
use super::refusals::refuses_the_token;
use super::user::ApiUser;
use crate::guard::lease::{Lease, LeaseError, Leases, LeaveBy, in_full, to_send, until_over};
use crate::marketo::transport::{NoAnswer, Whole};
use crate::marketo::{CertificateFault, Kind, NoCall, Slot, Verdict, of_code, of_http};

/// How often a call is repeated for being one too many; others share the limit, so it can take a
/// while.
const CROWDED_ATTEMPTS: u32 = 60;

/// How often a read is tried, and a connection.
const ATTEMPTS: u32 = 5;

/// An answer on this machine may be slow too, however fast the clock.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

/// A call to be made.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) user: &'a ApiUser,
    /// The caller's headers, its Authorization among them.
    pub(super) headers: &'a HeaderMap,
    pub(super) kind: Kind,
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Bytes,
    /// How long Marketo lets it run.
    pub(super) limit: Duration,
}

/// What was said.
#[derive(Debug)]
pub(super) enum Said {
    /// `success: true`.
    Rows(Answered),
    /// No: nothing was done.
    Refused(Refusal),
    /// It may have been done, or be under way since this moment.
    Unclear { what: String, sent_at: Instant },
    /// The rights to the keys ended before it left: nothing was sent.
    RightsLost,
}

/// The rows of an answer, and what came with them.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) request_id: Arc<str>,
    pub(super) rows: Vec<Value>,
    pub(super) warnings: Arc<[Value]>,
    pub(super) next: Option<String>,
    /// When the call left.
    pub(super) sent_at: Instant,
    /// The time of day that the answer bears.
    pub(super) date: Option<HeaderValue>,
}

/// A refusal, as it can be passed on.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) answer: Answer,
    pub(super) code: Arc<str>,
    pub(super) message: Arc<str>,
}

/// Members that have nothing to say are left out by Marketo, or null.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    request_id: Option<String>,
    success: bool,
    result: Option<Vec<Value>>,
    errors: Option<Vec<Reason>>,
    warnings: Option<Vec<Value>>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Reason {
    code: Value,
    #[serde(default)]
    message: Option<String>,
}

impl Reason {
    fn code(&self) -> String {
        self.code.as_str().map_or_else(|| self.code.to_string(), str::to_owned)
    }
}

impl<L: Leases> Proxy<L> {
    /// Makes a call until it has an answer, is refused, or must not be sent again. The rights of
    /// `units` are renewed right before it leaves; there are none where it only reads.
    pub(super) async fn call(
        &self,
        order: &Order<'_>,
        units: &mut [Unit],
        mut slot: Option<Slot>,
    ) -> Said {
        let (mut attempts, mut crowded) = (0, 0_u32);
        loop {
            attempts += 1;
            let turn = match slot.take() {
                Some(slot) => Ok(slot),
                None => self.keeping(units, self.turns.next(order.user)).await,
            };
            let slot = match turn {
                Ok(slot) => slot,
                Err(spent) => return Said::Refused(self.no_call(spent)),
            };
            let leave_by = LeaveBy::from_now(self.settings.clock);
            match self.renew(units, to_send(order.limit, self.settings.clock)).await {
                Ok(()) => {}
                Err(LeaseError::Lost { .. }) => {
                    slot.unused();
                    return Said::RightsLost;
                }
                Err(error) => {
                    slot.unused();
                    return Said::Refused(self.no_leases(&error));
                }
            }
            let sent_at = Instant::now();
            // So that it is Marketo that gives up first.
            let patience = self.over_after(order.limit).max(LEAST_PATIENCE);
            let (left_at, answer) =
                self.upstream.exchange(order.request(), leave_by, patience).await;
            drop(slot);
            self.metrics.upstream(order.kind, sent_at.elapsed());
            // What follows counts from when the bytes left, which a slow connection may have held
            // up.
            let sent_at = left_at.unwrap_or(sent_at);
            match judge(order.kind, answer, sent_at) {
                Judged::Said(said) => {
                    if let Said::Refused(refusal) = &said
                        && refuses_the_token(&refusal.code)
                    {
                        self.token_refused(order.user, &refusal.code);
                    }
                    return said;
                }
                Judged::TooMany(_) if crowded < CROWDED_ATTEMPTS => {
                    crowded += 1;
                    attempts -= 1;
                    self.metrics.crowded();
                    let pause = Duration::from_secs(u64::from(crowded.min(5)))
                        .mul_f64(0.5 + rand::random::<f64>());
                    self.turns.slow_down(self.settings.clock.wall(pause));
                }
                Judged::NotNow(_) if attempts < ATTEMPTS => {
                    // Twice as long each time: what is overloaded is not to be kept so.
                    self.settings.clock.sleep(Duration::from_secs(1 << (attempts - 1))).await;
                }
                Judged::TooMany(refusal) => return Said::Refused(refusal),
                Judged::Untrusted(why) => return Said::Refused(self.untrusted(why)),
                Judged::NotNow(what) => {
                    tracing::warn!(what, "marketo cannot be reached; nothing was sent");
                    return Said::Refused(self.refusal("608", "API Temporarily Unavailable"));
                }
            }
        }
    }

    /// After how long (of the wall's time) a call with this limit of Marketo's is over.
    pub(super) fn over_after(&self, limit: Duration) -> Duration {
        until_over(limit, self.settings.clock)
    }

    /// Waits for something, and keeps the rights of these units meanwhile.
    pub(super) async fn keeping<T>(&self, units: &mut [Unit], work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let unsent = self.settings.unsent;
        loop {
            match tokio::time::timeout(unsent / 3, &mut work).await {
                Ok(done) => return done,
                // What cannot be kept is found lost before anything is sent.
                Err(_elapsed) => drop(self.renew(units, unsent).await),
            }
        }
    }

    /// Makes the rights of these units last for a call that leaves now.
    async fn renew(&self, units: &[Unit], span: Duration) -> Result<(), LeaseError> {
        let leases: Vec<&Lease> = units.iter().flat_map(|unit| &unit.leases).collect();
        if leases.is_empty() { Ok(()) } else { self.leases.renew(leases, span).await }
    }

    /// A refusal of the proxy's own, in Marketo's shape.
    pub(super) fn refusal(&self, code: &'static str, message: &str) -> Refusal {
        let answer = Answer::refused(&self.request_id(), code, message);
        Refusal { answer, code: code.into(), message: message.into() }
    }

    /// Marketo's certificate is not to be trusted: nothing leaves.
    fn untrusted(&self, why: CertificateFault) -> Refusal {
        why.tell();
        let what =
            "API Temporarily Unavailable: the guard does not trust Marketo's TLS certificate";
        self.refusal("608", &format!("{what}, {}; nothing was sent", why.what()))
    }

    /// The lease store does not answer: nothing is let through.
    pub(super) fn no_leases(&self, error: &LeaseError) -> Refusal {
        tracing::error!(error = in_full(error), "a write is refused");
        self.refusal(
            "608",
            "API Temporarily Unavailable: the guard's lease store cannot be reached, nothing was written",
        )
    }

    /// There is no call left today, or nobody can count it: nothing is let through.
    pub(super) fn no_call(&self, none: NoCall) -> Refusal {
        match none {
            NoCall::Spent { budget } => {
                let what = "Daily quota reached: the guard's own budget (limits.daily_calls) of";
                self.refusal("607", &format!("{what} {budget}"))
            }
            NoCall::Uncounted(error) => {
                tracing::error!(%error, "a call is refused");
                self.refusal("608", "API Temporarily Unavailable: the guard cannot count its calls")
            }
        }
    }
}

impl Order<'_> {
    fn request(&self) -> Request<Bytes> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        // Targets come from requests that were parsed, or are built of escaped parts.
        if let Ok(target) = self.target.parse() {
            *request.uri_mut() = target;
        }
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        // The answer has to be read here, and the length is that of another body.
        for name in [ACCEPT_ENCODING, CONTENT_LENGTH, EXPECT] {
            headers.remove(name);
        }
        if self.method == Method::GET {
            headers.remove(CONTENT_TYPE);
        } else if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        request
    }
}

enum Judged {
    Said(Said),
    /// Turned away for being one too many.
    TooMany(Refusal),
    /// Nothing was done, and it may go better later.
    NotNow(String),
    /// Nothing was done, and it does not get better by itself.
    Untrusted(CertificateFault),
}

fn judge(kind: Kind, answer: Result<Whole, NoAnswer>, sent_at: Instant) -> Judged {
    let doubtful = |what: String| match kind {
        Kind::Read => Judged::NotNow(what),
        Kind::Write => Judged::Said(Said::Unclear { what, sent_at }),
    };
    let whole = match answer {
        Ok(whole) => whole,
        Err(NoAnswer::NotSent(what)) => return Judged::NotNow(what),
        Err(NoAnswer::Untrusted(why)) => return Judged::Untrusted(why),
        Err(NoAnswer::Lost(what)) => return doubtful(what),
        Err(NoAnswer::Late) => return doubtful("no answer in time".to_owned()),
    };
    let Whole { status, headers, body } = whole;
    let passed_on = |code: &str, message: &str| {
        let content_type = headers.get(CONTENT_TYPE).cloned();
        let content_type = content_type
            .unwrap_or_else(|| HeaderValue::from_static("application/json;charset=UTF-8"));
        Refusal {
            answer: Answer { status, content_type, body: body.clone() },
            code: code.into(),
            message: message.into(),
        }
    };
    let (verdict, refusal) = if status == StatusCode::OK {
        let Ok(envelope) = serde_json::from_slice::<Envelope>(&body) else {
            return doubtful(format!("{} bytes that are no answer of Marketo's", body.len()));
        };
        if envelope.success {
            return Judged::Said(Said::Rows(Answered {
                request_id: envelope.request_id.unwrap_or_default().into(),
                rows: envelope.result.unwrap_or_default(),
                warnings: envelope.warnings.unwrap_or_default().into(),
                next: envelope.next_page_token.filter(|token| !token.is_empty()),
                sent_at,
                date: headers.get("date").cloned(),
            }));
        }
        let errors = envelope.errors.unwrap_or_default();
        let Some(reason) = errors.first() else {
            return doubtful("neither success nor an error".to_owned());
        };
        let code = reason.code();
        (of_code(kind, &code), passed_on(&code, reason.message.as_deref().unwrap_or_default()))
    } else {
        let said =
            serde_json::from_slice::<Envelope>(&body).ok().filter(|envelope| !envelope.success);
        let errors = said.and_then(|envelope| envelope.errors).unwrap_or_default();
        match errors.first().map(|reason| (reason.code(), reason)) {
            Some((code, reason)) => (
                of_http(kind, status.as_u16(), Some(&code)),
                passed_on(&code, reason.message.as_deref().unwrap_or_default()),
            ),
            None => (
                of_http(kind, status.as_u16(), None),
                passed_on(status.as_str(), status.canonical_reason().unwrap_or_default()),
            ),
        }
    };
    judge_refusal(verdict, refusal, sent_at)
}

fn judge_refusal(verdict: Verdict, refusal: Refusal, sent_at: Instant) -> Judged {
    match verdict {
        Verdict::SlowDown => Judged::TooMany(refusal),
        // Only the code goes into the log: what a message quotes is not known.
        Verdict::TryAgain => Judged::NotNow(format!("marketo said {}", refusal.code)),
        Verdict::Unclear => {
            Judged::Said(Said::Unclear { what: format!("marketo said {}", refusal.code), sent_at })
        }
        // The token is the caller's, and so is what to do about it.
        Verdict::RenewToken | Verdict::Refuse | Verdict::Deny | Verdict::Quota => {
            Judged::Said(Said::Refused(refusal))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a refusal with this code comes to, whatever the HTTP status that it comes with.
    fn said(kind: Kind, status: u16, code: &str) -> String {
        let body =
            format!(r#"{{"success":false,"errors":[{{"code":"{code}","message":"words"}}]}}"#);
        let whole = Whole {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.into(),
        };
        match judge(kind, Ok(whole), Instant::now()) {
            Judged::Said(Said::Refused(refusal)) => refusal.code.to_string(),
            Judged::TooMany(_) => "too many".to_owned(),
            _ => "unclear".to_owned(),
        }
    }

    #[tokio::test]
    async fn token_permission_and_limits_are_understood_with_any_http_status() {
        for kind in [Kind::Read, Kind::Write] {
            for status in [200, 400, 401, 403, 429, 500, 503] {
                for code in ["601", "602", "603", "607"] {
                    assert_eq!(said(kind, status, code), code, "{kind:?} {status}");
                }
                assert_eq!(said(kind, status, "606"), "too many", "{kind:?} {status}");
            }
            // What broke on the way may have been done.
            assert_eq!(said(kind, 502, "1003"), "unclear");
        }
    }
}
