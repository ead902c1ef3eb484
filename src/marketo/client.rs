//! The one door to Marketo: address, token, pacing, sending, reading the envelope, and what may be sent again.
//!
//! Every verb of the API is a few lines on [`Client::call`]. What goes wrong is judged by one table ([`super::classify`]).
//! A log line carries method, path, code, request id and milliseconds; never a query, a body, a token.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::redirect;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::{Host, Url};

use super::call::{Body, Call};
use super::classify::{Kind, Verdict, of_code, of_status};
use super::envelope::{Answer, Envelope};
use super::pacer::{BudgetSpent, Pacer};
use super::quota::filled_again;
use super::token::TokenSource;
use super::{Clock, Error, Reason, Result};

/// How often a read is tried, and any call that was turned away.
const ATTEMPTS: u32 = 8;

/// How often a call is repeated for being one too many; others share the limit, so it can take a while.
const CROWDED_ATTEMPTS: u32 = 60;

/// How often a token is renewed for one call.
const RENEWALS: u32 = 3;

/// How much longer than Marketo's own limit an answer is waited for, so that it is Marketo that gives up first.
const MARGIN: Duration = Duration::from_secs(10);

/// An answer on this machine may be slow too, however fast the clock.
const LEAST_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer URIs are refused with 414 from 8 KB on; such a query travels in a form body.
const URI_BYTES: usize = 7_000;

/// What a client is made of.
#[derive(Debug)]
pub struct ClientOptions {
    /// `https://<munchkin-id>.mktorest.com`
    pub base_url: Url,
    /// `<base URL>/identity`
    pub identity_url: Url,
    /// The custom service's client id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Calls in any window.
    pub calls: usize,
    /// The window.
    pub window: Duration,
    /// Calls in flight at once.
    pub concurrency: usize,
    /// Calls a day.
    pub daily_calls: u64,
    /// How fast Marketo's time limits pass.
    pub clock: Clock,
}

/// A Marketo instance, reached with one set of credentials. Clones share token, pace and budget.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    base_url: Url,
    http: reqwest::Client,
    token: TokenSource,
    pacer: Arc<Pacer>,
    clock: Clock,
}

/// What came back, before it is judged.
enum Reply {
    Envelope(Envelope),
    Status(u16),
    NotAnEnvelope(String),
    /// Nothing was sent.
    NotSent(String),
    /// It was sent, and no whole answer came.
    Lost(String),
}

impl Client {
    /// Sets a client up; calls nothing. [`Error::Setup`] where the secret would travel in the clear, or where Marketo's
    /// time limits are shortened against anything but this machine.
    pub fn new(options: ClientOptions) -> Result<Self> {
        let http =
            check(&options).and_then(|()| transport(&options)).map_err(|what| Error::Setup { what })?;
        let ClientOptions {
            base_url,
            identity_url,
            client_id,
            client_secret,
            calls,
            window,
            concurrency,
            daily_calls,
            clock,
        } = options;
        let token = TokenSource::new(&identity_url, client_id, client_secret, clock);
        let pacer = Arc::new(Pacer::new(calls, window, concurrency, daily_calls));
        Ok(Self { inner: Arc::new(Inner { base_url, http, token, pacer, clock }) })
    }

    /// Calls made so far by this client and its clones; asking for a token does not count.
    pub fn calls_made(&self) -> u64 {
        self.inner.pacer.made()
    }

    /// The clock that this client waits by.
    pub fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// Makes a call until it has an answer, is refused, or must not be sent again.
    pub(super) async fn call(&self, call: Call) -> Result<Answer> {
        let (mut attempts, mut renewals, mut crowded) = (0, 0, 0);
        loop {
            attempts += 1;
            let token = self.inner.token.get(&self.inner.http).await?;
            let slot = self.inner.pacer.slot().await.map_err(|spent| over_budget(&call, spent))?;
            let sent_at = Instant::now();
            let reply = self.send(&call, &token).await;
            drop(slot);
            let trouble = match judge(&call, reply, sent_at) {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            match trouble.verdict {
                Verdict::RenewToken if renewals < RENEWALS => {
                    renewals += 1;
                    attempts -= 1;
                    self.inner.token.refuse(&token).await;
                    self.inner.clock.sleep(Duration::from_secs(u64::from(renewals - 1))).await;
                }
                Verdict::SlowDown if crowded < CROWDED_ATTEMPTS => {
                    crowded += 1;
                    attempts -= 1;
                    let pause = Duration::from_secs(u64::from(crowded.min(5))).mul_f64(jitter());
                    self.inner.pacer.slow_down(self.inner.clock.wall(pause));
                }
                Verdict::TryAgain if attempts < ATTEMPTS => {
                    let pause = Duration::from_secs(1 << (attempts - 1).min(5)).mul_f64(jitter());
                    self.inner.clock.sleep(pause).await;
                }
                _ => return Err(trouble.into_error(&call, attempts, sent_at, self.inner.token.url())),
            }
        }
    }

    async fn send(&self, call: &Call, token: &SecretString) -> Reply {
        let request = match self.request(call, token) {
            Ok(request) => request,
            Err(what) => return Reply::NotSent(what),
        };
        let response = match self.inner.http.execute(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Reply::NotSent(describe_transport(error)),
            Err(error) => return Reply::Lost(describe_transport(error)),
        };
        let status = response.status().as_u16();
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return Reply::Lost(describe_transport(error)),
        };
        match serde_json::from_slice::<Envelope>(&body) {
            Ok(envelope) if status == 200 => Reply::Envelope(envelope),
            _ if status != 200 => Reply::Status(status),
            Ok(_) | Err(_) => {
                Reply::NotAnEnvelope(format!("{} bytes that are no answer of Marketo's", body.len()))
            }
        }
    }

