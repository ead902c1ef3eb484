//! The backups that are kept, as they are listed, shown, exported and verified.
//!
//! Never: changes one. A backup whose values were erased is there with its digest and no value.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rusqlite::Row;
use serde_json::{Map, Value};

use super::backup::digest_of;
use super::past::time;
use super::{Error, Ledger, Role};
use crate::lead::{Lead, LeadId};

/// A backup, with where it belongs.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptBackup {
    /// The ledger's number of it.
    pub number: u64,
    /// The plan of the merge.
    pub plan: String,
    /// The key of the group.
    pub key: String,
    /// Whether the lead was to stay or to go.
    pub role: Role,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// The lead; without values where they were erased.
    pub lead: Lead,
    /// The static lists that it was on; `None` where they were not read.
    pub lists: Option<Vec<Map<String, Value>>>,
    /// Its program memberships; `None` where they were not read.
    pub programs: Option<Vec<Map<String, Value>>>,
    /// Whether its values were erased.
    pub erased: bool,
    /// The digest of what it held; none of a backup that an older version took.
    pub sha256: Option<String>,
    /// Whether it holds what the digest is of; none where there is no digest, or nothing left.
    pub intact: Option<bool>,
}

impl Ledger {
    /// Hands every backup over, the oldest first, until the closure says to stop. Those that cannot
    /// be read are handed over as the error that says why.
    pub fn each_backup(
        &self,
        mut take: impl FnMut(Result<KeptBackup, Error>) -> std::ops::ControlFlow<()>,
    ) -> Result<(), Error> {
        self.read(|db| {
            let mut query = db.prepare(
                "SELECT seq, plan, key, role, taken_at, lead, fields, lists, programs, sha256,
                     (SELECT sha256 FROM erased WHERE erased.backup = seq)
                 FROM backup LEFT JOIN backup_digest ON backup_digest.backup = seq ORDER BY seq",
            )?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                if take(kept(&kept_row(row)?)).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The leads that a merge took and of which no whole backup was taken; none, as long as this
    /// program alone wrote the file.
    pub fn merged_without_backup(&self) -> Result<BTreeSet<LeadId>, Error> {
        self.read(|db| {
            db.prepare(
                "SELECT DISTINCT gone.value FROM call
                 JOIN journal ON journal.call = call.id AND event = 'verified' AND survivor IS NOT NULL
                 JOIN json_each(merged) AS gone
                 WHERE call.kind = 'merge' AND NOT EXISTS (
                     SELECT 1 FROM backup WHERE backup.lead = gone.value AND backup.plan = call.plan)",
            )?
            .query_map([], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))?
            .collect()
        })
    }

    /// What SQLite finds wrong with the file itself; empty where it is sound.
    pub fn faults_of_the_file(&self) -> Result<Vec<String>, Error> {
        let said: Vec<String> = self.read(|db| {
            db.prepare("PRAGMA integrity_check")?.query_map([], |row| row.get(0))?.collect()
        })?;
        Ok(said.into_iter().filter(|line| line != "ok").collect())
    }
}

struct KeptRow {
    seq: i64,
    plan: String,
    key: String,
    role: String,
    taken_at: String,
    lead: i64,
    fields: String,
    lists: Option<String>,
    programs: Option<String>,
    sha256: Option<String>,
    /// The digest of what was erased.
    erased: Option<String>,
}

fn kept_row(row: &Row<'_>) -> rusqlite::Result<KeptRow> {
    Ok(KeptRow {
        seq: row.get(0)?,
        plan: row.get(1)?,
        key: row.get(2)?,
        role: row.get(3)?,
        taken_at: row.get(4)?,
        lead: row.get(5)?,
        fields: row.get(6)?,
        lists: row.get(7)?,
        programs: row.get(8)?,
        sha256: row.get(9)?,
        erased: row.get(10)?,
    })
}

fn kept(row: &KeptRow) -> Result<KeptBackup, Error> {
    let of_row = || format!("backup {} of lead {}", row.seq, row.lead);
    let damaged = |what: String| Error::Damaged { what: format!("{}: {what}", of_row()) };
    let rows = |text: &Option<String>| {
        let parsed = text.as_deref().map(serde_json::from_str).transpose();
        parsed.map_err(|error| damaged(error.to_string()))
    };
    let fields = serde_json::from_str(&row.fields).map_err(|error| damaged(error.to_string()))?;
    let erased = row.erased.is_some();
    let digest = digest_of(&row.fields, row.lists.as_deref(), row.programs.as_deref());
    Ok(KeptBackup {
        number: row.seq.cast_unsigned(),
        plan: row.plan.clone(),
        key: row.key.clone(),
        role: Role::parse(&row.role).ok_or_else(|| damaged(format!("role {}", row.role)))?,
        taken_at: time(&row.taken_at, of_row)?,
        lead: Lead { id: row.lead.cast_unsigned(), fields },
        lists: rows(&row.lists)?,
        programs: rows(&row.programs)?,
        erased,
        sha256: row.erased.clone().or_else(|| row.sha256.clone()),
        intact: row.sha256.as_ref().filter(|_| !erased).map(|sha256| *sha256 == digest),
    })
}
