//! What `docs/sql.md` tells of the cache as a database.

use rusqlite::{Connection, OpenFlags};

use crate::support::{Instance, quick};

/// The examples of the page, in its order.
fn examples() -> Vec<String> {
    let page = include_str!("../docs/sql.md");
    let blocks = page.split("```sql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// The rows of a query, each as one line.
fn rows(db: &Connection, query: &str) -> Vec<String> {
    let mut statement = db.prepare(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let cell = |place| match row.get_ref(place).unwrap() {
            rusqlite::types::ValueRef::Null => "-".to_owned(),
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            value => value.as_str().unwrap().to_owned(),
        };
        lines.push((0..columns).map(cell).collect::<Vec<_>>().join(" | "));
    }
    lines
}

#[test]
fn every_example_of_the_page_runs_and_says_what_the_page_says() {
    let instance = Instance::start(quick());
    std::fs::write(
        instance.path("leads.csv"),
        "id,email,company,createdAt,originalSourceType,unsubscribed\n\
         1,Ada@example.com,Analytical,2026-01-02T03:04:05Z,List import,true\n\
         2,ada@example.com,\"Engines, \"\"Ltd\"\"\",2026-02-02T03:04:05Z,Web service API,false\n\
         3,ada@example.com,Analytical,2026-02-03T03:04:05Z,,false\n\
         4,bob@other.example,,2026-02-03T03:04:05Z,,false\n\
         5,BOB@other.example,,2026-03-03T03:04:05Z,,false\n\
         6,,,2026-03-03T03:04:05Z,,false\n\
         7,eve@example.com,,2026-03-03T03:04:05Z,,false\n",
    )
    .unwrap();
    instance.run(["scan", "--file", "leads.csv", "--db", "cache.db"]).expect_code(0);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = Connection::open_with_flags(instance.path("cache.db"), flags).unwrap();
    let found: Vec<Vec<String>> = examples().iter().map(|query| rows(&db, query)).collect();
    let expected: [&[&str]; 8] = [
        &["7 | 5 | 3"],
        &["ada@example.com | 3", "bob@other.example | 2"],
        &[
            "1 | 2026-01-02T03:04:05Z | List import",
            "2 | 2026-02-02T03:04:05Z | Web service API",
            "3 | 2026-02-03T03:04:05Z | -",
        ],
        &["example.com | 2", "other.example | 1"],
        &["2026-01 | 1", "2026-02 | 3", "2026-03 | 1"],
        &["ada@example.com"],
        &["ada@example.com | Analytical,Engines, \"Ltd\""],
        &["1"],
    ];
    assert_eq!(found, expected);
}
