//! Opens the cache: made or found, bound to its instance, locked.
//!
//! Never: touches a file that it does not recognise.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::of_io;
use super::fields::Fields;
use super::{Cache, Error, older};

/// What each format adds to the one before.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("0001_cache.sql"),
    include_str!("0002_export.sql"),
    include_str!("0003_birth.sql"),
    include_str!("0004_refresh.sql"),
    include_str!("0005_charged.sql"),
    include_str!("0006_source.sql"),
    include_str!("0007_unfinished.sql"),
    include_str!("0008_totals.sql"),
    include_str!("0009_members.sql"),
    include_str!("0010_packed.sql"),
    include_str!("0011_short_keys.sql"),
];

/// The format since which the views read keys that are not written out.
const SHORT_KEYS: u32 = 11;

/// Bytes of a page: 15% are gained where millions of rows go in.
pub(super) const PAGE: u16 = 32_768;

/// `mkaC`: tells a cache from any other SQLite file.
const APPLICATION_ID: i32 = 0x6d6b_6143;

impl Cache {
    /// Opens the cache of `instance`, making it where there is none. The lock is held until the
    /// value is dropped or the process ends, however it ends.
    pub fn open(path: &Path, instance: &str) -> Result<Self, Error> {
        make_empty(path)?;
        Self::open_file(path, instance)
    }

    /// Opens the cache of `instance`; where there is none, the error says how to make one.
    pub fn open_existing(path: &Path, instance: &str) -> Result<Self, Error> {
        must_exist(path)?;
        Self::open_file(path, instance)
    }

    /// Opens the cache that is there, of whatever instance; [`Cache::summary`] names it.
    pub fn open_found(path: &Path) -> Result<Self, Error> {
        must_exist(path)?;
        let instance = instance_of(path)?;
        Self::open_file(path, &instance)
    }

    fn open_file(path: &Path, instance: &str) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |source| Error::of(path, source);
        let before = file_of(path)?;
        let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
        db.busy_timeout(Duration::ZERO).map_err(failed)?;
        // Exclusive before the first access: the lock is then taken once, by the transaction below,
        // and kept.
        db.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(failed)?;
        check_format(&db, path)?;
        check_place(path, before)?;
        make_private(path)?;
        // Takes effect on a file without pages only.
        db.pragma_update(None, "page_size", PAGE).map_err(failed)?;
        // A power cut may cost the last pages of a scan, which the next one reads again; it never
        // damages the file.
        db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        db.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
        db.set_prepared_statement_cache_capacity(32);
        migrate(&mut db, instance).map_err(failed)?;
        let found = instance_in(&db).map_err(failed)?;
        if found != instance {
            return Err(Error::OtherInstance {
                path: path.to_owned(),
                found,
                wanted: instance.to_owned(),
            });
        }
        // What a process that was killed has left is full of people's data, and nobody else's now.
        remove_if_there(&beside(path))?;
        Ok(Self { db, path: path.to_owned() })
    }
}

/// Which file a path names at the moment.
fn file_of(path: &Path) -> Result<Option<(u64, u64)>, Error> {
    let found =
        std::fs::metadata(path).map_err(|source| Error::Open { path: path.to_owned(), source })?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Ok(Some((found.dev(), found.ino())))
    }
    #[cfg(not(unix))]
    {
        // An open file cannot be renamed over there.
        drop(found);
        Ok(None)
    }
}

/// Whether an open file, locked by its first access, still has its name. Where another process has
/// put a new one into its place meanwhile, its log would be taken for that of the new one.
fn check_place(path: &Path, before: Option<(u64, u64)>) -> Result<(), Error> {
    if file_of(path)? == before { Ok(()) } else { Err(Error::InUse { path: path.to_owned() }) }
}

/// Where the file lies that a path names: behind links, and in a folder even where none is named.
pub(super) fn resolved(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Where a file is written that is to take the place of a cache.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = resolved(path).into_os_string();
    name.push(".new");
    PathBuf::from(name)
}

/// Where SQLite keeps what a transaction of a cache has changed, while the cache has no log.
pub(super) fn journal_of(path: &Path) -> PathBuf {
    let mut name = resolved(path).into_os_string();
    name.push("-journal");
    PathBuf::from(name)
}

/// Removes a file, where there is one.
pub(super) fn remove_if_there(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::of(path, of_io(error)))
        }
        _ => Ok(()),
    }
}

/// A file that holds nothing yet is none.
fn must_exist(path: &Path) -> Result<(), Error> {
    match std::fs::metadata(path) {
        Ok(file) if file.len() > 0 => Ok(()),
        Ok(_) => Err(Error::Missing { path: path.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::Missing { path: path.to_owned() })
        }
        Err(source) => Err(Error::Open { path: path.to_owned(), source }),
    }
}

/// The instance that a cache belongs to. A file without one was never filled.
fn instance_of(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::of(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    check_format(&db, path)?;
    let filled: bool = db
        .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'meta')", [], |row| {
            row.get(0)
        })
        .map_err(failed)?;
    if !filled {
        return Err(Error::Missing { path: path.to_owned() });
    }
    instance_in(&db).map_err(failed)
}

/// The instance that an open cache belongs to.
pub(super) fn instance_in(db: &Connection) -> rusqlite::Result<String> {
    db.query_row("SELECT instance FROM meta", [], |row| row.get(0))
}

/// Makes an empty file that only its owner can read, unless there is a file already. SQLite gives
/// its WAL the same rights; there is no -shm, since the lock is exclusive.
pub(super) fn make_empty(path: &Path) -> Result<(), Error> {
    make(path, OpenOptions::new().create(true))
}

/// The same, of a file that must not be there.
pub(super) fn make_new(path: &Path) -> Result<(), Error> {
    make(path, OpenOptions::new().create_new(true))
}

fn make(path: &Path, options: &mut OpenOptions) -> Result<(), Error> {
    let open = |source| Error::Open { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(open)?;
    }
    options.read(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map(drop).map_err(open)
}

fn make_private(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .map_err(|source| Error::Open { path: path.to_owned(), source })?;
    }
    Ok(())
}

fn check_format(db: &Connection, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::of(path, source);
    let application: i32 =
        db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let objects: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION_ID && objects > 0 {
        return Err(Error::NotACache { path: path.to_owned() });
    }
    let found: u32 =
        db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(Error::Newer { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// Brings the format up to date in one transaction, which also takes the lock for good.
pub(super) fn migrate(db: &mut Connection, instance: &str) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (format, migration) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        transaction.execute_batch(migration)?;
        if format == older::MOVED_IN {
            older::move_leads(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", format)?;
    }
    if (1..SHORT_KEYS).contains(&found) {
        Fields::read(&transaction)?.make_views(&transaction)?;
    }
    if found == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.execute(
            "INSERT INTO meta (only, instance, key_signature, scans, leads) VALUES (1, ?1, '', 0, 0)",
            [instance],
        )?;
    }
    transaction.commit()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_must_be_new_is_not_taken_from_somebody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db.new");
        make_new(&path).unwrap();
        assert!(matches!(make_new(&path), Err(Error::Open { .. })));
    }

    #[test]
    fn a_file_that_lost_its_name_before_it_was_locked_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("cache.db"), folder.path().join("other.db"));
        drop(Cache::open(&path, "here").unwrap());
        drop(Cache::open(&new, "here").unwrap());
        let before = file_of(&path).unwrap();
        assert!(check_place(&path, before).is_ok());
        std::fs::rename(&new, &path).unwrap();
        assert!(matches!(check_place(&path, before), Err(Error::InUse { .. })));
    }
}
