//! Test people of `probe`, and the profiles that it measured.
//!
//! For: each test person has a row, synced to disk, before the call leaves that makes it, so that a
//! run which was killed leaves no lead behind that the next one does not find. Profiles are kept
//! here and not in a file beside: the ledger belongs to one instance, nobody deletes it lightly,
//! and plans and certificates that name a profile need it for as long as they are kept. Never: says
//! of a lead that it is gone which no look has shown.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, params};

use super::backup::json;
use super::{Error, Ledger};
use crate::lead::LeadId;

/// The ledger's number of a run of `probe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeId(i64);

impl ProbeId {
    /// The number by which a person names it.
    pub fn number(self) -> u64 {
        self.0.cast_unsigned()
    }
}

/// The ledger's number of a test person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbePersonId(i64);

/// The ledger's number of a merge of test people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeMergeId(i64);

/// A test person that may still be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPerson {
    /// Its number.
    pub id: ProbePersonId,
    /// The run that made it.
    pub probe: ProbeId,
    /// Its address, which no other lead was given.
    pub address: String,
    /// The leads with that address that were seen, and not seen to be gone.
    pub leads: Vec<LeadId>,
}

/// What was found of an instance, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptProfile {
    /// The number of the run that found it.
    pub probe: u64,
    /// What was found, as JSON.
    pub body: String,
    /// The digest of the text.
    pub sha256: String,
    /// The instance that the ledger belongs to.
    pub instance: String,
}

impl Ledger {
    /// Writes down that test people are about to be made; on disk when it returns.
    pub fn begin_probe(&mut self, by: Option<&str>, at: &str) -> Result<ProbeId, Error> {
        self.write(|db| {
            db.execute("INSERT INTO probe (by, at) VALUES (?1, ?2)", params![by, at])?;
            Ok(ProbeId(db.last_insert_rowid()))
        })
    }

