//! What came back of a call, and what is to be done where it is no answer.
//!
//! Leans on the table of [`super::meaning`]. A log line carries method, path, code, request id and
//! milliseconds; never a query, a body, a token.

use chrono::{DateTime, Utc};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use tokio::time::Instant;
use url::Url;

use super::call::Call;
use super::envelope::{Answer, Came, Envelope};
use super::meaning::{Kind, Meaning, Verdict, of_code, of_http};
use super::quota::filled_again;
use super::transport::{NoAnswer, Whole};
use super::{CertificateFault, Error, InFlight, Moment, NoCall, Reason, Withheld};

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum CallFailure {
    /// Marketo said no; nothing was done.
    Refused(Box<Refusal>),
    /// A write that left, and may have been done or be under way (law 4).
    ///
    /// `what` may quote a value of the call, since Marketo's messages do; the code, where there is
    /// one, is what a log may tell.
    InDoubt {
        what: Box<str>,
        code: Option<Box<str>>,
        request_id: Option<String>,
        in_flight: InFlight,
    },
    /// Marketo could not be reached, or a read kept failing; nothing was done.
    Unavailable { what: String, attempts: u32 },
    /// A reading answer that is not what Marketo documents.
    Unreadable { what: &'static str, request_id: Option<String> },
    /// A value with a comma, at which Marketo splits the values of a filter. Nothing was asked.
    CannotAsk { field: String },
    /// The certificate is not to be trusted; nothing was sent.
    Untrusted(CertificateFault),
    /// There is no call left today, or it cannot be counted; nothing was sent.
    NoCall(NoCall),
    /// The send gate let nothing leave.
    Withheld(Withheld),
    /// There is no token of the client's own.
    NoToken(Box<Error>),
}

/// Marketo's no, as it came.
#[derive(Clone)]
pub(crate) struct Refusal {
    /// Marketo's code; `HTTP` and the status where it gave none.
    pub(crate) code: String,
    /// Marketo's words.
    pub(crate) message: String,
    pub(crate) meaning: Meaning,
    pub(crate) request_id: Option<String>,
    pub(crate) status: u16,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
    verdict: Verdict,
}

#[cfg(test)]
impl Refusal {
    /// A refusal of the whole call with this code.
    pub(crate) fn for_tests(code: &str, message: &str, body: Bytes) -> Self {
        Self {
            code: code.to_owned(),
            message: message.to_owned(),
            meaning: Meaning::of(code, message),
            request_id: None,
            status: 200,
            content_type: None,
            body,
            verdict: of_code(Kind::Write, code),
        }
    }
}

/// Shows no words of Marketo's: they may quote a value of a person.
impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refusal")
            .field("code", &self.code)
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// The answer to a call that left at these moments, or why there is none.
pub(super) fn judge(
    call: &Call,
    (left, in_flight): (Moment, InFlight),
    reply: Result<Whole, NoAnswer>,
) -> Result<Answer, CallFailure> {
    let judged = read(call, (left, in_flight), reply);
    let elapsed_ms = millis(left.instant());
    match &judged {
        Ok(answer) => {
            tracing::info!(call = %call.name(), request_id = answer.request_id, elapsed_ms, "answered");
        }
        Err(failure) => tracing::info!(
            call = %call.name(),
            code = failure.code(),
            verdict = ?failure.verdict(),
            request_id = failure.request_id(),
            elapsed_ms,
            "not answered"
        ),
    }
    judged
}

fn read(
    call: &Call,
    (left, in_flight): (Moment, InFlight),
    reply: Result<Whole, NoAnswer>,
) -> Result<Answer, CallFailure> {
    let doubtful = |what: String, request_id: Option<String>| match call.kind {
        Kind::Read => CallFailure::unavailable(and_request(what, request_id.as_ref())),
        Kind::Write => {
            CallFailure::InDoubt { what: what.into(), code: None, request_id, in_flight }
        }
    };
    let whole = match reply {
        Ok(whole) => whole,
        Err(NoAnswer::NotSent(what)) => return Err(CallFailure::unavailable(what)),
        Err(NoAnswer::Untrusted(why)) => return Err(CallFailure::Untrusted(why)),
        Err(NoAnswer::Lost(what)) => return Err(doubtful(what, None)),
        Err(NoAnswer::Late) => return Err(doubtful("no answer in time".to_owned(), None)),
    };
    let envelope = serde_json::from_slice::<Envelope>(&whole.body).ok();
    if whole.status != StatusCode::OK {
        return Err(refused(call.kind, whole, envelope, doubtful));
    }
    let Some(envelope) = envelope else {
        let what = format!("{} bytes that are no answer of Marketo's", whole.body.len());
        return Err(doubtful(what, None));
    };
    if !envelope.success {
        return Err(refused(call.kind, whole, Some(envelope), doubtful));
    }
    if call.needs_result && !envelope.has_result() {
        return Err(doubtful("success, and no result".to_owned(), envelope.request_id));
    }
    let came = Came { left, in_flight, date: date(&whole.headers) };
    Ok(envelope.into_answer(call.name(), came))
}

/// What an answer says that is no success: by its HTTP status, and by what Marketo says along with
/// it.
fn refused(
    kind: Kind,
    whole: Whole,
    envelope: Option<Envelope>,
    doubtful: impl Fn(String, Option<String>) -> CallFailure,
) -> CallFailure {
    let Whole { status, headers, body } = whole;
    let said = envelope.filter(|envelope| !envelope.success);
    let (request_id, reason) =
        said.map_or((None, None), |said| (said.request_id.clone(), said.error()));
    let http = format!("HTTP {}", status.as_u16());
    let is_ok = status == StatusCode::OK;
    let (verdict, what, reason) = match reason {
        Some(reason) if is_ok => {
            (of_code(kind, &reason.code), format!("{} {}", reason.code, reason.message), reason)
        }
        Some(reason) => (
            of_http(kind, status.as_u16(), Some(&reason.code)),
            format!("{http}: {} {}", reason.code, reason.message),
            reason,
        ),
        None if is_ok => return doubtful("neither success nor an error".to_owned(), request_id),
        None => {
            let reason = Reason { code: http.clone(), message: String::new() };
            (of_http(kind, status.as_u16(), None), http, reason)
        }
    };
    match verdict {
        Verdict::TryAgain => CallFailure::unavailable(and_request(what, request_id.as_ref())),
        Verdict::Unclear => match doubtful(what, request_id) {
            CallFailure::InDoubt { what, request_id, in_flight, .. } => {
                CallFailure::InDoubt { what, code: Some(reason.code.into()), request_id, in_flight }
            }
            read => read,
        },
        Verdict::RenewToken
        | Verdict::SlowDown
        | Verdict::Refuse
        | Verdict::Deny
        | Verdict::Quota => CallFailure::Refused(Box::new(Refusal {
            meaning: Meaning::of(&reason.code, &reason.message),
            code: reason.code,
            message: reason.message,
            request_id,
            status: status.as_u16(),
            content_type: headers.get(CONTENT_TYPE).cloned(),
            body,
            verdict,
        })),
    }
}

impl CallFailure {
    pub(super) fn unavailable(what: String) -> Self {
        Self::Unavailable { what, attempts: 1 }
    }

    /// What is to be done.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Refused(refusal) => refusal.verdict,
            Self::Unavailable { .. } => Verdict::TryAgain,
            Self::InDoubt { .. } => Verdict::Unclear,
            Self::Unreadable { .. }
            | Self::CannotAsk { .. }
            | Self::Untrusted(_)
            | Self::NoCall(_)
            | Self::Withheld(_)
            | Self::NoToken(_) => Verdict::Refuse,
        }
    }

    /// The same after so many attempts.
    pub(super) fn after(self, attempts: u32) -> Self {
        match self {
            Self::Unavailable { what, .. } => Self::Unavailable { what, attempts },
            other => other,
        }
    }

    fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.request_id.as_deref(),
            Self::InDoubt { request_id, .. } | Self::Unreadable { request_id, .. } => {
                request_id.as_deref()
            }
            _ => None,
        }
    }

    /// What the caller of the typed API is told: of which call, at which address, and where its
    /// token came from.
    pub(super) fn into_error(self, call: String, base: &Url, identity: &Url) -> Error {
        match self {
            Self::Refused(refusal) => refusal.into_error(call, identity),
            Self::InDoubt { what, request_id, in_flight, .. } => Error::Unclear {
                call,
                what: what.into(),
                request_id,
                in_flight: Box::new(in_flight),
            },
            Self::Unavailable { what, attempts } => Error::Unavailable { call, what, attempts },
            Self::Unreadable { what, request_id } => {
                Error::Answer { call, what: what.to_owned(), request_id }
            }
            Self::CannotAsk { field } => Error::CannotAsk { field },
            Self::Untrusted(why) => Error::Untrusted { call, host: host_of(base), why },
            Self::NoCall(none) => none.into_error(call),
            Self::Withheld(Withheld(why)) => Error::Withheld { call, why },
            Self::NoToken(error) => *error,
        }
    }
}

