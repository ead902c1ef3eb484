//! Refusals of callers, logged once a minute with what to do about them: a token that Marketo does
//! not take, a permission that is missing, a key that several leads have.
//!
//! Never: a token or a key's value, only the API user's name and the hash of the key.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::identity::NO_TOKEN;
use crate::guard::engine::ApiUser;
use crate::leases::LeaseKey;

/// How often a subject is told of.
const PAUSE: Duration = Duration::from_secs(60);

/// Subjects that are remembered. Of more than that some are forgotten, and told of again.
const REMEMBERED: usize = 10_000;

/// For how long `readyz` mentions a token that was refused.
const MENTIONED: Duration = Duration::from_secs(60);

/// What was told of, and when.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    tokens: Seldom<ApiUser>,
    permissions: Seldom<ApiUser>,
    duplicates: Seldom<LeaseKey>,
    last_token: Mutex<Option<(Instant, String)>>,
}

impl Refusals {
    /// Marketo does not take a caller's token. It is the caller's to fetch a new one, so nothing is
    /// done here.
    pub(super) fn token_refused(&self, user: &ApiUser, code: &str) {
        let now = Instant::now();
        let words = format!("Marketo refused the token of {user} ({code})");
        *self.last_token.lock() = Some((now, words));
        if self.tokens.is_due(user.clone(), now) {
            tracing::warn!(
                %user,
                code,
                "Marketo refused the caller's token: it is missing, wrong or expired, and nothing was written; the caller \
                 has to fetch a new one, no permission is missing"
            );
        }
    }

    /// A look-up was denied to a caller. If it sent no token, that says nothing of its permissions.
    pub(super) fn reading_denied(&self, user: &ApiUser) {
        if user.as_str() == NO_TOKEN {
            return self.token_refused(user, "603, there is no Authorization header");
        }
        if self.permissions.is_due(user.clone(), Instant::now()) {
            tracing::warn!(
                %user,
                "the API user may not read leads, so its writes are serialised as they come; strict mode needs Read-Only Lead"
            );
        }
    }

    /// Several leads have this key, and its record was not written.
    pub(super) fn several_have_it(&self, user: &ApiUser, key: LeaseKey) {
        if self.duplicates.is_due(key, Instant::now()) {
            tracing::warn!(
                %user,
                %key,
                "several leads have this key: the caller got 1007, and nothing was written; merge them (mkto-audit merge), \
                 or write to the lead that a merge would keep (guard.on_duplicates = \"winner\")"
            );
        }
    }

    /// What `readyz` adds where a token was refused a moment ago; nothing otherwise.
    pub(super) fn refused_token(&self) -> String {
        let last = self.last_token.lock();
        let recent = last.as_ref().filter(|(when, _)| when.elapsed() < MENTIONED);
        recent.map_or_else(String::new, |(when, words)| {
            format!("{words} {} s ago\n", when.elapsed().as_secs())
        })
    }
}

/// When each subject was last told of.
#[derive(Debug)]
struct Seldom<K>(Mutex<BTreeMap<K, Instant>>);

impl<K: Ord> Seldom<K> {
    /// Whether the log is to tell of this subject now.
    fn is_due(&self, subject: K, now: Instant) -> bool {
        let mut told = self.0.lock();
        if told.get(&subject).is_some_and(|last| now - *last < PAUSE) {
            return false;
        }
        if told.len() >= REMEMBERED {
            told.retain(|_, last| now - *last < PAUSE);
            if told.len() >= REMEMBERED {
                told.pop_first();
            }
        }
        told.insert(subject, now);
        true
    }
}

impl<K> Default for Seldom<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_told_of_once_a_minute_and_others_do_not_wait_for_it() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let is_due =
            |subject: u32, second| seldom.is_due(subject, start + Duration::from_secs(second));
        assert!(is_due(1, 0) && is_due(2, 0));
        assert!(!is_due(1, 59) && is_due(3, 59));
        assert!(is_due(1, 60) && !is_due(1, 61));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (seldom, now) = (Seldom::default(), Instant::now());
        (0..REMEMBERED + 200).for_each(|subject| assert!(seldom.is_due(subject, now)));
        assert!(seldom.0.lock().len() <= REMEMBERED);
    }
}
