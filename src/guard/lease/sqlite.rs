//! The leases of the processes of one machine, in a small file of their own beside the ledger.
//!
//! A round is one immediate transaction, so that rounds come one after another, whichever process
//! makes them. It is not synced to disk: the file's changes outlive a killed process as it is, and
//! what a power cut may undo cannot hurt, because nothing is granted until the machine has been up
//! for longer than any call that left before can run ([`QUIET`]). Waiters of this process are
//! served by its own rounds; changes by other processes are seen by asking SQLite for its
//! `data_version` every [`LOOK`] while somebody waits, a look into shared memory that reads no
//! page. Times are those of [`boot_clock`]. The file must lie on a disk of this machine, as
//! SQLite's WAL asks for.
//!
//! A file that is deleted or replaced while processes have it open would give a key to two of them.
//! A round that finds it so goes over to the file that is there now, and keeps everybody quiet in
//! it until what left before is over. A round that failed, or panicked, is undone, and the next one
//! is made with a new connection.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::Terms;
use super::line::SharedLeases;
use super::table::{Failure, Results, Round, Table};
use crate::boot_clock;
use crate::marketo::SYNC_LIMIT;

mod in_place;
mod round;

use in_place::InPlace;

/// What each format adds to the one before, never edited after its release.
const MIGRATIONS: [&str; 2] = [include_str!("0001_leases.sql"), include_str!("0002_shares.sql")];

/// The format that they lead to.
const FORMAT: u32 = 2;

/// `mkaG`: tells a file of leases from any other SQLite file.
const APPLICATION_ID: i32 = 0x6d6b_6147;

/// How long another process's round may take.
const BUSY: Duration = Duration::from_secs(5);

/// What is written between two checkpoints, in pages of 4 KB. A checkpoint waits for the disk, and
/// a write for it, so they are to be rare: with SQLite's own 1,000 pages they would be one write in
/// a hundred.
const CHECKPOINT_PAGES: u32 = 10_000;

/// How soon a release by another process is seen.
const LOOK: Duration = Duration::from_millis(20);

/// After a start of the machine nothing is granted before it has been up for so long: by then every
/// call that left before is over.
const QUIET: Duration = SYNC_LIMIT.saturating_add(Duration::from_secs(30));

/// Why a file of leases cannot be used. Nothing may be sent without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be made or opened at all.
    #[error("the file of leases {} cannot be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{} is not a file of leases of mkto-audit, and is left as it is; name another", path.display())]
    NotLeases {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program wrote it.
    #[error("the file of leases {} has format {found}, and this program knows format {known}; use the newer mkto-audit that wrote it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// The machine does not tell how long it has been up.
    #[error("the clock of this machine cannot be read, by which leases end")]
    Clock {
        /// Why.
        source: std::io::Error,
    },
    /// SQLite could not read or write it.
    #[error("the file of leases {} cannot be read or written", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
}

impl SharedLeases {
    /// Opens a file of leases, making it where there is none. Only its owner can read it. Needs a
    /// runtime.
    pub fn sqlite(path: &Path, terms: Terms) -> Result<Self, FileError> {
        Ok(Self::start(File::open(path)?, terms))
    }
}

/// The file.
struct File {
    path: PathBuf,
    /// Away after it was replaced by something that cannot be opened.
    open: Option<Open>,
    owner: i64,
    /// What a test does to a round that is not committed yet.
    #[cfg(test)]
    half_way: Option<HalfWay>,
}

#[cfg(test)]
type HalfWay = Box<dyn FnMut(&Connection) + Send>;

/// The open file.
struct Open {
    db: Connection,
    in_place: InPlace,
    /// Whether the last round ended as it should: if not, nobody knows what it left of the
    /// connection.
    sound: bool,
    /// SQLite's count of other connections' commits, as last seen.
    version: i64,
}

impl Table for File {
    const NAME: &'static str = "sqlite";

    async fn round(&mut self, round: &Round, terms: Terms) -> Result<Results, Failure> {
        let mut round = || self.carry_out(round, terms);
        // In place: waking another thread and being woken by it takes longer than most rounds do.
        // Where the runtime has other threads, they take over what else there is to do.
        let has_others = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        let result = if has_others { tokio::task::block_in_place(round) } else { round() };
        result.map_err(|error| Arc::new(error) as Failure)
    }

