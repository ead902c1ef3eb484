//! Groups out of the cache, one by one, and what a merge leaves of them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use rusqlite::{Connection, params};

use super::fields::Fields;
use super::refresh::remove;
use super::row::{self, Row};
use super::scan::{count_by, store};
use super::{Cache, Error, birth, member, packed};
use crate::lead::{Birth, Lead, LeadId};

/// Which groups are handed out.
#[derive(Clone, Copy)]
pub enum Groups<'a> {
    /// Every one, the largest first, then by key.
    All,
    /// Every one, by key: the cheapest way for whoever needs no other order.
    ByKey,
    /// In the same order those whose key this holds for.
    Where(&'a dyn Fn(&str) -> bool),
    /// In the same order those with one of these keys.
    Of(&'a BTreeSet<String>),
}

impl std::fmt::Debug for Groups<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::All => "All",
            Self::ByKey => "ByKey",
            Self::Where(_) => "Where",
            Self::Of(_) => "Of",
        })
    }
}

impl Cache {
    /// Hands out groups of two or more leads with one key, their leads by id, with what is known of
    /// their births, until the closure breaks. One group at a time is in memory, and the leads of
    /// groups that are not asked for are not read.
    pub fn for_each_group(
        &self,
        which: Groups<'_>,
        mut each: impl FnMut(&str, Vec<Lead>, Vec<Birth>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.read(|db| {
            self.ensure_members()?;
            let reader = GroupReader {
                db,
                fields: Fields::read(db)?,
                any_births: db
                    .query_row("SELECT EXISTS (SELECT 1 FROM birth)", [], |row| row.get(0))?,
            };
            match which {
                Groups::ByKey => return reader.hand_out_all(&mut each).map(drop),
                Groups::Of(keys) => {
                    for key in reader.by_size(keys)? {
                        if reader.hand_out(key, &mut each)?.is_break() {
                            break;
                        }
                    }
                    return Ok(());
                }
                Groups::All | Groups::Where(_) => {}
            }
            let mut statement = db.prepare("SELECT key FROM member_key ORDER BY size DESC, key")?;
            let mut keys = statement.query([])?;
            while let Some(row) = keys.next()? {
                let key = row.get_ref(0)?.as_str()?;
                let is_asked_for = match which {
                    Groups::Where(holds) => holds(key),
                    Groups::All | Groups::ByKey | Groups::Of(_) => true,
                };
                if is_asked_for && reader.hand_out(key, &mut each)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The lead with this id.
    pub fn lead(&self, id: LeadId) -> Result<Option<Lead>, Error> {
        self.read(|db| {
            let id = row::id_of(id)?;
            let Some(stored) = packed::get(db, id)? else { return Ok(None) };
            Fields::read(db)?.lead(id, &stored.body).map(Some)
        })
    }

    /// Takes a verified merge over: the losers go, and the winner is as it was read after the
    /// merge.
    pub fn record_merge(&mut self, winner: &Row, losers: &[LeadId]) -> Result<(), Error> {
        self.read(|_| self.ensure_members())?;
        self.write(|db| {
            packed::unpack_all(db)?;
            birth::merged(db, winner.lead.id, losers)?;
            for loser in losers {
                remove(db, *loser)?;
            }
            let id = row::id_of(winner.lead.id)?;
            let stored = row::get(db, id)?;
            let scan = match &stored {
                Some(stored) => stored.scan,
                None => db.query_row("SELECT scans FROM meta", [], |row| row.get(0))?,
            };
            let body = row::body_of(db, &mut Fields::read(db)?, &winner.lead)?;
            store(db, id, winner.key.as_deref(), &body, scan, true)?;
            count_by(db, i64::from(stored.is_none()))
        })
    }

    /// Whether any lead has a key.
    pub fn has_keys(&self) -> Result<bool, Error> {
        self.read(|db| {
            let sql = "SELECT EXISTS (SELECT 1 FROM lead WHERE key IS NOT NULL) \
                       OR EXISTS (SELECT 1 FROM packed WHERE keyed > 0)";
            db.query_row(sql, [], |row| row.get(0))
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
            packed::unpack_all(db)?;
            member::outdated(db)?;
            let fields = Fields::read(db)?;
            let mut last = -1_i64;
            loop {
                let part = part_after(db, &fields, last)?;
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
            let fields = Fields::read(db)?;
            let mut statement = packed::all(db)?;
            let (mut leads, mut rows) = (packed::Walk::through(&mut statement)?, Vec::new());
            while let Some(line) = leads.next()? {
                let (key, body) = line.parts()?;
                rows.push(Row { lead: fields.lead(line.id, body)?, key: key.map(Into::into) });
            }
            Ok(rows)
        })
    }

    /// Every member, by key, then by id; and every key with the size of its group, in the order of
    /// reports.
    #[expect(clippy::type_complexity, reason = "two lists for tests to compare")]
    pub(crate) fn members(&self) -> Result<(Vec<Row>, Vec<(i64, String)>), Error> {
        self.read(|db| {
            self.ensure_members()?;
            let fields = Fields::read(db)?;
            let mut statement =
                db.prepare("SELECT lead, key, body FROM member ORDER BY key, lead")?;
            let rows = statement.query_map([], |row| row_of(&fields, row))?;
            let rows = rows.collect::<rusqlite::Result<_>>()?;
            let mut statement =
                db.prepare("SELECT size, key FROM member_key ORDER BY size DESC, key")?;
            let keys = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok((rows, keys.collect::<rusqlite::Result<_>>()?))
        })
    }
}

/// The next thousand rows by id.
fn part_after(db: &Connection, fields: &Fields, id: i64) -> rusqlite::Result<Vec<Row>> {
    let mut statement =
        db.prepare_cached("SELECT id, key, body FROM lead WHERE id > ?1 ORDER BY id LIMIT 1000")?;
    let rows = statement.query_map([id], |row| row_of(fields, row))?;
    rows.collect()
}

/// A row of id, key and body.
fn row_of(fields: &Fields, row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row { lead: fields.lead(row.get(0)?, row.get_ref(2)?.as_str()?)?, key: row.get(1)? })
}

/// Reads the leads of one key after another.
struct GroupReader<'a> {
    db: &'a Connection,
    fields: Fields,
    any_births: bool,
}

impl GroupReader<'_> {
    /// Those of the keys that have a group, the largest group first, then by key.
    fn by_size<'k>(&self, keys: &'k BTreeSet<String>) -> rusqlite::Result<Vec<&'k str>> {
        let mut count = self.db.prepare_cached("SELECT count(*) FROM member WHERE key = ?1")?;
        let mut sized = Vec::new();
        for key in keys {
            let size: i64 = count.query_row([key], |row| row.get(0))?;
            if size > 0 {
                sized.push((Reverse(size), key.as_str()));
            }
        }
        sized.sort_unstable();
        Ok(sized.into_iter().map(|(_, key)| key).collect())
    }

    /// Hands out every group, by key, in one way through the members.
    fn hand_out_all(
        &self,
        each: &mut impl FnMut(&str, Vec<Lead>, Vec<Birth>) -> ControlFlow<()>,
    ) -> rusqlite::Result<ControlFlow<()>> {
        let mut statement =
            self.db.prepare_cached("SELECT key, lead, body FROM member ORDER BY key, lead")?;
        let mut rows = statement.query([])?;
        let (mut key, mut leads, mut births) = (String::new(), Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let of_row = row.get_ref(0)?.as_str()?;
            if of_row != key {
                let (leads, births) = (std::mem::take(&mut leads), std::mem::take(&mut births));
                if leads.len() > 1 && each(&key, leads, births).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                key.clear();
                key.push_str(of_row);
            }
            let id = row.get(1)?;
            leads.push(self.fields.lead(id, row.get_ref(2)?.as_str()?)?);
            if self.any_births {
                births.extend(birth::of_lead(self.db, id)?);
            }
        }
        Ok(if leads.len() > 1 { each(&key, leads, births) } else { ControlFlow::Continue(()) })
    }

    fn hand_out(
        &self,
        key: &str,
        each: &mut impl FnMut(&str, Vec<Lead>, Vec<Birth>) -> ControlFlow<()>,
    ) -> rusqlite::Result<ControlFlow<()>> {
        let mut statement =
            self.db.prepare_cached("SELECT lead, body FROM member WHERE key = ?1 ORDER BY lead")?;
        let (mut leads, mut births) = (Vec::new(), Vec::new());
        let mut rows = statement.query([key])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            leads.push(self.fields.lead(id, row.get_ref(1)?.as_str()?)?);
            if self.any_births {
                births.extend(birth::of_lead(self.db, id)?);
            }
        }
        if leads.len() < 2 {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(each(key, leads, births))
    }
}
