//! Who was put on static lists and taken off them, by Marketo's log.
//!
//! Marketo keeps *Add to List* for 90 days. Never: concludes anything from a row that is missing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Client, Error, ReadActivities, Result};
use crate::lead::LeadId;

/// More pages than any log has: beyond it the pages lead nowhere.
const PAGES: usize = 200_000;

/// Most leads that one call for activities takes.
const LEADS: usize = 30;

/// The names of the types; their numbers are looked up.
const ADDED: &str = "Add to List";
const REMOVED: &str = "Remove from List";

/// A lead was put on a static list, or taken off it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListChange {
    /// The lead, or whom it was merged into since.
    pub lead: LeadId,
    /// The list.
    pub list: u64,
    /// Whether it was put on it.
    pub added: bool,
    /// When, to the second.
    pub at: Option<DateTime<Utc>>,
}

impl Client {
    /// What the log says of these leads on static lists since then, by time. Up to 30 leads are
    /// asked for by id; for more the log is read whole.
    pub async fn list_changes_since(
        &self,
        since: DateTime<Utc>,
        leads: &BTreeSet<LeadId>,
    ) -> Result<Vec<ListChange>> {
        if leads.is_empty() {
            return Ok(Vec::new());
        }
        let types = self.activity_types().await?;
        let number = |name: &str| {
            types
                .iter()
                .find(|kind| kind.name.trim().eq_ignore_ascii_case(name))
                .map(|kind| kind.id)
        };
        let (added, removed) = (number(ADDED), number(REMOVED));
        let kinds: Vec<u32> = added.into_iter().chain(removed).collect();
        if kinds.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<LeadId> =
            if leads.len() > LEADS { Vec::new() } else { leads.iter().copied().collect() };
        let mut token = self.paging_token(since).await?;
        let mut changes = Vec::new();
        for _ in 0..PAGES {
            let page = self.activities(&token, &kinds, &asked).await?;
            let rows = page.activities.iter().filter(|row| leads.contains(&row.lead));
            changes.extend(rows.filter_map(|row| {
                let added = if Some(row.kind) == added {
                    true
                } else if Some(row.kind) == removed {
                    false
                } else {
                    return None;
                };
                Some(ListChange { lead: row.lead, list: row.primary?, added, at: row.at })
            }));
            if !page.more {
                changes.sort_by_key(|change| (change.at, change.lead, change.list, change.added));
                return Ok(changes);
            }
            token = page.next;
        }
        Err(Error::Answer {
            call: "GET /rest/v1/activities.json".to_owned(),
            what: format!("it has more than {PAGES} pages and no end"),
            request_id: None,
        })
    }
}
