//! Leads by the hundred in one row, and all leads one after the other wherever they are.
//!
//! For: what SQLite takes is time by the row, so that a file of millions of leads is stored in a
//! fraction of it. Packed leads are only read. The first change of a single lead unpacks all of
//! them: either `lead` or `packed` is empty. Never: parses a body.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension as _, Rows, Statement, params};

use super::line::{Line, odd};
use super::row::{self, Stored};

/// The texts of the lines of one row, in the order of ids.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_prefix('[').unwrap_or(text);
    let text = text.strip_suffix(']').unwrap_or(text);
    // A value has no line feed but an escaped one.
    memchr::memchr_iter(b'\n', text.as_bytes()).chain(std::iter::once(text.len() + 1)).scan(
        0,
        move |from, end| {
            let line = text.get(*from..end - 1);
            *from = end + 1;
            line
        },
    )
}

/// Whether leads are packed.
pub(super) fn is_used(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM packed)")?.query_row([], |row| row.get(0))
}

/// Moves packed leads into rows of their own, by the number of the scan that saw them.
pub(super) fn unpack(db: &Connection, scan: i64) -> rusqlite::Result<()> {
    if !is_used(db)? {
        return Ok(());
    }
    {
        let mut statement = db.prepare("SELECT lines FROM packed ORDER BY first")?;
        let mut rows = statement.query([])?;
        while let Some(packed) = rows.next()? {
            for text in lines(packed.get_ref(0)?.as_str()?) {
                let line = Line::of(text)?;
                let (key, body) = line.parts()?;
                row::put(db, line.id, scan, key.as_deref(), body)?;
            }
        }
    }
    db.execute("DELETE FROM packed", []).map(drop)
}

/// Moves packed leads into rows of their own, before the first of them is changed. They are those
/// of the last scan that was begun.
pub(super) fn unpack_all(db: &Connection) -> rusqlite::Result<()> {
    let scan = db.query_row("SELECT scans FROM meta", [], |row| row.get(0))?;
    unpack(db, scan)
}

/// The stored row of a lead, packed or not.
pub(super) fn get(db: &Connection, id: i64) -> rusqlite::Result<Option<Stored>> {
    if let Some(stored) = row::get(db, id)? {
        return Ok(Some(stored));
    }
    let mut statement = db.prepare_cached(
        "SELECT lines, (SELECT scans FROM meta) FROM packed \
         WHERE first = (SELECT max(first) FROM packed WHERE first <= ?1) AND last >= ?1",
    )?;
    let mut rows = statement.query([id])?;
    let Some(packed) = rows.next()? else { return Ok(None) };
    for text in lines(packed.get_ref(0)?.as_str()?) {
        let line = Line::of(text)?;
        if line.id == id {
            let (key, body) = line.parts()?;
            let (key, body) = (key.map(Cow::into_owned), body.to_owned());
            return Ok(Some(Stored { scan: packed.get(1)?, key, body }));
        }
    }
    Ok(None)
}

/// How many leads there are, counted.
pub(super) fn count(db: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT (SELECT count(*) FROM lead) + (SELECT coalesce(sum(leads), 0) FROM packed)";
    db.query_row(sql, [], |row| row.get(0))
}

/// The highest id; none where there is no lead.
pub(super) fn highest(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT max(id) FROM (SELECT max(id) AS id FROM lead UNION ALL SELECT max(last) FROM packed)";
    db.query_row(sql, [], |row| row.get(0)).optional().map(Option::flatten)
}

/// The first id of the last row, which takes no look at the others.
pub(super) fn about_highest(db: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT max(coalesce((SELECT max(first) FROM packed), 0), coalesce((SELECT max(id) FROM lead), 0))";
    db.query_row(sql, [], |row| row.get(0))
}

/// Stores some leads in one row. Their lines are in the order of ids, and beyond all before.
pub(super) fn put(
    db: &Connection,
    (first, last): (i64, i64),
    (leads, keyed): (usize, usize),
    lines: &str,
) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO packed VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            first,
            last,
            (leads as u64).cast_signed(),
            (keyed as u64).cast_signed(),
            lines
        ])
        .map(drop)
}