    async fn changed(&mut self) {
        loop {
            // SQLite tells other processes of nothing: its version number is looked at, which reads
            // no page.
            tokio::time::sleep(LOOK).await;
            let unchanged =
                |open: &Open| data_version(&open.db).is_ok_and(|version| version == open.version);
            // What cannot be read now is told by the next round.
            if !self.open.as_ref().is_some_and(unchanged) {
                return;
            }
        }
    }
}

impl File {
    fn open(path: &Path) -> Result<Self, FileError> {
        // Any number will do that no other process has; 62 bits are not met twice.
        let owner = i64::from_ne_bytes(rand::random::<[u8; 8]>()) >> 1;
        Ok(Self {
            open: Some(Open::new(path)?),
            path: path.to_owned(),
            owner,
            #[cfg(test)]
            half_way: None,
        })
    }

    fn carry_out(&mut self, round: &Round, terms: Terms) -> Result<Results, FileError> {
        let in_place = self.open.take_if(|open| !open.in_place.holds(&self.path));
        let open = match (in_place, &mut self.open) {
            (None, Some(open)) => open,
            (replaced, open) => {
                // Closed first: SQLite shares what it keeps of a file among a process's connections
                // to it.
                drop(replaced);
                open.insert(Open::instead(&self.path)?)
            }
        };
        let failed = |source| FileError::Store { path: self.path.clone(), source };
        if !std::mem::replace(&mut open.sound, false) {
            // The old one is closed after it: by the last to close it the file would be tidied up,
            // and not be found in place.
            open.db = connect(&self.path)?;
        }
        // Of before the round: a later commit may have been missed by it.
        let version = data_version(&open.db).map_err(failed)?;
        let transaction =
            open.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        // Read after the lock is there, since waiting for it takes time.
        let now = boot_clock::now().map_err(|source| FileError::Clock { source })?;
        let results =
            round::carry_out(&transaction, self.owner, &now, round, terms).map_err(failed)?;
        #[cfg(test)]
        if let Some(half_way) = &mut self.half_way {
            half_way(&transaction);
        }
        transaction.commit().map_err(failed)?;
        (open.version, open.sound) = (version, true);
        Ok(results)
    }
}

impl Open {
    fn new(path: &Path) -> Result<Self, FileError> {
        let db = open(path)?;
        let version = data_version(&db)
            .map_err(|source| FileError::Store { path: path.to_owned(), source })?;
        Ok(Self { db, in_place: InPlace::look(path), sound: true, version })
    }

    /// What is there now in place of the file that was open until now, whose leases nobody knows
    /// any more.
    fn instead(path: &Path) -> Result<Self, FileError> {
        tracing::error!(
            path = %path.display(),
            quiet_s = QUIET.as_secs(),
            "the file of leases was deleted or replaced while it was in use; nothing is written until what left before is over"
        );
        let open = Self::new(path)?;
        let now = boot_clock::now().map_err(|source| FileError::Clock { source })?;
        round::keep_quiet(&open.db, &now)
            .map_err(|source| FileError::Store { path: path.to_owned(), source })?;
        Ok(open)
    }
}

fn data_version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "data_version", |row| row.get(0))
}

fn open(path: &Path) -> Result<Connection, FileError> {
    make_private(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
    connect(path)
}

/// A connection to a file that is there.
fn connect(path: &Path) -> Result<Connection, FileError> {
    let failed = |source| FileError::Store { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(BUSY).map_err(failed)?;
    let not_leases = || FileError::NotLeases { path: path.to_owned() };
    let application: i32 = db
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => not_leases(),
            _ => failed(source),
        })?;
    let objects: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION_ID && objects > 0 {
        return Err(not_leases());
    }
    db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    db.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(failed)?;
    db.pragma_update(None, "foreign_keys", true).map_err(failed)?;
    match migrate(&mut db).map_err(failed)? {
        found if found > FORMAT => {
            Err(FileError::Newer { path: path.to_owned(), found, known: FORMAT })
        }
        _ => Ok(db),
    }
}

/// Brings the format up to date, and gives the one that was found.
fn migrate(db: &mut Connection) -> rusqlite::Result<u32> {
    let found = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found >= FORMAT {
        return Ok(found);
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for migration in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(migration)?;
    }
    if found < FORMAT {
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.commit()?;
    Ok(found)
}

/// Makes an empty file where there is none, and lets nobody but its owner read it.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        options.mode(0o600);
        options.open(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    options.open(path).map(drop)
}

#[cfg(test)]
mod tests;
