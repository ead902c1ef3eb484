//! Who may use the page: the tab that was opened with the link of the terminal, and nobody else.
//!
//! Three kinds of strangers are kept out. Another user of the machine can connect, but has no word:
//! every answer with data takes one. A site in the same browser cannot send the word, since it is
//! no cookie but a header that the page's script sets, and a request from another origin is refused
//! besides. A name that was pointed at this machine (DNS rebinding) is not the `Host` that we are.
//!
//! Never: keeps a word that has done its service, or compares words in a time that tells of them.

use std::net::SocketAddr;

use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{Method, Request, StatusCode};
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;

use super::answer::Refusal;

/// The header with the word of the link.
const TOKEN: HeaderName = HeaderName::from_static("x-mkto-token");
/// The header with the word of the tab.
const SESSION: HeaderName = HeaderName::from_static("x-mkto-session");
/// What a browser says of where a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What somebody reads who has no link.
pub(super) const NO_LINK: &str = "Open the link that `mkto-audit review` printed in the terminal. It works once, in one browser.";
const USED: &str = "This link was used already, or is not of this review. Start `mkto-audit review` again for a new one.";

/// Tabs at once; an older one has to be opened anew.
const SESSIONS: usize = 8;

/// A word of 256 random bits, in hexadecimal.
pub struct Token(String);

impl Token {
    fn random() -> Self {
        let bits: [u8; 32] = rand::random();
        Self(bits.iter().fold(String::with_capacity(64), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
            text
        }))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is(&self, told: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(told).into()
    }
}

/// Not the word itself, which would then stand in a log.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The words that open the page.
#[derive(Debug)]
pub(super) struct Access {
    address: SocketAddr,
    /// The names that a browser may know us by.
    hosts: [String; 2],
    /// The word of the link, until it is used.
    token: Mutex<Option<Token>>,
    sessions: Mutex<Vec<Token>>,
}

impl Access {
    pub(super) fn new(address: SocketAddr) -> Self {
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        Self { address, hosts, token: Mutex::new(None), sessions: Mutex::default() }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new word for a link; the one before is of no use any more.
    pub(super) fn issue(&self) -> Token {
        let token = Token::random();
        *self.token.lock() = Some(Token(token.0.clone()));
        token
    }

    /// Whether a request is sent to us by our name, and not by another site.
    pub(super) fn check_place<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let headers = request.headers();
        let only = |name: &HeaderName| {
            let mut all = headers.get_all(name).iter();
            (all.next(), all.next().is_some())
        };
        let (Some(host), false) = only(&HOST) else {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "The request names no host."));
        };
        if !self.hosts.iter().any(|ours| host.as_bytes().eq_ignore_ascii_case(ours.as_bytes())) {
            return Err(Refusal::new(
                StatusCode::MISDIRECTED_REQUEST,
                "This address is not of this page. Open the link that `mkto-audit review` printed.",
            ));
        }
        let changes = request.method() != Method::GET;
        let is_ours = |origin: &[u8]| {
            origin.strip_prefix(b"http://").is_some_and(|origin| origin == host.as_bytes())
        };
        match only(&ORIGIN) {
            (Some(origin), false) if is_ours(origin.as_bytes()) => {}
            (None, _) if !changes => {}
            _ => return Err(Refusal::forbidden("Another site sent this request.")),
        }
        // The page itself is opened from elsewhere: from a terminal, or from a file that leads
        // here.
        let from = headers.get(&FETCH_SITE).map(|site| site.as_bytes().to_owned());
        let is_api = request.uri().path().starts_with("/api/");
        match from.as_deref() {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) if !is_api && !changes => Ok(()),
            Some(_) => Err(Refusal::forbidden("Another site sent this request.")),
        }
    }

    /// Exchanges the word of the link for that of a tab; then it is of no use any more.
    pub(super) fn enter(&self, headers: &HeaderMap) -> Result<Token, Refusal> {
        let told = headers.get(&TOKEN).ok_or_else(|| Refusal::forbidden(NO_LINK))?;
        let mut token = self.token.lock();
        if !token.as_ref().is_some_and(|token| token.is(told.as_bytes())) {
            return Err(Refusal::forbidden(USED));
        }
        *token = None;
        let session = Token::random();
        let mut sessions = self.sessions.lock();
        if sessions.len() == SESSIONS {
            sessions.remove(0);
        }
        sessions.push(Token(session.0.clone()));
        Ok(session)
    }

    /// Whether a request comes from a tab that has entered.
    pub(super) fn check_session<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let told = request.headers().get(&SESSION).map_or(&b""[..], |told| told.as_bytes());
        let sessions = self.sessions.lock();
        // All of them, so that the time does not tell which.
        let known = sessions.iter().fold(false, |known, session| known | session.is(told));
        if known { Ok(()) } else { Err(Refusal::forbidden(NO_LINK)) }
    }
}
