//! Merges after which nobody has looked for opt-outs that came while they ran, and for memberships.
//!
//! For: a run that is killed leaves them to the next one. Never: forgets one that was not looked
//! at.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::{Error, Ledger};
use crate::lead::LeadId;

/// A merge that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwatched {
    /// Its plan.
    pub plan: String,
    /// The key of its group.
    pub key: String,
    /// The lead that stayed.
    pub survivor: LeadId,
    /// The leads that are gone.
    pub gone: Vec<LeadId>,
    /// When its call was about to leave.
    pub left_at: Option<DateTime<Utc>>,
}

impl Ledger {
    /// The merges after which Marketo's log was not read to its end, or memberships were not looked
    /// for; the oldest first.
    pub fn unwatched_merges(&self) -> Result<Vec<Unwatched>, Error> {
        type Row = (String, String, i64, String, Option<String>);
        let rows: Vec<Row> = self.read(|db| {
            db.prepare(
                "SELECT call.plan, call.key, verified.survivor, verified.merged,
                     (SELECT min(at) FROM journal WHERE journal.call = call.id AND event = 'started')
                 FROM journal AS verified JOIN call ON call.id = verified.call
                 WHERE verified.event = 'verified' AND verified.survivor IS NOT NULL AND call.kind = 'merge'
                     AND verified.seq > (SELECT max(journal) FROM late_read)
                 ORDER BY verified.seq",
            )?
            .query_map([], |row| row.try_into())?
            .collect()
        })?;
        rows.into_iter()
            .map(|(plan, key, survivor, merged, left_at)| {
                let gone = serde_json::from_str(&merged).map_err(|error| Error::Damaged {
                    what: format!("a verified merge: {error}"),
                })?;
                let left_at = left_at.and_then(|at| at.parse().ok());
                Ok(Unwatched { plan, key, survivor: survivor.cast_unsigned(), gone, left_at })
            })
            .collect()
    }

    /// Marketo's log was read for all merges that are settled by now, as far as it can be, and
    /// their memberships were looked for.
    pub fn late_consent_seen(&mut self, at: &str) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO late_read (journal, at) SELECT coalesce(max(seq), 0), ?1 FROM journal",
                params![at],
            )?;
            Ok(())
        })
    }
}
