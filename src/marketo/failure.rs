//! What came back of a call, and what is to be done where it is no answer.
//!
//! Leans on the table of [`super::classify`]. A log line carries method, path, code, request id and
//! milliseconds; never a query, a body, a token.

use tokio::time::Instant;
use url::Url;

use super::call::Call;
use super::classify::{self, Kind, Verdict, of_code};
use super::envelope::{Answer, Envelope};
use super::quota::filled_again;
use super::{CertificateFault, Error, Moment, Reason, Result};

/// What came back, before it is judged.
pub(super) enum Reply {
    Envelope(Envelope),
    /// Another HTTP status than 200, with the envelope that came along.
    Status(u16, Option<Envelope>),
    NotAnEnvelope(String),
    /// Nothing was sent.
    NotSent(String),
    /// Nothing was sent, and nothing will be.
    Untrusted(CertificateFault),
    /// It was sent, and no whole answer came.
    Lost(String),
}

/// A verdict with what was seen.
pub(super) struct Failure {
    pub(super) verdict: Verdict,
    /// In words, or the certificate by which it failed.
    what: Result<String, CertificateFault>,
    reason: Option<Reason>,
    request_id: Option<String>,
    /// When the call left: what it waited for before is no part of the time that Marketo lets it
    /// run.
    sent_at: Instant,
}

/// The answer, or what is to be done without one.
pub(super) fn judge(call: &Call, reply: Reply, left: Moment) -> Result<Answer, Failure> {
    let sent_at = left.instant();
    match reply {
        Reply::Envelope(envelope)
            if envelope.success && (envelope.has_result() || !call.needs_result) =>
        {
            tracing::info!(call = %call.name(), request_id = envelope.request_id, elapsed_ms = millis(sent_at), "answered");
            Ok(envelope.into_answer(call.name(), left))
        }
        reply => Err(failure(call, reply, sent_at)),
    }
}

/// What is to be done after a reply that is not what was asked for.
pub(super) fn failure(call: &Call, reply: Reply, sent_at: Instant) -> Failure {
    let doubtful = match call.kind {
        Kind::Read => Verdict::TryAgain,
        Kind::Write => Verdict::Unclear,
    };
    let bare = |verdict, what: String| Failure {
        verdict,
        what: Ok(what),
        reason: None,
        request_id: None,
        sent_at,
    };
    let failure = match reply {
        Reply::Envelope(envelope) if envelope.success => Failure {
            request_id: envelope.request_id,
            ..bare(doubtful, "success, and no result".to_owned())
        },
        Reply::Envelope(envelope) => {
            let request_id = envelope.request_id.clone();
            match envelope.error() {
                Some(reason) => Failure {
                    reason: Some(reason.clone()),
                    request_id,
                    ..bare(
                        of_code(call.kind, &reason.code),
                        format!("{} {}", reason.code, reason.message),
                    )
                },
                None => Failure {
                    request_id,
                    ..bare(doubtful, "neither success nor an error".to_owned())
                },
            }
        }
        Reply::Status(status, envelope) => of_http(call.kind, status, envelope, bare),
        Reply::NotAnEnvelope(what) | Reply::Lost(what) => bare(doubtful, what),
        Reply::NotSent(what) => bare(Verdict::TryAgain, what),
        Reply::Untrusted(why) => Failure { what: Err(why), ..bare(Verdict::Refuse, String::new()) },
    };
    tracing::info!(
        call = %call.name(),
        code = failure.reason.as_ref().map(|reason| reason.code.as_str()),
        verdict = ?failure.verdict,
        request_id = failure.request_id,
        elapsed_ms = millis(sent_at),
        "not answered"
    );
    failure
}

/// What an HTTP status means, and what Marketo says along with it: 601 and its like are understood
/// whatever the status.
fn of_http(
    kind: Kind,
    status: u16,
    envelope: Option<Envelope>,
    bare: impl Fn(Verdict, String) -> Failure,
) -> Failure {
    let said = envelope.filter(|envelope| !envelope.success);
    let Some((request_id, Some(reason))) =
        said.map(|envelope| (envelope.request_id.clone(), envelope.error()))
    else {
        return bare(classify::of_http(kind, status, None), format!("HTTP {status}"));
    };
    let verdict = classify::of_http(kind, status, Some(&reason.code));
    let what = format!("HTTP {status}: {} {}", reason.code, reason.message);
    Failure { reason: Some(reason), request_id, ..bare(verdict, what) }
}

impl Failure {
    /// What the caller is told when nothing more is tried.
    pub(super) fn into_error(
        self,
        call: &Call,
        attempts: u32,
        base: &Url,
        identity: &str,
    ) -> Error {
        let Self { verdict, what, reason, request_id, sent_at } = self;
        let call = call.name();
        let what = match what {
            Ok(what) => what,
            Err(why) => return Error::Untrusted { call, host: host_of(base), why },
        };
        // The other errors carry the id as a field.
        let and_request = |what: String| {
            request_id.as_ref().map_or_else(|| what.clone(), |id| format!("{what} (request {id})"))
        };
        match verdict {
            Verdict::Unclear => Error::Unclear { call, what, request_id, sent_at },
            Verdict::Deny => Error::Permission {
                call,
                message: reason.map(|reason| reason.message).unwrap_or_default(),
                request_id,
            },
            Verdict::Quota => Error::Quota {
                call,
                which: format!(
                    "Marketo's daily quota of calls for the whole instance is used up: {}; it is filled again at {}",
                    and_request(what),
                    request_id.as_deref().and_then(filled_again).map_or_else(
                        || "midnight US Central".to_owned(),
                        |at| format!("{} UTC, midnight US Central", at.format("%Y-%m-%d %H:%M")),
                    )
                ),
            },
            Verdict::RenewToken => Error::Credentials {
                url: identity.to_owned(),
                what: and_request(format!("the token that it gave is refused right away: {what}")),
            },
            Verdict::Refuse => {
                let reason =
                    reason.unwrap_or_else(|| Reason { code: what, message: String::new() });
                Error::Refused { call, code: reason.code, message: reason.message, request_id }
            }
            Verdict::SlowDown | Verdict::TryAgain => {
                Error::Unavailable { call, what: and_request(what), attempts }
            }
        }
    }
}

/// A reply that nothing was sent for, where that is what a failure on the wire means.
pub(super) fn not_sent(error: reqwest::Error) -> Reply {
    match CertificateFault::among(&error) {
        Some(why) => Reply::Untrusted(why),
        None => Reply::NotSent(describe_transport(error)),
    }
}

/// Host and port of an address.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What went wrong on the wire, without the URL, whose query may hold people's data.
pub(super) fn describe_transport(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() { "no answer in time".to_owned() } else { in_words(&error) }
}

/// An error with its causes. What a library says of itself is hardly ever the reason.
pub(crate) fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let mut words: Vec<String> = causes.map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