/// Hands out the lines of some leads, whose ids come in order and may repeat, until there are no
/// more; an id without a lead is passed over. Of all other leads nothing but the id is read.
pub(super) fn each_of(
    db: &Connection,
    mut next: impl FnMut() -> rusqlite::Result<Option<i64>>,
    mut each: impl FnMut(Line<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut wanted = next()?;
    let mut statement = db.prepare(
        "SELECT last, lines FROM packed \
         WHERE first >= (SELECT coalesce(max(first), 0) FROM packed WHERE first <= ?1) ORDER BY first",
    )?;
    let mut rows = statement.query([wanted])?;
    while let (Some(id), Some(row)) = (wanted, rows.next()?) {
        let last: i64 = row.get(0)?;
        if id > last {
            continue;
        }
        let text = row.get_ref(1)?.as_bytes()?;
        let mut rest = text.strip_prefix(b"[").unwrap_or(text);
        while wanted.is_some_and(|id| id <= last) {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let Some(line) = rest.get(..end.saturating_sub(1)).filter(|line| !line.is_empty())
            else {
                break;
            };
            rest = rest.get(end + 1..).unwrap_or_default();
            let of_line = id_of_line(line)?;
            while wanted.is_some_and(|wanted| wanted < of_line) {
                wanted = next()?;
            }
            if wanted == Some(of_line) {
                each(Line::of(std::str::from_utf8(line).map_err(odd)?)?)?;
            }
            while wanted.is_some_and(|wanted| wanted <= of_line) {
                wanted = next()?;
            }
        }
        while wanted.is_some_and(|wanted| wanted <= last) {
            wanted = next()?;
        }
    }
    Ok(())
}

fn id_of_line(line: &[u8]) -> rusqlite::Result<i64> {
    let digits = line.strip_prefix(b"[").unwrap_or_default();
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match digits.get(..length) {
        // So many digits are no number that is too large.
        Some(digits) if (1..19).contains(&length) => {
            Ok(digits.iter().fold(0, |id, digit| id * 10 + i64::from(digit - b'0')))
        }
        _ => Line::of(std::str::from_utf8(line).map_err(odd)?).map(|line| line.id),
    }
}

/// The query behind [`Walk`].
pub(super) fn all(db: &Connection) -> rusqlite::Result<Statement<'_>> {
    db.prepare(if is_used(db)? {
        "SELECT lines FROM packed ORDER BY first"
    } else {
        "SELECT id, key, body FROM lead ORDER BY id"
    })
}

/// All leads, packed or not, by id.
pub(super) struct Walk<'s> {
    rows: Rows<'s>,
    is_packed: bool,
    /// The lines of a packed row, and up to where they were handed out.
    text: String,
    at: usize,
}

impl<'s> Walk<'s> {
    /// From the beginning, by [`all`].
    pub(super) fn through(statement: &'s mut Statement<'_>) -> rusqlite::Result<Self> {
        let is_packed = statement.column_count() == 1;
        Ok(Self { rows: statement.query([])?, is_packed, text: String::new(), at: 0 })
    }

    /// The next lead; none at the end.
    pub(super) fn next(&mut self) -> rusqlite::Result<Option<Line<'_>>> {
        if !self.is_packed {
            let Some(row) = self.rows.next()? else { return Ok(None) };
            let key = row.get_ref(1)?.as_str_or_null()?;
            let body = row.get_ref(2)?.as_str()?;
            return Ok(Some(Line::of_columns(row.get(0)?, key, body)));
        }
        if self.at >= self.text.len() {
            let Some(row) = self.rows.next()? else { return Ok(None) };
            self.text.clear();
            self.text.push_str(row.get_ref(0)?.as_str()?);
            self.at = 1;
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        // Behind a line stands a comma and a line feed, behind the last one the bracket.
        let end = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        self.at += end + 1;
        Line::of(rest.get(..end.saturating_sub(1)).unwrap_or_default()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_apart_as_it_was_put_together() {
        let text =
            "[[7,null,[]],\n[8,\"a\\\"]\\\\\\u001fb\",[\"x\",null,1]],\n[9,\"ü\",[\"\\n\"]]]";
        let found: Vec<_> = lines(text)
            .map(|text| {
                let line = Line::of(text).unwrap();
                let (key, body) = line.parts().unwrap();
                (line.id, key.map(Cow::into_owned), body)
            })
            .collect();
        let key = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                (7, None, "[]"),
                (8, key("a\"]\\\u{1f}b"), "[\"x\",null,1]"),
                (9, key("ü"), "[\"\\n\"]")
            ]
        );
    }

    #[test]
    fn the_leads_that_are_asked_for_are_handed_out_and_no_others() {
        let db = Connection::open_in_memory().unwrap();
        let sql = "CREATE TABLE packed (first INTEGER PRIMARY KEY, last, leads, keyed, lines)";
        db.execute_batch(sql).unwrap();
        put(&db, (3, 5), (2, 1), "[[3,null,[1]],\n[5,\"a\",[\"x\"]]]").unwrap();
        put(&db, (7, 7), (1, 0), "[[7,null,[]]]").unwrap();
        put(&db, (8, 1_234), (2, 0), "[[8,null,[2]],\n[1234,null,[3]]]").unwrap();
        let found = |wanted: &[i64]| {
            let (mut wanted, mut found) = (wanted.iter().copied(), Vec::new());
            each_of(
                &db,
                || Ok(wanted.next()),
                |line| {
                    found.push((line.id, line.body()?.to_owned()));
                    Ok(())
                },
            )
            .unwrap();
            found
        };
        let lead = |id: i64, body: &str| (id, body.to_owned());
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[1, 3, 3, 4]), [lead(3, "[1]")]);
        assert_eq!(
            found(&[5, 5, 6, 7, 9, 1_234, 1_234, 2_000]),
            [lead(5, "[\"x\"]"), lead(7, "[]"), lead(1_234, "[3]")]
        );
    }
}
