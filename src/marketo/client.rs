//! The one door to Marketo: address, token, pacing, sending, reading the envelope, and what may be
//! sent again.
//!
//! Every verb of the API is a few lines on [`Client::call`]; the one answer that is no envelope,
//! the file of an export, on [`Client::until_settled`] as well. What goes wrong is judged in
//! [`super::failure`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::redirect;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use url::{Host, Url};

use super::call::{Body, Call};
use super::classify::{Kind, Verdict};
use super::envelope::{Answer, Envelope};
use super::export::ExportBudget;
use super::failure::{Failure, Reply, describe_transport, judge, not_sent};
use super::pacer::{Pacer, Slot};
use super::token::TokenSource;
use super::{
    AtAnyTime, Clock, Error, Moment, Result, SendGate, Spending, Spent, Uncounted, Withheld,
};

/// How often a read is tried, and any call that was turned away.
const ATTEMPTS: u32 = 8;

/// How often a call is repeated for being one too many; others share the limit, so it can take a
/// while.
const CROWDED_ATTEMPTS: u32 = 60;

/// How often a token is renewed for one call.
const RENEWALS: u32 = 5;

/// How long a connection may take to come about. It is part of the time that a call takes from its
/// last gate until it arrives, for which those who keep others away reckon with twice [`MARGIN`].
const CONNECT_TIME: Duration = Duration::from_secs(8);

/// How much longer than Marketo's own limit an answer is waited for, so that it is Marketo that
/// gives up first.
pub(super) const MARGIN: Duration = Duration::from_secs(10);

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
    /// Bytes of bulk extract a day.
    pub daily_export: u64,
    /// Where what is spent of both is counted.
    pub spending: Arc<dyn Spending>,
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
    spending: Arc<dyn Spending>,
    clock: Clock,
    export: ExportBudget,
}

impl Client {
    /// Sets a client up; calls nothing. [`Error::Setup`] where the secret would travel in the
    /// clear, or where Marketo's time limits are shortened against anything but this machine.
    pub fn new(options: ClientOptions) -> Result<Self> {
        let http = check(&options)
            .and_then(|()| transport(&options))
            .map_err(|what| Error::Setup { what })?;
        let ClientOptions {
            base_url,
            identity_url,
            client_id,
            client_secret,
            calls,
            window,
            concurrency,
            daily_calls,
            daily_export,
            spending,
            clock,
        } = options;
        let token = TokenSource::new(&identity_url, client_id, client_secret, clock);
        let pacer =
            Arc::new(Pacer::new(calls, window, concurrency, daily_calls, Arc::clone(&spending)));
        let export = ExportBudget::new(daily_export, Arc::clone(&spending));
        Ok(Self {
            inner: Arc::new(Inner { base_url, http, token, pacer, spending, clock, export }),
        })
    }

    /// The API-only user that this client is, where Marketo has told its name.
    pub(super) fn user(&self) -> Option<&str> {
        self.inner.token.user()
    }

    /// Calls made so far by this client and its clones; asking for a token does not count.
    pub fn calls_made(&self) -> u64 {
        self.inner.pacer.made()
    }

    /// About how long so many more calls take, as the limits allow.
    pub fn time_for(&self, calls: u64) -> Duration {
        self.inner.pacer.time_for(calls)
    }

    /// Whether a call waits for Marketo's limit at this moment.
    pub fn waits_for_limit(&self) -> bool {
        self.inner.pacer.waits_for_limit()
    }

    /// What is spent today, by this client and by whoever counts in the same place.
    pub fn spent_today(&self) -> Result<Spent> {
        self.inner.spending.spent().map_err(|Uncounted(what)| Error::Uncounted {
            call: "what comes next".to_owned(),
            what,
        })
    }

    /// The clock that this client waits by.
    pub fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// A span of Marketo's time to wait for an answer, and never too little of the wall's.
    pub(super) fn patience(&self, span: Duration) -> Duration {
        self.inner.clock.wall(span).max(LEAST_TIMEOUT)
    }

    /// The day's bytes of bulk extract.
    pub(super) fn export_budget(&self) -> &ExportBudget {
        &self.inner.export
    }

    /// Sends a request that was built with [`Client::request`].
    pub(super) async fn execute(
        &self,
        request: reqwest::Request,
    ) -> reqwest::Result<reqwest::Response> {
        self.inner.http.execute(request).await
    }

    /// Makes a call until it has an answer, is refused, or must not be sent again.
    pub(super) async fn call(&self, call: Call) -> Result<Answer> {
        self.call_with(&AtAnyTime, call).await
    }

