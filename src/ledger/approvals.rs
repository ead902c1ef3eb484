//! Who approved which plan, and which approvals runs have taken up.

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{OptionalExtension as _, Row, params};

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

fn approval_row(row: &Row<'_>) -> rusqlite::Result<ApprovalRow> {
    Ok(ApprovalRow {
        seq: row.get(0)?,
        digest: row.get(1)?,
        by: row.get(2)?,
        at: row.get(3)?,
        note: row.get(4)?,
        used_at: row.get(5)?,
        is_void: row.get(6)?,
    })
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
                approval_row,
            )
            .optional()
        })
    }

    /// The approval under which a run that began then was carried out: the latest that a run had
    /// taken up by then, and that nobody had voided. A later one is of a later run.
    pub fn approval_at(
        &self,
        plan: &str,
        begun_at: DateTime<Utc>,
    ) -> Result<Option<ApprovalRow>, Error> {
        let begun = begun_at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let rows: Vec<ApprovalRow> = self.read(|db| {
            db.prepare(
                "SELECT seq, digest, by, approval.at, note, approval_use.at,
                     seq IN (SELECT approval FROM approval_void)
                 FROM approval JOIN approval_use ON approval = seq
                 WHERE plan = ?1 AND NOT EXISTS (SELECT 1 FROM approval_void
                     WHERE approval_void.approval = seq AND approval_void.at <= ?2)
                 ORDER BY seq DESC",
            )?
            .query_map([plan, &begun], approval_row)?
            .collect()
        })?;
        let by_then = |row: &ApprovalRow| {
            let used = row.used_at.as_ref()?.parse::<DateTime<Utc>>().ok()?;
            Some(used <= begun_at)
        };
        Ok(rows.into_iter().find(|row| by_then(row) == Some(true)))
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
