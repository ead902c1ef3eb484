//! A whole cache written beside the one that there is, and renamed into its place when it is whole.
//!
//! For: loading as fast as the disk takes it. What is written here can be thrown away at any
//! moment, so that nothing is journalled. Parts are synced while the next ones are written
//! (`to_disk`), and all of it is on the disk before the rename. Never:
//! touches the cache that is there, whose lock keeps other processes from this file too.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::backup::Backup;
use rusqlite::{CachedStatement, Connection, OpenFlags, Statement, params};

use super::batch::{Batch, BatchRow};
use super::error::of_io;
use super::fields::Fields;
use super::hashes::Hashes;
use super::packed::{self, Walk};
use super::row::{Row, id_of};
use super::scan::{fields_text, written};
use super::to_disk::ToDisk;
use super::{Cache, Error, ScanSpec, ScanTotals, birth, member, open};
use crate::lead::LeadId;

/// How often a file that was just put into its place is tried to be opened, where another process
/// looks at it at that very moment; and how long after each try.
const TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A cache that is being filled.
#[derive(Debug)]
pub struct Fresh {
    /// None once it is closed.
    db: Option<Connection>,
    path: PathBuf,
    fields: Fields,
    hashes: Hashes,
    /// The number of its scan.
    number: i64,
    /// The highest id so far, while each one was higher than the one before and the leads are
    /// packed; else none, and each is a row.
    highest: Option<LeadId>,
    /// Leads that came one by one, on their way.
    waiting: Batch,
    disk: ToDisk,
    is_in_place: bool,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        drop(self.db.take());
        // Once it has its place, a file of that name is another process's.
        if !self.is_in_place {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

impl Cache {
    /// Begins a file beside this one. These fields have the first places, in this order.
    pub fn begin_fresh(&self, fields: &[String]) -> Result<Fresh, Error> {
        let path = open::beside(&self.path);
        let failed = |source| Error::of(&path, source);
        // Whoever has the cache open is alone here.
        open::remove_if_there(&path)?;
        open::make_new(&path)?;
        let db = open_fresh(&path).map_err(failed)?;
        let mut known = Fields::default();
        known.add(&db, fields).map_err(failed)?;
        let hashes = Hashes::in_folder(member::folder_of(&self.path));
        let number =
            self.read(|db| db.query_row("SELECT scans + 1 FROM meta", [], |row| row.get(0)))?;
        let disk = ToDisk::of(&path).map_err(|error| Error::of(&path, of_io(error)))?;
        Ok(Fresh {
            db: Some(db),
            path,
            fields: known,
            hashes,
            number,
            highest: Some(0),
            waiting: Batch::default(),
            disk,
            is_in_place: false,
        })
    }

    /// Puts a file that was filled into the place of this cache. Where it cannot, this one stays.
    pub fn replace(
        &mut self,
        fresh: Fresh,
        spec: &ScanSpec,
        source: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<ScanTotals, Error> {
        self.replace_by(fresh, (spec, source, now), |from, to| std::fs::rename(from, to))
    }

    /// The same, with what exchanges the two files.
    pub(super) fn replace_by(
        &mut self,
        mut fresh: Fresh,
        (spec, source, now): (&ScanSpec, Option<&str>, DateTime<Utc>),
        rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<ScanTotals, Error> {
        let path = self.path.clone();
        let failed = |source| Error::of(&path, source);
        let totals = fresh.finish(&self.db, spec, source, now).map_err(failed)?;
        let instance = open::instance_in(&self.db).map_err(failed)?;
        self.stop_journalling()?;
        // Renaming over a symbolic link would replace the link, not what it points to.
        let moved = match rename(&fresh.path, &open::resolved(&path)) {
            Ok(()) => {
                fresh.is_in_place = true;
                Ok(())
            }
            Err(error) if has_a_fixed_name(&error) => self.copy_from(&fresh.path).map_err(failed),
            Err(error) => Err(failed(of_io(error))),
        };
        // The old file is closed before the new one is opened under its name.
        self.db = Connection::open_in_memory().map_err(failed)?;
        drop(fresh);
        *self = opened_again(&path, &instance)?;
        moved.map(|()| totals)
    }

    /// Ends the log of this file, and has it write none any more: a log is found and removed by the
    /// name of its file, and would be taken for one of the file that gets the name.
    pub(super) fn stop_journalling(&self) -> Result<(), Error> {
        if self.read(packed::count)? == 0 {
            // A power cut can take nothing from it.
            self.read(|db| db.pragma_update(None, "synchronous", "OFF"))?;
        }
        for mode in ["DELETE", "MEMORY"] {
            let found: String = self.read(|db| {
                db.pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))
            })?;
            if !found.eq_ignore_ascii_case(mode) {
                return Err(Error::InUse { path: self.path.clone() });
            }
        }
        // SQLite keeps it while the lock is held, with nothing in it.
        open::remove_if_there(&open::journal_of(&self.path))
    }

    /// Takes over what is in another file, all of it or nothing, without a new name for either.
    fn copy_from(&mut self, path: &Path) -> rusqlite::Result<()> {
        self.db.pragma_update(None, "journal_mode", "DELETE")?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let from = Connection::open_with_flags(path, flags)?;
        Backup::new(&from, &mut self.db)?.run_to_completion(PAGES_AT_ONCE, Duration::ZERO, None)
    }
}

/// Pages that are copied at once.
const PAGES_AT_ONCE: i32 = 4_096;

/// Whether renaming over a file failed since that file is a mount of its own, as one that is
/// handed to a container by itself.
fn has_a_fixed_name(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices)
}

fn opened_again(path: &Path, instance: &str) -> Result<Cache, Error> {
    let mut tries = TRIES;
    loop {
        match Cache::open(path, instance) {
            Err(Error::InUse { .. }) if tries > 1 => tries -= 1,
            opened => return opened,
        }
        // Another process may have the new file for a moment.
        std::thread::sleep(BETWEEN_TRIES);
    }
}

fn open_fresh(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    db.pragma_update(None, "page_size", open::PAGE)?;
    db.pragma_update(None, "journal_mode", "OFF")?;
    db.pragma_update(None, "synchronous", "OFF")?;
    db.set_prepared_statement_cache_capacity(32);
    // The instance is written when the file takes its place.
    open::migrate(&mut db, "")?;
    db.execute_batch("BEGIN EXCLUSIVE")?;
    Ok(db)
}

/// The same file once more, for a thread that reads what is committed while nobody writes. None
/// where it cannot be had: it is not needed.
fn read_beside(path: &Path) -> Option<Connection> {
    let mut address = url::Url::from_file_path(std::path::absolute(path).ok()?).ok()?;
    // Without a lock: the other connection holds that of the whole file.
    address.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(address.as_str(), flags).ok()
}

impl Fresh {
    /// Which fields have which places.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    fn db(&self) -> rusqlite::Result<&Connection> {
        self.db.as_ref().ok_or(rusqlite::Error::InvalidQuery)
    }

