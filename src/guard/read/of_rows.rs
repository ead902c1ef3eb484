//! A table: a header with REST API names, then a row a record.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Record;
use crate::table::{
    LeftOut, Row, Table, TableError, is_error_of_a_spreadsheet, shown, wrong_length,
};

pub(super) fn read(table: &Table) -> Result<(Vec<Record>, LeftOut), TableError> {
    let mut rows = table.rows()?;
    let header = names(rows.header())?;
    let mut records = Vec::new();
    let mut row = Row::default();
    while rows.next(&mut row)? {
        let line = row.line;
        if row.len() < header.len() {
            return Err(TableError::at(line, wrong_length(row.len(), header.len())));
        }
        let mut fields = Map::new();
        for (name, cell) in header.iter().zip(row.cells()) {
            let text = std::str::from_utf8(cell).map_err(|error| {
                let what = format!("the value of `{}` is not UTF-8 ({error})", shown(name));
                TableError::at(line, what)
            })?;
            // A bulk extract writes `null` for an empty field; written back it would name people
            // null.
            if text.trim().is_empty() || text == "null" {
                continue;
            }
            if is_error_of_a_spreadsheet(text.as_bytes()) {
                let what = format!(
                    "`{}` holds {text}, which is a spreadsheet's error and no value",
                    shown(name)
                );
                return Err(TableError::at(line, what));
            }
            fields.insert(name.clone(), Value::from(text));
        }
        records.push(Record { line, fields });
    }
    Ok((records, rows.left_out()))
}

fn names(row: &Row) -> Result<Vec<String>, TableError> {
    let at = |what: String| TableError::at(row.line, what);
    let mut seen = BTreeSet::new();
    let mut names = Vec::with_capacity(row.len());
    for (cell, column) in row.cells().zip(1..) {
        let name = std::str::from_utf8(cell)
            .map_err(|error| at(format!("the name of column {column} is not UTF-8 ({error})")))?
            .trim();
        if name.is_empty() {
            return Err(at(format!("column {column} has no name")));
        }
        if !seen.insert(name.to_owned()) {
            return Err(at(format!("there are two columns `{}`", shown(name))));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}
