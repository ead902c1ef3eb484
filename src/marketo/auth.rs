//! Whose credentials a call leaves with: the client's own, or those of a caller whom it serves.
//!
//! Never: shows a header's value, or asks for a token in somebody else's name.

use std::fmt;
use std::sync::Arc;

use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderValue,
    TRANSFER_ENCODING, USER_AGENT,
};
use secrecy::{ExposeSecret, SecretString};

/// Whose credentials a call leaves with.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    /// The client's own token, renewed where Marketo refuses it.
    Own,
    /// A caller's Authorization and headers. What Marketo says of its token is the caller's.
    Borrowed(Borrowed),
}

/// The headers of a caller's request.
#[derive(Clone)]
pub(crate) struct Borrowed(Arc<HeaderMap>);

impl Borrowed {
    /// These headers, but for those of another body. Answers are read here, and come as they are.
    pub(crate) fn new(headers: &HeaderMap) -> Self {
        let mut headers = headers.clone();
        for name in [ACCEPT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT] {
            headers.remove(name);
        }
        for (name, value) in &mut headers {
            value.set_sensitive(name == AUTHORIZATION);
        }
        Self(Arc::new(headers))
    }

    /// The headers that a call leaves with.
    pub(super) fn headers(&self) -> HeaderMap {
        HeaderMap::clone(&self.0)
    }
}

/// Names alone: values are secrets, or people's.
impl fmt::Debug for Borrowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The headers of the client's own calls.
pub(super) fn own_headers(token: &SecretString) -> Result<HeaderMap, String> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_unshown| "the token has characters that no header may have".to_owned())?;
    bearer.set_sensitive(true);
    let mut headers = plain_headers();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(headers)
}

/// The headers of a request without credentials.
pub(super) fn plain_headers() -> HeaderMap {
    let agent = concat!("mkto-audit/", env!("CARGO_PKG_VERSION"));
    HeaderMap::from_iter([
        (USER_AGENT, HeaderValue::from_static(agent)),
        (ACCEPT, HeaderValue::from_static("*/*")),
    ])
}
