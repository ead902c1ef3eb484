//! Why a cache cannot be used, each with the way out. Nothing in a cache is precious, and the
//! messages say so.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the cache could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is none.
    #[error("there is no cache at {}; run `mkto-audit scan` first", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error(
        "the cache {} is in use by another mkto-audit, which is most likely scanning: nobody else can read the cache until \
         it ends. Run this again then, or name another file with --db",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It belongs to another Marketo instance.
    #[error(
        "the cache {} belongs to {found}, not to {wanted}, and is left as it is; give each instance its own --db or --profile",
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
        "the cache {} has format {found}, and this program knows format {known}; use the newer mkto-audit that wrote it, \
         or delete the file and scan again",
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
    #[error("{} is not a cache of mkto-audit, and is left as it is; name another file with --db", path.display())]
    NotACache {
        /// The file.
        path: PathBuf,
    },
    /// It is a cache, and parts of it cannot be read.
    #[error(
        "the cache {} is damaged; delete it and run `mkto-audit scan` again: nothing in it is lost for good",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite, or the reader of a row, saw.
        source: rusqlite::Error,
    },
    /// No room is left.
    #[error(
        "the disk of the cache {} is full; what was stored before is kept: make room and run the same command again",
        path.display()
    )]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// The file or its folder may not be written to.
    #[error(
        "the cache {} cannot be written; make the file and its folder writeable, or name another file with --db",
        path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// It cannot be made or opened at all.
    #[error(
        "the cache {} cannot be opened; name a file in a folder that can be written to with --db",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite failed otherwise.
    #[error("the cache {} cannot be read or written; what was stored before is kept", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// A value of a lead cannot be stored.
    #[error("a value cannot be stored in the cache")]
    Unstorable {
        /// Why.
        source: rusqlite::Error,
    },
    /// A page came for a scan that was never begun, or a scan was ended twice.
    #[error("no scan is under way in the cache {}", path.display())]
    NoScan {
        /// The file.
        path: PathBuf,
    },
}

/// A failure to write beside the cache, as SQLite would tell of it.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(super) fn of_io(error: std::io::Error) -> rusqlite::Error {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            rusqlite::ffi::SQLITE_FULL
        }
        _ => rusqlite::ffi::SQLITE_IOERR,
    };
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(error.to_string()))
}

impl Error {
    /// Of a value that cannot be written as JSON.
    pub(super) fn unstorable(source: rusqlite::Error) -> Self {
        Self::Unstorable { source }
    }

    /// What SQLite's failure means for the cache at `path`.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        if matches!(source, rusqlite::Error::FromSqlConversionFailure(..)) {
            return Self::Damaged { path, source };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            Some(ErrorCode::NotADatabase) => Self::NotACache { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, source },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path, source },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly { path, source }
            }
            _ => Self::Store { path, source },
        }
    }
}
