//! What people see who open the file with another program: `leads`, `members` and `groups`, a
//! column a field.
//!
//! Never: read by the program itself.

use rusqlite::Connection;

/// Makes the views of a cache with these fields, in place of those of fewer fields.
pub(super) fn make(db: &Connection, fields: &[String]) -> rusqlite::Result<()> {
    let columns = |body: &dyn Fn(usize) -> String| {
        let named = |(place, name): (usize, &String)| {
            format!(", {} AS \"{}\"", body(place), name.replace('"', "\"\""))
        };
        fields.iter().enumerate().map(named).collect::<Vec<_>>().concat()
    };
    let own = columns(&|place| format!("body ->> {place}"));
    let packed = columns(&|place| format!("line.value ->> '$[2][{place}]'"));
    // A number is the place of the value that is the key in lower case.
    let key = "CASE json_type(line.value, '$[1]') WHEN 'integer'
                 THEN lower(line.value ->> ('$[2][' || (line.value ->> '$[1]') || ']'))
                 ELSE line.value ->> '$[1]' END";
    db.execute_batch(&format!(
        "DROP VIEW IF EXISTS leads;
         DROP VIEW IF EXISTS members;
         DROP VIEW IF EXISTS groups;
         CREATE VIEW leads AS SELECT id, key AS match_key{own} FROM lead
             UNION ALL SELECT line.value ->> '$[0]', {key}{packed} FROM packed, json_each(packed.lines) AS line;
         CREATE VIEW members AS SELECT key AS match_key, lead AS id{own} FROM member;
         CREATE VIEW groups AS SELECT key AS match_key, size AS records, size - 1 AS extra_records FROM member_key;"
    ))
}
