//! Scans: begun, stored page by page, gone on with after an interruption, ended.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::fields::Fields;
use super::row::{self, Row};
use super::{Cache, Error, birth, member, packed};

/// What a scan reads. One that was interrupted goes on only where all of this is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanSpec {
    /// `pages`, `bulk` or `file`.
    pub strategy: String,
    /// The fields that are read, in their order.
    pub fields: Vec<String>,
    /// The rule that the rows' keys are computed by.
    pub key_signature: String,
}

/// A scan that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Where to go on: the cursor of the last stored page. None at the start.
    pub cursor: Option<String>,
}

/// What a complete scan found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanTotals {
    /// Leads in the cache now.
    pub leads: u64,
    /// Leads that were not in it before.
    pub new: u64,
    /// Leads with another value than before.
    pub changed: u64,
    /// Leads that are no longer there.
    pub removed: u64,
}

impl Cache {
    /// Goes on with the scan that was interrupted, where it reads the same; else begins a new one.
    /// The leads of earlier scans stay until this one is complete; their keys must be by the rule
    /// of this one, see [`Cache::rekey`]. `now` is when a new one begins: a refresh after it has to
    /// look from there on.
    pub fn begin_scan(&mut self, spec: &ScanSpec, now: DateTime<Utc>) -> Result<Begun, Error> {
        self.write(|db| {
            if let Some(begun) = interrupted(db, spec)? {
                return Ok(begun);
            }
            // Its rows go in one by one, and those that it does not see go at its end.
            packed::unpack_all(db)?;
            start(db, spec, Some(now))?;
            Fields::read(db)?.add(db, &spec.fields)?;
            // Killed at any moment from here on, it has not asked for the births of what it found.
            db.execute("UPDATE meta SET causes = 'unfinished'", [])?;
            Ok(Begun { cursor: None })
        })
    }

    /// Writes down how far the scan under way is expected to come, in the unit of its cursor.
    pub fn expect(&mut self, expected: u64) -> Result<(), Error> {
        let expected = i64::try_from(expected).unwrap_or(i64::MAX);
        self.write(|db| db.execute("UPDATE running SET expected = ?1", [expected]).map(drop))
    }

    /// Stores a page and the cursor that leads beyond it, both or neither. A lead that comes again
    /// takes the place of its earlier row.
    pub fn save_page(&mut self, rows: &[Row], cursor: &str) -> Result<(), Error> {
        let stored = self.write(|db| {
            let Some(number) = running(db)? else { return Ok(false) };
            member::outdated(db)?;
            let mut fields = Fields::read(db)?;
            let (mut added, mut changed) = (0_i64, 0_i64);
            for row in rows {
                let body = row::body_of(db, &mut fields, &row.lead)?;
                let (id, key) = (row::id_of(row.lead.id)?, row.key.as_deref());
                match store(db, id, key, &body, number, false)? {
                    Seen::New => added += 1,
                    Seen::Changed => changed += 1,
                    Seen::Same => {}
                }
            }
            count_by(db, added)?;
            db.execute(
                "UPDATE running SET cursor = ?1, added = added + ?2, changed = changed + ?3",
                params![cursor, added, changed],
            )?;
            Ok(true)
        })?;
        if stored { Ok(()) } else { Err(Error::NoScan { path: self.path.clone() }) }
    }

    /// Ends the scan: the leads that it has not seen are removed, and the cache is complete.
    pub fn finish_scan(&mut self, now: DateTime<Utc>) -> Result<ScanTotals, Error> {
        let folder = member::folder_of(&self.path).to_owned();
        self.write(|db| finish(db, now, &folder))?
            .ok_or_else(|| Error::NoScan { path: self.path.clone() })
    }
}

/// What a stored row was compared with the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    New,
    Changed,
    Same,
}

/// Stores a row under the scan with this number; members follow while they are exact. A lead that
/// the scan has seen already was counted then.
pub(super) fn store(
    db: &Connection,
    id: i64,
    key: Option<&str>,
    body: &str,
    number: i64,
    members_are_exact: bool,
) -> rusqlite::Result<Seen> {
    let before = row::get(db, id)?;
    let seen = match &before {
        None => Seen::New,
        Some(before) if before.scan != number && before.body != body => Seen::Changed,
        Some(_) => Seen::Same,
    };
    row::put(db, id, number, key, body)?;
    if members_are_exact {
        member::stored(db, id, before.as_ref(), key, body)?;
    }
    Ok(seen)
}

