//! Groups out of the cache, one by one, and what a merge leaves of them.

use std::ops::ControlFlow;

use rusqlite::{Connection, params};

use super::row::{self, Row};
use super::{Cache, Error, birth};
use crate::lead::{Birth, Lead, LeadId};

impl Cache {
    /// Hands out every group of two or more leads with one key, by key, its leads by id, with what
    /// is known of their births, until the closure breaks.
    ///
    /// The index is read in order and holds keys and ids alone; rows are read for groups only, and
    /// one group at a time is in memory.
    pub fn for_each_group(
        &self,
        mut each: impl FnMut(&str, Vec<Lead>, Vec<Birth>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.read(|db| {
            let mut statement =
                db.prepare("SELECT key, id FROM lead WHERE key IS NOT NULL ORDER BY key, id")?;
            let mut rows = statement.query([])?;
            let mut key = String::new();
            let mut ids: Vec<i64> = Vec::new();
            while let Some(row) = rows.next()? {
                let next = row.get_ref(0)?.as_str()?;
                if next != key {
                    if hand_out(db, &key, &ids, &mut each)?.is_break() {
                        return Ok(());
                    }
                    ids.clear();
                    next.clone_into(&mut key);
                }
                ids.push(row.get(1)?);
            }
            hand_out(db, &key, &ids, &mut each).map(drop)
        })
    }

    /// The leads with this key, by id.
    pub fn leads_of_key(&self, key: &str) -> Result<Vec<Lead>, Error> {
        self.read(|db| {
            let mut statement =
                db.prepare_cached("SELECT * FROM lead WHERE key = ?1 ORDER BY id")?;
            let leads = statement.query_map([key], row::read)?;
            leads.map(|stored| stored.map(|stored| stored.row.lead)).collect()
        })
    }

    /// The lead with this id.
    pub fn lead(&self, id: LeadId) -> Result<Option<Lead>, Error> {
        self.read(|db| Ok(row::get(db, id)?.map(|stored| stored.row.lead)))
    }

    /// The births that are known of this lead, by time, then by the id at birth.
    pub fn births_of(&self, lead: LeadId) -> Result<Vec<Birth>, Error> {
        self.read(|db| birth::of_lead(db, row::id_of(lead)?))
    }

    /// Takes a verified merge over: the losers go, and the winner is as it was read after the
    /// merge.
    pub fn record_merge(&mut self, winner: &Row, losers: &[LeadId]) -> Result<(), Error> {
        self.write(|db| {
            birth::merged(db, winner.lead.id, losers)?;
            for loser in losers {
                row::remove(db, *loser)?;
            }
            let scan = match row::get(db, winner.lead.id)? {
                Some(stored) => stored.scan,
                None => db.query_row("SELECT scans FROM meta", [], |row| row.get(0))?,
            };
            row::put(db, winner, scan)
        })
    }

    /// Whether any lead has a key.
    pub fn has_keys(&self) -> Result<bool, Error> {
        self.read(|db| {
            db.query_row("SELECT EXISTS (SELECT 1 FROM lead WHERE key IS NOT NULL)", [], |row| {
                row.get(0)
            })
        })
    }

    /// Computes every key anew where they are by another rule than the one that `signature` names.
    pub fn ensure_keys(
        &mut self,
        signature: &str,
        key_of: impl Fn(&Lead) -> Option<String>,
    ) -> Result<(), Error> {
        if self.summary()?.key_signature == signature {
            return Ok(());
        }
        self.rekey(signature, key_of)
    }

    /// Computes every key anew, by the rule that `signature` names. All keys in the cache are by
    /// one rule at any time.
    pub fn rekey(
        &mut self,
        signature: &str,
        key_of: impl Fn(&Lead) -> Option<String>,
    ) -> Result<(), Error> {
        self.write(|db| {
            let mut last = -1_i64;
            loop {
                let part = part_after(db, last)?;
                let Some(row) = part.last() else { break };
                last = row::id_of(row.lead.id)?;
                let mut update =
                    db.prepare_cached("UPDATE lead SET key = ?2 WHERE id = ?1 AND key IS NOT ?2")?;
                for row in &part {
                    update.execute(params![row::id_of(row.lead.id)?, key_of(&row.lead)])?;
                }
            }
            db.execute("UPDATE meta SET key_signature = ?1", [signature])?;
            Ok(())
        })
    }
}

#[cfg(test)]
impl Cache {
    /// Every row, by id.
    pub(crate) fn rows(&self) -> Result<Vec<Row>, Error> {
        self.read(|db| {
            let (mut rows, mut last) = (Vec::new(), -1_i64);
            loop {
                let part = part_after(db, last)?;
                let Some(row) = part.last() else { return Ok(rows) };
                last = row::id_of(row.lead.id)?;
                rows.extend(part);
            }
        })
    }
}

/// The next thousand rows by id.
fn part_after(db: &Connection, id: i64) -> rusqlite::Result<Vec<Row>> {
    let mut statement =
        db.prepare_cached("SELECT * FROM lead WHERE id > ?1 ORDER BY id LIMIT 1000")?;
    let rows = statement.query_map([id], row::read)?;
    rows.map(|stored| stored.map(|stored| stored.row)).collect()
}

fn hand_out(
    db: &Connection,
    key: &str,
    ids: &[i64],
    each: &mut impl FnMut(&str, Vec<Lead>, Vec<Birth>) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    if ids.len() < 2 {
        return Ok(ControlFlow::Continue(()));
    }
    let mut statement = db.prepare_cached("SELECT * FROM lead WHERE id = ?1")?;
    let mut leads = Vec::with_capacity(ids.len());
    let mut births = Vec::new();
    for id in ids {
        leads.push(statement.query_row([id], row::read)?.row.lead);
        births.extend(birth::of_lead(db, *id)?);
    }
    Ok(each(key, leads, births))
}
