//! A CSV file of leads: a bulk extract, or an export of a smart list from Marketo's screens.
//!
//! It goes into the cache in one transaction, so that a file that turns out to be broken in its last line leaves the cache
//! as it was. How rows are read stands in [`super::rows`].

use std::fs::File;
use std::path::{Path, PathBuf};

use super::rows::{ColumnUse, Columns, RowError, Rows, each_row};
use super::{Ended, Error, Now, Watch, spec};
use crate::cache::Cache;
use crate::dedupe::KeySpec;
use crate::lead::AUDIT_FIELDS;

/// How many rows go by between two looks at the progress.
const WATCH_EVERY: u64 = 10_000;

/// What is wrong with a file. The cache is what it was before.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {what}", path.display(), line.map(|line| format!(" line {line}")).unwrap_or_default())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1, where it concerns one.
    pub line: Option<u64>,
    /// What is wrong, with the column where it concerns one.
    pub what: String,
}

/// Reads a file into the cache. `told` hears how its columns are read, before the first row is.
pub fn scan_file(
    path: &Path,
    cache: &mut Cache,
    key: &KeySpec,
    now: Now,
    watch: &dyn Watch,
    told: impl FnOnce(&[ColumnUse]),
) -> Result<Ended, Error> {
    let failed = |error: RowError| FileError { path: path.to_owned(), line: error.line, what: error.what };
    let open =
        |error: std::io::Error| failed(RowError { line: None, what: format!("cannot be read: {error}") });
    let file = File::open(path).map_err(open)?;
    let size = file.metadata().map_err(open)?.len();
    let rows = Rows::open(file, |header| Columns::found(header, key)).map_err(failed)?;
    told(rows.uses());
    let fields: Vec<String> = AUDIT_FIELDS.iter().map(|field| (*field).to_owned()).collect();
    let totals = cache.load(&spec("file", &fields, key), now(), |loader| {
        let mut count = 0_u64;
        let read = each_row(rows, key, |row, byte| {
            count += 1;
            if count.is_multiple_of(WATCH_EVERY) {
                watch.at(byte, Some(size));
            }
            loader.add(row)
        });
        read?.map_err(failed)?;
        Ok::<_, Error>(())
    })?;
    watch.at(size, Some(size));
    Ok(Ended::Complete(totals))
}

#[cfg(test)]
mod tests;
