//! What merges did to their survivors, as it was seen.
//!
//! Never: a verdict of its own. Those who settle a merge write down what they saw.

use rusqlite::params;

use super::{CallId, Error, Ledger, RunId};
use crate::lead::LeadId;

/// What was seen of one merge call's survivor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The ledger's number of the call.
    pub call: u64,
    /// The key of its group.
    pub key: String,
    /// The lead that stayed.
    pub survivor: LeadId,
    /// JSON, as it was handed in.
    pub body: String,
}

impl Ledger {
    /// Keeps what was seen of a call's survivor; a later one takes its place.
    pub fn keep_proof(&mut self, call: CallId, body: &str, at: &str) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO proof (call, body, at) VALUES (?1, ?2, ?3)",
                params![call.0, body, at],
            )?;
            Ok(())
        })
    }

    /// What was seen of the settled calls of a run, in the order of the calls.
    pub fn proofs_of(&self, run: RunId) -> Result<Vec<Proof>, Error> {
        self.read(|db| {
            db.prepare(
                "WITH bounded AS (
                     SELECT id, after_call, lead(after_call, 1, 9223372036854775807) OVER (ORDER BY id) AS last_call
                     FROM run)
                 SELECT call.id, call.key, seen.survivor, proof.body
                 FROM bounded
                 JOIN call ON call.id > after_call AND call.id <= last_call AND call.kind = 'merge'
                 JOIN journal AS seen ON seen.call = call.id AND seen.event = 'verified' AND seen.survivor IS NOT NULL
                 JOIN proof ON proof.seq = (SELECT max(seq) FROM proof WHERE proof.call = call.id)
                 WHERE bounded.id = ?1 ORDER BY call.id",
            )?
            .query_map([run.0], |row| {
                let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
                Ok(Proof {
                    call: number(0)?,
                    key: row.get(1)?,
                    survivor: number(2)?,
                    body: row.get(3)?,
                })
            })?
            .collect()
        })
    }

    /// Whether a call of this run is not settled, so that its certificate may still change.
    pub fn has_open_calls(&self, run: RunId) -> Result<bool, Error> {
        self.read(|db| {
            db.query_row(
                "WITH bounded AS (
                     SELECT id, after_call, lead(after_call, 1, 9223372036854775807) OVER (ORDER BY id) AS last_call
                     FROM run)
                 SELECT EXISTS (
                     SELECT 1 FROM bounded JOIN call ON call.id > after_call AND call.id <= last_call
                     WHERE bounded.id = ?1 AND call.kind = 'merge' AND
                         (SELECT event FROM journal WHERE journal.call = call.id ORDER BY seq DESC LIMIT 1)
                             IN ('started', 'accepted', 'refused', 'unknown'))",
                [run.0],
                |row| row.get(0),
            )
        })
    }
}
