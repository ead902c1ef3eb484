//! Leads of a cache of format 8 or before, a column a field, into the rows of today. It takes some
//! seconds for a million leads, where reading them from Marketo again may take hours of its quota.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde_json::{Map, Value};

use super::fields::Fields;
use super::row::{body_of, put};
use crate::lead::{Lead, LeadId};

/// The format into which they are moved.
pub(super) const MOVED_IN: u32 = 9;

/// The fields that had a column, and whether it was of flags.
const COLUMNS: [(&str, bool); 16] = [
    ("email", false),
    ("firstName", false),
    ("lastName", false),
    ("company", false),
    ("createdAt", false),
    ("updatedAt", false),
    ("originalSourceType", false),
    ("originalSourceInfo", false),
    ("leadPartitionId", false),
    ("sfdcType", false),
    ("sfdcLeadId", false),
    ("sfdcContactId", false),
    ("unsubscribed", true),
    ("marketingSuspended", true),
    ("doNotCall", true),
    ("blackListed", true),
];

/// Id, scan and key came before the columns.
const FIRST_COLUMN: usize = 3;

/// Moves them, within the transaction that brings the format up to date.
pub(super) fn move_leads(db: &Connection) -> rusqlite::Result<()> {
    let any: bool = db.query_row("SELECT EXISTS (SELECT 1 FROM lead_8)", [], |row| row.get(0))?;
    if !any {
        return db.execute_batch("DROP TABLE lead_8");
    }
    let mut fields = Fields::default();
    fields.add(db, COLUMNS.map(|(field, _)| field.to_owned()).iter())?;
    let mut leads = 0_i64;
    {
        let mut statement = db.prepare("SELECT * FROM lead_8 ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key: Option<String> = row.get(2)?;
            let body = body_of(db, &mut fields, &lead_of(row)?)?;
            put(db, row.get(0)?, row.get(1)?, key.as_deref(), &body)?;
            leads += 1;
        }
    }
    db.execute_batch("DROP TABLE lead_8")?;
    db.execute("UPDATE meta SET leads = ?1", params![leads]).map(drop)
}

fn lead_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Lead> {
    let mut lead = Lead::new(LeadId::from(row.get::<_, i64>(0)?.unsigned_abs()));
    for (place, (field, is_flag)) in (FIRST_COLUMN..).zip(COLUMNS) {
        let value = match row.get_ref(place)? {
            ValueRef::Text(_) => Value::String(row.get(place)?),
            ValueRef::Integer(number) if is_flag => Value::Bool(number != 0),
            ValueRef::Integer(number) => Value::from(number),
            _ => continue,
        };
        lead.fields.insert(field.to_owned(), value);
    }
    let place = FIRST_COLUMN + COLUMNS.len();
    if let Some(rest) = row.get_ref(place)?.as_str_or_null()? {
        let rest: Map<String, Value> = serde_json::from_str(rest).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                place,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })?;
        lead.fields.extend(rest);
    }
    Ok(lead)
}
