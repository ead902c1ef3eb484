//! The precious file: what was planned, what was asked of Marketo, what came of it, and every
//! merged lead as it was.
//!
//! For: law 3. A merge can be sent only with a [`Started`], and the ledger gives one out only when
//! the backup of every loser and the intent are synced to disk. Killed at any instant, the next run
//! reads from here which calls are open, and asks Marketo about them. Never: changes or removes a
//! row (triggers refuse it), opens another instance's file, lets two processes in at once, or calls
//! Marketo. Callers give the time. All SQL on the file is in this module.
//!
//! Its statements run on the caller's thread: each is a short write with one sync to disk, and what
//! comes next must not begin before it is done.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};

mod approvals;
mod backup;
mod bounds;
mod call;
mod certificate;
mod daily_usage;
mod decisions;
mod digest;
mod erase;
mod finding;
mod history;
mod kept;
mod lasting_words;
mod late;
mod left_alone;
mod old_upserts;
mod open;
mod past;
mod plans;
mod probes;
mod proof;
mod restored;
mod rows;
mod runs;
mod state;
mod unfinished;
mod witness;

pub use approvals::ApprovalRow;
pub use backup::{Backup, Role};
pub use call::{Call, CallId, CallKind, CallLead, CallValue, NewCall, Purpose, Started};
pub use certificate::{CertificateAbout, CertificateFile};
pub use daily_usage::DailyUsage;
pub use decisions::{DecisionRow, NewDecision, TakenOver};
pub use digest::Digest;
pub use erase::{Erase, ErasedValues};
pub use finding::{Finding, FindingId, FindingKind, Refusal};
pub use history::{PastScan, PastTotals};
pub use kept::KeptBackup;
pub use lasting_words::LastingRow;
pub use late::Unwatched;
pub use left_alone::{LeftAlone, PastLeftAlone, WrittenNotMerged, WrittenValue, what_next};
pub use past::{GroupEnd, KeptPlan, PastMerge, PlanRuns};
pub use plans::{GroupBody, GroupRow, LeftRow, PlanHead};
pub use probes::{KeptProfile, OpenPerson, ProbeId, ProbeMergeId, ProbePersonId};
pub use proof::Proof;
pub use restored::{MakingId, NewMaking, OpenMaking, RestoreEnd, RestoredLead};
pub use rows::{LinkedRow, MovedRow, NewRows, RowEnd, RowPurpose, RowThatLeft};
pub use runs::{MergedLead, NewRun, PastRun, RunId, RunKind};
pub use state::{Event, IllegalEvent, State};
pub use unfinished::Unfinished;
pub use witness::{
    ExtraRecord, Seen, Unwitnessed, WitnessKind, WitnessLook, sha256_of, sha256_of_bytes,
};

/// The open ledger of one instance. While it lives no other process can open the same file.
#[derive(Debug)]
pub struct Ledger {
    db: Connection,
    path: PathBuf,
}

impl Ledger {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a plan, as JSON, under its id. Keeping the same plan again changes nothing; another
    /// body under the same id is an error, since what was looked at must be what is carried out.
    pub fn save_plan(&mut self, id: &str, made_at: &str, body: &str) -> Result<(), Error> {
        match self.plan(id)? {
            Some(kept) if kept == body => Ok(()),
            Some(_) => Err(Error::PlanDiffers { id: id.to_owned() }),
            None => self.write(|db| {
                db.execute(
                    "INSERT INTO plan (id, made_at, body) VALUES (?1, ?2, ?3)",
                    params![id, made_at, body],
                )?;
                Ok(())
            }),
        }
    }

    /// The plan with this id, as JSON.
    pub fn plan(&self, id: &str) -> Result<Option<String>, Error> {
        self.read(|db| {
            db.query_row("SELECT body FROM plan WHERE id = ?1", [id], |row| row.get(0)).optional()
        })
    }

    /// When the first plan was made that it keeps: since then it knows what this program does.
    pub fn first_plan_at(&self) -> Result<Option<chrono::DateTime<chrono::Utc>>, Error> {
        let at: Option<String> =
            self.read(|db| db.query_row("SELECT min(made_at) FROM plan", [], |row| row.get(0)))?;
        let damaged =
            |error: chrono::ParseError| Error::Damaged { what: format!("a plan's time: {error}") };
        at.map(|at| at.parse().map_err(damaged)).transpose()
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        query(&self.db).map_err(|source| self.failed(source))
    }

    /// Runs a closure in one transaction, which is on disk when this returns.
    fn write<T>(
        &mut self,
        change: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let path = self.path.clone();
        let failed = |source| Error::Store { path: path.clone(), source };
        let transaction = self.db.transaction().map_err(&failed)?;
        let result = change(&transaction)?;
        transaction.commit().map_err(&failed)?;
        Ok(result)
    }

    fn failed(&self, source: rusqlite::Error) -> Error {
        Error::Store { path: self.path.clone(), source }
    }
}

/// Why the ledger could not be opened, read or written. In every case nothing further may be sent
/// to Marketo.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has it open.
    #[error("the ledger {} is in use: another merge or upsert is running; wait for it to end", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It belongs to another Marketo instance.
    #[error(
        "the ledger {} belongs to {found}, not to {wanted}; give each instance its own --db or --profile",
        path.display()
    )]
    OtherInstance {
        /// The file.
        path: PathBuf,
        /// The instance that it belongs to.
        found: String,
        /// The instance that was asked for.
        wanted: String,
    },
    /// A later version of this program wrote it.
    #[error(
        "the ledger {} has format {found}, and this program writes format {known}; use the newer mkto-audit that wrote it",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// It is something else.
    #[error("{} is not a ledger of mkto-audit, and is left as it is; name another file", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be made or opened at all.
    #[error("the ledger {} cannot be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite could not read or write it: a full disk, a damaged file, a lost mount.
    #[error("the ledger {} cannot be read or written; nothing is sent to Marketo without it", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// SQLite refused a statement inside a transaction; nothing of it is kept.
    #[error("the ledger cannot be written; nothing is sent to Marketo without it")]
    Statement(#[from] rusqlite::Error),
    /// A value in it is not what this program writes there.
    #[error("the ledger holds something that this program did not write: {what}")]
    Damaged {
        /// Which row, and what is wrong with it.
        what: String,
    },
    /// Another plan is kept under the same id.
    #[error("the ledger already holds another plan under the id {id}; make the plan anew")]
    PlanDiffers {
        /// The plan's id.
        id: String,
    },
    /// Another plan has the name.
    #[error("a plan named `{name}` is kept already; give this one another --name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Something is to be erased that is still needed.
    #[error("nothing was erased: {what}")]
    StillOpen {
        /// What, and what to do about it.
        what: String,
    },
    /// A call cannot go from its state by this event.
    #[error("call {call} in the ledger cannot go on: {source}")]
    Illegal {
        /// The call.
        call: CallId,
        /// State and event.
        source: IllegalEvent,
    },
    /// A merge was about to start whose losers are not all backed up.
    #[error(
        "merge call {call} may not start: lead {lead} has no backup in the ledger; nothing was sent"
    )]
    NoBackup {
        /// The call.
        call: CallId,
        /// The first loser without a backup.
        lead: crate::lead::LeadId,
    },
}

#[cfg(test)]
mod tests;
