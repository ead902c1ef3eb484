//! Leads as they were just before a merge.
//!
//! For: what a merge destroys can be made anew from here. Never: shortens a backup; what was not
//! read is null, which is told apart from having none.

use rusqlite::params;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Error, Ledger};
use crate::lead::{Lead, LeadId};

/// What a lead is in its merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It stays.
    Winner,
    /// It is folded into the winner.
    Loser,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Winner => "winner",
            Self::Loser => "loser",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Winner, Self::Loser].into_iter().find(|role| role.as_str() == word)
    }
}

/// A whole lead: every readable field, and where it is a member.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    /// The key of the group that it is merged in.
    pub key: String,
    /// Whether it stays or goes.
    pub role: Role,
    /// Its values.
    pub lead: Lead,
    /// The static lists that it is on; `None` where they were not read.
    pub lists: Option<Vec<Map<String, Value>>>,
    /// Its program memberships; `None` where they were not read.
    pub programs: Option<Vec<Map<String, Value>>>,
}

impl Ledger {
    /// Keeps these leads, all or none; on disk when it returns. `at` is RFC 3339.
    pub fn back_up(&mut self, plan: &str, backups: &[Backup], at: &str) -> Result<(), Error> {
        self.write(|db| {
            let mut insert = db.prepare_cached(
                "INSERT INTO backup (plan, key, lead, role, fields, lists, programs, taken_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            let mut digest =
                db.prepare_cached("INSERT INTO backup_digest (backup, sha256) VALUES (?1, ?2)")?;
            for backup in backups {
                let fields = json(&backup.lead.fields)?;
                let lists = backup.lists.as_ref().map(json).transpose()?;
                let programs = backup.programs.as_ref().map(json).transpose()?;
                insert.execute(params![
                    plan,
                    backup.key,
                    backup.lead.id.cast_signed(),
                    backup.role.as_str(),
                    fields,
                    lists,
                    programs,
                    at,
                ])?;
                let sha256 = digest_of(&fields, lists.as_deref(), programs.as_deref());
                digest.execute(params![db.last_insert_rowid(), sha256])?;
            }
            Ok(())
        })
    }

    /// The backups of a lead, the oldest first, without those whose values were erased.
    pub fn backups_of(&self, lead: LeadId) -> Result<Vec<Backup>, Error> {
        self.backups(lead, None)
    }

    /// The same of one plan.
    pub fn backups_under(&self, lead: LeadId, plan: &str) -> Result<Vec<Backup>, Error> {
        self.backups(lead, Some(plan))
    }

    fn backups(&self, lead: LeadId, plan: Option<&str>) -> Result<Vec<Backup>, Error> {
        type Row = (String, String, String, Option<String>, Option<String>);
        let rows: Vec<Row> = self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT key, role, fields, lists, programs FROM backup
                 WHERE lead = ?1 AND (?2 IS NULL OR plan = ?2)
                     AND seq NOT IN (SELECT backup FROM erased) ORDER BY seq",
            )?;
            query.query_map(params![lead.cast_signed(), plan], |row| row.try_into())?.collect()
        })?;
        let damaged =
            |what: String| Error::Damaged { what: format!("the backup of lead {lead}: {what}") };
        rows.into_iter()
            .map(|(key, role, fields, lists, programs)| {
                let memberships = |text: Option<String>| {
                    text.map(|text| {
                        serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))
                    })
                    .transpose()
                };
                Ok(Backup {
                    key,
                    role: Role::parse(&role).ok_or_else(|| damaged(format!("role {role}")))?,
                    lead: Lead {
                        id: lead,
                        fields: serde_json::from_str(&fields)
                            .map_err(|error| damaged(error.to_string()))?,
                    },
                    lists: memberships(lists)?,
                    programs: memberships(programs)?,
                })
            })
            .collect()
    }
}

/// The SHA-256 of what a backup holds, as its texts stand in the file. It is over the whole lead at
/// once: the digest of an address alone could be guessed.
pub(super) fn digest_of(fields: &str, lists: Option<&str>, programs: Option<&str>) -> String {
    let mut digest = Sha256::new();
    for part in [Some(fields), lists, programs] {
        // None is told apart from an empty text.
        digest.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        digest.update(part.unwrap_or_default());
    }
    hex(&digest.finalize())
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A value as JSON text.
pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Damaged { what: error.to_string() })
}
