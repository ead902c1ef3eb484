//! Who approved which plan, and which approvals runs have taken up.

use rusqlite::{OptionalExtension as _, params};

use super::{Error, Ledger};

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Its number.
    pub seq: i64,
    /// The digest that it is of: the plan with the decisions in force then.
    pub digest: String,
    /// Who.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
    /// Why, in their words.
    pub note: Option<String>,
    /// When a run took it up.
    pub used_at: Option<String>,
    /// Whether somebody decided since, whatever was decided in the end.
    pub is_void: bool,
}

impl Ledger {
    /// Keeps an approval; gives its number.
    pub fn approve(
        &mut self,
        plan: &str,
        digest: &str,
        by: &str,
        at: &str,
        note: Option<&str>,
    ) -> Result<i64, Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO approval (plan, digest, note, by, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![plan, digest, note, by, at],
            )?;
            Ok(db.last_insert_rowid())
        })
    }

    /// The latest approval of a plan, whatever it is of.
    pub fn approval_of(&self, plan: &str) -> Result<Option<ApprovalRow>, Error> {
        self.read(|db| {
            db.query_row(
                "SELECT seq, digest, by, approval.at, note, approval_use.at,
                     seq IN (SELECT approval FROM approval_void)
                 FROM approval LEFT JOIN approval_use ON approval = seq WHERE plan = ?1 ORDER BY seq DESC LIMIT 1",
                [plan],
                |row| {
                    Ok(ApprovalRow {
                        seq: row.get(0)?,
                        digest: row.get(1)?,
                        by: row.get(2)?,
                        at: row.get(3)?,
                        note: row.get(4)?,
                        used_at: row.get(5)?,
                        is_void: row.get(6)?,
                    })
                },
            )
            .optional()
        })
    }

    /// A run takes an approval up; one that was taken up stays so.
    pub fn use_approval(&mut self, seq: i64, at: &str) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO approval_use (approval, at) VALUES (?1, ?2)",
                params![seq, at],
            )?;
            Ok(())
        })
    }
}
