//! The guard's own calls to Marketo, with the credentials of the caller that they are made for: its
//! headers, with its Authorization, and for a write also its method and target as they came.

use std::collections::BTreeSet;

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};

use crate::guard::engine::{Sender, digest};
use crate::marketo::{
    Auth, Borrowed, CallFailure, Client, Found, RawWrite, SYNC_LIMIT, SendGate, Turns, Written,
};

/// A caller's call without its body.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) headers: Borrowed,
    /// Marketo refuses any but POST.
    pub(super) method: Method,
    pub(super) target: String,
}

/// The same for callers that may share a call: they agree in the token, the address, and how their
/// bodies are to be read.
pub(super) fn fingerprint(headers: &HeaderMap, method: &Method, target: &str) -> [u8; 32] {
    let token = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let content_type = content_type(headers);
    digest([token, content_type.as_bytes(), method.as_str().as_bytes(), target.as_bytes()])
}

/// The type of a body in one spelling: JSON is UTF-8, whether that is said or not.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let spelled: String =
        String::from_utf8_lossy(value).to_ascii_lowercase().split([' ', '"']).collect();
    if spelled == "application/json;charset=utf-8" {
        "application/json".to_owned()
    } else {
        spelled
    }
}

#[derive(Debug)]
pub(super) struct CallerSender(pub(super) Client);

impl CallerSender {
    fn borrowed(origin: &Origin) -> Auth {
        Auth::Borrowed(origin.headers.clone())
    }
}

impl Sender for CallerSender {
    type Origin = Origin;

    async fn look_up(
        &self,
        origin: &Origin,
        field: &str,
        values: &[&str],
        fields: &[&str],
        turns: &impl Turns,
    ) -> Result<Found, CallFailure> {
        self.0.session(Self::borrowed(origin), turns).look_up(field, values, fields).await
    }

    async fn lead_fields(
        &self,
        origin: &Origin,
        turns: &impl Turns,
    ) -> Result<BTreeSet<String>, CallFailure> {
        let schema = self.0.session(Self::borrowed(origin), turns).describe().await?;
        Ok(schema.fields.into_keys().collect())
    }

    async fn write(
        &self,
        origin: &Origin,
        body: Vec<u8>,
        turns: &impl Turns,
        gate: &impl SendGate,
    ) -> Result<Written, CallFailure> {
        let write = RawWrite {
            method: origin.method.clone(),
            target: origin.target.clone(),
            body: body.into(),
            limit: SYNC_LIMIT,
        };
        self.0.session(Self::borrowed(origin), turns).write(gate, write).await
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;
    use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};

    use super::fingerprint;

    fn of(method: &Method, token: &'static str, content_type: &'static str) -> [u8; 32] {
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, HeaderValue::from_static(token)),
            (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        ]);
        fingerprint(&headers, method, "/rest/v1/leads.json")
    }

    #[test]
    fn callers_agree_only_where_token_and_method_and_the_reading_of_their_bodies_agree() {
        let usual = of(&Method::POST, "token", "application/json");
        assert_eq!(usual, of(&Method::POST, "token", "Application/JSON; charset=\"UTF-8\""));
        assert_ne!(usual, of(&Method::POST, "another", "application/json"));
        assert_ne!(usual, of(&Method::POST, "token", "application/json; charset=iso-8859-1"));
        assert_ne!(usual, of(&Method::PUT, "token", "application/json"), "the method too");
    }
}
