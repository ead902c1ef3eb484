//! Values that were written to winners for merges that did not follow yet.
//!
//! For: they are given back, and must not look like somebody else's. Never: forgets a write that
//! may have been done, or keeps one in mind that was not, since a value that a person types later
//! may be the same.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, params};

use super::{CallId, CallValue, Error, Ledger};
use crate::lead::LeadId;

/// A winner that has values of a plan whose merge is not, or not wholly, done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The plan that says what was written.
    pub plan: String,
    /// The lead that was written to.
    pub winner: LeadId,
    /// The losers of that plan that are gone into it.
    pub gone: Vec<LeadId>,
}

impl Ledger {
    /// The winners that were written to, or may have been, for merges that are not all done.
    /// A merge is done when all losers of the plan are gone, which the plan tells.
    pub fn unfinished_writes(&self) -> Result<Vec<Unfinished>, Error> {
        let rows: Vec<(String, i64, String)> = self.read(|db| {
            db.prepare(include_str!("unfinished.sql"))?
                .query_map([], |row| row.try_into())?
                .collect()
        })?;
        rows.into_iter()
            .map(|(plan, winner, gone)| {
                let gone = serde_json::from_str(&gone).map_err(|error| Error::Damaged {
                    what: format!("a verified merge: {error}"),
                })?;
                Ok(Unfinished { plan, winner: winner.cast_unsigned(), gone })
            })
            .collect()
    }

    /// The values that runs of a plan wrote to winners, or may have, by winner: also those that are
    /// not to be given back any more. Of an erased person there are none.
    pub fn written_for(&self, plan: &str) -> Result<BTreeMap<LeadId, Vec<CallValue>>, Error> {
        type Row = (i64, String, String, String);
        let rows: Vec<Row> = self.read(|db| {
            db.prepare(
                "SELECT call_value.lead, field, before, after
                 FROM call JOIN call_value ON call_value.call = call.id
                 LEFT JOIN call_purpose ON call_purpose.call = call.id
                 WHERE call.plan = ?1 AND call.kind = 'write' AND coalesce(purpose, 'prepare') = 'prepare'
                     AND before IS NOT NULL AND after IS NOT NULL
                     AND EXISTS (SELECT 1 FROM journal WHERE journal.call = call.id AND event = 'started')
                     AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.call = call.id AND event = 'not_done')
                     AND NOT EXISTS (
                         SELECT 1 FROM write_end
                         WHERE write_end.call = call.id AND write_end.lead = call_value.lead AND how = 'not written')
                 ORDER BY call.id, field",
            )?
            .query_map([plan], |row| row.try_into())?
            .collect()
        })?;
        let mut written: BTreeMap<LeadId, Vec<CallValue>> = BTreeMap::new();
        for (lead, field, before, after) in rows {
            let value = |text: &str| {
                serde_json::from_str(text)
                    .map_err(|error| Error::Damaged { what: format!("a written value: {error}") })
            };
            let lead = lead.cast_unsigned();
            let (before, after) = (value(&before)?, value(&after)?);
            written.entry(lead).or_default().push(CallValue { lead, field, before, after });
        }
        Ok(written)
    }

    /// When the last write of a plan that prepared a lead's merge was written down, just before it
    /// left.
    pub fn prepared_at(&self, plan: &str, lead: LeadId) -> Result<Option<DateTime<Utc>>, Error> {
        let at: Option<String> = self.read(|db| {
            db.prepare_cached(
                "SELECT journal.at FROM journal
                 JOIN call ON call.id = journal.call
                 JOIN call_lead ON call_lead.call = call.id
                 WHERE call_lead.lead = ?2 AND call.plan = ?1 AND call.kind = 'write' AND event = 'started'
                     AND call.id NOT IN (SELECT call FROM call_purpose WHERE purpose <> 'prepare')
                 ORDER BY seq DESC LIMIT 1",
            )?
            .query_row(params![plan, lead.cast_signed()], |row| row.get(0))
            .optional()
        })?;
        Ok(at.and_then(|at| at.parse().ok()))
    }

    /// Marketo did not write these leads of a call that it did otherwise; on disk when it returns.
    pub fn not_written(&mut self, call: CallId, leads: &[LeadId], at: &str) -> Result<(), Error> {
        self.write(|db| {
            let mut insert = db.prepare_cached(
                "INSERT OR IGNORE INTO write_end (call, lead, how, at) VALUES (?1, ?2, 'not written', ?3)",
            )?;
            for lead in leads {
                insert.execute(params![call.0, lead.cast_signed(), at])?;
            }
            Ok(())
        })
    }

    /// A look showed that these leads hold nothing of a plan's writes that is to be given back, or
    /// are gone.
    pub fn nothing_to_give_back(
        &mut self,
        plan: &str,
        leads: &[LeadId],
        at: &str,
    ) -> Result<(), Error> {
        self.write(|db| {
            let mut insert = db.prepare_cached(
                "INSERT OR IGNORE INTO write_end (call, lead, how, at)
                 SELECT call.id, call_lead.lead, 'nothing to give back', ?3
                 FROM call_lead JOIN call ON call.id = call_lead.call
                 WHERE call_lead.lead = ?2 AND call.plan = ?1 AND call.kind = 'write'
                     AND call.id NOT IN (SELECT call FROM call_purpose WHERE purpose <> 'prepare')",
            )?;
            for lead in leads {
                insert.execute(params![plan, lead.cast_signed(), at])?;
            }
            Ok(())
        })
    }
}
