//! The disposable file: every lead as the last scan saw it, and what has become of a scan that is
//! not complete.
//!
//! For: holding an instance of millions of leads in a file that is bound to that instance, readable
//! by its owner only, and open in one process at a time; handing its groups out one by one.
//! Anything in it can be had again by a scan, so a damaged file is thrown away rather than mended.
//! Never: decides what makes leads the same (keys are handed in as text), calls Marketo, reads a
//! clock, or shows half a page: rows and the cursor that proves them are stored in one transaction.
//! All SQL on the file is in this module.
//!
//! Its calls block; callers on a runtime make them between calls to Marketo, where each takes
//! milliseconds.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction};

mod batch;
mod birth;
mod error;
mod export;
mod fields;
mod fresh;
mod group;
mod hashes;
mod line;
mod load;
mod member;
mod older;
mod open;
mod packed;
mod plain_line;
mod refresh;
mod row;
mod scan;
mod sorter;
mod summary;
mod to_disk;
mod totals;
mod view;

pub use batch::{Batch, RowKey};
pub use error::Error;
pub use export::{ExportWindow, Loaded};
pub use fields::{BodyWriter, Fields};
pub use fresh::Fresh;
pub use group::Groups;
pub use load::Loader;
pub(crate) use plain_line::PlainLine;
pub use refresh::{Gone, RefreshTotals};
pub use row::Row;
pub use scan::{Begun, ScanSpec, ScanTotals};
pub use summary::{Causes, Reached, Summary};

/// The open cache of one instance. While it lives no other process can open the same file.
#[derive(Debug)]
pub struct Cache {
    db: Connection,
    path: PathBuf,
}

impl Cache {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        query(&self.db).map_err(|source| Error::of(&self.path, source))
    }

    /// Runs a closure in one transaction: all of it is kept, or nothing.
    fn write<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let failed = |source| Error::of(&self.path, source);
        let transaction = self.db.transaction().map_err(failed)?;
        let result = change(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(result)
    }
}

#[cfg(test)]
mod tests;