/// The interrupted scan that reads what `spec` says.
fn interrupted(db: &Connection, spec: &ScanSpec) -> rusqlite::Result<Option<Begun>> {
    db.query_row(
        "SELECT cursor FROM running WHERE strategy = ?1 AND fields = ?2 AND key_signature = ?3 \
         AND key_signature = (SELECT key_signature FROM meta)",
        params![spec.strategy, fields_text(spec)?, spec.key_signature],
        |row| Ok(Begun { cursor: row.get(0)? }),
    )
    .optional()
}

/// Begins a scan in place of one that was interrupted, and gives its number. Of a file nobody knows
/// when it was made.
pub(super) fn start(
    db: &Connection,
    spec: &ScanSpec,
    begun_at: Option<DateTime<Utc>>,
) -> rusqlite::Result<i64> {
    db.execute("DELETE FROM export_job", [])?;
    let number =
        db.query_row("UPDATE meta SET scans = scans + 1 RETURNING scans", [], |row| row.get(0))?;
    db.execute(
        "INSERT OR REPLACE INTO running (only, number, strategy, fields, key_signature, added, changed, begun_at) \
         VALUES (1, ?1, ?2, ?3, ?4, 0, 0, ?5)",
        params![number, spec.strategy, fields_text(spec)?, spec.key_signature, begun_at.map(written)],
    )?;
    Ok(number)
}

/// The number of the scan under way.
pub(super) fn running(db: &Connection) -> rusqlite::Result<Option<i64>> {
    db.query_row("SELECT number FROM running", [], |row| row.get(0)).optional()
}

/// Ends the running scan; none where there is none.
fn finish(
    db: &Connection,
    now: DateTime<Utc>,
    folder: &Path,
) -> rusqlite::Result<Option<ScanTotals>> {
    let Some((number, new, changed)) = db
        .query_row("SELECT number, added, changed FROM running", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })
        .optional()?
    else {
        return Ok(None);
    };
    db.execute("UPDATE meta SET leads = (SELECT count(*) FROM lead) WHERE leads IS NULL", [])?;
    let removed = db.execute("DELETE FROM lead WHERE scan <> ?1", [number])?;
    count_by(db, -i64::try_from(removed).unwrap_or(i64::MAX))?;
    keep_point(db, &written(now))?;
    if removed > 0 || !member::are_exact(db)? {
        member::find(db, folder)?;
    }
    Ok(Some(ScanTotals {
        leads: count_leads(db)?,
        new: new.unsigned_abs(),
        changed: changed.unsigned_abs(),
        removed: removed as u64,
    }))
}

/// The running scan becomes the last complete one, what was kept of leads that are gone goes with
/// them, and where it began the point from which a refresh has to look.
pub(super) fn keep_point(db: &Connection, now: &str) -> rusqlite::Result<()> {
    birth::forget_gone(db)?;
    db.execute(
        "UPDATE meta SET scanned_at = ?1, (strategy, key_signature, refresh_from, fields) = \
         (SELECT strategy, key_signature, begun_at, fields FROM running), \
         file = CASE WHEN (SELECT strategy FROM running) = 'file' THEN file END",
        [now],
    )?;
    db.execute("DELETE FROM running", [])?;
    db.execute("DELETE FROM export_job", []).map(drop)
}

/// How many leads there are; counted where nobody knows.
pub(super) fn count_leads(db: &Connection) -> rusqlite::Result<u64> {
    let known: Option<i64> = db.query_row("SELECT leads FROM meta", [], |row| row.get(0))?;
    let leads = match known {
        Some(leads) => leads,
        None => packed::count(db)?,
    };
    Ok(leads.unsigned_abs())
}

/// So many leads more, or less.
pub(super) fn count_by(db: &Connection, leads: i64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE meta SET leads = leads + ?1")?.execute([leads]).map(drop)
}

pub(super) fn fields_text(spec: &ScanSpec) -> rusqlite::Result<String> {
    serde_json::to_string(&spec.fields)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
