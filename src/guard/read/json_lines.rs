//! JSON Lines: an object a line, of plain values.

use serde_json::{Map, Value};

use super::Record;
use crate::table::TableError;

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Record>, TableError> {
    let mut records = Vec::new();
    for (text, line) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let fields: Map<String, Value> = serde_json::from_slice(text).map_err(|error| {
            // The parser sees one line, and would call it line 1.
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            let column = error.column();
            let what = format!(
                "is no JSON object: {words} at column {column}; each record stands on a line of its own"
            );
            TableError::at(line, what)
        })?;
        let nested = fields.iter().find(|(_, value)| value.is_array() || value.is_object());
        if let Some((name, _)) = nested {
            let what = format!("the value of `{name}` is not a plain value");
            return Err(TableError::at(line, what));
        }
        records.push(Record { line, fields });
    }
    Ok(records)
}
