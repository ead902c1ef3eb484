//! Lost leads that are made anew: what is about to be made, and what came of it.
//!
//! For: a lead is made with a row in the ledger that was there before the call left, so that a run
//! that was killed leaves a question which the next one asks Marketo, and never a second lead.
//! Never: says that a lead was made which no answer and no look has shown.

use rusqlite::{Row, params};

use super::backup::json;
use super::{Error, Ledger, RunId};
use crate::lead::LeadId;

/// The ledger's number of a making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MakingId(i64);

/// A lead that is about to be made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMaking {
    /// The run.
    pub run: RunId,
    /// The lead that was lost.
    pub lost: LeadId,
    /// The merge call that took it.
    pub call: u64,
    /// The field by which the new lead is looked for, should the answer get lost.
    pub field: String,
    /// The fields that are sent, by name.
    pub fields: Vec<String>,
    /// The leads that have the same value of `field` already.
    pub known: Vec<LeadId>,
}

/// A making of which it is not known what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMaking {
    /// Its number.
    pub id: MakingId,
    /// What was about to be done.
    pub what: NewMaking,
}

/// What a run came to with a lost lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoredLead {
    /// The run.
    pub run: RunId,
    /// The lead that was lost.
    pub lost: LeadId,
    /// The merge call that took it.
    pub call: u64,
    /// The lead in its place; none where none was made.
    pub new: Option<LeadId>,
    /// Whether all is back that can come back.
    pub complete: bool,
}

/// How a run ended that makes lost leads anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreEnd {
    /// Whether it came to every lead that it was asked for.
    pub complete: bool,
    /// Leads that are there again.
    pub restored: usize,
    /// Leads that it left alone.
    pub skipped: usize,
    /// Leads that it could not make, or not wholly.
    pub failed: usize,
}

impl Ledger {
    /// Writes down that a lead is about to be made; on disk when it returns.
    pub fn begin_making(&mut self, making: &NewMaking, at: &str) -> Result<MakingId, Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO making (run, lost, call, field, fields, known, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    making.run.0,
                    making.lost.cast_signed(),
                    making.call.cast_signed(),
                    making.field,
                    json(&making.fields)?,
                    json(&making.known)?,
                    at,
                ],
            )?;
            Ok(MakingId(db.last_insert_rowid()))
        })
    }

    /// Writes down what came of it: the new lead, or that none was made, and how that is known.
    pub fn end_making(
        &mut self,
        making: MakingId,
        new: Option<LeadId>,
        how: &str,
        at: &str,
    ) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO making_end (making, new, how, at) VALUES (?1, ?2, ?3, ?4)",
                params![making.0, new.map(u64::cast_signed), how, at],
            )?;
            Ok(())
        })
    }

    /// The makings of which it is not known what came of them, the oldest first.
    pub fn open_makings(&self) -> Result<Vec<OpenMaking>, Error> {
        type Row = (i64, i64, i64, i64, String, String, String);
        let rows: Vec<Row> = self.read(|db| {
            db.prepare(
                "SELECT id, run, lost, call, field, fields, known FROM making
                 WHERE id NOT IN (SELECT making FROM making_end) ORDER BY id",
            )?
            .query_map([], |row| row.try_into())?
            .collect()
        })?;
        rows.into_iter()
            .map(|(id, run, lost, call, field, fields, known)| {
                let damaged = |error: serde_json::Error| Error::Damaged {
                    what: format!("making {id}: {error}"),
                };
                let what = NewMaking {
                    run: RunId(run),
                    lost: lost.cast_unsigned(),
                    call: call.cast_unsigned(),
                    field,
                    fields: serde_json::from_str(&fields).map_err(damaged)?,
                    known: serde_json::from_str(&known).map_err(damaged)?,
                };
                Ok(OpenMaking { id: MakingId(id), what })
            })
            .collect()
    }

    /// The lead that was made in the place of one that this call took; none where none was.
    pub fn made_in_place_of(&self, lost: LeadId, call: u64) -> Result<Option<LeadId>, Error> {
        let made: Vec<i64> = self.read(|db| {
            db.prepare(
                "SELECT new FROM making JOIN making_end ON making = id
                 WHERE lost = ?1 AND call = ?2 AND new IS NOT NULL ORDER BY id DESC LIMIT 1",
            )?
            .query_map([lost.cast_signed(), call.cast_signed()], |row| row.get(0))?
            .collect()
        })?;
        Ok(made.first().copied().map(i64::cast_unsigned))
    }

    /// Keeps what a run came to with a lost lead.
    pub fn keep_restored(&mut self, restored: &RestoredLead, at: &str) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO restored (run, lost, call, new, complete, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    restored.run.0,
                    restored.lost.cast_signed(),
                    restored.call.cast_signed(),
                    restored.new.map(u64::cast_signed),
                    restored.complete,
                    at
                ],
            )?;
            Ok(())
        })
    }

    /// What a run came to, lead by lead.
    pub fn restored_in(&self, run: RunId) -> Result<Vec<RestoredLead>, Error> {
        Ok(self.all_restored()?.into_iter().filter(|one| one.run == run).collect())
    }

    /// The lost leads that are there anew, each by what the last run came to, or the one in which
    /// it came back whole; also those that a killed run made.
    pub fn restored_leads(&self) -> Result<Vec<RestoredLead>, Error> {
        let made: Vec<RestoredLead> = self.read(|db| {
            db.prepare(
                "SELECT run, lost, call, new, 0 FROM making JOIN making_end ON making = id
                 WHERE new IS NOT NULL ORDER BY id",
            )?
            .query_map([], restored)?
            .collect()
        })?;
        let mut last = std::collections::BTreeMap::new();
        for one in made.into_iter().chain(self.all_restored()?) {
            // What came back whole is never tried again, whatever was kept of it later.
            let is_whole = |earlier: &RestoredLead| earlier.complete && earlier.new == one.new;
            let place = (one.lost, one.call);
            if one.new.is_some() && !last.get(&place).is_some_and(is_whole) {
                last.insert(place, one);
            }
        }
        Ok(last.into_values().collect())
    }

    /// Keeps how a run ended.
    pub fn end_restore(&mut self, run: RunId, end: RestoreEnd, at: &str) -> Result<(), Error> {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.write(|db| {
            db.execute(
                "INSERT INTO restore_end (run, at, complete, restored, skipped, failed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    run.0,
                    at,
                    end.complete,
                    number(end.restored),
                    number(end.skipped),
                    number(end.failed)
                ],
            )?;
            Ok(())
        })
    }

    fn all_restored(&self) -> Result<Vec<RestoredLead>, Error> {
        self.read(|db| {
            db.prepare("SELECT run, lost, call, new, complete FROM restored ORDER BY seq")?
                .query_map([], restored)?
                .collect()
        })
    }
}

fn restored(row: &Row<'_>) -> rusqlite::Result<RestoredLead> {
    let (lost, call, new): (i64, i64, Option<i64>) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(RestoredLead {
        run: RunId(row.get(0)?),
        lost: lost.cast_unsigned(),
        call: call.cast_unsigned(),
        new: new.map(i64::cast_unsigned),
        complete: row.get(4)?,
    })
}
