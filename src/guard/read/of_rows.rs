//! A table: a header with REST API names, then a row a record.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Record;
use crate::table::{LeftOut, Row, Table, is_error_of_a_spreadsheet, shown, wrong_length};

type Trouble = (Option<u64>, String);

pub(super) fn read(table: &Table) -> Result<(Vec<Record>, LeftOut), Trouble> {
    let mut rows = table.rows().map_err(|error| (error.line, error.what))?;
    let header = names(rows.header())?;
    let mut records = Vec::new();
    let mut row = Row::default();
    while rows.next(&mut row).map_err(|error| (error.line, error.what))? {
        let line = row.line;
        if row.len() < header.len() {
            return Err((Some(line), wrong_length(row.len(), header.len())));
        }
        let mut fields = Map::new();
        for (name, cell) in header.iter().zip(row.cells()) {
            let text = std::str::from_utf8(cell).map_err(|error| {
                (Some(line), format!("the value of `{}` is not UTF-8 ({error})", shown(name)))
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
                return Err((Some(line), what));
            }
            fields.insert(name.clone(), Value::from(text));
        }
        records.push(Record { line, fields });
    }
    Ok((records, rows.left_out()))
}

fn names(row: &Row) -> Result<Vec<String>, Trouble> {
    let at = Some(row.line);
    let mut seen = BTreeSet::new();
    let mut names = Vec::with_capacity(row.len());
    for (cell, column) in row.cells().zip(1..) {
        let name = std::str::from_utf8(cell)
            .map_err(|error| (at, format!("the name of column {column} is not UTF-8 ({error})")))?
            .trim();
        if name.is_empty() {
            return Err((at, format!("column {column} has no name")));
        }
        if !seen.insert(name.to_owned()) {
            return Err((at, format!("there are two columns `{}`", shown(name))));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}
