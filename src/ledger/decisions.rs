//! What people decided about the groups of plans, and which records are not one person.
//!
//! Never: forgets who said what and when; a decision is taken back by a later one.

use rusqlite::params;

use super::{Error, Ledger};

/// A decision about a group, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRow {
    /// Its number; the greatest of a group counts.
    pub seq: i64,
    /// The group's key, as stored.
    pub key: String,
    /// Everything decided, as JSON without the note.
    pub state: String,
    /// Why, in their words.
    pub note: Option<String>,
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Where it came in.
    pub door: String,
    /// Why it cannot be carried out.
    pub refused: Option<String>,
    /// The word of the group's risk as decided.
    pub risk: String,
    /// How many records go.
    pub losers: u64,
    /// How many values are dropped.
    pub dropped: u64,
    /// How many opt-outs are lost: none.
    pub lost: u64,
}

/// Records with one key that are not one person, by somebody's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSameRow {
    /// Its number.
    pub seq: i64,
    /// The plan in which it was said.
    pub plan: String,
    /// The key, as stored.
    pub key: String,
    /// The records with their names as they were, as JSON.
    pub leads: String,
    /// Why, in their words.
    pub note: Option<String>,
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
}

impl Ledger {
    /// Keeps decisions, all or none, with what they say of records that are not one person: keys of
    /// which an earlier word ends, and new words. On disk when it returns.
    pub fn decide(
        &mut self,
        plan: &str,
        decisions: &[DecisionRow],
        not_same: &[NotSameRow],
    ) -> Result<(), Error> {
        self.write(|db| {
            let mut insert = db.prepare_cached(
                "INSERT INTO decision (plan, key, state, note, by, at, door, refused, risk, losers, dropped, lost)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?;
            let mut end = db.prepare_cached(
                "INSERT INTO not_same_end (not_same, by, at)
                 SELECT seq, ?3, ?4 FROM not_same WHERE plan = ?1 AND key = ?2
                     AND seq NOT IN (SELECT not_same FROM not_same_end)",
            )?;
            let mut say = db.prepare_cached(
                "INSERT INTO not_same (plan, key, leads, note, by, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for row in decisions {
                insert.execute(params![
                    plan,
                    row.key,
                    row.state,
                    row.note,
                    row.by,
                    row.at,
                    row.door,
                    row.refused,
                    row.risk,
                    row.losers.cast_signed(),
                    row.dropped.cast_signed(),
                    row.lost.cast_signed(),
                ])?;
                end.execute(params![plan, row.key, row.by, row.at])?;
            }
            for row in not_same {
                say.execute(params![plan, row.key, row.leads, row.note, row.by, row.at])?;
            }
            Ok(())
        })
    }

    /// The decisions of a plan after a number, in order.
    pub fn decisions_since(&self, plan: &str, seq: i64) -> Result<Vec<DecisionRow>, Error> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT seq, key, state, note, by, at, door, refused, risk, losers, dropped, lost FROM decision
                 WHERE plan = ?1 AND seq > ?2 ORDER BY seq",
            )?
            .query_map(params![plan, seq], |row| {
                let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
                Ok(DecisionRow {
                    seq: row.get(0)?,
                    key: row.get(1)?,
                    state: row.get(2)?,
                    note: row.get(3)?,
                    by: row.get(4)?,
                    at: row.get(5)?,
                    door: row.get(6)?,
                    refused: row.get(7)?,
                    risk: row.get(8)?,
                    losers: number(9)?,
                    dropped: number(10)?,
                    lost: number(11)?,
                })
            })?
            .collect()
        })
    }

    /// Every word in force that records are not one person, oldest first.
    pub fn not_same(&self) -> Result<Vec<NotSameRow>, Error> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT seq, plan, key, leads, note, by, at FROM not_same
                 WHERE seq NOT IN (SELECT not_same FROM not_same_end) ORDER BY seq",
            )?
            .query_map([], |row| {
                Ok(NotSameRow {
                    seq: row.get(0)?,
                    plan: row.get(1)?,
                    key: row.get(2)?,
                    leads: row.get(3)?,
                    note: row.get(4)?,
                    by: row.get(5)?,
                    at: row.get(6)?,
                })
            })?
            .collect()
        })
    }

    /// Ends a word that records are not one person.
    pub fn end_not_same(&mut self, seq: i64, by: &str, at: &str) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO not_same_end (not_same, by, at) VALUES (?1, ?2, ?3)",
                params![seq, by, at],
            )?;
            Ok(())
        })
    }
}
