//! Looking leads up on behalf of a caller, with its own token.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded;

use super::Proxy;
use super::call::{Answered, Order, Refusal, Said};
use super::caller::Caller;
use super::incoming::key_of;
use crate::guard::lease::Leases;
use crate::lead::Lead;
use crate::marketo::{BATCH, Kind, Slot};

/// How long Marketo lets a look-up run.
const LIMIT: Duration = Duration::from_secs(60);

/// Longer URIs are refused with 414 from 8 KB on; such a query travels in a form body.
const QUERY_BYTES: usize = 7_000;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By key, and by id within it.
    leads: BTreeMap<String, Vec<Lead>>,
    /// The keys as they are found whatever their case: how many there are of each.
    spellings: BTreeMap<String, BTreeSet<String>>,
    pub(super) request_id: Option<Arc<str>>,
    clock: Option<MarketosClock>,
}

impl Found {
    /// The leads that have a key.
    pub(super) fn of(&self, key: &str) -> &[Lead] {
        self.leads.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether leads were found whose key differs from this one in case alone: only Marketo knows
    /// whether they are meant.
    pub(super) fn differs_in_case(&self, key: &str) -> bool {
        self.spellings
            .get(&key.to_lowercase())
            .is_some_and(|spelled| spelled.iter().any(|other| other != key))
    }

    /// Marketo's time of day at an earlier moment: no earlier than the first, and no later than the
    /// second.
    pub(super) fn marketos_time(&self, at: Instant) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let MarketosClock { date, asked, heard } = self.clock?;
        let until =
            |then: Instant| chrono::Duration::from_std(then.saturating_duration_since(at)).ok();
        // What the date leaves out of its second.
        let rest = chrono::Duration::seconds(1);
        Some((date - until(heard)?, date + rest - until(asked)?))
    }
}

/// The date that an answer bore, which was written at some moment between these two.
#[derive(Debug, Clone, Copy)]
struct MarketosClock {
    date: DateTime<Utc>,
    asked: Instant,
    heard: Instant,
}

impl<L: Leases> Proxy<L> {
    /// The leads whose `field` has one of these keys, with some of their fields.
    pub(super) async fn look_up(
        &self,
        caller: &Caller,
        field: &str,
        keys: &BTreeSet<&str>,
        fields: &BTreeSet<&str>,
        mut slot: Option<Slot>,
    ) -> Result<Found, Refusal> {
        let keys: Vec<&str> = keys.iter().copied().collect();
        let mut chunks: Vec<&[&str]> = keys.chunks(BATCH).rev().collect();
        let mut found = Found::default();
        while let Some(chunk) = chunks.pop() {
            match self.pages(caller, field, chunk, fields, slot.take(), &mut found).await {
                // Over 1,000 leads match: fewer keys at a time.
                Err(refusal) if &*refusal.code == "1003" && chunk.len() > 1 => {
                    let (first, second) = chunk.split_at(chunk.len() / 2);
                    chunks.extend([second, first]);
                }
                other => other?,
            }
        }
        if let Some(slot) = slot {
            slot.unused();
        }
        Ok(found)
    }

    async fn pages(
        &self,
        caller: &Caller,
        field: &str,
        keys: &[&str],
        fields: &BTreeSet<&str>,
        mut slot: Option<Slot>,
        found: &mut Found,
    ) -> Result<(), Refusal> {
        let fields: BTreeSet<&str> = fields.iter().copied().chain(["id", field]).collect();
        let fields: Vec<&str> = fields.into_iter().collect();
        let mut token = None;
        loop {
            let query = query(field, keys, &fields, token.as_deref());
            let in_body = query.len() > QUERY_BYTES;
            let order = Order {
                user: &caller.user,
                headers: &caller.headers,
                kind: Kind::Read,
                method: if in_body { Method::POST } else { Method::GET },
                target: format!(
                    "/rest/v1/leads.json?{}",
                    if in_body { "_method=GET" } else { &query }
                ),
                content_type: in_body.then_some("application/x-www-form-urlencoded"),
                body: if in_body { query.into() } else { Bytes::new() },
                limit: LIMIT,
            };
            match self.call(&order, &mut [], slot.take()).await {
                Said::Rows(page) => {
                    token.clone_from(&page.next);
                    // That a lead is missing decides what is written: an answer that cannot be read
                    // is no answer.
                    if found.add(field, page).is_none() {
                        return Err(self.refusal("608", "API Temporarily Unavailable"));
                    }
                }
                Said::Refused(refusal) => return Err(refusal),
                // A read is never left open, and takes no rights.
                Said::Unclear { .. } | Said::RightsLost => {
                    return Err(self.refusal("608", "API Temporarily Unavailable"));
                }
            }
            if token.is_none() {
                return Ok(());
            }
        }
    }
}

impl Found {
    /// Adds a page; none where one of its rows is no lead.
    fn add(&mut self, field: &str, page: Answered) -> Option<()> {
        for row in &page.rows {
            let lead = lead(row)?;
            let value = if field == "id" { row.get("id") } else { lead.value(field) };
            let key = value.and_then(|value| key_of(field, value));
            if let Some(key) = &key {
                self.spellings.entry(key.to_lowercase()).or_default().insert(key.clone());
            }
            let leads = key.map(|key| self.leads.entry(key).or_default());
            if let Some(leads) = leads.filter(|leads| leads.iter().all(|known| known.id != lead.id))
            {
                leads.push(lead);
            }
        }
        self.request_id = Some(page.request_id);
        let (asked, heard) = (page.sent_at, Instant::now());
        let clock =
            page.date.as_ref().and_then(date).map(|date| MarketosClock { date, asked, heard });
        self.clock = clock.or(self.clock);
        Some(())
    }
}

fn query(field: &str, keys: &[&str], fields: &[&str], token: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("filterType", field).append_pair("filterValues", &keys.join(","));
    query.append_pair("fields", &fields.join(",")).append_pair("batchSize", &BATCH.to_string());
    if let Some(token) = token {
        query.append_pair("nextPageToken", token);
    }
    query.finish()
}

fn lead(row: &Value) -> Option<Lead> {
    let id = row.get("id")?;
    let mut lead = Lead::new(id.as_u64().or_else(|| id.as_str()?.parse().ok())?);
    for (name, value) in row.as_object()?.iter().filter(|(name, _)| *name != "id") {
        lead.set(name, value.clone());
    }
    Some(lead)
}

/// The time of a `Date` header.
fn date(header: &HeaderValue) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(header.to_str().ok()?).ok().map(|date| date.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn marketos_time_is_known_no_better_than_its_answer_tells() {
        let called = Instant::now();
        tokio::time::advance(Duration::from_secs(4)).await;
        let asked = Instant::now();
        // The answer took three seconds, and nobody knows where.
        tokio::time::advance(Duration::from_secs(3)).await;
        let page = Answered {
            request_id: "1#2".into(),
            rows: Vec::new(),
            warnings: Arc::new([]),
            next: None,
            sent_at: asked,
            date: Some(HeaderValue::from_static("Tue, 24 Nov 2026 12:00:10 GMT")),
        };
        let mut found = Found::default();
        found.add("email", page).unwrap();
        let at = |second| {
            date(&HeaderValue::try_from(format!("Tue, 24 Nov 2026 12:00:{second:02} GMT")).unwrap())
        };
        let (earliest, latest) = found.marketos_time(called).unwrap();
        assert_eq!((Some(earliest), Some(latest)), (at(3), at(7)));
    }
}
