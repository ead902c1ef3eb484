//! The one door to Marketo: address, credentials, pacing, and what is spent.
//!
//! Every verb of the typed API is a few lines on [`Client::call`]. Calls with the credentials of
//! others are made by a [`Session`].

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::auth::Auth;
use super::call::Call;
use super::envelope::Answer;
use super::export::ExportBudget;
use super::failure::CallFailure;
use super::options::{ClientOptions, OwnCredentials};
use super::pacer::Pacer;
use super::retry::Turns;
use super::session::Session;
use super::token::TokenSource;
use super::transport::Transport;
use super::{AtAnyTime, Clock, Error, Result, SendGate, Spent, Uncounted};

/// An answer on this machine may be slow too, however fast the clock.
const LEAST_TIMEOUT: Duration = Duration::from_secs(5);

/// A Marketo instance. Clones share connections, token, pace and budget.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClientOptions,
    transport: Transport,
    token: Option<TokenSource>,
    pacer: Arc<Pacer>,
    export: ExportBudget,
}

impl Client {
    /// Sets a client up; calls nothing. [`Error::Setup`] where the secret would travel in the
    /// clear, or where Marketo's time limits are shortened against anything but this machine.
    pub fn new(options: ClientOptions) -> Result<Self> {
        options.check().map_err(|what| Error::Setup { what })?;
        let transport = Transport::new(&options.base_url, &options.identity_url)
            .map_err(|what| Error::Setup { what: format!("HTTP cannot be set up: {what}") })?;
        let token = options.credentials.clone().map(|own| {
            let OwnCredentials { client_id, client_secret } = own;
            TokenSource::new(&options.identity_url, client_id, client_secret, options.clock)
        });
        let pacer = Arc::new(Pacer::new(
            options.calls,
            options.window,
            options.concurrency,
            options.daily_calls,
            Arc::clone(&options.spending),
        ));
        let export = ExportBudget::new(options.daily_export, Arc::clone(&options.spending));
        Ok(Self { inner: Arc::new(Inner { options, transport, token, pacer, export }) })
    }

    /// Calls with these credentials, in these turns.
    pub(crate) fn session<'a, T: Turns>(&'a self, auth: Auth, turns: &'a T) -> Session<'a, T> {
        Session::new(self, auth, turns)
    }

    /// Calls with the client's own credentials, one after the other as they come.
    pub(super) fn own(&self) -> Session<'_, Arc<Pacer>> {
        self.session(Auth::Own, &self.inner.pacer)
    }

    /// The API-only user that this client is, where Marketo has told its name.
    pub(super) fn user(&self) -> Option<&str> {
        self.inner.token.as_ref()?.user()
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
        self.inner.options.spending.spent().map_err(|Uncounted(what)| Error::Uncounted {
            call: "what comes next".to_owned(),
            what,
        })
    }

    /// The clock that this client waits by.
    pub fn clock(&self) -> Clock {
        self.inner.options.clock
    }

    /// A span of Marketo's time to wait for an answer, and never too little of the wall's.
    pub(super) fn patience(&self, span: Duration) -> Duration {
        self.clock().wall(span).max(LEAST_TIMEOUT)
    }

    /// The day's bytes of bulk extract.
    pub(super) fn export_budget(&self) -> &ExportBudget {
        &self.inner.export
    }

    /// What calls of this client get their turn from.
    pub(crate) fn pacer(&self) -> Arc<Pacer> {
        Arc::clone(&self.inner.pacer)
    }

    /// The error of the typed API for a failure of this call, named without its query.
    pub(crate) fn error_of(&self, failure: CallFailure, call: &str) -> Error {
        let options = &self.inner.options;
        failure.into_error(call.to_owned(), &options.base_url, &options.identity_url)
    }

    /// The connections to Marketo.
    pub(crate) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    /// The client's own token, fetched where there is none that lives.
    pub(super) async fn token(&self) -> Result<SecretString> {
        match &self.inner.token {
            Some(source) => source.get(&self.inner.transport).await,
            None => Err(Error::Credentials {
                url: self.inner.options.identity_url.to_string(),
                what: "this client has none of its own".to_owned(),
            }),
        }
    }

    /// Forgets a token that Marketo refused.
    pub(super) async fn refuse_token(&self, refused: &SecretString) {
        if let Some(source) = &self.inner.token {
            source.refuse(refused).await;
        }
    }

    /// Makes a call until it has an answer, is refused, or must not be sent again.
    pub(super) async fn call(&self, call: Call) -> Result<Answer> {
        self.call_with(&AtAnyTime, call).await
    }

    /// The same for a call that has to ask each time before it leaves, and may be withdrawn while
    /// it waits.
    pub(super) async fn call_with(&self, gate: &impl SendGate, call: Call) -> Result<Answer> {
        let answer = self.own().call(gate, &call).await;
        answer.map_err(|failure| self.error(call.name(), failure))
    }

    /// The error that a failure is.
    pub(super) fn error(&self, call: String, failure: CallFailure) -> Error {
        let ClientOptions { base_url, identity_url, .. } = &self.inner.options;
        failure.into_error(call, base_url, identity_url)
    }
}
