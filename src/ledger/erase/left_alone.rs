//! Groups that runs left alone: their keys and reasons hold values of people.
//!
//! The ids, the run and the time stay. No digest is kept: a key and a reason are short, and could
//! be guessed from one. Certificates that were given out verify by their seals.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::plan_rows::Group;
use super::{Erase, by_chance, same_address};
use crate::ledger::{Error, Ledger};

/// The table, for the triggers.
pub(super) const TABLE: &str = "left_alone";

/// A row that is to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    seq: i64,
    pub(super) key: String,
}

impl Ledger {
    /// The groups that runs left alone, of which the key and the words are to be erased: `keys` and
    /// `groups` are a person's by an address of their records.
    pub(super) fn left_alone_to_erase(
        &self,
        what: &Erase,
        keys: &BTreeSet<String>,
        groups: &[Group],
    ) -> Result<Vec<Row>, Error> {
        let of_groups: BTreeSet<&str> = groups.iter().map(|group| group.key.as_str()).collect();
        let is_asked = |key: &str, at: &str| match what {
            Erase::OlderThan(before) => at.parse::<DateTime<Utc>>().is_ok_and(|at| at < *before),
            Erase::Person(address) => {
                keys.contains(key) || of_groups.contains(key) || same_address(key, address)
            }
        };
        self.read(|db| to_erase(db, is_asked))
    }
}

/// The rows for which this holds: the group's key, and when its run left it alone.
fn to_erase(db: &Connection, is_asked: impl Fn(&str, &str) -> bool) -> rusqlite::Result<Vec<Row>> {
    let mut found = Vec::new();
    // A group without a reason is erased already.
    let mut all =
        db.prepare("SELECT seq, key, at FROM left_alone WHERE reason IS NOT NULL ORDER BY seq")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (key, at): (String, String) = (row.get(1)?, row.get(2)?);
        if is_asked(&key, &at) {
            found.push(Row { seq: row.get(0)?, key });
        }
    }
    Ok(found)
}

/// Erases rows. The triggers are away.
pub(super) fn erase(
    db: &Connection,
    rows: &[Row],
    names: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let mut update = db.prepare("UPDATE left_alone SET key = ?2, reason = NULL WHERE seq = ?1")?;
    for row in rows {
        let name = names.get(&row.key).cloned().unwrap_or_else(by_chance);
        update.execute(params![row.seq, name])?;
    }
    Ok(())
}