    /// The same for a call that has to ask each time before it leaves, and may be withdrawn while
    /// it waits.
    pub(super) async fn call_with(&self, gate: &impl SendGate, call: Call) -> Result<Answer> {
        let call = &call;
        // Held while the call is under way: whoever withdraws it waits for its end, and that end
        // counts.
        let under_way = Mutex::new(());
        let under_way = &under_way;
        let answer = self.until_settled(call, |token, slot| async move {
            if let Err(withheld) = gate.ask().await {
                slot.unused();
                return Ok(Err(withheld));
            }
            let _under_way = under_way.lock().await;
            let left = Moment::now();
            let reply = self.send(call, &token).await;
            drop(slot);
            judge(call, reply, left).map(Ok)
        });
        let withdrawn = async {
            let withheld = gate.withdrawn().await;
            let _at_rest = under_way.lock().await;
            withheld
        };
        let answer = tokio::select! {
            biased;
            answer = answer => answer?,
            withheld = withdrawn => Err(withheld),
        };
        answer.map_err(|Withheld(why)| Error::Withheld { call: call.name(), why })
    }

    /// Sends until there is a result, or the verdict on what went wrong ends it. Each attempt is
    /// handed a token and the right to one call, which it gives back when the call is over.
    pub(super) async fn until_settled<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        call: &Call,
        attempt: impl Fn(SecretString, Slot) -> F,
    ) -> Result<T> {
        let (mut attempts, mut renewals, mut crowded) = (0, 0, 0);
        loop {
            attempts += 1;
            let token = self.inner.token.get(&self.inner.http).await?;
            let slot =
                self.inner.pacer.slot().await.map_err(|none| none.into_error(call.name()))?;
            let failure = match attempt(token.clone(), slot).await {
                Ok(result) => return Ok(result),
                Err(failure) => failure,
            };
            match failure.verdict {
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
                _ => {
                    return Err(failure.into_error(
                        call,
                        attempts,
                        &self.inner.base_url,
                        self.inner.token.url(),
                    ));
                }
            }
        }
    }

    async fn send(&self, call: &Call, token: &SecretString) -> Reply {
        let request = match self.request(call, token) {
            Ok(request) => request,
            Err(what) => return Reply::NotSent(what),
        };
        let response = match self.execute(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return not_sent(error),
            Err(error) => return Reply::Lost(describe_transport(error)),
        };
        let status = response.status().as_u16();
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return Reply::Lost(describe_transport(error)),
        };
        match serde_json::from_slice::<Envelope>(&body) {
            Ok(envelope) if status == 200 => Reply::Envelope(envelope),
            envelope if status != 200 => Reply::Status(status, envelope.ok()),
            Ok(_) | Err(_) => Reply::NotAnEnvelope(format!(
                "{} bytes that are no answer of Marketo's",
                body.len()
            )),
        }
    }

    pub(super) fn request(
        &self,
        call: &Call,
        token: &SecretString,
    ) -> Result<reqwest::Request, String> {
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
            self.inner
                .http
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(query)
        } else {
            url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
            let request = match call.method {
                "GET" => self.inner.http.get(url),
                _ => self.inner.http.post(url),
            };
            match &call.body {
                Body::Json(body) => {
                    request.header(CONTENT_TYPE, "application/json").body(body.clone())
                }
                Body::Empty if call.method == "POST" => request.header(CONTENT_LENGTH, "0"),
                Body::Empty => request,
            }
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_unshown| "the token has characters that no header may have".to_owned())?;
        bearer.set_sensitive(true);
        let timeout = self.patience(call.limit + MARGIN);
        request.header(AUTHORIZATION, bearer).timeout(timeout).build().map_err(describe_transport)
    }
}

/// The credentials must not be readable on the way, and only a sandbox may be hurried.
fn check(options: &ClientOptions) -> Result<(), String> {
    for url in [&options.base_url, &options.identity_url] {
        if url.scheme() != "https" && !is_loopback(url) {
            let host = url.host_str().unwrap_or_default();
            return Err(format!(
                "`{host}` would be sent the client secret in the clear: use https://"
            ));
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
        .connect_timeout(CONNECT_TIME);
    // What is not confirmed for so long is not delivered later either, when nobody reckons with it
    // any more.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    {
        builder = builder.tcp_user_timeout(MARGIN);
    }
    // What is meant for this machine must not leave it in the clear by way of the system's proxy.
    if is_loopback(&options.base_url) || is_loopback(&options.identity_url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| format!("HTTP cannot be set up: {}", describe_transport(error)))
}

/// Whether an address is this machine's own.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// Between half and one and a half, so that those who were turned away together do not come back
/// together.
fn jitter() -> f64 {
    0.5 + rand::random::<f64>()
}
