//! What the cache holds, in a few words.

use chrono::{DateTime, Utc};
use rusqlite::OptionalExtension as _;

use super::{Cache, Error};
use crate::lead::parse_time;

/// What the cache holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The instance that it belongs to.
    pub instance: String,
    /// When the last complete scan ended; none before there is one.
    pub scanned_at: Option<DateTime<Utc>>,
    /// Leads in it.
    pub leads: u64,
    /// Whether it is the whole of a scan: one was completed, and none was begun since.
    pub complete: bool,
    /// How the last complete scan read.
    pub strategy: Option<String>,
    /// The file that the leads were read from; none where they are the instance's own.
    pub file: Option<String>,
    /// When the last complete scan began: what changed since then it may not have seen. None where it read a file.
    pub refresh_from: Option<DateTime<Utc>>,
    /// The fields that the last complete scan read; none before there is one, or where an earlier format kept it.
    pub fields: Option<Vec<String>>,
    /// How the scan reads that was begun and did not end.
    pub running: Option<String>,
    /// The rule by which the keys are computed; empty before the first scan.
    pub key_signature: String,
}

impl Cache {
    /// What it holds.
    pub fn summary(&self) -> Result<Summary, Error> {
        self.read(|db| {
            let leads: i64 = db.query_row("SELECT count(*) FROM lead", [], |row| row.get(0))?;
            let running: Option<String> =
                db.query_row("SELECT strategy FROM running", [], |row| row.get(0)).optional()?;
            db.query_row(
                "SELECT instance, scanned_at, strategy, key_signature, refresh_from, fields, file FROM meta",
                [],
                |row| {
                    let scanned_at: Option<String> = row.get(1)?;
                    let refresh_from: Option<String> = row.get(4)?;
                    let fields: Option<String> = row.get(5)?;
                    Ok(Summary {
                        instance: row.get(0)?,
                        complete: running.is_none() && scanned_at.is_some(),
                        scanned_at: scanned_at.as_deref().and_then(parse_time),
                        leads: leads.unsigned_abs(),
                        strategy: row.get(2)?,
                        key_signature: row.get(3)?,
                        fields: fields.and_then(|fields| serde_json::from_str(&fields).ok()),
                        running,
                        file: row.get(6)?,
                        refresh_from: refresh_from.as_deref().and_then(parse_time),
                    })
                },
            )
        })
    }
}
