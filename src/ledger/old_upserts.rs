//! Guarded writes that a version before leases left open.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _};

use super::open::unlocked;
use super::{Error, Ledger};

impl Ledger {
    /// The same as [`Ledger::old_upserts_left_before`], of a ledger that a merge may have open. A
    /// process of this version has it then, or else it is in use: one of an older version may have
    /// writes under way that are in no lease store.
    pub fn old_upserts_of(path: &Path, instance: &str) -> Result<Option<DateTime<Utc>>, Error> {
        match Self::open(path, instance) {
            Ok(ledger) => ledger.old_upserts_left_before(),
            Err(in_use @ Error::InUse { .. }) => match unlocked(path, instance) {
                Some(db) => {
                    let at = left_before(&db).map_err(|_unread| in_use)?;
                    at.map(|at| read_time(&at)).transpose()
                }
                None => Err(in_use),
            },
            Err(error) => Err(error),
        }
    }

    /// When the last guarded write had left that an older version knew no outcome of; none where it
    /// left none open. Marketo's time limit for it counts from then.
    pub fn old_upserts_left_before(&self) -> Result<Option<DateTime<Utc>>, Error> {
        self.read(left_before)?.map(|at| read_time(&at)).transpose()
    }
}

fn left_before(db: &Connection) -> rusqlite::Result<Option<String>> {
    db.query_row("SELECT at FROM left_before", [], |row| row.get(0)).optional()
}

fn read_time(at: &str) -> Result<DateTime<Utc>, Error> {
    at.parse().map_err(|error: chrono::ParseError| Error::Damaged {
        what: format!("the time of older upserts: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::{TimeDelta, Utc};

    use super::super::open::of_format_six;
    use super::super::{Error, Ledger};

    const OPEN: &str = "INSERT INTO upsert_call (id, sent_at) VALUES (1, '2026-01-01T00:00:01.000Z'), \
                        (2, '2026-01-01T00:00:02.000Z'); \
                        INSERT INTO upsert_end (call, ended_at) VALUES (1, '2026-01-01T00:00:03.000Z');";

    fn older(folder: &Path, rows: &str) -> std::path::PathBuf {
        let path = folder.join("ledger.db");
        of_format_six(&path, "example").execute_batch(rows).unwrap();
        path
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the migration reads SQLite's clock")]
    fn what_an_older_version_left_open_left_before_the_ledger_was_first_opened_by_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = older(folder.path(), OPEN);
        let before = Utc::now();
        let at = Ledger::open(&path, "example").unwrap().old_upserts_left_before().unwrap();
        assert!(at.is_some_and(|at| (at - before).abs() < TimeDelta::seconds(5)), "{at:?}");
        // Opened again it is the same moment: what is waited for does not begin anew.
        let again = Ledger::open(&path, "example").unwrap().old_upserts_left_before().unwrap();
        assert_eq!(again, at);
    }

    #[test]
    fn where_an_older_version_left_nothing_open_there_is_nothing_to_wait_for() {
        let folder = tempfile::tempdir().unwrap();
        let ended = format!(
            "{OPEN} INSERT INTO upsert_end (call, ended_at) VALUES (2, '2026-01-01T00:00:04.000Z');"
        );
        for rows in ["", &ended] {
            let path = older(folder.path(), rows);
            let ledger = Ledger::open(&path, "example").unwrap();
            assert_eq!(ledger.old_upserts_left_before().unwrap(), None, "{rows}");
            drop(ledger);
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn while_an_older_version_has_the_ledger_nothing_of_it_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let running = of_format_six(&path, "example");
        running.execute_batch(OPEN).unwrap();
        let error = Ledger::open(&path, "example").unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
        let calls: i64 =
            running.query_row("SELECT count(*) FROM upsert_call", [], |row| row.get(0)).unwrap();
        assert_eq!(calls, 2);
        // Its calls may be under way, so nobody writes beside it.
        let beside = Ledger::old_upserts_of(&path, "example");
        assert!(matches!(beside, Err(Error::InUse { .. })), "{beside:?}");
    }

    #[test]
    fn while_this_version_has_the_ledger_it_is_known_beside_it_what_older_ones_left_open() {
        for rows in ["", OPEN] {
            let folder = tempfile::tempdir().unwrap();
            // Marks that a URI gives a meaning.
            let marked = folder.path().join("50% of? #1");
            std::fs::create_dir(&marked).unwrap();
            let path = older(&marked, rows);
            let running = Ledger::open(&path, "example").unwrap();
            let at = running.old_upserts_left_before().unwrap();
            assert_eq!(at.is_some(), !rows.is_empty());
            assert_eq!(Ledger::old_upserts_of(&path, "example").unwrap(), at, "{rows}");
            let other = Ledger::old_upserts_of(&path, "another");
            assert!(matches!(other, Err(Error::InUse { .. })), "{other:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("ledger.db");
        let _running = Ledger::open(&new, "example").unwrap();
        assert_eq!(Ledger::old_upserts_of(&new, "example").unwrap(), None);
    }
}