    /// Stores rows. One that comes again takes the place of its earlier one.
    pub fn add(&mut self, batch: &Batch) -> Result<(), Error> {
        self.store(batch).map_err(|source| Error::of(&self.path, source))
    }

    fn store(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let db = self.db.as_ref().ok_or(rusqlite::Error::InvalidQuery)?;
        for (hash, lead) in batch.hashes() {
            self.hashes.add_hash(hash, lead).map_err(of_io)?;
        }
        let lines = match self.highest {
            Some(highest) => batch.lines(highest)?,
            None => None,
        };
        if let Some(lines) = lines {
            self.highest = Some(lines.last);
            let ids = (id_of(lines.first)?, id_of(lines.last)?);
            let counts = (batch.len(), lines.keyed);
            packed::put(db, ids, counts, lines.text)?;
            self.disk.written(lines.text.len());
            return Ok(());
        }
        if !batch.is_empty() && self.highest.take().is_some() {
            packed::unpack(db, self.number)?;
        }
        let mut insert = prepared(db, self.number)?;
        batch.rows()?.try_for_each(|row| put(&mut insert, &row?))
    }

    /// Stores one lead.
    pub(super) fn add_row(&mut self, row: &Row) -> Result<(), Error> {
        if let Some(db) = &self.db {
            let added = self.fields.add(db, row.lead.fields.keys());
            added.map_err(|source| Error::of(&self.path, source))?;
        }
        self.waiting.lead(&row.lead, row.key.as_deref(), &self.fields)?;
        if !self.waiting.is_full() {
            return Ok(());
        }
        self.flush().map_err(|source| Error::of(&self.path, source))
    }

