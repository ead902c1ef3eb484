//! The leases of the processes of one machine, in a small file of their own beside the ledger.
//!
//! A batch is one immediate transaction, so that batches come one after another, whichever process
//! makes them. It is not synced to disk. The changes outlive a killed process all the same. A power
//! cut may undo some of them, which does no harm: nothing is granted until the machine has been up
//! for longer than any call that left before can run ([`QUIET`]). While somebody waits, SQLite is
//! asked for its `data_version` every [`LOOK`] to see the changes of other processes; that reads
//! shared memory and no page. Times are those of [`boot_clock`]. The file must lie on a disk of
//! this machine, as SQLite's WAL demands.
//!
//! If the file were deleted or replaced while processes have it open, two of them could get one
//! key. A batch that finds another file at the path goes over to it, and grants nothing there until
//! every call that left before is over. A batch that failed, or panicked, is undone, and the next
//! one is made with a new connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::actor::SharedLeases;
use super::api::Terms;
use super::backend::{Backend, Batch, BatchResult, Failure, new_guard};
use super::changes;
use super::state::{QUIET, Time};
use crate::boot_clock;
use crate::sqlite::{Kind, OpenError};

mod file_identity;
mod rows;

use file_identity::FileIdentity;

const LEASES: Kind = Kind {
    // `mkaG`
    application_id: 0x6d6b_6147,
    migrations: &[
        include_str!("0001_leases.sql"),
        include_str!("0002_shares.sql"),
        include_str!("0003_keys.sql"),
    ],
    exclusive: false,
    // How long another process's batch may take.
    busy: Duration::from_secs(5),
    // A checkpoint waits for the disk, and a write for the checkpoint, so they are to be rare: with
    // SQLite's own 1,000 pages one write in a hundred would be one.
    pragmas: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
              PRAGMA wal_autocheckpoint = 10000; PRAGMA foreign_keys = ON;",
};

/// How soon a release by another process is seen.
const LOOK: Duration = Duration::from_millis(20);

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

struct File {
    path: PathBuf,
    /// Away after it was replaced by something that cannot be opened.
    open: Option<Open>,
    guard: i64,
    /// What a test does to a batch that is not committed yet.
    #[cfg(test)]
    half_way: Option<HalfWay>,
}

#[cfg(test)]
type HalfWay = Box<dyn FnMut(&Connection) + Send>;

/// The open file.
struct Open {
    db: Connection,
    identity: FileIdentity,
    /// Whether the last batch ended as it should. If not, the state of the connection is unknown.
    sound: bool,
    /// SQLite's count of other connections' commits, as last seen.
    version: i64,
}

impl Backend for File {
    const NAME: &'static str = "sqlite";

    async fn carry_out(&mut self, batch: &Batch, terms: Terms) -> Result<BatchResult, Failure> {
        let mut carry_out = || self.transact(batch, terms);
        // In place: to wake another thread and be woken by it takes longer than most batches do. If
        // the runtime has other threads, they do the other work meanwhile.
        let has_others = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        let result = if has_others { tokio::task::block_in_place(carry_out) } else { carry_out() };
        result.map_err(|error| Arc::new(error) as Failure)
    }

    async fn changed(&mut self) {
        loop {
            // SQLite sends no notice to other processes.
            tokio::time::sleep(LOOK).await;
            let unchanged =
                |open: &Open| data_version(&open.db).is_ok_and(|version| version == open.version);
            // If it cannot be read, the next batch says so.
            if !self.open.as_ref().is_some_and(unchanged) {
                return;
            }
        }
    }
}

impl File {
    fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self {
            open: Some(Open::new(path)?),
            path: path.to_owned(),
            guard: new_guard(),
            #[cfg(test)]
            half_way: None,
        })
    }

    fn transact(&mut self, batch: &Batch, terms: Terms) -> Result<BatchResult, FileError> {
        let replaced = self.open.take_if(|open| !open.identity.holds(&self.path));
        let open = match (replaced, &mut self.open) {
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
            // The new connection is made before the old one is closed: the last one to close would
            // remove the WAL, and the file would be taken for a replaced one.
            open.db = connect(&self.path)?;
        }
        // Read before the batch, which may miss a later commit.
        let version = data_version(&open.db).map_err(failed)?;
        let transaction =
            open.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        // Read after the lock is there, since waiting for it takes time.
        let moment = boot_clock::now().map_err(|source| FileError::Clock { source })?;
        let time = Time { now: changes::span(moment.millis), clock: boot_clock::wall_millis() };
        let state = rows::load(&transaction, &moment, batch).map_err(failed)?;
        let (result, changes) = changes::carry_out(state, self.guard, time, batch, terms);
        if let Some(changes) = changes {
            rows::save(&transaction, &changes).map_err(failed)?;
        }
        #[cfg(test)]
        if let Some(half_way) = &mut self.half_way {
            half_way(&transaction);
        }
        transaction.commit().map_err(failed)?;
        (open.version, open.sound) = (version, true);
        Ok(result)
    }
}

impl Open {
    fn new(path: &Path) -> Result<Self, FileError> {
        let db = LEASES.open(path, |_| Ok(())).map_err(|source| not_opened(path, source))?;
        let version = data_version(&db)
            .map_err(|source| FileError::Store { path: path.to_owned(), source })?;
        Ok(Self { db, identity: FileIdentity::look(path), sound: true, version })
    }

    /// The file that is there now in place of the open one, whose leases are lost.
    fn instead(path: &Path) -> Result<Self, FileError> {
        tracing::error!(
            path = %path.display(),
            quiet_s = QUIET.as_secs(),
            "the file of leases was deleted or replaced while it was in use; nothing is written until what left before is over"
        );
        let open = Self::new(path)?;
        let now = boot_clock::now().map_err(|source| FileError::Clock { source })?;
        rows::keep_quiet(&open.db, &now)
            .map_err(|source| FileError::Store { path: path.to_owned(), source })?;
        Ok(open)
    }
}

fn data_version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "data_version", |row| row.get(0))
}

/// A connection to a file that is there.
fn connect(path: &Path) -> Result<Connection, FileError> {
    LEASES.open_existing(path, |_| Ok(())).map_err(|source| not_opened(path, source))
}

fn not_opened(path: &Path, source: OpenError) -> FileError {
    let path = path.to_owned();
    match source {
        OpenError::File(source) => FileError::Open { path, source },
        OpenError::OtherKind => FileError::NotLeases { path },
        OpenError::Newer { found, known } => FileError::Newer { path, found, known },
        OpenError::Sqlite(source) => FileError::Store { path, source },
    }
}

#[cfg(test)]
mod tests;
