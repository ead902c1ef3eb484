//! The API user of a call, for fairness and counts. The token endpoint names it when a token is
//! fetched through the proxy; otherwise the name is made of the token's hash. Never: keeps a token,
//! only its hash.

use std::collections::{BTreeMap, VecDeque};

use hyper::header::{AUTHORIZATION, HeaderMap};
use parking_lot::Mutex;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::guard::engine::ApiUser;

/// A token lives an hour, and a client id has one at a time; the oldest of more than so many are
/// forgotten.
const REMEMBERED: usize = 10_000;

/// The user of calls without a token.
pub(super) const NO_TOKEN: &str = "no-token";

/// The users of the tokens that were fetched through the proxy.
#[derive(Debug, Default)]
pub(super) struct ApiUsers {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    users: BTreeMap<[u8; 32], ApiUser>,
    oldest_first: VecDeque<[u8; 32]>,
}

/// The part of the token endpoint's answer that says whose token it is.
#[derive(Deserialize)]
struct Identity {
    access_token: String,
    scope: String,
}

impl ApiUsers {
    /// Whose call this is; calls without a token are of one user.
    pub(super) fn of(&self, headers: &HeaderMap) -> ApiUser {
        let Some(header) = headers.get(AUTHORIZATION) else { return ApiUser::named(NO_TOKEN) };
        let token = header.as_bytes();
        let hash = hash_of(token.strip_prefix(b"Bearer ").unwrap_or(token));
        if let Some(user) = self.known.lock().users.get(&hash) {
            return user.clone();
        }
        let short = hash.first_chunk::<4>().map_or(0, |first| u32::from_be_bytes(*first));
        ApiUser::named(&format!("token-{short:08x}"))
    }

    /// Learns from an answer of the token endpoint; anything else teaches nothing.
    pub(super) fn learn(&self, answer: &[u8]) {
        let Ok(identity) = serde_json::from_slice::<Identity>(answer) else { return };
        let hash = hash_of(identity.access_token.as_bytes());
        let mut known = self.known.lock();
        if known.users.insert(hash, ApiUser::named(&identity.scope)).is_none() {
            known.oldest_first.push_back(hash);
        }
        if known.oldest_first.len() > REMEMBERED
            && let Some(oldest) = known.oldest_first.pop_front()
        {
            known.users.remove(&oldest);
        }
    }
}

fn hash_of(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token.trim_ascii()).into()
}

#[cfg(test)]
mod tests {
    use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};

    use super::ApiUsers;

    fn with_token(token: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(token))])
    }

    #[test]
    fn a_token_is_its_users_once_the_token_endpoint_has_said_so_and_is_never_shown() {
        let users = ApiUsers::default();
        let before = users.of(&with_token("Bearer secret-token"));
        assert!(
            before.as_str().starts_with("token-") && !before.as_str().contains("secret"),
            "{before}"
        );
        users.learn(
            br#"{"access_token":"secret-token","expires_in":1,"scope":"crm@api.example.com"}"#,
        );
        assert_eq!(users.of(&with_token("Bearer secret-token")).to_string(), "crm@api.example.com");
        assert_ne!(
            users.of(&with_token("Bearer another")),
            users.of(&with_token("Bearer secret-token"))
        );
        assert!(!format!("{users:?}").contains("secret-token"));
        users.learn(b"<html>");
        assert_eq!(users.of(&HeaderMap::new()).to_string(), "no-token");
    }
}