    fn flush(&mut self) -> rusqlite::Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.store(&waiting)?;
        waiting.clear();
        self.waiting = waiting;
        Ok(())
    }

    /// Finds the members, and takes over what the old file knows beside its leads.
    fn finish(
        &mut self,
        old: &Connection,
        spec: &ScanSpec,
        source: Option<&str>,
        now: DateTime<Utc>,
    ) -> rusqlite::Result<ScanTotals> {
        self.flush()?;
        let folder = member::folder_of(&self.path).to_owned();
        let hashes = std::mem::replace(&mut self.hashes, Hashes::in_folder(&folder));
        let db = self.db()?;
        // Nothing is left to be written, so that SQLite reads long values straight from the file,
        // and not by way of its own pages.
        db.execute_batch("COMMIT; BEGIN EXCLUSIVE")?;
        member::keep(db, read_beside(&self.path), hashes, &folder)?;
        let totals = compared(old, db)?;
        take_over(old, db)?;
        birth::forget_gone(db)?;
        db.execute(
            "UPDATE meta SET key_signature = ?1, scanned_at = ?2, strategy = ?3, fields = ?4, file = ?5, \
             leads = ?6, refresh_from = NULL",
            params![
                spec.key_signature,
                written(now),
                spec.strategy,
                fields_text(spec)?,
                source,
                totals.leads.cast_signed()
            ],
        )?;
        db.execute_batch("COMMIT")?;
        // Now, so that whoever opens it has nothing to change, and nothing to wait for.
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        drop(self.db.take());
        self.disk.finish().map_err(of_io)?;
        Ok(totals)
    }
}

fn prepared(db: &Connection, number: i64) -> rusqlite::Result<CachedStatement<'_>> {
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO lead VALUES (?1, ?2, ?3, ?4)")?;
    insert.raw_bind_parameter(2, number)?;
    Ok(insert)
}

fn put(insert: &mut Statement<'_>, row: &BatchRow<'_>) -> rusqlite::Result<()> {
    insert.raw_bind_parameter(1, id_of(row.id)?)?;
    insert.raw_bind_parameter(3, row.key.as_deref())?;
    insert.raw_bind_parameter(4, row.body)?;
    insert.raw_execute().map(drop)
}

/// What the new file has and the old one had not, or otherwise, or alone: both are read side by
/// side, by id.
fn compared(old: &Connection, new: &Connection) -> rusqlite::Result<ScanTotals> {
    let mut totals = ScanTotals::default();
    let (old_fields, new_fields) = (Fields::read(old)?, Fields::read(new)?);
    let same_places = old_fields == new_fields;
    if packed::count(old)? == 0 {
        let leads = packed::count(new)?.unsigned_abs();
        return Ok(ScanTotals { leads, new: leads, ..totals });
    }
    let (mut olds, mut news) = (packed::all(old)?, packed::all(new)?);
    let (mut olds, mut news) = (Walk::through(&mut olds)?, Walk::through(&mut news)?);
    let (mut before, mut after) = (olds.next()?, news.next()?);
    loop {
        let (drops_old, drops_new) = match (before, after) {
            (None, None) => return Ok(totals),
            (Some(old), Some(new)) => (old.id <= new.id, new.id <= old.id),
            (old, new) => (old.is_some(), new.is_some()),
        };
        totals.leads += u64::from(drops_new);
        match (before, after) {
            (Some(old), Some(new)) if drops_old && drops_new => {
                let (id, old, new) = (old.id, old.body()?, new.body()?);
                let same = same_places && old == new
                    || old_fields.lead(id, old)? == new_fields.lead(id, new)?;
                totals.changed += u64::from(!same);
            }
            _ => {
                totals.new += u64::from(drops_new);
                totals.removed += u64::from(drops_old);
            }
        }
        if drops_old {
            before = olds.next()?;
        }
        if drops_new {
            after = news.next()?;
        }
    }
}

/// Births, totals that wait, and whose cache it is.
fn take_over(old: &Connection, new: &Connection) -> rusqlite::Result<()> {
    new.execute("DELETE FROM meta", [])?;
    copy(old, new, "meta")?;
    copy(old, new, "waiting_totals")?;
    copy(old, new, "birth")?;
    copy(old, new, "birth_asked")?;
    new.execute("UPDATE meta SET scans = scans + 1, grouped = 1", []).map(drop)
}

fn copy(old: &Connection, new: &Connection, table: &str) -> rusqlite::Result<()> {
    let mut select = old.prepare(&format!("SELECT * FROM {table}"))?;
    let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
    let marks = vec!["?"; columns.len()].join(", ");
    let sql = format!("INSERT INTO {table} ({}) VALUES ({marks})", columns.join(", "));
    let (mut insert, count) = (new.prepare(&sql)?, columns.len());
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let values: Vec<rusqlite::types::Value> =
            (0..count).map(|place| row.get(place)).collect::<rusqlite::Result<_>>()?;
        insert.execute(rusqlite::params_from_iter(values))?;
    }
    Ok(())
}
