//! Totals of complete scans on their way into the ledger, which another process may have open.
//!
//! Never: looks into them.

use rusqlite::params;

use super::{Cache, Error};

impl Cache {
    /// Keeps the totals of the last complete scan, as JSON, until [`Cache::forget_totals`]. A scan
    /// has one.
    pub fn keep_totals(&mut self, body: &str) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR REPLACE INTO waiting_totals (id, body) \
                 SELECT instance || ' ' || scanned_at || ' ' || scans, ?1 FROM meta WHERE scanned_at IS NOT NULL",
                params![body],
            )
            .map(drop)
        })
    }

    /// The totals that wait, each under the id of its scan, the earliest scan first.
    pub fn waiting_totals(&self) -> Result<Vec<(String, String)>, Error> {
        self.read(|db| {
            let mut statement = db.prepare("SELECT id, body FROM waiting_totals ORDER BY rowid")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// Forgets totals that are in the ledger now.
    pub fn forget_totals(&mut self, id: &str) -> Result<(), Error> {
        self.write(|db| db.execute("DELETE FROM waiting_totals WHERE id = ?1", [id]).map(drop))
    }
}
