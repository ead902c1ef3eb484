//! A lead as a row, and back, with nothing lost.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::fields::{BodyWriter, Fields};
use crate::lead::{Lead, LeadId};

/// A lead, and the key that the rule in force gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The lead.
    pub lead: Lead,
    /// Its key; none where the fields that make it are empty.
    pub key: Option<String>,
}

/// A row as it is stored.
#[derive(Debug)]
pub(super) struct Stored {
    /// The scan that saw it last.
    pub(super) scan: i64,
    pub(super) key: Option<String>,
    pub(super) body: String,
}

/// The id as SQLite holds it.
pub(super) fn id_of(lead: LeadId) -> rusqlite::Result<i64> {
    i64::try_from(lead).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Stores a row, in place of the one with its id.
pub(super) fn put(
    db: &Connection,
    id: i64,
    scan: i64,
    key: Option<&str>,
    body: &str,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("INSERT OR REPLACE INTO lead VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute(params![id, scan, key, body]).map(drop)
}

/// The stored row of a lead.
pub(super) fn get(db: &Connection, id: i64) -> rusqlite::Result<Option<Stored>> {
    let mut statement = db.prepare_cached("SELECT scan, key, body FROM lead WHERE id = ?1")?;
    statement
        .query_row([id], |row| {
            Ok(Stored { scan: row.get(0)?, key: row.get(1)?, body: row.get(2)? })
        })
        .optional()
}

/// The body of a lead. Fields that are new here get a place.
pub(super) fn body_of(
    db: &Connection,
    fields: &mut Fields,
    lead: &Lead,
) -> rusqlite::Result<String> {
    fields.add(db, lead.fields.keys())?;
    let mut body = Vec::new();
    let mut writer = BodyWriter::begin(&mut body);
    fields.write(lead, &mut writer)?;
    writer.end();
    String::from_utf8(body)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
