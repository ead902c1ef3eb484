//! Refreshes: rows that were read again, leads that are gone, and the moment from which the next
//! one has to look.
//!
//! A refresh is a scan that is under way like any other, so that its rows carry its number and each
//! lead is counted once, however often it is interrupted. It never removes what it has not looked
//! at, and the refresh point moves in the transaction that ends it, or not at all.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::fields::Fields;
use super::row::{self, Row};
use super::scan::{Seen, count_by, count_leads, running, store, written};
use super::{Cache, Error, ScanTotals, birth, member, packed};
use crate::lead::LeadId;

/// A lead that is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// Its id.
    pub id: LeadId,
    /// The lead that a merge is known to have folded it into; it counts as deleted otherwise.
    pub merged_into: Option<LeadId>,
}

/// What a complete refresh found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefreshTotals {
    /// As of any scan.
    pub scan: ScanTotals,
    /// Those of the removed leads that a merge took.
    pub merged: u64,
}

impl Cache {
    /// The highest id in it; 0 where it is empty.
    pub fn highest_id(&self) -> Result<LeadId, Error> {
        Ok(self.read(packed::highest)?.unwrap_or(0).unsigned_abs())
    }

    /// The leads that share a key with one of these, without these themselves.
    pub fn sharing_a_key_with(&self, ids: &[LeadId]) -> Result<Vec<LeadId>, Error> {
        self.read(|db| {
            self.ensure_members()?;
            let mut mates = std::collections::BTreeSet::new();
            let mut statement = db.prepare_cached("SELECT lead FROM member WHERE key = ?1")?;
            for id in ids {
                let stored = packed::get(db, row::id_of(*id)?)?;
                let Some(key) = stored.and_then(|stored| stored.key) else { continue };
                for mate in statement.query_map([key], |row| row.get::<_, i64>(0))? {
                    mates.insert(mate?.unsigned_abs());
                }
            }
            Ok(mates.into_iter().filter(|mate| !ids.contains(mate)).collect())
        })
    }

    /// Stores leads as they were just read, and removes those that were found to be gone; all of it
    /// or nothing.
    pub fn renew(&mut self, rows: &[Row], gone: &[Gone]) -> Result<(), Error> {
        self.read(|_| self.ensure_members())?;
        let renewed = self.write(|db| {
            let Some(number) = running(db)? else { return Ok(false) };
            let mut fields = Fields::read(db)?;
            let (mut added, mut changed, mut removed, mut merged) = (0_i64, 0_i64, 0_i64, 0_i64);
            for row in rows {
                let body = row::body_of(db, &mut fields, &row.lead)?;
                let (id, key) = (row::id_of(row.lead.id)?, row.key.as_deref());
                match store(db, id, key, &body, number, true)? {
                    Seen::New => added += 1,
                    Seen::Changed => changed += 1,
                    Seen::Same => {}
                }
            }
            count_by(db, added)?;
            for gone in gone {
                if let Some(winner) = gone.merged_into {
                    birth::merged(db, winner, &[gone.id])?;
                }
                if remove(db, gone.id)? {
                    removed += 1;
                    merged += i64::from(gone.merged_into.is_some());
                }
            }
            db.execute(
                "UPDATE running SET added = added + ?1, changed = changed + ?2, removed = removed + ?3, merged = merged + ?4",
                params![added, changed, removed, merged],
            )?;
            Ok(true)
        })?;
        if renewed { Ok(()) } else { Err(Error::NoScan { path: self.path.clone() }) }
    }

    /// Ends the refresh: the cache is complete, and the next refresh looks from where this one
    /// began.
    pub fn finish_refresh(&mut self, now: DateTime<Utc>) -> Result<RefreshTotals, Error> {
        self.write(|db| finish(db, now))?.ok_or_else(|| Error::NoScan { path: self.path.clone() })
    }
}

/// Removes a lead, and follows with the members, which are exact; whether it was there.
pub(super) fn remove(db: &Connection, lead: LeadId) -> rusqlite::Result<bool> {
    let id = row::id_of(lead)?;
    let Some(stored) = row::get(db, id)? else { return Ok(false) };
    db.prepare_cached("DELETE FROM lead WHERE id = ?1")?.execute([id])?;
    count_by(db, -1)?;
    if let Some(key) = &stored.key {
        member::leave(db, id, key)?;
    }
    Ok(true)
}

fn finish(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<Option<RefreshTotals>> {
    let found: Option<[i64; 4]> = db
        .query_row("SELECT added, changed, removed, merged FROM running", [], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        })
        .optional()?;
    let Some([new, changed, removed, merged]) = found.map(|found| found.map(i64::unsigned_abs))
    else {
        return Ok(None);
    };
    super::scan::keep_point(db, &written(now))?;
    let scan = ScanTotals { leads: count_leads(db)?, new, changed, removed };
    Ok(Some(RefreshTotals { scan, merged }))
}