    /// Writes down how it ended.
    pub fn end_probe(&mut self, probe: ProbeId, complete: bool, at: &str) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO probe_end (probe, complete, at) VALUES (?1, ?2, ?3)",
                params![probe.0, complete, at],
            )?;
            Ok(())
        })
    }

    /// Writes down that people with these addresses are about to be made.
    pub fn begin_people(
        &mut self,
        probe: ProbeId,
        addresses: &[String],
        at: &str,
    ) -> Result<Vec<ProbePersonId>, Error> {
        self.write(|db| {
            let mut insert =
                db.prepare("INSERT INTO probe_person (probe, address, at) VALUES (?1, ?2, ?3)")?;
            let ids = addresses.iter().map(|address| {
                insert.execute(params![probe.0, address, at])?;
                Ok(ProbePersonId(db.last_insert_rowid()))
            });
            ids.collect()
        })
    }

    /// Writes down that a lead has the address of a person, and how that is known. Whether it was
    /// not written down before.
    pub fn keep_probe_lead(
        &mut self,
        person: ProbePersonId,
        lead: LeadId,
        how: &str,
        at: &str,
    ) -> Result<bool, Error> {
        self.write(|db| {
            let rows = db.execute(
                "INSERT OR IGNORE INTO probe_lead (person, lead, how, at) VALUES (?1, ?2, ?3, ?4)",
                params![person.0, lead.cast_signed(), how, at],
            )?;
            Ok(rows > 0)
        })
    }

    /// Writes down that a lead is gone, as a look has shown it.
    pub fn keep_probe_gone(
        &mut self,
        person: ProbePersonId,
        lead: LeadId,
        how: &str,
        at: &str,
    ) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO probe_gone (person, lead, how, at) VALUES (?1, ?2, ?3, ?4)",
                params![person.0, lead.cast_signed(), how, at],
            )?;
            Ok(())
        })
    }

    /// Writes down that no lead has the address of a person any more, and none can come.
    pub fn end_person(&mut self, person: ProbePersonId, how: &str, at: &str) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO probe_person_end (person, how, at) VALUES (?1, ?2, ?3)",
                params![person.0, how, at],
            )?;
            Ok(())
        })
    }

    /// The people that may still be there, the oldest first.
    pub fn open_people(&self) -> Result<Vec<OpenPerson>, Error> {
        let rows: Vec<(i64, i64, String)> = self.read(|db| {
            db.prepare(
                "SELECT id, probe, address FROM probe_person
                 WHERE id NOT IN (SELECT person FROM probe_person_end) ORDER BY id",
            )?
            .query_map([], |row| row.try_into())?
            .collect()
        })?;
        let person = |(id, probe, address): (i64, i64, String)| {
            let leads: Vec<i64> = self.read(|db| {
                db.prepare(
                    "SELECT lead FROM probe_lead WHERE person = ?1 AND lead NOT IN
                         (SELECT lead FROM probe_gone WHERE person = ?1) ORDER BY lead",
                )?
                .query_map([id], |row| row.get(0))?
                .collect()
            })?;
            let leads = leads.into_iter().map(i64::cast_unsigned).collect();
            Ok(OpenPerson { id: ProbePersonId(id), probe: ProbeId(probe), address, leads })
        };
        rows.into_iter().map(person).collect()
    }

    /// Every lead that was a test person.
    pub fn probe_leads(&self) -> Result<BTreeSet<LeadId>, Error> {
        self.read(|db| {
            db.prepare("SELECT lead FROM probe_lead")?
                .query_map([], |row| row.get(0).map(i64::cast_unsigned))?
                .collect()
        })
    }

    /// Writes down that test people are about to be merged.
    pub fn begin_probe_merge(
        &mut self,
        probe: ProbeId,
        winner: LeadId,
        losers: &[LeadId],
        at: &str,
    ) -> Result<ProbeMergeId, Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO probe_merge (probe, winner, losers, at) VALUES (?1, ?2, ?3, ?4)",
                params![probe.0, winner.cast_signed(), json(&losers)?, at],
            )?;
            Ok(ProbeMergeId(db.last_insert_rowid()))
        })
    }

    /// Writes down what came of it.
    pub fn end_probe_merge(
        &mut self,
        merge: ProbeMergeId,
        how: &str,
        request_id: Option<&str>,
        at: &str,
    ) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO probe_merge_end (merge, how, request_id, at)
                 VALUES (?1, ?2, ?3, ?4)",
                params![merge.0, how, request_id, at],
            )?;
            Ok(())
        })
    }

    /// The merges of test people of which it is not known what came of them.
    pub fn open_probe_merges(&self) -> Result<Vec<ProbeMergeId>, Error> {
        self.read(|db| {
            db.prepare(
                "SELECT id FROM probe_merge WHERE id NOT IN (SELECT merge FROM probe_merge_end)
                 ORDER BY id",
            )?
            .query_map([], |row| row.get(0).map(ProbeMergeId))?
            .collect()
        })
    }

    /// Keeps what a run found, as JSON, with the digest of the text.
    pub fn keep_profile(
        &mut self,
        probe: ProbeId,
        body: &str,
        sha256: &str,
        at: &str,
    ) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO instance_profile (probe, body, sha256, at) VALUES (?1, ?2, ?3, ?4)",
                params![probe.0, body, sha256, at],
            )?;
            Ok(())
        })
    }

    /// What the last run found that came to its end.
    pub fn instance_profile(&self) -> Result<Option<KeptProfile>, Error> {
        self.instance_profile_at(None)
    }

    /// The same as it was at a moment, RFC 3339 with milliseconds in UTC.
    pub fn instance_profile_at(&self, at: Option<&str>) -> Result<Option<KeptProfile>, Error> {
        self.read(|db| {
            db.query_row(
                "SELECT probe, body, sha256, (SELECT instance FROM meta) FROM instance_profile
                 WHERE at <= coalesce(?1, at) ORDER BY probe DESC LIMIT 1",
                [at],
                |row| {
                    let probe: i64 = row.get(0)?;
                    Ok(KeptProfile {
                        probe: probe.cast_unsigned(),
                        body: row.get(1)?,
                        sha256: row.get(2)?,
                        instance: row.get(3)?,
                    })
                },
            )
            .optional()
        })
    }
}
