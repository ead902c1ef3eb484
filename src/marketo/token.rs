//! The access token: fetched when needed, kept in memory, never shown.
//!
//! Marketo hands out the same token to everybody with the same client id until it expires, so a
//! fresh answer may carry a token with a second to live; that one is waited out.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::auth::plain_headers;
use super::envelope::Envelope;
use super::failure::host_of;
use super::meaning::{Kind, Verdict, of_code};
use super::transport::{NoAnswer, Transport};
use super::{Clock, Error, LeaveBy, Result};

/// How often a token is asked for before it is said that the identity endpoint does not answer.
const ATTEMPTS: u32 = 5;

/// A token with less than this left is not worth a call.
const LEAST_LIFE: Duration = Duration::from_secs(2);

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A token lives an hour; whatever is said beyond a day is not believed.
const LONGEST_LIFE: u64 = 86_400;

/// The credentials, and the token that they last gave.
pub(super) struct TokenSource {
    url: Url,
    client_id: String,
    client_secret: SecretString,
    clock: Clock,
    /// Held while a token is fetched, so that it is fetched once however many calls wait for it.
    token: Mutex<Option<Token>>,
    /// The API-only user whose credentials these are, as an answer told it.
    user: OnceLock<String>,
}

#[derive(Clone)]
struct Token {
    value: SecretString,
    expires: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: SecretString,
    expires_in: u64,
    /// The user that owns the credentials (documented by Adobe).
    scope: Option<String>,
}

#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl TokenSource {
    pub(super) fn new(
        identity_url: &Url,
        client_id: String,
        client_secret: SecretString,
        clock: Clock,
    ) -> Self {
        let mut url = identity_url.clone();
        url.set_path(&format!("{}/oauth/token", identity_url.path().trim_end_matches('/')));
        Self {
            url,
            client_id,
            client_secret,
            clock,
            token: Mutex::new(None),
            user: OnceLock::new(),
        }
    }

    /// The API-only user, where a token has come with its name.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.get().map(String::as_str)
    }

    /// The token, fetched where there is none that lives.
    pub(super) async fn get(&self, transport: &Transport) -> Result<SecretString> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.expires > Instant::now()) {
            return Ok(token.value.clone());
        }
        for _ in 0..ATTEMPTS {
            let token = self.fetch(transport).await?;
            if token.expires > Instant::now() + LEAST_LIFE {
                *kept = Some(token.clone());
                return Ok(token.value);
            }
            tokio::time::sleep_until(token.expires + Duration::from_millis(500)).await;
        }
        Err(Error::Credentials {
            url: self.url.to_string(),
            what: "every token that it gives has expired already".to_owned(),
        })
    }

    /// Forgets a token that Marketo refused, unless another has come meanwhile.
    pub(super) async fn refuse(&self, refused: &SecretString) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|token| token.value.expose_secret() == refused.expose_secret())
        {
            *kept = None;
        }
    }

    async fn fetch(&self, transport: &Transport) -> Result<Token> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.ask(transport).await {
                Ok(token) => return Ok(token),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(what)) if attempts >= ATTEMPTS => {
                    return Err(Error::Unavailable {
                        call: format!("POST {}", self.url.path()),
                        what,
                        attempts,
                    });
                }
                Err(Trouble::Passing(_)) => {
                    self.clock.sleep(Duration::from_secs(1 << attempts.min(4))).await;
                }
            }
        }
    }

    fn no_answer(&self, why: NoAnswer) -> Trouble {
        match why {
            NoAnswer::NotSent(what) | NoAnswer::Lost(what) => Trouble::Passing(what),
            NoAnswer::Late => Trouble::Passing("no answer in time".to_owned()),
            NoAnswer::Untrusted(why) => {
                let (call, host) = (format!("POST {}", self.url.path()), host_of(&self.url));
                Trouble::Final(Error::Untrusted { call, host, why })
            }
        }
    }

    /// What an answer that says no says, in Marketo's words; none where it does not say no.
    fn refused(&self, status: u16, body: &[u8]) -> Option<Trouble> {
        let said =
            serde_json::from_slice::<Envelope>(body).ok().filter(|envelope| !envelope.success);
        let (code, message, request_id) = match said.map(|said| (said.error(), said.request_id)) {
            Some((Some(reason), request_id)) => (reason.code, reason.message, request_id),
            _ if matches!(status, 404 | 405 | 410) => {
                (format!("HTTP {status}"), "there is nothing that gives tokens".to_owned(), None)
            }
            _ => return None,
        };
        if matches!(of_code(Kind::Read, &code), Verdict::TryAgain | Verdict::SlowDown) {
            return Some(Trouble::Passing(format!("{code} {message}")));
        }
        let message = format!(
            "{message}; look whether the identity URL is the one of Marketo's Admin > Web Services, \
             https://<munchkin-id>.mktorest.com/identity"
        );
        let call = format!("POST {}", self.url.path());
        Some(Trouble::Final(Error::Refused { call, code, message, request_id }))
    }

    /// The secret goes in the body: a URL ends up in logs.
    async fn ask(&self, transport: &Transport) -> Result<Token, Trouble> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose_secret())
            .finish();
        let mut request = Request::post("/identity/oauth/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form))
            .map_err(|error| Trouble::Passing(error.to_string()))?;
        request.headers_mut().extend(plain_headers());
        let asked_at = Instant::now();
        let (_, answer) = transport.exchange(request, LeaveBy::within(PATIENCE), PATIENCE).await;
        let answer = answer.map_err(|why| self.no_answer(why))?;
        let (status, body) = (answer.status, answer.body);
        if matches!(status.as_u16(), 400 | 401 | 403) {
            let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
            let what =
                format!("HTTP {} {} {}", status.as_u16(), refusal.error, refusal.error_description);
            return Err(Trouble::Final(Error::Credentials {
                url: self.url.to_string(),
                what: what.trim().to_owned(),
            }));
        }
        // Whoever asks another address than that of tokens is answered as any call is.
        if let Some(refused) = self.refused(status.as_u16(), &body) {
            return Err(refused);
        }
        if !status.is_success() {
            return Err(Trouble::Passing(format!("HTTP {}", status.as_u16())));
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_unshown| Trouble::Passing("the answer carries no token".to_owned()))?;
        if let Some(user) = answer.scope.filter(|user| !user.trim().is_empty()) {
            self.user.get_or_init(|| user);
        }
        let life = Duration::from_secs(answer.expires_in.min(LONGEST_LIFE));
        Ok(Token { value: answer.access_token, expires: asked_at + life })
    }
}

enum Trouble {
    Final(Error),
    Passing(String),
}
