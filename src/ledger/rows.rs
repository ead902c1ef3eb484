//! Rows of custom objects that were linked to other leads: each call is in the journal like any
//! other, and each row is kept in mind until a merge or a look has settled it.
//!
//! Never: forgets a row that may have been moved for a merge which was not made.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, Row, params};

use super::backup::json;
use super::call::insert_call;
use super::{Call, CallId, CallKind, Error, Ledger, NewCall, Purpose};
use crate::lead::LeadId;

/// Why rows are linked to another lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowPurpose {
    /// To the record that stays, before its merge.
    Move,
    /// To the record that stayed, after a merge that left them behind.
    Follow,
    /// Back to where they were, since the merge was not made.
    GiveBack,
    /// To a lost lead that was made anew.
    Restore,
}

impl RowPurpose {
    const ALL: [Self; 4] = [Self::Move, Self::Follow, Self::GiveBack, Self::Restore];

    fn as_str(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Follow => "follow",
            Self::GiveBack => "give_back",
            Self::Restore => "restore",
        }
    }
}

/// A row that is linked to another lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedRow {
    /// Marketo's own id of the row.
    pub guid: String,
    /// The record that stays of the group that it is moved for.
    pub winner: LeadId,
    /// The lead that it hung on.
    pub was: LeadId,
    /// The lead that it is linked to.
    pub becomes: LeadId,
}

/// A call that links rows of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRows {
    /// The object's API name.
    pub object: String,
    /// The field that holds the link.
    pub field: String,
    /// Why.
    pub purpose: RowPurpose,
    /// The rows, in the order of the call.
    pub rows: Vec<LinkedRow>,
}

/// A row that was moved, or may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedRow {
    /// The call that moved it.
    pub call: CallId,
    /// The plan that the call was for.
    pub plan: String,
    /// The object's API name.
    pub object: String,
    /// The field that holds the link.
    pub field: String,
    /// The row.
    pub row: LinkedRow,
}

/// A row that went with a lead which was merged away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowThatLeft {
    /// The plan of the call that linked it.
    pub plan: String,
    /// The object's API name.
    pub object: String,
    /// The field that holds the link.
    pub field: String,
    /// Marketo's own id of the row.
    pub guid: String,
    /// The lead that it was linked to.
    pub to: LeadId,
    /// When a call of this program last changed it, by this machine's clock.
    pub touched_at: DateTime<Utc>,
}

/// Why a row needs nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowEnd {
    /// Marketo did not move it.
    NotMoved,
    /// Its lead was merged, and a look showed it on the record that stayed.
    Merged,
    /// A look showed it where it was before.
    GivenBack,
    /// It is somewhere else, or gone, and not by this program; or its lead is gone.
    Stays,
}

impl RowEnd {
    fn as_str(self) -> &'static str {
        match self {
            Self::NotMoved => "not_moved",
            Self::Merged => "merged",
            Self::GivenBack => "given_back",
            Self::Stays => "stays",
        }
    }
}

/// Rows that a call moved or may have moved for a merge.
const MOVED: &str = "SELECT row_call.call, call.plan, object, field, guid, winner, was, becomes
     FROM row_link
     JOIN row_call ON row_call.call = row_link.call
     JOIN call ON call.id = row_call.call
     WHERE EXISTS (SELECT 1 FROM journal WHERE journal.call = call.id AND event = 'started')
         AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.call = call.id AND event = 'not_done')";

