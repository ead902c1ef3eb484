//! What looks have said so far, over all runs.
//!
//! For: how an instance names things is learnt from what it showed before. Never: knows what is in
//! a body; whoever kept it names the paths.

use rusqlite::params;

use super::WitnessKind;
use crate::ledger::{Error, Ledger};

impl Ledger {
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
