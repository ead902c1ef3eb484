//! Opens the ledger: made or found, bound to its instance, locked, durable.
//!
//! Never: touches a file that it does not recognise, or loosens a setting that a synced row rests
//! on.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{Error, Ledger};

/// What each format adds to the one before, never edited after its release.
const MIGRATIONS: &[&str] = &[
    include_str!("0001_ledger.sql"),
    include_str!("0002_upsert.sql"),
    include_str!("0003_proof.sql"),
    include_str!("0004_runs.sql"),
    include_str!("0005_history.sql"),
    include_str!("0006_write_end.sql"),
];

/// `mkaL`: tells a ledger from any other SQLite file.
const APPLICATION_ID: i32 = 0x6d6b_614c;

impl Ledger {
    /// Opens the ledger of `instance`, making it where there is none. The file is readable by its
    /// owner only, every commit is synced, and the lock is held until the value is dropped or the
    /// process ends, however it ends.
    pub fn open(path: &Path, instance: &str) -> Result<Self, Error> {
        make_empty(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = |source| failed(path, source);
        let mut db = Connection::open_with_flags(path, flags).map_err(store)?;
        db.busy_timeout(Duration::ZERO).map_err(store)?;
        // Exclusive before the first access: the lock is then taken once, by the transaction below,
        // and kept.
        db.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(store)?;
        check_format(&db, path)?;
        make_private(path)?;
        // A WAL with FULL is synced at each commit. NORMAL would lose the last commits in a power
        // cut.
        db.pragma_update(None, "journal_mode", "WAL").map_err(store)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(store)?;
        db.pragma_update(None, "foreign_keys", true).map_err(store)?;
        db.pragma_update(None, "recursive_triggers", true).map_err(store)?;
        migrate(&mut db, path, instance)?;
        let found: String =
            db.query_row("SELECT instance FROM meta", [], |row| row.get(0)).map_err(store)?;
        if found != instance {
            return Err(Error::OtherInstance {
                path: path.to_owned(),
                found,
                wanted: instance.to_owned(),
            });
        }
        Ok(Self { db, path: path.to_owned() })
    }
}

/// Makes an empty file that only its owner can read, unless there is a file already.
pub(super) fn make_empty(path: &Path) -> Result<(), Error> {
    let open = |source| Error::Open { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(open)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).and_then(|file| file.sync_all()).map_err(open)
}

/// Narrows the rights of a ledger that is there. SQLite gives its WAL the same rights.
pub(super) fn make_private(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let rights = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, rights)
            .map_err(|source| Error::Open { path: path.to_owned(), source })?;
    }
    Ok(())
}

fn check_format(db: &Connection, path: &Path) -> Result<(), Error> {
    let store = |source| failed(path, source);
    let application: i32 =
        db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(store)?;
    let objects: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(store)?;
    if application != APPLICATION_ID && objects > 0 {
        return Err(Error::NotALedger { path: path.to_owned() });
    }
    let found: u32 =
        db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(store)?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(Error::Newer { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// Brings the format up to date in one transaction, which also takes the lock for good.
fn migrate(db: &mut Connection, path: &Path, instance: &str) -> Result<(), Error> {
    let store = |source| failed(path, source);
    let transaction =
        db.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(store)?;
    let found: u32 =
        transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(store)?;
    for (format, migration) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        transaction.execute_batch(migration).map_err(store)?;
        transaction.pragma_update(None, "user_version", format).map_err(store)?;
    }
    if found == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(store)?;
        transaction
            .execute("INSERT INTO meta (instance) VALUES (?1)", [instance])
            .map_err(store)?;
    }
    transaction.commit().map_err(store)
}

pub(super) fn failed(path: &Path, source: rusqlite::Error) -> Error {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::InUse { path },
        Some(ErrorCode::NotADatabase) => Error::NotALedger { path },
        _ => Error::Store { path, source },
    }
}
