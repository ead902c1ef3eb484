//! Which groups a report or a merge is about.
//!
//! For: one filter for both, so that what a report shows is what a merge with the same flags would
//! take. Never: reads a file or the cache.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::dedupe::{Cause, Group, KeySpec, Known, Policy, normalise};
use crate::lead::Lead;

/// The flags that narrow a report or a merge. Totals count what passes them, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only groups of this cause.
    pub cause: Option<Cause>,
    /// Only groups of at least so many leads.
    pub min_size: usize,
    /// Only groups that got another lead at or after this time: whose newest lead is no older.
    pub since: Option<DateTime<Utc>>,
    /// Only groups with an address of this domain; its subdomains are others.
    pub domain: Option<String>,
    /// Only groups of these addresses, which name them; `None` where none was asked for.
    pub emails: Option<Emails>,
}

/// Addresses by which groups are named, and under which of them a group was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Emails {
    /// Normalised, each with the first spelling that was given.
    given: BTreeMap<String, String>,
}

impl Emails {
    /// These addresses, however they are spelled; empty ones are none.
    pub fn of<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let mut given = BTreeMap::new();
        for address in addresses {
            if let Some(email) = normalise(address) {
                given.entry(email).or_insert_with(|| address.trim().to_owned());
            }
        }
        Self { given }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.given.len()
    }

    /// Whether there is none, which no group passes.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Those of the addresses that a group has, normalised.
    pub fn found_in<'s>(&'s self, group: &Group) -> impl Iterator<Item = &'s str> {
        let of_group: BTreeSet<String> = emails(group).collect();
        of_group
            .into_iter()
            .filter_map(|email| self.given.get_key_value(&email).map(|(email, _)| email.as_str()))
    }

    /// Those of the addresses that are not among the found ones, as they were given.
    pub fn without<'s>(&'s self, found: &BTreeSet<String>) -> Vec<&'s str> {
        self.given
            .iter()
            .filter(|(email, _)| !found.contains(*email))
            .map(|(_, given)| given.as_str())
            .collect()
    }
}

/// Which groups have to be looked at: every group that passes a filter has one of these keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Any.
    All,
    /// One of these.
    Of(BTreeSet<String>),
    /// An address of this domain.
    OfDomain(String),
}

impl Filter {
    /// Whether it leaves nothing out.
    pub fn is_of_everything(&self) -> bool {
        let Self { cause, min_size, since, domain, emails } = self;
        cause.is_none() && *min_size <= 2 && since.is_none() && domain.is_none() && emails.is_none()
    }

    /// The keys that a group must have to pass, where the key is the email.
    pub fn keys(&self, key: &KeySpec) -> Keys {
        if key.fields != ["email"] || key.within_partition {
            return Keys::All;
        }
        match (&self.emails, &self.domain) {
            (Some(emails), _) => Keys::Of(emails.given.keys().cloned().collect()),
            (None, Some(domain)) => normalised_domain(domain).map_or(Keys::All, Keys::OfDomain),
            (None, None) => Keys::All,
        }
    }

    /// What is known of a group of this cause that passes.
    pub fn known(&self, cause: Cause) -> Known {
        Known { cause: Some(cause), named: self.emails.is_some() }
    }

    /// The policy of a merge of what passes: who asks for forced inserts has named them.
    pub fn policy(&self, policy: Policy) -> Policy {
        let include_deliberate =
            policy.include_deliberate || self.cause == Some(Cause::CreateDuplicate);
        Policy { include_deliberate, ..policy }
    }

    /// Whether a group passes, its cause aside.
    pub fn passes(&self, group: &Group) -> bool {
        group.leads.len() >= self.min_size
            && self
                .since
                .is_none_or(|since| newest(&group.leads).is_some_and(|newest| newest >= since))
            && self.domain.as_deref().is_none_or(|domain| has_domain(group, domain))
            && self.emails.as_ref().is_none_or(|emails| emails.found_in(group).next().is_some())
    }
}

fn newest(leads: &[Lead]) -> Option<DateTime<Utc>> {
    leads.iter().filter_map(Lead::created_at).max()
}

fn has_domain(group: &Group, domain: &str) -> bool {
    let Some(domain) = normalised_domain(domain) else { return false };
    emails(group).any(|email| is_of_domain(&email, &domain))
}

fn normalised_domain(domain: &str) -> Option<String> {
    normalise(domain.trim_start_matches('@'))
}

/// Whether a normalised address is of a normalised domain.
fn is_of_domain(email: &str, domain: &str) -> bool {
    email.rsplit_once('@').is_some_and(|(_, of)| of == domain)
}

impl Keys {
    /// Whether this is one of them.
    pub fn has(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(keys) => keys.contains(key),
            Self::OfDomain(domain) => is_of_domain(key, domain),
        }
    }
}

fn emails(group: &Group) -> impl Iterator<Item = String> {
    group.leads.iter().filter_map(|lead| normalise(lead.email()?))
}

/// Text that is neither a date nor a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a date such as 2026-01-31 nor a time such as 2026-01-31T08:00:00Z")]
pub struct BadSince(pub String);

/// Reads a date, which stands for its first moment in UTC, or an RFC 3339 time.
pub fn parse_since(text: &str) -> Result<DateTime<Utc>, BadSince> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(date.and_time(NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.with_timezone(&Utc))
        .ok_or_else(|| BadSince(text.to_owned()))
}
