//! What a client is made of.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::{Host, Url};

use super::{Clock, OneRun, Spending};

/// What a client is made of. Everything but the address has a default, which is also the
/// command line's.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// `https://<munchkin-id>.mktorest.com`
    pub base_url: Url,
    /// `<base URL>/identity`
    pub identity_url: Url,
    /// The custom service that the client speaks for. Without one it can only call with the
    /// credentials of others.
    pub credentials: Option<OwnCredentials>,
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

/// A custom service of Marketo's Admin > `LaunchPoint`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OwnCredentials {
    /// Its client id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
}

impl ClientOptions {
    /// A client for this instance: half of Marketo's calls in a window and at once, half of a day's
    /// 50,000 calls, 400 MB of export, counted for as long as the client lives.
    pub fn new(base_url: Url) -> Self {
        let mut identity_url = base_url.clone();
        identity_url.set_path(&format!("{}/identity", base_url.path().trim_end_matches('/')));
        Self {
            base_url,
            identity_url,
            credentials: None,
            calls: 50,
            window: Duration::from_secs(20),
            concurrency: 5,
            daily_calls: 25_000,
            daily_export: 400_000_000,
            spending: Arc::new(OneRun::default()),
            clock: Clock::real(),
        }
    }

    /// Where tokens are had, where that is not `<base URL>/identity`.
    #[must_use]
    pub fn identity_url(mut self, identity_url: Url) -> Self {
        self.identity_url = identity_url;
        self
    }

    /// The custom service that the client speaks for.
    #[must_use]
    pub fn credentials(
        mut self,
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
    ) -> Self {
        self.credentials = Some(OwnCredentials {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
        });
        self
    }

    /// So many calls in any window of this length.
    #[must_use]
    pub fn rate(mut self, calls: usize, window: Duration) -> Self {
        (self.calls, self.window) = (calls, window);
        self
    }

    /// So many calls in flight at once.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// So many calls a day, and so many bytes of bulk extract.
    #[must_use]
    pub fn a_day(mut self, calls: u64, export_bytes: u64) -> Self {
        (self.daily_calls, self.daily_export) = (calls, export_bytes);
        self
    }

    /// Where what is spent of a day is counted.
    #[must_use]
    pub fn spending(mut self, spending: Arc<dyn Spending>) -> Self {
        self.spending = spending;
        self
    }

    /// How fast Marketo's time limits pass: faster only against a sandbox on this machine.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The credentials must not be readable on the way, and only a sandbox may be hurried.
    pub(super) fn check(&self) -> Result<(), String> {
        for url in [&self.base_url, &self.identity_url] {
            if url.scheme() != "https" && !is_loopback(url) {
                let host = url.host_str().unwrap_or_default();
                return Err(format!(
                    "`{host}` would be sent the client secret in the clear: use https://"
                ));
            }
        }
        if self.clock != Clock::real() && !is_loopback(&self.base_url) {
            return Err("only a sandbox on this machine can be given a faster clock".to_owned());
        }
        Ok(())
    }
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
