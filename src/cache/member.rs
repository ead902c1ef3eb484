//! The leads that share their key with others, kept apart in the order of their keys.
//!
//! For: a report reads them alone. A scan finds them once, when its last row is in, by the hashes
//! of the keys; each hit is verified by the key itself. A refresh or a merge moves single leads:
//! those that had the old key, and those that have the new one. Never: shows members of half a scan
//! as those of a whole one; whoever stores rows otherwise says so ([`outdated`]), and the next
//! reader finds them anew.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Cache;
use super::error::of_io;
use super::hashes::Hashes;
use super::row::{self, Stored};

/// Whether members are exact.
pub(super) fn are_exact(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT grouped FROM meta")?.query_row([], |row| row.get(0))
}

/// Says that rows are stored without a look at their keys. An index over all keys would cost more
/// with every row than it does when it is made anew.
pub(super) fn outdated(db: &Connection) -> rusqlite::Result<()> {
    if are_exact(db)? {
        db.execute("UPDATE meta SET grouped = 0", [])?;
    }
    db.execute("DROP INDEX IF EXISTS lead_by_key", []).map(drop)
}

impl Cache {
    /// Finds the members where they are not exact, as after half a scan.
    pub(super) fn ensure_members(&self) -> rusqlite::Result<()> {
        if are_exact(&self.db)? {
            return Ok(());
        }
        let transaction = self.db.unchecked_transaction()?;
        find(&transaction, folder_of(&self.path))?;
        transaction.commit()
    }
}

/// Where a cache lies.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Finds the members among all leads.
pub(super) fn find(db: &Connection, folder: &Path) -> rusqlite::Result<()> {
    let mut hashes = Hashes::in_folder(folder);
    let mut statement = db.prepare("SELECT id, key FROM lead WHERE key IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        hashes.add(row.get_ref(1)?.as_str()?, id.unsigned_abs()).map_err(of_io)?;
    }
    drop(rows);
    keep(db, hashes)
}

/// Keeps the members among the leads whose hashes occur more than once. All leads must be stored.
pub(super) fn keep<S: std::hash::BuildHasher>(
    db: &Connection,
    hashes: Hashes<S>,
) -> rusqlite::Result<()> {
    db.execute_batch(
        "DELETE FROM member;
         DELETE FROM member_key;
         CREATE TEMP TABLE IF NOT EXISTS candidate (id INTEGER PRIMARY KEY);
         DELETE FROM candidate;",
    )?;
    let mut candidate = db.prepare("INSERT OR IGNORE INTO candidate VALUES (?1)")?;
    hashes.each_repeated(|lead| {
        candidate.execute([lead.cast_signed()]).map(drop).map_err(Failed::Store)
    })?;
    // Rows are looked up in the order of ids, and written in the order of keys.
    db.execute_batch(
        "INSERT INTO member SELECT lead.key, lead.id, lead.body FROM candidate CROSS JOIN lead ON lead.id = candidate.id
             WHERE lead.key IS NOT NULL ORDER BY lead.key, lead.id;
         DROP TABLE candidate;
         DELETE FROM member WHERE key IN (SELECT key FROM member GROUP BY key HAVING count(*) = 1);
         INSERT INTO member_key SELECT count(*), key FROM member GROUP BY key ORDER BY count(*) DESC, key;
         UPDATE meta SET grouped = 1;",
    )
}

/// Why hashes could not be handed on.
enum Failed {
    Disk(std::io::Error),
    Store(rusqlite::Error),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<Failed> for rusqlite::Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Disk(error) => of_io(error),
            Failed::Store(error) => error,
        }
    }
}

/// Follows a lead that was stored, while members are exact. `before` is the row that was there.
pub(super) fn stored(
    db: &Connection,
    id: i64,
    before: Option<&Stored>,
    key: Option<&str>,
    body: &str,
) -> rusqlite::Result<()> {
    let old = before.and_then(|before| before.key.as_deref());
    if old == key {
        if key.is_some() && before.is_none_or(|before| before.body != body) {
            db.prepare_cached("UPDATE member SET body = ?3 WHERE key = ?1 AND lead = ?2")?
                .execute(params![key, id, body])?;
        }
        return Ok(());
    }
    if let Some(old) = old {
        leave(db, id, old)?;
    }
    key.map_or(Ok(()), |key| join(db, id, key, body))
}

/// Follows a lead that is gone, or has another key.
pub(super) fn leave(db: &Connection, id: i64, key: &str) -> rusqlite::Result<()> {
    let size = size_of(db, key)?;
    if size == 0 {
        return Ok(());
    }
    // Of two leads the other one is alone now.
    let sql = if size <= 2 {
        "DELETE FROM member WHERE key = ?1 AND ?2 IS NOT NULL"
    } else {
        "DELETE FROM member WHERE key = ?1 AND lead = ?2"
    };
    db.prepare_cached(sql)?.execute(params![key, id])?;
    resize(db, key, size, if size <= 2 { 0 } else { size - 1 })
}

fn join(db: &Connection, id: i64, key: &str, body: &str) -> rusqlite::Result<()> {
    let put = |lead: i64, body: &str| {
        db.prepare_cached("INSERT INTO member VALUES (?1, ?2, ?3)")?
            .execute(params![key, lead, body])
    };
    let size = size_of(db, key)?;
    if size > 0 {
        put(id, body)?;
        return resize(db, key, size, size + 1);
    }
    db.prepare_cached(
        "CREATE INDEX IF NOT EXISTS lead_by_key ON lead (key) WHERE key IS NOT NULL",
    )?
    .execute([])?;
    let other = db
        .prepare_cached("SELECT id FROM lead WHERE key = ?1 AND id <> ?2")?
        .query_row(params![key, id], |row| row.get::<_, i64>(0))
        .optional()?;
    let Some(other) = other else { return Ok(()) };
    if let Some(stored) = row::get(db, other)? {
        put(other, &stored.body)?;
        put(id, body)?;
        resize(db, key, 0, 2)?;
    }
    Ok(())
}

fn size_of(db: &Connection, key: &str) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT count(*) FROM member WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
}

fn resize(db: &Connection, key: &str, before: i64, size: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM member_key WHERE size = ?1 AND key = ?2")?
        .execute(params![before, key])?;
    if size > 0 {
        db.prepare_cached("INSERT INTO member_key VALUES (?1, ?2)")?.execute(params![size, key])?;
    }
    Ok(())
}
