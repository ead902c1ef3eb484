//! The leads that share their key with others, kept apart in the order of their keys.
//!
//! For: a report reads them alone. A scan finds them once, when its last row is in, by the hashes
//! of the keys; each hit is verified by the key itself. A refresh or a merge moves single leads:
//! those that had the old key, and those that have the new one. Never: shows members of half a scan
//! as those of a whole one; whoever stores rows otherwise says so ([`outdated`]), and the next
//! reader finds them anew.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Cache;
use super::error::of_io;
use super::hashes::Hashes;
use super::packed::{self, Walk};
use super::row::{self, Stored};
use super::sorter::{Entry, Sorted, Sorter};

/// So many bytes of members are sorted in memory by each of the two threads that read them.
const IN_MEMORY: usize = 4 << 20;

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
    let mut statement = packed::all(db)?;
    let mut leads = Walk::through(&mut statement)?;
    while let Some(line) = leads.next()? {
        if let (Some(key), _) = line.parts()? {
            hashes.add(&key, line.id.unsigned_abs()).map_err(of_io)?;
        }
    }
    drop(leads);
    keep(db, None, hashes, folder)
}

/// Keeps the members among the leads whose hashes occur more than once. All leads must be stored. A
/// second connection, where there is one, reads the upper half of them meanwhile.
pub(super) fn keep<S: std::hash::BuildHasher>(
    db: &Connection,
    second: Option<Connection>,
    hashes: Hashes<S>,
    folder: &Path,
) -> rusqlite::Result<()> {
    let middle = match &second {
        Some(_) => packed::about_highest(db)?.unsigned_abs() / 2,
        None => u64::MAX,
    };
    let (mut lower, mut upper) = (Sorter::new(folder, IN_MEMORY), Sorter::new(folder, IN_MEMORY));
    hashes
        .each_repeated(|lead| if lead <= middle { lower.add(lead) } else { upper.add(lead) })
        .map_err(of_io)?;
    let members = std::thread::scope(|scope| {
        let upper = second.map(|second| scope.spawn(move || members_of(&second, upper, folder)));
        let mut members = members_of(db, lower, folder)?;
        if let Some(upper) = upper {
            let upper = upper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            members.take_over(upper?).map_err(of_io)?;
        }
        Ok::<_, rusqlite::Error>(members)
    })?;
    db.execute_batch("DELETE FROM member; DELETE FROM member_key;")?;
    store_groups(db, members.sorted().map_err(of_io)?)?;
    db.execute("UPDATE meta SET grouped = 1", []).map(drop)
}

/// Those of these leads that have a key.
fn members_of(
    db: &Connection,
    leads: Sorter<u64>,
    folder: &Path,
) -> rusqlite::Result<Sorter<Member>> {
    let mut members = Sorter::new(folder, IN_MEMORY);
    each_stored(db, &mut leads.sorted().map_err(of_io)?, |member| members.add(member))?;
    Ok(members)
}

/// Hands out those leads of these that have a key, each once.
fn each_stored(
    db: &Connection,
    ids: &mut Sorted<u64>,
    mut each: impl FnMut(Member) -> io::Result<()>,
) -> rusqlite::Result<()> {
    let mut hand_out = |id: u64, key: Option<Cow<'_, str>>, body: &str| match key {
        Some(key) => each(Member { key: key.into_owned(), lead: id, body: body.to_owned() }),
        None => Ok(()),
    };
    if packed::is_used(db)? {
        let next = || ids.next().map(|id| id.map(u64::cast_signed)).map_err(of_io);
        return packed::each_of(db, next, |line| {
            let (key, body) = line.parts()?;
            hand_out(line.id.unsigned_abs(), key, body).map_err(of_io)
        });
    }
    let mut statement = db.prepare("SELECT key, body FROM lead WHERE id = ?1")?;
    let mut last = None;
    while let Some(id) = ids.next().map_err(of_io)? {
        // A lead that came twice is named twice.
        if last.replace(id) == Some(id) {
            continue;
        }
        let mut rows = statement.query([id.cast_signed()])?;
        if let Some(row) = rows.next()? {
            let (key, body) = (row.get_ref(0)?.as_str_or_null()?, row.get_ref(1)?.as_str()?);
            hand_out(id, key.map(Cow::Borrowed), body).map_err(of_io)?;
        }
    }
    Ok(())
}

/// Stores the members that share their key with the one before or behind, and their keys.
fn store_groups(db: &Connection, mut members: Sorted<Member>) -> rusqlite::Result<()> {
    let mut member = db.prepare("INSERT INTO member VALUES (?1, ?2, ?3)")?;
    let mut member_key = db.prepare("INSERT INTO member_key VALUES (?1, ?2)")?;
    let mut store =
        |of: &Member| member.execute(params![of.key, of.lead.cast_signed(), of.body]).map(drop);
    let mut close = |key: &str, size: i64| match size {
        ..2 => Ok(()),
        size => member_key.execute(params![size, key]).map(drop),
    };
    let (mut before, mut size): (Option<Member>, i64) = (None, 0);
    while let Some(next) = members.next().map_err(of_io)? {
        match &before {
            Some(before) if before.key == next.key => {
                if size == 1 {
                    store(before)?;
                }
                store(&next)?;
                size += 1;
            }
            _ => {
                if let Some(before) = &before {
                    close(&before.key, size)?;
                }
                size = 1;
            }
        }
        before = Some(next);
    }
    before.map_or(Ok(()), |last| close(&last.key, size))
}

/// A lead that may share its key.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    key: String,
    lead: u64,
    body: String,
}

impl Entry for Member {
    fn size(&self) -> usize {
        std::mem::size_of::<Self>() + self.key.len() + self.body.len()
    }

    fn write(&self, run: &mut impl Write) -> io::Result<()> {
        for number in [self.lead, self.key.len() as u64, self.body.len() as u64] {
            number.write(run)?;
        }
        run.write_all(self.key.as_bytes())?;
        run.write_all(self.body.as_bytes())
    }

    fn read(run: &mut impl Read) -> io::Result<Option<Self>> {
        let Some(lead) = u64::read(run)? else { return Ok(None) };
        let mut length = || u64::read(run)?.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof));
        let (of_key, of_body) = (length()?, length()?);
        let mut text = |length: u64| -> io::Result<String> {
            let mut text = String::new();
            run.take(length).read_to_string(&mut text)?;
            Ok(text)
        };
        Ok(Some(Self { lead, key: text(of_key)?, body: text(of_body)? }))
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
