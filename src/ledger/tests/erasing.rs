//! Erasing people from plans that are kept as rows.

use super::*;

/// What erasing has to do with of the tables of such plans; those of the format itself where it has
/// them.
const ROWS: &str = "
    CREATE TABLE IF NOT EXISTS plan_head (number INTEGER PRIMARY KEY, plan TEXT NOT NULL, digest TEXT NOT NULL, name TEXT);
    CREATE TABLE IF NOT EXISTS plan_group (plan, place, key, risk, cause, domain, names, winner, losers, dropped, lost);
    CREATE TABLE IF NOT EXISTS plan_body (plan, place, body, leads);
    CREATE TABLE IF NOT EXISTS plan_left (plan, place, key, leads, reason);
    CREATE TABLE IF NOT EXISTS carried (seq INTEGER PRIMARY KEY, plan, key, winner, body);
    CREATE TABLE IF NOT EXISTS decision (seq INTEGER PRIMARY KEY, plan, key, state, note, by, at, door, refused, risk, losers, dropped, lost);
    CREATE TABLE IF NOT EXISTS not_same (seq INTEGER PRIMARY KEY, plan, key, leads, note, by, at);
    CREATE TABLE IF NOT EXISTS not_same_end (not_same INTEGER PRIMARY KEY, by, at);";

const FILLED: &str = r#"
    INSERT INTO plan_head (number, plan, digest) VALUES (1, 'p', 'd');
    INSERT INTO plan_group VALUES (1, 0, 'ada@example.com', 'green', NULL, NULL, 'ada', 1, 1, 0, 0),
        (1, 1, 'bob@example.com', 'green', NULL, NULL, 'bob', 3, 1, 0, 0);
    INSERT INTO plan_body VALUES (1, 0, '{"key": "ada@example.com"}', '[{"id": 1, "fields": {"email": "ada@example.com"}}]'),
        (1, 1, '{"key": "bob@example.com"}', '[{"id": 3, "fields": {"email": "bob@example.com"}}]');
    INSERT INTO plan_left VALUES (1, 0, 'ADA@example.com', '[7,8]', 'too large');
    INSERT INTO decision (plan, key, state, by, at, door, risk, losers, dropped, lost)
        VALUES ('p', 'ada@example.com', '{"email": "ada@example.com"}', 'b', 'a', 'cli', 'red', 1, 0, 0);
    INSERT INTO not_same (plan, key, leads, by, at) VALUES ('p', 'ada@example.com', '[]', 'b', 'a');
    INSERT INTO not_same_end VALUES (1, 'b', 'a');"#;

#[test]
fn a_person_is_erased_from_plans_that_were_never_carried_out() {
    let file = File::new();
    let mut ledger = file.open();
    ledger.save_plan("p", AT, "{}").expect("a plan");
    ledger.db.execute_batch(ROWS).expect("the tables");
    ledger.db.execute_batch(FILLED).expect("their rows");
    let what = Erase::Person("Ada@Example.com".to_owned());
    let dry = ledger.would_erase(&what).expect("a count");
    assert_eq!((dry.backups, dry.plans.len()), (0, 1));
    ledger.erase(&what, Some("dpo"), AT).expect("done");
    let bytes = std::fs::read(file.path()).expect("the file");
    let has = |text: &str| {
        bytes.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()))
    };
    assert!(!has("ada@example.com") && has("bob@example.com"));
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        ledger.db.query_row(&sql, [], |row| row.get(0)).expect("a count")
    };
    let left: Vec<i64> = [
        "plan_group",
        "plan_body",
        "plan_left",
        "decision",
        "not_same",
        "not_same_end",
        "erased_plan",
    ]
    .map(count)
    .to_vec();
    assert_eq!(left, [1, 1, 2, 0, 0, 0, 1]);
    // Once more there is nothing left to do.
    assert_eq!(ledger.would_erase(&what).expect("a count"), ErasedValues::default());
    let refused = ledger.db.execute("UPDATE plan SET body = ''", []).unwrap_err().to_string();
    assert!(refused.contains("append-only"), "{refused}");
}
