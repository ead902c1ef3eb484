//! Guarded writes in flight: written down before they leave, so that a run that follows a killed
//! one knows how long to wait before it looks.

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{OptionalExtension as _, params};

use super::{Error, Ledger};

/// The ledger's number of a guarded write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpsertId(i64);

/// Guarded writes that nothing is known of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpserts {
    /// The calls.
    pub calls: Vec<UpsertId>,
    /// When the last of them left, or later.
    pub last_sent_at: DateTime<Utc>,
}

impl Ledger {
    /// Writes down, synced to disk, that a guarded write is about to leave.
    pub fn begin_upsert(&mut self, at: DateTime<Utc>) -> Result<UpsertId, Error> {
        self.write(|db| {
            db.execute("INSERT INTO upsert_call (sent_at) VALUES (?1)", params![text(at)])?;
            Ok(UpsertId(db.last_insert_rowid()))
        })
    }

    /// Writes down that a guarded write cannot change anything any more.
    pub fn end_upsert(&mut self, id: UpsertId, at: DateTime<Utc>) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO upsert_end (call, ended_at) VALUES (?1, ?2)",
                params![id.0, text(at)],
            )?;
            Ok(())
        })
    }

    /// The guarded writes of earlier runs that may still be in flight.
    pub fn open_upserts(&self) -> Result<Option<OpenUpserts>, Error> {
        const OPEN: &str =
            "SELECT id FROM upsert_call WHERE id NOT IN (SELECT call FROM upsert_end) ORDER BY id";
        let calls: Vec<UpsertId> = self.read(|db| {
            let mut rows = db.prepare(OPEN)?;
            rows.query_map([], |row| row.get(0).map(UpsertId))?.collect()
        })?;
        let Some(last) = calls.last() else { return Ok(None) };
        let sent_at: Option<String> = self.read(|db| {
            db.query_row("SELECT sent_at FROM upsert_call WHERE id = ?1", [last.0], |row| {
                row.get(0)
            })
            .optional()
        })?;
        let sent_at = sent_at.and_then(|text| text.parse().ok());
        let damaged = || Error::Damaged { what: format!("upsert {} has no time", last.0) };
        let last_sent_at = sent_at.ok_or_else(damaged)?;
        Ok(Some(OpenUpserts { calls, last_sent_at }))
    }
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::super::Ledger;
    use super::OpenUpserts;

    #[test]
    fn a_write_that_was_begun_and_not_ended_is_found_by_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let at = |second: &str| format!("2026-01-01T00:00:{second}Z").parse().unwrap();
        let mut ledger = Ledger::open(&path, "example").unwrap();
        let answered = ledger.begin_upsert(at("01")).unwrap();
        let lost = ledger.begin_upsert(at("02")).unwrap();
        ledger.end_upsert(answered, at("03")).unwrap();
        drop(ledger);
        let mut ledger = Ledger::open(&path, "example").unwrap();
        assert_eq!(
            ledger.open_upserts().unwrap(),
            Some(OpenUpserts { calls: vec![lost], last_sent_at: at("02") })
        );
        ledger.end_upsert(lost, at("59")).unwrap();
        assert_eq!(ledger.open_upserts().unwrap(), None);
    }
}
