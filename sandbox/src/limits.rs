//! Who comes in: token, rate, concurrency, the day's quota; and the count of what came.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::America::Chicago;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{Refused, refused};
use super::options::Options;

/// The API-only user that the sandbox's credentials belong to.
const API_USER: &str = "mkto-audit@api.example.com";

/// The API-only user of a client id: an integration of its own has `.NAME` behind the sandbox's.
pub(super) fn api_user(client_id: &str, given: &str) -> Option<String> {
    match given.strip_prefix(client_id)? {
        "" => Some(API_USER.to_owned()),
        rest => {
            let name = rest.strip_prefix('.').filter(|name| !name.is_empty())?;
            name.chars()
                .all(|c| c.is_ascii_alphanumeric())
                .then(|| format!("{name}@api.example.com"))
        }
    }
}

/// Limits and counters. Shared by everybody who calls, as Marketo's are by all integrations.
#[derive(Debug)]
pub(super) struct Limits {
    rate_limit: usize,
    rate_window: Duration,
    concurrency: usize,
    daily_quota: u64,
    arrivals: VecDeque<Instant>,
    in_flight: usize,
    day: Option<NaiveDate>,
    calls_today: BTreeMap<String, u64>,
    errors_today: BTreeMap<String, u64>,
    /// Since the start, by `METHOD /path/{id}`.
    calls: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
    most_in_flight: usize,
}

impl Limits {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            rate_limit: options.rate_limit,
            rate_window: options.rate_window,
            concurrency: options.concurrency,
            daily_quota: options.daily_quota,
            arrivals: VecDeque::new(),
            in_flight: 0,
            day: None,
            calls_today: BTreeMap::new(),
            errors_today: BTreeMap::new(),
            calls: BTreeMap::new(),
            errors: BTreeMap::new(),
            most_in_flight: 0,
        }
    }

    /// Lets a call in, or says why not. Whoever is let in must be let out.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        today: DateTime<Utc>,
        user: &str,
        endpoint: String,
    ) -> Result<(), Refused> {
        let day = today.with_timezone(&Chicago).date_naive();
        if self.day != Some(day) {
            self.day = Some(day);
            self.calls_today.clear();
            self.errors_today.clear();
        }
        *self.calls.entry(endpoint).or_default() += 1;
        while self.arrivals.front().is_some_and(|arrival| *arrival + self.rate_window <= now) {
            self.arrivals.pop_front();
        }
        // A call that is turned away counts all the same; that is the harder reading.
        self.arrivals.push_back(now);
        let total: u64 = self.calls_today.values().sum();
        *self.calls_today.entry(user.to_owned()).or_default() += 1;
        if total >= self.daily_quota {
            return Err(refused("607", "Daily quota reached"));
        }
        if self.arrivals.len() > self.rate_limit {
            let seconds = self.rate_window.as_secs();
            return Err(refused(
                "606",
                format!("Max rate limit '{}' exceeded with in '{seconds}' secs", self.rate_limit),
            ));
        }
        if self.in_flight >= self.concurrency {
            return Err(refused(
                "615",
                format!("Concurrent access limit reached: {}", self.concurrency),
            ));
        }
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn count_error(&mut self, code: &str) {
        *self.errors_today.entry(code.to_owned()).or_default() += 1;
        *self.errors.entry(code.to_owned()).or_default() += 1;
    }

    /// `stats/usage.json`
    pub(super) fn usage(&self) -> Value {
        let users: Vec<Value> = self
            .calls_today
            .iter()
            .map(|(user, count)| json!({"userId": user, "count": count}))
            .collect();
        let total: u64 = self.calls_today.values().sum();
        json!({"date": self.day.map(|day| day.to_string()), "total": total, "users": users})
    }

    /// `stats/errors.json`
    pub(super) fn error_usage(&self) -> Value {
        let errors: Vec<Value> = self
            .errors_today
            .iter()
            .map(|(code, count)| json!({"errorCode": code, "count": count}))
            .collect();
        let total: u64 = self.errors_today.values().sum();
        json!({"date": self.day.map(|day| day.to_string()), "total": total, "errors": errors})
    }

    /// Calls since the start, by endpoint.
    pub(super) fn calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// Refusals since the start, by code.
    pub(super) fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }
}

/// The access tokens: one for each client id, the same until it expires.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// By API user.
    current: BTreeMap<String, Token>,
    expired: Vec<String>,
    made: u64,
}

#[derive(Debug)]
struct Token {
    text: String,
    expires: Instant,
}

impl Tokens {
    /// The user's token and the seconds that it has left.
    pub(super) fn issue(
        &mut self,
        user: &str,
        now: Instant,
        life: Duration,
        seed: u64,
    ) -> (String, u64) {
        if self.current.get(user).is_some_and(|token| token.expires <= now) {
            self.expired.extend(self.current.remove(user).map(|token| token.text));
        }
        let made = &mut self.made;
        let token = self.current.entry(user.to_owned()).or_insert_with(|| {
            *made += 1;
            let number = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ *made;
            Token { text: format!("{number:016x}-sandbox-{made}:ab"), expires: now + life }
        });
        (token.text.clone(), (token.expires - now).as_secs())
    }

    /// Whose token a header bears where it is good; else why not.
    pub(super) fn check(
        &self,
        authorization: Option<&str>,
        now: Instant,
    ) -> Result<String, Refused> {
        let Some(header) = authorization else {
            return Err(refused("603", "Access denied: no access token"));
        };
        let Some(given) = header.strip_prefix("Bearer ").map(str::trim) else {
            return Err(refused("601", "Access token invalid"));
        };
        match self.current.iter().find(|(_, token)| token.text == given) {
            Some((user, token)) if token.expires > now => Ok(user.clone()),
            Some(_) => Err(refused("602", "Access token expired")),
            None if self.expired.iter().any(|text| text == given) => {
                Err(refused("602", "Access token expired"))
            }
            None => Err(refused("601", "Access token invalid")),
        }
    }
}
