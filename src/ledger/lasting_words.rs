//! What people said about groups that outlives its plan: said, in force, taken back.
//!
//! A word counts while the decision that said it is the last one about the group in its plan, until
//! somebody takes it back, and as long as the last decision about the group in a later plan does
//! not say otherwise. So to undo a decision undoes what it ended too. Never: forgets who said what
//! and when, or decides what a word means for a group.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Error, Ledger};

/// A word as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastingRow {
    /// Its number; 0 where it is not written down yet.
    pub seq: i64,
    /// The plan in which it was said.
    pub plan: String,
    /// The name that people gave the plan, else its id.
    pub plan_name: String,
    /// The group's key, as stored.
    pub key: String,
    /// `hold` or `not_same`; none where records alone are left out.
    pub choice: Option<String>,
    /// The records that are left out, as JSON.
    pub left_out: String,
    /// The records of the group with their names as they were, as JSON.
    pub leads: String,
    /// Why, in their words.
    pub note: Option<String>,
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
}

const COLUMNS: &str = "w.seq, w.plan, coalesce(h.name, w.plan), w.key, w.choice, w.left_out, w.leads, w.note, w.by, w.at
    FROM lasting_word AS w LEFT JOIN plan_head AS h ON h.plan = w.plan";

/// Nobody decided about the group in the word's own plan after it.
const IS_LAST: &str = "NOT EXISTS (SELECT 1 FROM decision AS d
    WHERE d.plan = w.plan AND d.key = w.key AND d.seq > w.decision)";

/// No end of it counts: neither that somebody took it back, nor the last decision of another plan.
const NOT_ENDED: &str = "NOT EXISTS (SELECT 1 FROM lasting_word_end AS e WHERE e.word = w.seq
    AND NOT EXISTS (SELECT 1 FROM decision AS d WHERE d.plan = e.plan AND d.key = w.key AND d.seq > e.decision))";

/// The condition under which a row `w` of `lasting_word` is in force.
pub(super) fn in_force() -> String {
    format!("{IS_LAST} AND {NOT_ENDED}")
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<LastingRow> {
    Ok(LastingRow {
        seq: row.get(0)?,
        plan: row.get(1)?,
        plan_name: row.get(2)?,
        key: row.get(3)?,
        choice: row.get(4)?,
        left_out: row.get(5)?,
        leads: row.get(6)?,
        note: row.get(7)?,
        by: row.get(8)?,
        at: row.get(9)?,
    })
}

impl Ledger {
    /// Every word in force, oldest first.
    pub fn lasting_words(&self) -> Result<Vec<LastingRow>, Error> {
        let sql = format!("SELECT {COLUMNS} WHERE {} ORDER BY w.seq", in_force());
        self.read(|db| db.prepare_cached(&sql)?.query_map([], row_of)?.collect())
    }

    /// The words about a group that a decision of this plan may end: said in an earlier plan, and
    /// neither taken back nor ended by another plan. Those too that an earlier decision of this plan
    /// has ended.
    pub fn words_before(&self, plan: &str, key: &str) -> Result<Vec<LastingRow>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} WHERE w.key = ?2 AND {IS_LAST}
                 AND h.number < (SELECT number FROM plan_head WHERE plan = ?1)
                 AND NOT EXISTS (SELECT 1 FROM lasting_word_end AS e WHERE e.word = w.seq AND e.plan IS NOT ?1
                     AND NOT EXISTS (SELECT 1 FROM decision AS d
                         WHERE d.plan = e.plan AND d.key = w.key AND d.seq > e.decision))
             ORDER BY w.seq"
        );
        self.read(|db| db.prepare_cached(&sql)?.query_map([plan, key], row_of)?.collect())
    }

    /// The number of the word from which a plan took this decision over; none where it did not.
    pub fn word_taken_over(
        &self,
        plan: &str,
        key: &str,
        state: &str,
        note: Option<&str>,
    ) -> Result<Option<i64>, Error> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT word FROM decision
                 WHERE plan = ?1 AND key = ?2 AND word IS NOT NULL AND state = ?3 AND note IS ?4
                 ORDER BY seq DESC LIMIT 1",
            )?
            .query_row(params![plan, key, state, note], |row| row.get(0))
            .optional()
        })
    }

    /// Takes words back. Plans that had taken them over are as if they had not been said, and what
    /// was approved of plans with these groups counts no longer.
    pub fn forget_words(&mut self, words: &[i64], by: &str, at: &str) -> Result<(), Error> {
        self.write(|db| {
            for word in words {
                db.execute(
                    "INSERT INTO lasting_word_end (word, by, at) VALUES (?1, ?2, ?3)",
                    params![word, by, at],
                )?;
                db.execute(
                    "INSERT INTO decision (plan, key, state, by, at, door, risk, losers, dropped, lost)
                     SELECT plan, key, '{}', ?2, ?3, 'forget', risk, 0, 0, 0 FROM decision AS d WHERE word = ?1
                         AND NOT EXISTS (SELECT 1 FROM decision AS later
                             WHERE later.plan = d.plan AND later.key = d.key AND later.seq > d.seq)",
                    params![word, by, at],
                )?;
                void_approvals_of(db, *word, by, at)?;
            }
            Ok(())
        })
    }
}

/// Writes a word down that a decision said.
pub(super) fn say(db: &Connection, row: &LastingRow, decision: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO lasting_word (plan, key, choice, left_out, leads, decision, note, by, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        row.plan,
        row.key,
        row.choice,
        row.left_out,
        row.leads,
        decision,
        row.note,
        row.by,
        row.at
    ])
    .map(drop)
}

/// Ends a word by a decision of a later plan.
pub(super) fn end(
    db: &Connection,
    word: i64,
    (plan, decision): (&str, i64),
    by: &str,
    at: &str,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO lasting_word_end (word, plan, decision, by, at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![word, plan, decision, by, at])?;
    void_approvals_of(db, word, by, at)
}

/// A later decision about the group in the plan of a word takes the word out of force.
pub(super) fn out_of_force(
    db: &Connection,
    (plan, key, decision): (&str, &str, i64),
    by: &str,
    at: &str,
) -> rusqlite::Result<()> {
    let words: Vec<i64> = db
        .prepare_cached(
            "SELECT seq FROM lasting_word WHERE plan = ?1 AND key = ?2 AND decision < ?3",
        )?
        .query_map(params![plan, key, decision], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    words.into_iter().try_for_each(|word| void_approvals_of(db, word, by, at))
}

/// Voids what was approved of every plan that has the group of a word: without the word it would
/// merge more than was approved.
fn void_approvals_of(db: &Connection, word: i64, by: &str, at: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO approval_void (approval, by, at)
         SELECT approval.seq, ?2, ?3 FROM lasting_word AS w, approval
         JOIN plan_head ON plan_head.plan = approval.plan
         WHERE w.seq = ?1 AND EXISTS (SELECT 1 FROM plan_group
             WHERE plan_group.plan = plan_head.number AND plan_group.key = w.key)",
    )?
    .execute(params![word, by, at])
    .map(drop)
}
