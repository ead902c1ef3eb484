//! Which groups a report is about.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::dedupe::{Cause, Group, normalise};
use crate::lead::Lead;

/// The flags that narrow a report. Totals count what passes them, too.
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
    /// Only the group of this address.
    pub email: Option<String>,
}

impl Filter {
    /// Whether it leaves nothing out.
    pub(super) fn is_of_everything(&self) -> bool {
        let Self { cause, min_size, since, domain, email } = self;
        cause.is_none() && *min_size <= 2 && since.is_none() && domain.is_none() && email.is_none()
    }

    /// Whether a group passes, its cause aside.
    pub(super) fn passes(&self, group: &Group) -> bool {
        group.leads.len() >= self.min_size
            && self.since.is_none_or(|since| newest(&group.leads).is_some_and(|newest| newest >= since))
            && self.domain.as_deref().is_none_or(|domain| has_domain(group, domain))
            && self.email.as_deref().is_none_or(|email| has_email(group, email))
    }
}

fn newest(leads: &[Lead]) -> Option<DateTime<Utc>> {
    leads.iter().filter_map(Lead::created_at).max()
}

fn has_domain(group: &Group, domain: &str) -> bool {
    let Some(domain) = normalise(domain.trim_start_matches('@')) else { return false };
    emails(group).any(|email| email.rsplit_once('@').is_some_and(|(_, of)| of == domain))
}

fn has_email(group: &Group, email: &str) -> bool {
    normalise(email).is_some_and(|wanted| emails(group).any(|email| email == wanted))
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
