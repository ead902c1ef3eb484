//! What looks have said so far, over all runs.
//!
//! For: how an instance names things is learnt from what it showed before. Never: knows what is in
//! a body; whoever kept it names the paths.

use std::collections::BTreeMap;

use rusqlite::params;

use super::WitnessKind;
use crate::ledger::backup::json;
use crate::ledger::{CallId, Error, Ledger};

impl Ledger {
    /// What the last look of a kind showed of each of these calls: its verdict and the SHA-256 of
    /// the body.
    pub fn last_witness(
        &self,
        kind: WitnessKind,
        calls: &[CallId],
    ) -> Result<BTreeMap<CallId, (String, String)>, Error> {
        let calls = json(&calls.iter().map(|call| call.0).collect::<Vec<_>>())?;
        self.read(|db| {
            db.prepare_cached(
                "SELECT witness.call, verdict, sha256, max(look)
                 FROM json_each(?2) AS asked JOIN witness ON witness.call = asked.value
                 JOIN witness_look ON witness_look.id = look AND kind = ?1
                 GROUP BY witness.call",
            )?
            .query_map(params![kind.as_str(), calls], |row| {
                Ok((CallId(row.get(0)?), (row.get(1)?, row.get(2)?)))
            })?
            .collect()
        })
    }

    /// The texts that the bodies of looks have at one path, each once, where another path is true.
    pub fn witness_says(
        &self,
        kind: WitnessKind,
        path: &str,
        flag: &str,
    ) -> Result<Vec<String>, Error> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT DISTINCT CAST(json_extract(body, ?2) AS TEXT)
                 FROM witness JOIN witness_look ON witness_look.id = look
                 WHERE kind = ?1 AND json_extract(body, ?3) = 1
                     AND json_extract(body, ?2) IS NOT NULL",
            )?
            .query_map(params![kind.as_str(), path, flag], |row| row.get(0))?
            .collect()
        })
    }
}