impl Refusal {
    fn into_error(self, call: String, identity: &Url) -> Error {
        let Self { code, message, request_id, verdict, status, .. } = self;
        let what = match status {
            200 => format!("{code} {message}"),
            _ if message.is_empty() && code.starts_with("HTTP ") => code.clone(),
            _ => format!("HTTP {status}: {code} {message}"),
        };
        match verdict {
            Verdict::Deny => Error::Permission { call, message, request_id },
            Verdict::Quota => Error::Quota {
                call,
                which: format!(
                    "Marketo's daily quota of calls for the whole instance is used up: {}; it is filled again at {}",
                    and_request(what, request_id.as_ref()),
                    request_id.as_deref().and_then(filled_again).map_or_else(
                        || "midnight US Central".to_owned(),
                        |at| format!("{} UTC, midnight US Central", at.format("%Y-%m-%d %H:%M")),
                    )
                ),
            },
            Verdict::RenewToken => Error::Credentials {
                url: identity.to_string(),
                what: and_request(
                    format!("the token that it gave is refused right away: {what}"),
                    request_id.as_ref(),
                ),
            },
            Verdict::SlowDown => Error::Unavailable {
                call,
                what: and_request(what, request_id.as_ref()),
                attempts: 1,
            },
            Verdict::Refuse | Verdict::TryAgain | Verdict::Unclear => {
                Error::Refused { call, code, message, request_id }
            }
        }
    }
}

fn and_request(what: String, request_id: Option<&String>) -> String {
    match request_id {
        Some(id) => format!("{what} (request {id})"),
        None => what,
    }
}

/// The time of day that an answer bears.
fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = headers.get(DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(date).ok().map(|date| date.with_timezone(&Utc))
}

/// Host and port of an address.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
