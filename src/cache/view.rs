//! What people see who open the file with another program: `leads`, `members` and `groups`, a
//! column a field.
//!
//! Never: read by the program itself.

use rusqlite::Connection;

/// Makes the views of a cache with these fields, in place of those of fewer fields.
pub(super) fn make(db: &Connection, fields: &[String]) -> rusqlite::Result<()> {
    let named = |(place, name): (usize, &String)| {
        format!(", body ->> {place} AS \"{}\"", name.replace('"', "\"\""))
    };
    let columns = fields.iter().enumerate().map(named).collect::<Vec<_>>().concat();
    db.execute_batch(&format!(
        "DROP VIEW IF EXISTS leads;
         DROP VIEW IF EXISTS members;
         DROP VIEW IF EXISTS groups;
         CREATE VIEW leads AS SELECT id, key AS match_key{columns} FROM lead;
         CREATE VIEW members AS SELECT key AS match_key, lead AS id{columns} FROM member;
         CREATE VIEW groups AS SELECT key AS match_key, size AS records, size - 1 AS extra_records FROM member_key;"
    ))
}
