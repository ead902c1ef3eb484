//! What people decided about the groups of plans.
//!
//! A decision that changes anything voids the approval of its plan, for good. Never: forgets who
//! said what and when; a decision is taken back by a later one.

use rusqlite::params;

use super::lasting_words::{LastingRow, end, out_of_force, say};
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
    /// Whose word it is, where nobody decided in this plan. Found when it is read, and not written.
    pub taken_over: Option<TakenOver>,
}

/// Where a decision was taken over from, since nobody decided in its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver {
    /// The number of the word.
    pub word: i64,
    /// Who said it.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// The plan in which it was said, as people call it.
    pub plan: String,
}

/// A decision that is to be kept, with what it says beyond its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDecision {
    /// The decision.
    pub row: DecisionRow,
    /// The number of the word that it is taken over from.
    pub word: Option<i64>,
    /// What of it outlives the plan.
    pub says: Option<LastingRow>,
    /// The words of earlier plans that it ends.
    pub ends: Vec<i64>,
    /// Whether it changes what the plan would do: a note alone does not.
    pub is_change: bool,
}

impl Ledger {
    /// Keeps decisions, all or none, with the words that they say and end; and voids the approval
    /// of the plan where one changes anything. On disk when it returns.
    pub fn decide(&mut self, plan: &str, decisions: &[NewDecision]) -> Result<(), Error> {
        self.write(|db| {
            let mut insert = db.prepare_cached(
                "INSERT INTO decision
                     (plan, key, state, note, by, at, door, refused, risk, losers, dropped, lost, word)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?;
            let mut void = db.prepare_cached(
                "INSERT OR IGNORE INTO approval_void (approval, by, at)
                 SELECT seq, ?2, ?3 FROM approval WHERE plan = ?1",
            )?;
            for NewDecision { row, word, says, ends, is_change } in decisions {
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
                    word,
                ])?;
                let decision = db.last_insert_rowid();
                if let Some(says) = says {
                    say(db, says, decision)?;
                }
                for word in ends {
                    end(db, *word, (plan, decision), &row.by, &row.at)?;
                }
                if *is_change {
                    void.execute(params![plan, row.by, row.at])?;
                    out_of_force(db, (plan, &row.key, decision), &row.by, &row.at)?;
                }
            }
            Ok(())
        })
    }

    /// Everybody who decided in a plan, also what was changed or taken back since; not whose word
    /// the plan took over.
    pub fn who_decided(&self, plan: &str) -> Result<Vec<String>, Error> {
        self.read(|db| {
            db.prepare_cached("SELECT DISTINCT by FROM decision WHERE plan = ?1 AND word IS NULL")?
                .query_map([plan], |row| row.get(0))?
                .collect()
        })
    }

    /// The decisions of a plan after a number, in order.
    pub fn decisions_since(&self, plan: &str, seq: i64) -> Result<Vec<DecisionRow>, Error> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT d.seq, d.key, d.state, d.note, d.by, d.at, d.door, d.refused, d.risk, d.losers, d.dropped, d.lost,
                     w.seq, w.by, w.at, coalesce(h.name, w.plan)
                 FROM decision AS d LEFT JOIN lasting_word AS w ON w.seq = d.word
                 LEFT JOIN plan_head AS h ON h.plan = w.plan
                 WHERE d.plan = ?1 AND d.seq > ?2 ORDER BY d.seq",
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
                    taken_over: taken_over(row)?,
                })
            })?
            .collect()
        })
    }
}

fn taken_over(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<TakenOver>> {
    let Some(word) = row.get(12)? else { return Ok(None) };
    Ok(Some(TakenOver { word, by: row.get(13)?, at: row.get(14)?, plan: row.get(15)? }))
}
