//! The calls that change something at Marketo, and their journal.
//!
//! For: writing an intent down before the act, and folding what happened into where each call
//! stands. Never: lets a merge start whose losers are not backed up, or an event follow that
//! cannot.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::backup::json;
use super::{Error, Event, Ledger, Role, State};
use crate::lead::LeadId;

mod model;

pub use model::{Call, CallId, CallKind, CallLead, CallValue, NewCall, Purpose, Started};

impl Ledger {
    /// Writes down calls that are to be made, all or none.
    pub fn plan_calls(
        &mut self,
        plan: &str,
        calls: &[NewCall],
        at: &str,
    ) -> Result<Vec<CallId>, Error> {
        self.write(|db| calls.iter().map(|call| insert_call(db, plan, call, at)).collect())
    }

    /// Writes a call down that is about to leave, with its intent, in one step. Refused for a merge
    /// with a loser that has no backup under its plan.
    pub fn begin(&mut self, plan: &str, call: &NewCall, at: &str) -> Result<Started, Error> {
        self.write(|db| {
            let id = insert_call(db, plan, call, at)?;
            start(db, id, at)
        })
    }

    /// Writes down that a call is about to leave. Refused for a merge with a loser that has no
    /// backup under its plan.
    pub fn start(&mut self, call: CallId, at: &str) -> Result<Started, Error> {
        self.write(|db| start(db, call, at))
    }

    /// Writes down what happened to a call; on disk when it returns.
    pub fn record(&mut self, call: CallId, event: &Event, at: &str) -> Result<(), Error> {
        self.write(|db| append(db, call, event, at))
    }

    /// The calls whose outcome is not settled, the oldest first.
    pub fn open_calls(&self) -> Result<Vec<Call>, Error> {
        self.calls(
            "SELECT call.id, plan, kind, key FROM call
             WHERE (SELECT event FROM journal WHERE journal.call = call.id ORDER BY seq DESC LIMIT 1)
                 NOT IN ('verified', 'not_done', 'skipped', 'contradicted')
             ORDER BY call.id",
            params![],
        )
    }

    /// All calls of a plan, in order.
    pub fn calls_of(&self, plan: &str) -> Result<Vec<Call>, Error> {
        self.calls(
            "SELECT id, plan, kind, key FROM call WHERE plan = ?1 ORDER BY id",
            params![plan],
        )
    }

