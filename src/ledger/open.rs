//! Opens the ledger: made or found, bound to its instance, locked, durable.
//!
//! Never: loosens a setting that a synced row rests on.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::{Error, Ledger};
use crate::sqlite::{Kind, OpenError, as_it_lies};

/// How long to wait for another process: one that writes a file has the ledger for a moment at its
/// start, and a merge for as long as it lasts.
const WAIT: Duration = Duration::from_secs(2);

/// A WAL with FULL is synced at each commit. NORMAL would lose the last commits in a power cut.
const LEDGER: Kind = Kind {
    // `mkaL`
    application_id: 0x6d6b_614c,
    migrations: &[
        include_str!("0001_ledger.sql"),
        include_str!("0002_upsert.sql"),
        include_str!("0003_proof.sql"),
        include_str!("0004_runs.sql"),
        include_str!("0005_history.sql"),
        include_str!("0006_write_end.sql"),
        include_str!("0007_no_upserts.sql"),
        include_str!("0008_plans.sql"),
        include_str!("0009_runs.sql"),
        include_str!("0010_certificates.sql"),
        include_str!("0011_objects.sql"),
        include_str!("0012_witness.sql"),
        include_str!("0013_probe.sql"),
        include_str!("0014_left_alone.sql"),
        include_str!("0015_lasting_words.sql"),
        include_str!("0016_late_rows.sql"),
        include_str!("0017_certificate_files.sql"),
    ],
    exclusive: true,
    busy: WAIT,
    pragmas: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
              PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON;",
};

impl Ledger {
    /// Opens the ledger of `instance`, making it where there is none. The file is readable by its
    /// owner only, every commit is synced, and the lock is held until the value is dropped or the
    /// process ends, however it ends.
    pub fn open(path: &Path, instance: &str) -> Result<Self, Error> {
        let bind = "INSERT INTO meta (instance) VALUES (?1)";
        let db = LEDGER
            .open(path, |new| new.execute(bind, [instance]).map(drop))
            .map_err(|source| not_opened(path, source))?;
        let found: String = db
            .query_row("SELECT instance FROM meta", [], |row| row.get(0))
            .map_err(|source| failed(path, source))?;
        if found != instance {
            return Err(Error::OtherInstance {
                path: path.to_owned(),
                found,
                wanted: instance.to_owned(),
            });
        }
        // So that the file itself shows its format to those who find it locked: see `unlocked`.
        db.query_row("PRAGMA wal_checkpoint", [], |_| Ok(()))
            .map_err(|source| failed(path, source))?;
        Ok(Self { db, path: path.to_owned() })
    }
}

/// A look at the ledger of this instance that a process has open; none where that process may be of
/// an older version, or another instance's ledger is there. It shows what the file held at some
/// moment, without what is in the WAL: only for what never changes once the format is there. Once
/// the file shows this format, no older version can open it.
pub(super) fn unlocked(path: &Path, instance: &str) -> Option<Connection> {
    let db = as_it_lies(path)?;
    let format = LEDGER.check(&db).ok()?;
    let of: String = db.query_row("SELECT instance FROM meta", [], |row| row.get(0)).ok()?;
    (format == LEDGER.format() && of == instance).then_some(db)
}

/// An open ledger of format 6, the last one that kept upserts.
#[cfg(test)]
pub(super) fn of_format_six(path: &Path, instance: &str) -> Connection {
    of_format(6, path, instance)
}

/// An open ledger of an older format.
#[cfg(test)]
pub(super) fn of_format(format: usize, path: &Path, instance: &str) -> Connection {
    let (older, _) = LEDGER.migrations.split_at(format);
    let older = Kind { migrations: older, ..LEDGER };
    let bind = "INSERT INTO meta (instance) VALUES (?1)";
    older.open(path, |new| new.execute(bind, [instance]).map(drop)).unwrap()
}

pub(super) fn not_opened(path: &Path, source: OpenError) -> Error {
    let path = path.to_owned();
    match source {
        OpenError::File(source) => Error::Open { path, source },
        OpenError::OtherKind => Error::NotALedger { path },
        OpenError::Newer { found, known } => Error::Newer { path, found, known },
        OpenError::Sqlite(source) => failed(&path, source),
    }
}

pub(super) fn failed(path: &Path, source: rusqlite::Error) -> Error {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::InUse { path },
        Some(ErrorCode::NotADatabase) => Error::NotALedger { path },
        _ => Error::Store { path, source },
    }
}