    fn request(&self, call: &Call, token: &SecretString) -> Result<reqwest::Request, String> {
        let mut url = self.inner.base_url.clone();
        url.set_path(&format!("{}{}", self.inner.base_url.path().trim_end_matches('/'), call.path));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &call.query {
            query.append_pair(name, value);
        }
        let query = query.finish();
        let in_body = call.kind == Kind::Read && query.len() > URI_BYTES;
        let request = if in_body {
            url.set_query(Some("_method=GET"));
            self.inner.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(query)
        } else {
            url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
            let request = match call.method {
                "GET" => self.inner.http.get(url),
                _ => self.inner.http.post(url),
            };
            match &call.body {
                Body::Json(body) => request.header(CONTENT_TYPE, "application/json").body(body.clone()),
                Body::Empty if call.method == "POST" => request.header(CONTENT_LENGTH, "0"),
                Body::Empty => request,
            }
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_unshown| "the token has characters that no header may have".to_owned())?;
        bearer.set_sensitive(true);
        let timeout = self.inner.clock.wall(call.limit + MARGIN).max(LEAST_TIMEOUT);
        request.header(AUTHORIZATION, bearer).timeout(timeout).build().map_err(describe_transport)
    }
}

/// The credentials must not be readable on the way, and only a sandbox may be hurried.
fn check(options: &ClientOptions) -> Result<(), String> {
    for url in [&options.base_url, &options.identity_url] {
        if url.scheme() != "https" && !is_loopback(url) {
            let host = url.host_str().unwrap_or_default();
            return Err(format!("`{host}` would be sent the client secret in the clear: use https://"));
        }
    }
    if options.clock != Clock::real() && !is_loopback(&options.base_url) {
        return Err("only a sandbox on this machine can be given a faster clock".to_owned());
    }
    Ok(())
}

fn transport(options: &ClientOptions) -> Result<reqwest::Client, String> {
    // A redirect would carry the token to wherever it points.
    let mut builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .user_agent(concat!("mkto-audit/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(20));
    // What is meant for this machine must not leave it in the clear by way of the system's proxy.
    if is_loopback(&options.base_url) || is_loopback(&options.identity_url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| format!("HTTP cannot be set up: {}", describe_transport(error)))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// A verdict with what was seen.
struct Trouble {
    verdict: Verdict,
    what: String,
    reason: Option<Reason>,
    request_id: Option<String>,
}

fn judge(call: &Call, reply: Reply, sent_at: Instant) -> Result<Answer, Trouble> {
    let doubtful = match call.kind {
        Kind::Read => Verdict::TryAgain,
        Kind::Write => Verdict::Unclear,
    };
    let bare = |verdict, what: String| Trouble { verdict, what, reason: None, request_id: None };
    let trouble = match reply {
        Reply::Envelope(envelope) if envelope.success => {
            tracing::info!(call = %call.name(), request_id = envelope.request_id, elapsed_ms = millis(sent_at), "answered");
            return Ok(envelope.into_answer(call.name(), sent_at));
        }
        Reply::Envelope(envelope) => {
            let request_id = envelope.request_id.clone();
            match envelope.error() {
                Some(reason) => Trouble {
                    verdict: of_code(call.kind, &reason.code),
                    what: format!("{} {}", reason.code, reason.message),
                    reason: Some(reason),
                    request_id,
                },
                None => Trouble {
                    verdict: doubtful,
                    what: "neither success nor an error".to_owned(),
                    reason: None,
                    request_id,
                },
            }
        }
        Reply::Status(status) => bare(of_status(call.kind, status), format!("HTTP {status}")),
        Reply::NotAnEnvelope(what) | Reply::Lost(what) => bare(doubtful, what),
        Reply::NotSent(what) => bare(Verdict::TryAgain, what),
    };
    tracing::info!(
        call = %call.name(),
        code = trouble.reason.as_ref().map(|reason| reason.code.as_str()),
        verdict = ?trouble.verdict,
        request_id = trouble.request_id,
        elapsed_ms = millis(sent_at),
        "not answered"
    );
    Err(trouble)
}

impl Trouble {
    fn into_error(self, call: &Call, attempts: u32, sent_at: Instant, identity: &str) -> Error {
        let Self { verdict, what, reason, request_id } = self;
        let call = call.name();
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
                    "Marketo's daily quota of calls for the whole instance is used up (607); it is filled again at {}",
                    request_id.as_deref().and_then(filled_again).map_or_else(
                        || "midnight US Central".to_owned(),
                        |at| format!("{} UTC, midnight US Central", at.format("%Y-%m-%d %H:%M")),
                    )
                ),
            },
            Verdict::RenewToken => Error::Credentials {
                url: identity.to_owned(),
                what: format!("the token that it gave is refused right away ({what})"),
            },
            Verdict::Refuse => {
                let reason = reason.unwrap_or_else(|| Reason { code: what, message: String::new() });
                Error::Refused { call, code: reason.code, message: reason.message, request_id }
            }
            Verdict::SlowDown | Verdict::TryAgain => Error::Unavailable { call, what, attempts },
        }
    }
}

fn over_budget(call: &Call, spent: BudgetSpent) -> Error {
    Error::Quota {
        call: call.name(),
        which: format!(
            "this program's own budget of {} calls a day (limits.daily_calls) is used up",
            spent.budget
        ),
    }
}

/// What went wrong on the wire, without the URL, whose query may hold people's data.
pub(super) fn describe_transport(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = vec![if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() }];
    let mut source = error.source();
    while let Some(cause) = source {
        words.push(cause.to_string());
        source = cause.source();
    }
    words.dedup();
    words.join(": ")
}

/// Between half and one and a half, so that those who were turned away together do not come back together.
fn jitter() -> f64 {
    0.5 + rand::random::<f64>()
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