    /// What this program's writes asked for in a field of a lead, over all plans.
    pub fn values_written(&self, lead: LeadId, field: &str) -> Result<Vec<CallValue>, Error> {
        let rows: Vec<(String, String)> = self.read(|db| {
            db.prepare_cached(
                "SELECT before, after FROM call_value WHERE lead = ?1 AND field = ?2",
            )?
            .query_map(params![lead.cast_signed(), field], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
        })?;
        let value = |text: &str| {
            serde_json::from_str(text).map_err(|error| Error::Damaged {
                what: format!("a value written to lead {lead}: {error}"),
            })
        };
        let values = rows.into_iter().map(|(before, after)| {
            let (before, after) = (value(&before)?, value(&after)?);
            Ok(CallValue { lead, field: field.to_owned(), before, after })
        });
        values.collect()
    }

    /// Where each merged lead went: loser to survivor, over all plans.
    pub fn merged_into(&self) -> Result<BTreeMap<LeadId, LeadId>, Error> {
        let rows: Vec<(i64, String)> = self.read(|db| {
            db.prepare(
                "SELECT survivor, merged FROM journal
                 WHERE event = 'verified' AND survivor IS NOT NULL ORDER BY seq",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
        })?;
        let mut map = BTreeMap::new();
        for (survivor, merged) in rows {
            let merged: Vec<LeadId> = serde_json::from_str(&merged)
                .map_err(|error| Error::Damaged { what: format!("a verified merge: {error}") })?;
            map.extend(merged.into_iter().map(|loser| (loser, survivor.cast_unsigned())));
        }
        Ok(map)
    }

    fn calls(&self, sql: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<Vec<Call>, Error> {
        type Head = (i64, String, String, String);
        let heads: Vec<Head> = self
            .read(|db| db.prepare(sql)?.query_map(parameters, |row| row.try_into())?.collect())?;
        heads
            .into_iter()
            .map(|(id, plan, kind, key)| {
                let id = CallId(id);
                let kind = if kind == CallKind::Merge.as_str() {
                    CallKind::Merge
                } else if self.links_rows(id)? {
                    CallKind::Rows
                } else {
                    CallKind::Write
                };
                let leads = self.leads_of(id)?;
                let Folded { state, started_at, request_id } = fold(&self.db, id)?;
                let state = state
                    .ok_or_else(|| Error::Damaged { what: format!("call {id} has no events") })?;
                let (purpose, values) = self.write_of(id)?;
                let what = NewCall { kind, key, leads, purpose, values };
                Ok(Call { id, plan, what, state, started_at, request_id })
            })
            .collect()
    }

    fn links_rows(&self, call: CallId) -> Result<bool, Error> {
        self.read(|db| {
            db.prepare_cached("SELECT EXISTS (SELECT 1 FROM row_call WHERE call = ?1)")?
                .query_row([call.0], |row| row.get(0))
        })
    }

    fn write_of(&self, call: CallId) -> Result<(Purpose, Vec<CallValue>), Error> {
        let purpose: Option<String> = self.read(|db| {
            db.prepare_cached("SELECT purpose FROM call_purpose WHERE call = ?1")?
                .query_row([call.0], |row| row.get(0))
                .optional()
        })?;
        let purpose = [Purpose::Mend, Purpose::GiveBack]
            .into_iter()
            .find(|known| purpose.as_deref() == Some(known.as_str()))
            .unwrap_or_default();
        let rows: Vec<(i64, String, String, String)> = self.read(|db| {
            db.prepare_cached("SELECT lead, field, before, after FROM call_value WHERE call = ?1")?
                .query_map([call.0], |row| row.try_into())?
                .collect()
        })?;
        let value = |text: &str| {
            serde_json::from_str(text).map_err(|error| Error::Damaged {
                what: format!("a value of call {call}: {error}"),
            })
        };
        let values = rows.into_iter().map(|(lead, field, before, after)| {
            let (before, after) = (value(&before)?, value(&after)?);
            Ok(CallValue { lead: lead.cast_unsigned(), field, before, after })
        });
        Ok((purpose, values.collect::<Result<_, Error>>()?))
    }

    fn leads_of(&self, call: CallId) -> Result<Vec<CallLead>, Error> {
        let rows: Vec<(i64, String)> = self.read(|db| {
            db.prepare_cached("SELECT lead, role FROM call_lead WHERE call = ?1 ORDER BY place")?
                .query_map([call.0], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        rows.into_iter()
            .map(|(lead, word)| {
                let role = Role::parse(&word)
                    .ok_or_else(|| Error::Damaged { what: format!("call {call}: role {word}") })?;
                Ok(CallLead { id: lead.cast_unsigned(), role })
            })
            .collect()
    }
}

pub(super) fn start(db: &Connection, call: CallId, at: &str) -> Result<Started, Error> {
    let missing: Option<i64> = db
        .prepare_cached(
            "SELECT lead FROM call_lead JOIN call ON call.id = call_lead.call
             WHERE call = ?1 AND kind = 'merge' AND role = 'loser' AND NOT EXISTS
                 (SELECT 1 FROM backup WHERE backup.lead = call_lead.lead AND backup.plan = call.plan)
             ORDER BY place",
        )?
        .query_row([call.0], |row| row.get(0))
        .optional()?;
    if let Some(lead) = missing {
        return Err(Error::NoBackup { call, lead: lead.cast_unsigned() });
    }
    append(db, call, &Event::Started, at)?;
    Ok(Started::new(call))
}

pub(super) fn insert_call(
    db: &Connection,
    plan: &str,
    call: &NewCall,
    at: &str,
) -> Result<CallId, Error> {
    db.prepare_cached("INSERT INTO call (plan, kind, key) VALUES (?1, ?2, ?3)")?
        .execute(params![plan, call.kind.as_str(), call.key])?;
    let id = CallId(db.last_insert_rowid());
    let mut insert = db.prepare_cached(
        "INSERT INTO call_lead (call, place, lead, role) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (place, lead) in (0i64..).zip(&call.leads) {
        insert.execute(params![id.0, place, lead.id.cast_signed(), lead.role.as_str()])?;
    }
    if call.purpose != Purpose::Prepare {
        db.prepare_cached("INSERT INTO call_purpose (call, purpose) VALUES (?1, ?2)")?
            .execute(params![id.0, call.purpose.as_str()])?;
    }
    let mut insert = db.prepare_cached(
        "INSERT INTO call_value (call, lead, field, before, after) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for value in &call.values {
        insert.execute(params![
            id.0,
            value.lead.cast_signed(),
            value.field,
            json(&value.before)?,
            json(&value.after)?
        ])?;
    }
    append(db, id, &Event::Planned, at)?;
    Ok(id)
}

/// Adds an event, after checking that it may follow those that are there.
fn append(db: &Connection, call: CallId, event: &Event, at: &str) -> Result<(), Error> {
    let to = event.leads_to();
    let from = fold(db, call)?.state;
    State::next(from, to).map_err(|source| Error::Illegal { call, source })?;
    let (request_id, code, detail, survivor, merged) = match event {
        Event::Planned | Event::Started => (None, None, None, None, None),
        Event::Accepted { request_id } => (request_id.as_ref(), None, None, None, None),
        Event::Refused { code, request_id, why } => {
            (request_id.as_ref(), code.as_ref(), Some(why), None, None)
        }
        Event::Unknown { request_id, what } => (request_id.as_ref(), None, Some(what), None, None),
        Event::Verified { survivor, merged } => {
            (None, None, None, survivor.map(u64::cast_signed), Some(json(merged)?))
        }
        Event::NotDone { why } | Event::Skipped { why } => (None, None, Some(why), None, None),
        Event::Contradicted { what } => (None, None, Some(what), None, None),
    };
    db.prepare_cached(
        "INSERT INTO journal (call, event, at, request_id, code, detail, survivor, merged)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![call.0, to.as_str(), at, request_id, code, detail, survivor, merged])?;
    Ok(())
}

/// What the events of a call come to.
#[derive(Default)]
struct Folded {
    state: Option<State>,
    started_at: Option<DateTime<Utc>>,
    request_id: Option<String>,
}

fn fold(db: &Connection, call: CallId) -> Result<Folded, Error> {
    let event = |row: &Row<'_>| row.try_into();
    let rows: Vec<(String, String, Option<String>)> = db
        .prepare_cached("SELECT event, at, request_id FROM journal WHERE call = ?1 ORDER BY seq")?
        .query_map([call.0], event)?
        .collect::<rusqlite::Result<_>>()?;
    let mut folded = Folded::default();
    for (word, at, request_id) in rows {
        let damaged = |what: String| Error::Damaged { what: format!("call {call}: {what}") };
        let to = State::parse(&word).ok_or_else(|| damaged(format!("event {word}")))?;
        let state =
            State::next(folded.state, to).map_err(|source| Error::Illegal { call, source })?;
        folded.state = Some(state);
        if to == State::Started {
            let at =
                DateTime::parse_from_rfc3339(&at).map_err(|error| damaged(error.to_string()))?;
            folded.started_at = Some(at.to_utc());
        }
        folded.request_id = request_id.or(folded.request_id);
    }
    Ok(folded)
}