impl Ledger {
    /// Writes down that rows are about to be linked to other leads, in one step.
    pub fn begin_rows(&mut self, plan: &str, rows: &NewRows, at: &str) -> Result<CallId, Error> {
        self.write(|db| {
            let call = NewCall {
                kind: CallKind::Rows,
                key: String::new(),
                leads: Vec::new(),
                purpose: Purpose::default(),
                values: Vec::new(),
            };
            let id = insert_call(db, plan, &call, at)?;
            db.prepare_cached(
                "INSERT INTO row_call (call, object, field, purpose) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![id.0, rows.object, rows.field, rows.purpose.as_str()])?;
            let mut insert = db.prepare_cached(
                "INSERT INTO row_link (call, place, guid, winner, was, becomes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for (place, row) in (0i64..).zip(&rows.rows) {
                let [winner, was, becomes] =
                    [row.winner, row.was, row.becomes].map(u64::cast_signed);
                insert.execute(params![id.0, place, row.guid, winner, was, becomes])?;
            }
            super::call::start(db, id, at)?;
            Ok(id)
        })
    }

    /// What a call that links rows asks for; none of any other call.
    pub fn rows_of(&self, call: CallId) -> Result<Option<NewRows>, Error> {
        type Head = (String, String, String);
        let head: Option<Head> = self.read(|db| {
            db.prepare_cached("SELECT object, field, purpose FROM row_call WHERE call = ?1")?
                .query_row([call.0], |row| row.try_into())
                .optional()
        })?;
        let Some((object, field, purpose)) = head else { return Ok(None) };
        let known = RowPurpose::ALL.into_iter().find(|known| known.as_str() == purpose);
        let purpose =
            known.ok_or_else(|| Error::Damaged { what: format!("call {call}: {purpose}") })?;
        let rows = self.read(|db| {
            db.prepare_cached(
                "SELECT guid, winner, was, becomes FROM row_link WHERE call = ?1 ORDER BY place",
            )?
            .query_map([call.0], |row| linked(row, 0))?
            .collect()
        })?;
        Ok(Some(NewRows { object, field, purpose, rows }))
    }

    /// The rows that were moved, or may have been, for merges, and that nothing has settled yet.
    /// `winners`: of these groups alone.
    pub fn unsettled_rows(&self, winners: Option<&[LeadId]>) -> Result<Vec<MovedRow>, Error> {
        let of_these = match winners {
            Some(_) => "AND winner IN (SELECT value FROM json_each(?1))",
            None => "AND ?1 IS NULL",
        };
        let sql = format!(
            "{MOVED} AND purpose = 'move' {of_these}
                 AND NOT EXISTS (SELECT 1 FROM row_end WHERE row_end.call = row_link.call
                     AND row_end.guid = row_link.guid)
             ORDER BY row_link.call, place"
        );
        self.moved(&sql, params![winners.map(|winners| json(&winners)).transpose()?])
    }

    /// The rows that were a lead's own which this program merged away, and that it linked to another
    /// one: before the merge, or afterwards where they came late. Not those that it had linked to that
    /// lead itself, from a third one. Each once, where it was put last.
    pub fn rows_that_left(&self, lead: LeadId) -> Result<Vec<RowThatLeft>, Error> {
        type Found = (String, String, String, String, i64, String);
        let found: Vec<Found> = self.read(|db| {
            db.prepare_cached(
                "SELECT call.plan, object, field, row_link.guid, becomes,
                     (SELECT max(at) FROM row_link AS any JOIN journal ON journal.call = any.call
                      WHERE any.guid = row_link.guid AND event IN ('started', 'accepted'))
                 FROM row_link
                 JOIN row_call ON row_call.call = row_link.call
                 JOIN call ON call.id = row_call.call
                 WHERE was = ?1 AND (
                     purpose = 'move' AND EXISTS (SELECT 1 FROM row_end WHERE row_end.call = row_link.call
                         AND row_end.guid = row_link.guid AND how = 'merged')
                     OR purpose = 'follow'
                         AND EXISTS (SELECT 1 FROM journal WHERE journal.call = call.id AND event = 'verified')
                         AND NOT EXISTS (SELECT 1 FROM row_end WHERE row_end.call = row_link.call
                             AND row_end.guid = row_link.guid AND how = 'not_moved')
                         AND NOT EXISTS (SELECT 1 FROM row_link AS earlier
                             JOIN row_call AS its ON its.call = earlier.call
                             WHERE earlier.call < row_link.call AND its.purpose IN ('move', 'follow')
                                 AND its.object = row_call.object AND lower(earlier.guid) = lower(row_link.guid)
                                 AND earlier.becomes = row_link.was))
                 ORDER BY row_link.call, place",
            )?
            .query_map([lead.cast_signed()], |row| row.try_into())?
            .collect()
        })?;
        let mut last = BTreeMap::new();
        for (plan, object, field, guid, to, at) in found {
            let touched_at = super::past::time(&at, || format!("a call for row {guid}"))?;
            let id = (object.clone(), guid.to_lowercase());
            let to = to.cast_unsigned();
            last.insert(id, RowThatLeft { plan, object, field, guid, to, touched_at });
        }
        Ok(last.into_values().collect())
    }

    /// The calls that link rows to lost leads which were made anew, and whose outcome is not known.
    pub fn open_restoring_rows(&self) -> Result<Vec<(Call, NewRows)>, Error> {
        let mut open = Vec::new();
        for call in self.open_calls()? {
            let Some(rows) = self.rows_of(call.id)? else { continue };
            if rows.purpose == RowPurpose::Restore {
                open.push((call, rows));
            }
        }
        Ok(open)
    }

    /// That rows of a call need nothing more; on disk when it returns.
    pub fn end_rows(
        &mut self,
        call: CallId,
        guids: &[String],
        (how, why): (RowEnd, &str),
        at: &str,
    ) -> Result<(), Error> {
        if guids.is_empty() {
            return Ok(());
        }
        self.write(|db| {
            let mut insert = db.prepare_cached(
                "INSERT OR IGNORE INTO row_end (call, guid, how, why, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for guid in guids {
                insert.execute(params![call.0, guid, how.as_str(), why, at])?;
            }
            Ok(())
        })
    }

    fn moved(&self, sql: &str, of: &[&dyn rusqlite::ToSql]) -> Result<Vec<MovedRow>, Error> {
        self.read(|db| {
            db.prepare_cached(sql)?
                .query_map(of, |row| {
                    Ok(MovedRow {
                        call: CallId(row.get(0)?),
                        plan: row.get(1)?,
                        object: row.get(2)?,
                        field: row.get(3)?,
                        row: linked(row, 4)?,
                    })
                })?
                .collect()
        })
    }
}

/// A row, from this column on.
fn linked(row: &Row<'_>, from: usize) -> rusqlite::Result<LinkedRow> {
    let lead = |place: usize| row.get::<_, i64>(from + place).map(i64::cast_unsigned);
    Ok(LinkedRow { guid: row.get(from)?, winner: lead(1)?, was: lead(2)?, becomes: lead(3)? })
}
