//! A whole file of leads in one transaction: all of it takes the cache's place, or nothing does.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::row::{self, Row};
use super::scan::{self, Seen};
use super::{Cache, Error, ScanSpec, ScanTotals};

/// Takes the leads of a file, one by one. Memory stays bounded: SQLite spills into its log.
#[derive(Debug)]
pub struct Loader<'a> {
    cache: &'a Connection,
    path: &'a std::path::Path,
    number: i64,
    /// Into an empty table rows go without a look at what was there before.
    was_empty: bool,
    added: i64,
    changed: i64,
}

impl<'a> Loader<'a> {
    /// Into the scan with this number, which other rows have gone into before.
    pub(super) fn into_scan(cache: &'a Connection, path: &'a std::path::Path, number: i64) -> Self {
        Self { cache, path, number, was_empty: false, added: 0, changed: 0 }
    }

    /// How many leads were new, and how many had other values before.
    pub(super) fn counted(&self) -> (i64, i64) {
        (self.added, self.changed)
    }

    /// Stores a lead. One that comes again takes the place of its earlier row.
    pub fn add(&mut self, row: &Row) -> Result<(), Error> {
        self.store(row).map_err(|source| Error::of(self.path, source))
    }

    /// Remembers which file the leads come from, together with them.
    pub fn from_file(&mut self, name: &str) -> Result<(), Error> {
        let set = self.cache.execute("UPDATE meta SET file = ?1", [name]);
        set.map(drop).map_err(|source| Error::of(self.path, source))
    }

    fn store(&mut self, row: &Row) -> rusqlite::Result<()> {
        if self.was_empty {
            return row::put(self.cache, row, self.number);
        }
        match scan::store(self.cache, row, self.number)? {
            Seen::New => self.added += 1,
            Seen::Changed => self.changed += 1,
            Seen::Same => {}
        }
        Ok(())
    }
}

impl Cache {
    /// Runs a closure that hands in every lead there is. If it fails, or the process ends before it
    /// returns, the cache is as it was; a scan that was interrupted can still go on then. If it
    /// succeeds, the cache is complete.
    pub fn load<E: From<Error>>(
        &mut self,
        spec: &ScanSpec,
        now: DateTime<Utc>,
        fill: impl FnOnce(&mut Loader<'_>) -> Result<(), E>,
    ) -> Result<ScanTotals, E> {
        let path = self.path.clone();
        let failed = |source| E::from(Error::of(&path, source));
        let empty = is_empty(&self.db).map_err(failed)?;
        if empty {
            // Pages that are new need no copy of what was there before, so that they are written
            // once, not twice.
            self.db.pragma_update(None, "journal_mode", "DELETE").map_err(failed)?;
        }
        let totals = self.fill(spec, now, fill);
        if empty {
            self.db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        }
        totals
    }

    fn fill<E: From<Error>>(
        &mut self,
        spec: &ScanSpec,
        now: DateTime<Utc>,
        fill: impl FnOnce(&mut Loader<'_>) -> Result<(), E>,
    ) -> Result<ScanTotals, E> {
        let path = self.path.clone();
        let failed = |source| E::from(Error::of(&path, source));
        let transaction = self.db.transaction().map_err(failed)?;
        let mut loader = begin(&transaction, &path, spec).map_err(failed)?;
        fill(&mut loader)?;
        let totals = end(&loader, now).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        totals.ok_or_else(|| E::from(Error::NoScan { path: path.clone() }))
    }
}

fn begin<'a>(
    db: &'a Connection,
    path: &'a std::path::Path,
    spec: &ScanSpec,
) -> rusqlite::Result<Loader<'a>> {
    let number = scan::start(db, spec, None)?;
    let was_empty = is_empty(db)?;
    // An index that is made after the rows costs two thirds of one that grows with them.
    db.execute("DROP INDEX lead_by_key", [])?;
    Ok(Loader { cache: db, path, number, was_empty, added: 0, changed: 0 })
}

fn is_empty(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT NOT EXISTS (SELECT 1 FROM lead)", [], |row| row.get(0))
}

fn end(loader: &Loader<'_>, now: DateTime<Utc>) -> rusqlite::Result<Option<ScanTotals>> {
    let Loader { cache: db, was_empty, added, changed, .. } = *loader;
    db.execute("CREATE INDEX lead_by_key ON lead (key, id) WHERE key IS NOT NULL", [])?;
    db.execute("UPDATE running SET added = ?1, changed = ?2", params![added, changed])?;
    let totals = scan::finish(db, now)?;
    Ok(totals
        .map(|totals| if was_empty { ScanTotals { new: totals.leads, ..totals } } else { totals }))
}
