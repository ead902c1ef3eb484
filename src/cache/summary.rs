//! What the cache holds, in a few words.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _};

use super::scan::count_leads;
use super::{Cache, Error};
use crate::lead::parse_time;

/// How far a scan came that did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Steps that are done: ids of leads, or files of bulk extract.
    pub done: u64,
    /// All steps, as far as it was known when the scan began.
    pub expected: Option<u64>,
}

/// How far the activity log was read for the leads in groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Causes {
    /// For each of them, or nobody wrote down anything else.
    #[default]
    Known,
    /// The reading of it was begun, or was to begin, and did not end.
    Unfinished,
    /// The scan was asked not to read it.
    NotAsked,
    /// The API user may not read it.
    Denied,
}

impl Causes {
    fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Unfinished => "unfinished",
            Self::NotAsked => "not_asked",
            Self::Denied => "denied",
        }
    }

    fn of(text: Option<&str>) -> Self {
        let all = [Self::Unfinished, Self::NotAsked, Self::Denied];
        all.into_iter().find(|causes| Some(causes.as_str()) == text).unwrap_or_default()
    }
}

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
    /// When the last complete scan began: what changed since then it may not have seen. None where
    /// it read a file.
    pub refresh_from: Option<DateTime<Utc>>,
    /// The fields that the last complete scan read; none before there is one, or where an earlier
    /// format kept it.
    pub fields: Option<Vec<String>>,
    /// How the scan reads that was begun and did not end.
    pub running: Option<String>,
    /// How far that one came; none where it does not count its steps.
    pub reached: Option<Reached>,
    /// What is known of how the leads in groups came to be.
    pub causes: Causes,
    /// The rule by which the keys are computed; empty before the first scan.
    pub key_signature: String,
}

impl Cache {
    /// Writes down how far the activity log was read.
    pub fn note_causes(&mut self, causes: Causes) -> Result<(), Error> {
        self.write(|db| db.execute("UPDATE meta SET causes = ?1", [causes.as_str()]).map(drop))
    }

    /// What it holds.
    pub fn summary(&self) -> Result<Summary, Error> {
        self.read(|db| {
            let leads = count_leads(db)?;
            let running: Option<String> =
                db.query_row("SELECT strategy FROM running", [], |row| row.get(0)).optional()?;
            let reached = reached(db, running.as_deref())?;
            db.query_row(
                "SELECT instance, scanned_at, strategy, key_signature, refresh_from, fields, file, causes FROM meta",
                [],
                |row| {
                    let scanned_at: Option<String> = row.get(1)?;
                    let refresh_from: Option<String> = row.get(4)?;
                    let fields: Option<String> = row.get(5)?;
                    let causes: Option<String> = row.get(7)?;
                    Ok(Summary {
                        instance: row.get(0)?,
                        complete: running.is_none() && scanned_at.is_some(),
                        scanned_at: scanned_at.as_deref().and_then(parse_time),
                        leads,
                        strategy: row.get(2)?,
                        key_signature: row.get(3)?,
                        fields: fields.and_then(|fields| serde_json::from_str(&fields).ok()),
                        running,
                        reached,
                        causes: Causes::of(causes.as_deref()),
                        file: row.get(6)?,
                        refresh_from: refresh_from.as_deref().and_then(parse_time),
                    })
                },
            )
        })
    }
}

/// How far the scan under way came, by its cursor, or by the windows that are loaded.
fn reached(db: &Connection, running: Option<&str>) -> rusqlite::Result<Option<Reached>> {
    let of = |done: i64, expected: Option<i64>| Reached {
        done: done.unsigned_abs(),
        expected: expected.map(i64::unsigned_abs),
    };
    match running {
        Some("pages") => db.query_row("SELECT cursor, expected FROM running", [], |row| {
            let next: Option<i64> =
                row.get::<_, Option<String>>(0)?.and_then(|next| next.parse().ok());
            Ok(Some(of(next.map_or(0, |next| next - 1), row.get(1)?)))
        }),
        Some("bulk") => db.query_row("SELECT count(bytes), count(*) FROM export_job", [], |row| {
            let windows: i64 = row.get(1)?;
            Ok(Some(of(row.get(0)?, Some(windows).filter(|windows| *windows > 0))))
        }),
        _ => Ok(None),
    }
}
