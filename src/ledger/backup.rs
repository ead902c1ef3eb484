//! Leads as they were just before a merge.
//!
//! For: what a merge destroys can be made anew from here. Never: shortens a backup; what was not
//! read is null, which is told apart from having none.

use rusqlite::params;
use serde_json::{Map, Value};

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
            for backup in backups {
                insert.execute(params![
                    plan,
                    backup.key,
                    backup.lead.id.cast_signed(),
                    backup.role.as_str(),
                    json(&backup.lead.fields)?,
                    backup.lists.as_ref().map(json).transpose()?,
                    backup.programs.as_ref().map(json).transpose()?,
                    at,
                ])?;
            }
            Ok(())
        })
    }

    /// The backups of a lead, the oldest first.
    pub fn backups_of(&self, lead: LeadId) -> Result<Vec<Backup>, Error> {
        type Row = (String, String, String, Option<String>, Option<String>);
        let rows: Vec<Row> = self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT key, role, fields, lists, programs FROM backup WHERE lead = ?1 ORDER BY seq",
            )?;
            query
                .query_map([lead.cast_signed()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                })?
                .collect()
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

/// A value as JSON text.
pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Damaged { what: error.to_string() })
}
