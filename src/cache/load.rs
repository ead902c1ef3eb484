//! Leads on their way into the cache: into a file of their own that takes its place, or into the
//! scan that is under way.

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::batch::Batch;
use super::fields::Fields;
use super::fresh::Fresh;
use super::row::{Row, body_of, id_of};
use super::scan::{Seen, store};
use super::{Cache, Error, ScanSpec, ScanTotals};

/// Takes leads, in whatever order.
#[derive(Debug)]
pub struct Loader<'a> {
    into: Into<'a>,
    /// The file that they come from.
    file: Option<String>,
}

#[derive(Debug)]
enum Into<'a> {
    Fresh(&'a mut Fresh),
    Scan(Scan<'a>),
}

/// A scan that other rows have gone into before.
#[derive(Debug)]
struct Scan<'a> {
    cache: &'a Connection,
    path: &'a std::path::Path,
    number: i64,
    fields: Fields,
    added: i64,
    changed: i64,
}

impl<'a> Loader<'a> {
    /// Into the scan with this number, of which these are the fields.
    pub(super) fn into_scan(
        cache: &'a Connection,
        path: &'a std::path::Path,
        number: i64,
        fields: Fields,
    ) -> Self {
        let scan = Scan { cache, path, number, fields, added: 0, changed: 0 };
        Self { into: Into::Scan(scan), file: None }
    }

    /// How many leads were new, and how many had other values before.
    pub(super) fn counted(&self) -> (i64, i64) {
        match &self.into {
            Into::Fresh(_) => (0, 0),
            Into::Scan(scan) => (scan.added, scan.changed),
        }
    }

    /// Which fields have which places.
    pub fn fields(&self) -> &Fields {
        match &self.into {
            Into::Fresh(fresh) => fresh.fields(),
            Into::Scan(scan) => &scan.fields,
        }
    }

    /// Stores a lead. One that comes again takes the place of its earlier row.
    pub fn add(&mut self, row: &Row) -> Result<(), Error> {
        match &mut self.into {
            Into::Fresh(fresh) => fresh.add_row(row),
            Into::Scan(scan) => scan.add_row(row).map_err(|source| Error::of(scan.path, source)),
        }
    }

    /// Stores rows that were written with the places of [`Loader::fields`].
    pub fn add_batch(&mut self, batch: &Batch) -> Result<(), Error> {
        match &mut self.into {
            Into::Fresh(fresh) => fresh.add(batch),
            Into::Scan(scan) => {
                scan.add_batch(batch).map_err(|source| Error::of(scan.path, source))
            }
        }
    }

    /// Remembers which file the leads come from, together with them.
    pub fn from_file(&mut self, name: &str) {
        self.file = Some(name.to_owned());
    }
}

impl Scan<'_> {
    fn add_row(&mut self, row: &Row) -> rusqlite::Result<()> {
        let body = body_of(self.cache, &mut self.fields, &row.lead)?;
        self.put(id_of(row.lead.id)?, row.key.as_deref(), &body)
    }

    fn add_batch(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        batch.rows()?.try_for_each(|row| {
            let row = row?;
            self.put(id_of(row.id)?, row.key.as_deref(), row.body)
        })
    }

    fn put(&mut self, id: i64, key: Option<&str>, body: &str) -> rusqlite::Result<()> {
        match store(self.cache, id, key, body, self.number, false)? {
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
        hand_in: impl FnOnce(&mut Loader<'_>) -> Result<(), E>,
    ) -> Result<ScanTotals, E> {
        let mut fresh = self.begin_fresh(&spec.fields)?;
        let mut loader = Loader { into: Into::Fresh(&mut fresh), file: None };
        hand_in(&mut loader)?;
        let source = loader.file.take();
        Ok(self.replace(fresh, spec, source.as_deref(), now)?)
    }
}
