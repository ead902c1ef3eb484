//! A whole cache written beside the one that there is, and renamed into its place when it is whole.
//!
//! For: loading as fast as the disk takes it. What is written here can be thrown away at any
//! moment, so that nothing is journalled, and nothing waits for the disk but the rename. Never:
//! touches the cache that is there, whose lock keeps other processes from this file too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{CachedStatement, Connection, OpenFlags, Statement, params};

use super::batch::{Batch, BatchRow};
use super::error::of_io;
use super::fields::Fields;
use super::hashes::Hashes;
use super::row::{Row, id_of};
use super::scan::{fields_text, written};
use super::{Cache, Error, ScanSpec, ScanTotals, birth, member, open};

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
        open::make_empty(&path)?;
        let db = open_fresh(&path).map_err(failed)?;
        let mut known = Fields::default();
        known.add(&db, fields).map_err(failed)?;
        let hashes = Hashes::in_folder(member::folder_of(&self.path));
        let number =
            self.read(|db| db.query_row("SELECT scans + 1 FROM meta", [], |row| row.get(0)))?;
        Ok(Fresh { db: Some(db), path, fields: known, hashes, number, is_in_place: false })
    }

    /// Puts a file that was filled into the place of this cache.
    pub fn replace(
        &mut self,
        mut fresh: Fresh,
        spec: &ScanSpec,
        source: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<ScanTotals, Error> {
        let path = self.path.clone();
        let failed = |source| Error::of(&path, source);
        let totals = fresh.finish(&self.db, spec, source, now).map_err(failed)?;
        // The log of the old file would be taken for one of the new; without it, nothing but the
        // name is exchanged.
        let mode: String = self
            .db
            .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))
            .map_err(failed)?;
        if !mode.eq_ignore_ascii_case("delete") {
            return Err(Error::InUse { path });
        }
        let instance = open::instance_in(&self.db).map_err(failed)?;
        // Renaming over a symbolic link would replace the link, not what it points to.
        let place = open::resolved(&path);
        let moved = std::fs::rename(&fresh.path, place).map_err(|error| failed(of_io(error)));
        fresh.is_in_place = moved.is_ok();
        // The old file is closed before the new one is opened under its name.
        self.db = Connection::open_in_memory().map_err(failed)?;
        drop(fresh);
        *self = opened_again(&path, &instance)?;
        moved.map(|()| totals)
    }
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
        let Self { db, hashes, path, number, .. } = self;
        let Some(db) = db else { return Ok(()) };
        let mut store = || {
            let mut insert = prepared(db, *number)?;
            batch.rows().try_for_each(|row| put(&mut insert, hashes, row))
        };
        store().map_err(|source| Error::of(path, source))
    }

    /// Stores one lead.
    pub(super) fn add_row(&mut self, row: &Row) -> Result<(), Error> {
        if let Some(db) = &self.db {
            let added = self.fields.add(db, row.lead.fields.keys());
            added.map_err(|source| Error::of(&self.path, source))?;
        }
        let mut batch = Batch::default();
        batch.lead(&row.lead, row.key.as_deref(), &self.fields)?;
        self.add(&batch)
    }

    /// Finds the members, and takes over what the old file knows beside its leads.
    fn finish(
        &mut self,
        old: &Connection,
        spec: &ScanSpec,
        source: Option<&str>,
        now: DateTime<Utc>,
    ) -> rusqlite::Result<ScanTotals> {
        let folder = member::folder_of(&self.path).to_owned();
        let hashes = std::mem::replace(&mut self.hashes, Hashes::in_folder(&folder));
        let db = self.db()?;
        member::keep(db, hashes)?;
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
        drop(self.db.take());
        std::fs::File::open(&self.path).and_then(|file| file.sync_all()).map_err(of_io)?;
        Ok(totals)
    }
}

fn prepared(db: &Connection, number: i64) -> rusqlite::Result<CachedStatement<'_>> {
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO lead VALUES (?1, ?2, ?3, ?4)")?;
    insert.raw_bind_parameter(2, number)?;
    Ok(insert)
}

fn put(insert: &mut Statement<'_>, hashes: &mut Hashes, row: BatchRow<'_>) -> rusqlite::Result<()> {
    if let Some(key) = row.key {
        hashes.add(key, row.id).map_err(of_io)?;
    }
    insert.raw_bind_parameter(1, id_of(row.id)?)?;
    insert.raw_bind_parameter(3, row.key)?;
    insert.raw_bind_parameter(4, row.body)?;
    insert.raw_execute().map(drop)
}

/// What the new file has and the old one had not, or otherwise, or alone: both are read side by
/// side, by id.
fn compared(old: &Connection, new: &Connection) -> rusqlite::Result<ScanTotals> {
    let mut totals = ScanTotals::default();
    let (old_fields, new_fields) = (Fields::read(old)?, Fields::read(new)?);
    let same_places = old_fields == new_fields;
    let sql = "SELECT id, body FROM lead ORDER BY id";
    let is_empty: bool =
        old.query_row("SELECT NOT EXISTS (SELECT 1 FROM lead)", [], |row| row.get(0))?;
    if is_empty {
        let leads: i64 = new.query_row("SELECT count(*) FROM lead", [], |row| row.get(0))?;
        return Ok(ScanTotals { leads: leads.unsigned_abs(), new: leads.unsigned_abs(), ..totals });
    }
    let (mut olds, mut news) = (old.prepare(sql)?, new.prepare(sql)?);
    let (mut olds, mut news) = (olds.query([])?, news.query([])?);
    let (mut before, mut after) = (olds.next()?, news.next()?);
    loop {
        let old_id: Option<i64> = before.map(|row| row.get(0)).transpose()?;
        let new_id: Option<i64> = after.map(|row| row.get(0)).transpose()?;
        let (drops_old, drops_new) = match (old_id, new_id) {
            (None, None) => return Ok(totals),
            (Some(old), Some(new)) => (old <= new, new <= old),
            (old, new) => (old.is_some(), new.is_some()),
        };
        totals.leads += u64::from(drops_new);
        match (before, after) {
            (Some(old), Some(new)) if drops_old && drops_new => {
                let (id, old, new) = (old.get(0)?, old.get_ref(1)?, new.get_ref(1)?);
                let same = same_places && old == new
                    || old_fields.lead(id, old.as_str()?)? == new_fields.lead(id, new.as_str()?)?;
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
