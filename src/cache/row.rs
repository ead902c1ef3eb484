//! A lead as a row, and back, with nothing lost.
//!
//! A value goes into the column of its field where it has the column's type; any other value, and
//! every field without a column, goes into one JSON object.

use rusqlite::types::{ToSqlOutput, Type, Value as Owned, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Statement, params};
use serde_json::{Map, Value};

use crate::lead::{Lead, LeadId};

/// A lead, and the key that the rule in force gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The lead.
    pub lead: Lead,
    /// Its key; none where the fields that make it are empty.
    pub key: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    Number,
}

/// The fields with a column, in the table's order.
const COLUMNS: [(&str, Kind); 16] = [
    ("email", Kind::Text),
    ("firstName", Kind::Text),
    ("lastName", Kind::Text),
    ("company", Kind::Text),
    ("createdAt", Kind::Text),
    ("updatedAt", Kind::Text),
    ("originalSourceType", Kind::Text),
    ("originalSourceInfo", Kind::Text),
    ("leadPartitionId", Kind::Number),
    ("sfdcType", Kind::Text),
    ("sfdcLeadId", Kind::Text),
    ("sfdcContactId", Kind::Text),
    ("unsubscribed", Kind::Flag),
    ("marketingSuspended", Kind::Flag),
    ("doNotCall", Kind::Flag),
    ("blackListed", Kind::Flag),
];

/// The same by name, each with its place in the table's order; a test holds the two together.
const COLUMNS_BY_NAME: [(&str, Kind, usize); 16] = [
    ("blackListed", Kind::Flag, 15),
    ("company", Kind::Text, 3),
    ("createdAt", Kind::Text, 4),
    ("doNotCall", Kind::Flag, 14),
    ("email", Kind::Text, 0),
    ("firstName", Kind::Text, 1),
    ("lastName", Kind::Text, 2),
    ("leadPartitionId", Kind::Number, 8),
    ("marketingSuspended", Kind::Flag, 13),
    ("originalSourceInfo", Kind::Text, 7),
    ("originalSourceType", Kind::Text, 6),
    ("sfdcContactId", Kind::Text, 11),
    ("sfdcLeadId", Kind::Text, 10),
    ("sfdcType", Kind::Text, 9),
    ("unsubscribed", Kind::Flag, 12),
    ("updatedAt", Kind::Text, 5),
];

/// Id, scan and key come before the columns.
const FIRST_COLUMN: usize = 3;

const REST: usize = FIRST_COLUMN + COLUMNS.len();

const PUT: &str = "INSERT OR REPLACE INTO lead VALUES \
    (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";

/// A row as it is stored.
#[derive(Debug)]
pub(super) struct Stored {
    /// The scan that saw it last.
    pub(super) scan: i64,
    /// What it saw.
    pub(super) row: Row,
}

/// The id as SQLite holds it.
pub(super) fn id_of(lead: LeadId) -> rusqlite::Result<i64> {
    i64::try_from(lead).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Stores a row, in place of the one with its id.
pub(super) fn put(db: &Connection, row: &Row, scan: i64) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(PUT)?;
    statement.raw_bind_parameter(1, id_of(row.lead.id)?)?;
    statement.raw_bind_parameter(2, scan)?;
    statement.raw_bind_parameter(3, row.key.as_deref())?;
    let mut in_columns = 0;
    let mut fields = row.lead.fields.iter().peekable();
    // The lead's fields are in the order of their names, and so are these: one walk along both.
    for (field, kind, column) in COLUMNS_BY_NAME {
        while fields.next_if(|(name, _)| name.as_str() < field).is_some() {}
        let value = fields.next_if(|(name, _)| name.as_str() == field).map(|(_, value)| value);
        let cell = value.and_then(|value| cell_of(value, kind));
        in_columns += usize::from(cell.is_some());
        let cell = cell.unwrap_or(ToSqlOutput::Owned(Owned::Null));
        statement.raw_bind_parameter(FIRST_COLUMN + 1 + column, cell)?;
    }
    let rest = (in_columns < row.lead.fields.len()).then(|| rest_of(&row.lead)).transpose()?;
    statement.raw_bind_parameter(REST + 1, rest)?;
    statement.raw_execute()?;
    Ok(())
}

/// The stored row of a lead.
pub(super) fn get(db: &Connection, lead: LeadId) -> rusqlite::Result<Option<Stored>> {
    let mut statement = db.prepare_cached("SELECT * FROM lead WHERE id = ?1")?;
    statement.query_row(params![id_of(lead)?], read).optional()
}

/// Reads `SELECT * FROM lead`.
pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stored> {
    let id: i64 = row.get(0)?;
    let mut lead = Lead::new(LeadId::try_from(id).map_err(|error| damaged(0, error))?);
    for (position, (field, kind)) in (FIRST_COLUMN..).zip(COLUMNS) {
        let value = match (row.get_ref(position)?, kind) {
            (ValueRef::Text(_), _) => Value::String(row.get(position)?),
            (ValueRef::Integer(number), Kind::Flag) => Value::Bool(number != 0),
            (ValueRef::Integer(number), _) => Value::from(number),
            _ => continue,
        };
        lead.fields.insert(field.to_owned(), value);
    }
    if let Some(rest) = row.get_ref(REST)?.as_str_or_null()? {
        let rest: Map<String, Value> =
            serde_json::from_str(rest).map_err(|error| damaged(REST, error))?;
        lead.fields.extend(rest);
    }
    Ok(Stored { scan: row.get(1)?, row: Row { lead, key: row.get(2)? } })
}

/// Removes a lead; whether it was there.
pub(super) fn remove(db: &Connection, lead: LeadId) -> rusqlite::Result<bool> {
    let mut statement: Statement<'_> = db.prepare("DELETE FROM lead WHERE id = ?1")?;
    Ok(statement.execute([id_of(lead)?])? > 0)
}

fn cell_of(value: &Value, kind: Kind) -> Option<ToSqlOutput<'_>> {
    match (value, kind) {
        (Value::String(text), Kind::Text) => {
            Some(ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())))
        }
        (Value::Bool(flag), Kind::Flag) => Some(ToSqlOutput::Owned(Owned::Integer((*flag).into()))),
        (Value::Number(number), Kind::Number) => {
            number.as_i64().map(|number| ToSqlOutput::Owned(Owned::Integer(number)))
        }
        _ => None,
    }
}

fn rest_of(lead: &Lead) -> rusqlite::Result<String> {
    let has_column = |field: &str, value: &Value| {
        COLUMNS.iter().any(|(name, kind)| *name == field && cell_of(value, *kind).is_some())
    };
    let rest: std::collections::BTreeMap<&String, &Value> =
        lead.fields.iter().filter(|(field, value)| !has_column(field, value)).collect();
    serde_json::to_string(&rest)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn damaged(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, COLUMNS_BY_NAME};

    #[test]
    fn both_lists_of_columns_say_the_same() {
        assert!(COLUMNS_BY_NAME.is_sorted_by_key(|(name, _, _)| *name));
        for (name, kind, place) in COLUMNS_BY_NAME {
            assert_eq!(COLUMNS[place], (name, kind));
        }
    }
}
