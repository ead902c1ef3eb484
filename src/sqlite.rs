//! The one way to open the program's SQLite files: cache, ledger, daily usage and leases.
//!
//! A file is made readable by its owner only, told apart by its application id, and brought up to
//! date in one transaction. Never: changes a file that another program wrote, or one of a newer
//! format.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

/// How often a file is tried again that has not its format yet, and how long after each try. Two
/// programs that make it at once each hold what the other waits for, and SQLite turns one of them
/// away at once, whatever the busy timeout.
const TRIES_WHILE_MADE: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// What kind of file it is.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Tells it from any other SQLite file.
    pub(crate) application_id: i32,
    /// What each format adds to the one before, never edited after its release.
    pub(crate) migrations: &'static [&'static str],
    /// Whether one process alone may have it open; the lock is then taken for good.
    pub(crate) exclusive: bool,
    /// How long a statement waits for that of another connection.
    pub(crate) busy: Duration,
    /// `PRAGMA` statements, executed once the file is known to be of this kind.
    pub(crate) pragmas: &'static str,
}

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// It cannot be made, or its rights cannot be narrowed.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// It is of another kind, or no SQLite file.
    #[error("it is a file of another kind")]
    OtherKind,
    /// A later version of this program wrote it.
    #[error("it has format {found}, and this program knows format {known}")]
    Newer { found: u32, known: u32 },
    /// SQLite could not read or write it.
    #[error(transparent)]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::OtherKind,
            _ => Self::Sqlite(source),
        }
    }
}

impl Kind {
    /// The format that the migrations lead to.
    pub(crate) fn format(&self) -> u32 {
        u32::try_from(self.migrations.len()).unwrap_or(u32::MAX)
    }

    /// Opens the file, making it where there is none. `first` fills a file that was just made, in
    /// the transaction that makes its tables.
    pub(crate) fn open(
        &self,
        path: &Path,
        first: impl Fn(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<Connection, OpenError> {
        make_empty(path)?;
        let mut tries = if self.is_made(path) { 0 } else { TRIES_WHILE_MADE };
        loop {
            match self.open_existing(path, &first) {
                Err(OpenError::Sqlite(error)) if tries > 0 && is_locked(&error) => tries -= 1,
                opened => return opened,
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
    }

    /// Whether the file shows this format, whoever has it open.
    fn is_made(&self, path: &Path) -> bool {
        let found = as_it_lies(path).and_then(|db| self.check(&db).ok());
        found == Some(self.format())
    }

    /// Opens a file that is there.
    pub(crate) fn open_existing(
        &self,
        path: &Path,
        first: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(self.busy)?;
        if self.exclusive {
            // Before the first access: the lock is then taken once, by the transaction of the
            // migrations, and kept.
            db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        }
        let found = self.check(&db)?;
        make_private(path)?;
        db.execute_batch(self.pragmas)?;
        if self.exclusive || found < self.format() {
            self.migrate(&mut db, first)?;
        }
        Ok(db)
    }

    /// The format of a file of this kind; 0 for an empty one.
    ///
    /// One statement, and so one state of the file: between two, another program could fill it.
    pub(crate) fn check(&self, db: &Connection) -> Result<u32, OpenError> {
        let look = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
             FROM pragma_application_id, pragma_user_version";
        let (application, found, objects): (i32, u32, i64) =
            db.query_row(look, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if application != self.application_id && objects > 0 {
            return Err(OpenError::OtherKind);
        }
        let known = self.format();
        if found > known { Err(OpenError::Newer { found, known }) } else { Ok(found) }
    }

    fn migrate(
        &self,
        db: &mut Connection,
        first: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), OpenError> {
        let behavior = if self.exclusive {
            TransactionBehavior::Exclusive
        } else {
            TransactionBehavior::Immediate
        };
        let transaction = db.transaction_with_behavior(behavior)?;
        // Another process may have been faster, and newer.
        let (found, known) = (format(&transaction)?, self.format());
        if found > known {
            return Err(OpenError::Newer { found, known });
        }
        for migration in self.migrations.iter().skip(found as usize) {
            transaction.execute_batch(migration)?;
        }
        if found < known {
            transaction.pragma_update(None, "user_version", known)?;
        }
        if found == 0 {
            transaction.pragma_update(None, "application_id", self.application_id)?;
            first(&transaction)?;
        }
        Ok(transaction.commit()?)
    }
}

/// What a file holds at the moment, without what is in its WAL and without a lock: for what never
/// changes once it is there.
pub(crate) fn as_it_lies(path: &Path) -> Option<Connection> {
    let path = std::path::absolute(path).ok()?;
    let uri = format!("{}?immutable=1", url::Url::from_file_path(path).ok()?);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags).ok()
}

fn is_locked(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn format(db: &Connection) -> rusqlite::Result<u32> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Makes an empty file that only its owner can read, unless there is a file already. SQLite gives
/// its WAL the same rights.
fn make_empty(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)?.sync_all()
}

/// Narrows the rights of a file that is there.
fn make_private(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Kind = Kind {
        application_id: 7,
        migrations: &["CREATE TABLE a (x)"],
        exclusive: false,
        busy: Duration::ZERO,
        pragmas: "PRAGMA journal_mode = WAL;",
    };
    const TWO: Kind = Kind { migrations: &["CREATE TABLE a (x)", "CREATE TABLE b (x)"], ..ONE };

    fn rows(db: &Connection) -> i64 {
        db.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_new_file_is_filled_once_and_brought_up_to_date_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("file.db");
        let fill = |db: &Transaction<'_>| db.execute("INSERT INTO a VALUES (1)", []).map(drop);
        assert_eq!(rows(&ONE.open(&path, fill).unwrap()), 1);
        let db = TWO.open(&path, fill).unwrap();
        assert_eq!((rows(&db), TWO.check(&db).unwrap()), (1, 2));
        drop(db);
        let newer = ONE.open(&path, fill);
        assert!(matches!(newer, Err(OpenError::Newer { found: 2, known: 1 })), "{newer:?}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_of_another_kind_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.db");
        drop(ONE.open(&path, |_| Ok(())).unwrap());
        let before = std::fs::read(&path).unwrap();
        let other = Kind { application_id: 8, ..TWO };
        assert!(matches!(other.open(&path, |_| Ok(())), Err(OpenError::OtherKind)));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let text = folder.path().join("text.db");
        std::fs::write(&text, "no SQLite file, and long enough to be looked at as one".repeat(20))
            .unwrap();
        assert!(matches!(ONE.open(&text, |_| Ok(())), Err(OpenError::OtherKind)));
    }

    #[test]
    fn programs_that_make_a_file_at_once_all_have_it() {
        let kind = Kind { busy: Duration::from_secs(2), ..ONE };
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file.db");
            let start = std::sync::Barrier::new(4);
            let opened = || {
                start.wait();
                kind.open(&path, |_| Ok(())).map(drop)
            };
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..4).map(|_| scope.spawn(opened)).collect();
                for one in all {
                    one.join().unwrap().unwrap();
                }
            });
        }
    }
}
