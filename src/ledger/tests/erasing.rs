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
    CREATE TABLE IF NOT EXISTS lasting_word (seq INTEGER PRIMARY KEY, plan, key, choice, left_out, leads, decision, note, by, at);
    CREATE TABLE IF NOT EXISTS lasting_word_end (seq INTEGER PRIMARY KEY, word, plan, decision, by, at);";

const FILLED: &str = r#"
    INSERT INTO plan_head (number, plan, digest) VALUES (1, 'p', 'd');
    INSERT INTO plan_group VALUES (1, 0, 'ada@example.com', 'green', NULL, NULL, 'ada', 1, 1, 0, 0),
        (1, 1, 'bob@example.com', 'green', NULL, NULL, 'bob', 3, 1, 0, 0);
    INSERT INTO plan_body VALUES (1, 0, '{"key": "ada@example.com"}', '[{"id": 1, "fields": {"email": "ada@example.com"}}]'),
        (1, 1, '{"key": "bob@example.com"}', '[{"id": 3, "fields": {"email": "bob@example.com"}}]');
    INSERT INTO plan_left VALUES (1, 0, 'ADA@example.com', '[7,8]', 'too large');
    INSERT INTO decision (plan, key, state, by, at, door, risk, losers, dropped, lost)
        VALUES ('p', 'ada@example.com', '{"email": "ada@example.com"}', 'b', 'a', 'cli', 'red', 1, 0, 0);
    INSERT INTO lasting_word (plan, key, choice, left_out, leads, by, at)
        VALUES ('p', 'ada@example.com', 'not_same', '[]', '[]', 'b', 'a');
    INSERT INTO lasting_word_end (word, by, at) VALUES (1, 'b', 'a');"#;

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
        "lasting_word",
        "lasting_word_end",
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

fn filled(file: &File) -> Ledger {
    let mut ledger = file.open();
    ledger.save_plan("p", AT, "{}").expect("a plan");
    ledger.db.execute_batch(FILLED).expect("its rows");
    ledger
}

fn later() -> Erase {
    Erase::OlderThan("2026-12-24T12:00:00Z".parse().expect("a time"))
}

#[test]
fn a_word_in_force_outlives_the_plan_that_age_erases() {
    let file = File::new();
    let mut ledger = filled(&file);
    let leads = r#"[{"id":3,"first":"Bob","last":null},{"id":4,"first":"Bea","last":null}]"#;
    let say = "INSERT INTO lasting_word (plan, key, choice, left_out, leads, by, at)
        VALUES ('p', 'bob@example.com', 'not_same', '[]', ?1, 'b', 'a')";
    ledger.db.execute(say, [leads]).expect("a word");
    let in_force = ledger.lasting_words().expect("words");
    let person = Erase::Person("bob@example.com".to_owned());
    let refused = ledger.would_erase(&person).unwrap_err().to_string();
    assert!(refused.contains("(number 2 in") && refused.contains("decisions forget"), "{refused}");

    let erased = ledger.erase(&later(), None, AT).expect("done");
    assert_eq!(erased.plans.len(), 1);
    assert_eq!((in_force.len(), ledger.lasting_words().expect("words")), (1, in_force));
    let count = |ledger: &Ledger, table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        ledger.db.query_row(&sql, [], |row| row.get(0)).expect("a count")
    };
    assert_eq!(count(&ledger, "lasting_word"), 1, "the one that was taken back is gone");

    // Once it is taken back, age takes it too, and so does the person's wish.
    ledger.forget_words(&[2], "b", AT).expect("taken back");
    assert_eq!(ledger.would_erase(&person).expect("a count").plans.len(), 1);
    ledger.erase(&later(), None, AT).expect("done");
    assert_eq!((count(&ledger, "lasting_word"), count(&ledger, "lasting_word_end")), (0, 0));
    let bytes = std::fs::read(file.path()).expect("the file");
    assert!(!bytes.windows(3).any(|part| part == b"Bea"));
    assert_eq!(ledger.would_erase(&later()).expect("a count"), ErasedValues::default());
}

/// A word of plan `p`, which is old, about a group of the newer plan `q`: a decision there ended it,
/// and a later one undid that.
#[test]
fn a_word_whose_end_was_undone_stays_in_force_when_the_decisions_are_erased() {
    let file = File::new();
    let mut ledger = filled(&file);
    ledger.save_plan("q", AT, "{}").expect("a plan");
    let rows = "
        INSERT INTO plan_head (number, plan, digest) VALUES (2, 'q', 'e');
        INSERT INTO plan_group VALUES (2, 0, 'bob@example.com', 'red', NULL, NULL, 'bob', 3, 1, 0, 0);
        INSERT INTO plan_body VALUES (2, 0, '{}', '[]');
        INSERT INTO lasting_word (plan, key, choice, left_out, leads, by, at)
            VALUES ('p', 'bob@example.com', 'not_same', '[]', '[]', 'b', 'a');
        INSERT INTO decision (seq, plan, key, state, by, at, door, risk, losers, dropped, lost)
            VALUES (8, 'q', 'bob@example.com', '{}', 'b', 'a', 'cli', 'red', 1, 0, 0),
                (9, 'q', 'bob@example.com', '{}', 'b', 'a', 'cli', 'red', 1, 0, 0);
        INSERT INTO lasting_word_end (word, plan, decision, by, at) VALUES (2, 'q', 8, 'b', 'a');";
    ledger.db.execute_batch(rows).expect("rows");
    let numbers = |ledger: &Ledger| -> Vec<i64> {
        ledger.lasting_words().expect("words").iter().map(|word| word.seq).collect()
    };
    assert_eq!(numbers(&ledger), [2]);
    ledger.erase(&later(), None, AT).expect("done");
    assert_eq!(numbers(&ledger), [2], "it stands between these records as before");
}

#[test]
fn what_is_still_to_be_given_back_is_not_erased() {
    let file = File::new();
    let mut ledger = filled(&file);
    let ada = Erase::Person("ada@example.com".to_owned());
    let bob = Erase::Person("bob@example.com".to_owned());
    // The write was done and read back; its merge never left.
    let call = ledger.begin("p", &write(Purpose::Prepare), AT).expect("a write").call();
    ledger.record(call, &Event::Accepted { request_id: None }, AT).expect("accepted");
    let done = Event::Verified { survivor: None, merged: vec![] };
    ledger.record(call, &done, AT).expect("verified");
    for what in [&ada, &later()] {
        let refused = ledger.erase(what, None, AT).unwrap_err().to_string();
        assert!(refused.contains("lead 1, which got values"), "{refused}");
    }
    ledger.would_erase(&bob).expect("nothing of his is open");
    ledger.nothing_to_give_back("p", &[1], AT).expect("given back");
    ledger.would_erase(&ada).expect("nothing is open");

    let row = LinkedRow { guid: "g".into(), winner: 1, was: 2, becomes: 1 };
    let rows = NewRows {
        object: "car_c".into(),
        field: "owner".into(),
        purpose: RowPurpose::Move,
        rows: vec![row],
    };
    let call = ledger.begin_rows("p", &rows, AT).expect("a move");
    ledger.record(call, &Event::Accepted { request_id: None }, AT).expect("accepted");
    ledger.record(call, &done, AT).expect("verified");
    for what in [&ada, &later()] {
        let refused = ledger.erase(what, None, AT).unwrap_err().to_string();
        assert!(refused.contains("custom object row of lead 2"), "{refused}");
    }
    ledger.end_rows(call, &["g".to_owned()], (RowEnd::GivenBack, "seen"), AT).expect("settled");
    let back = NewRows { purpose: RowPurpose::GiveBack, ..rows };
    let open = ledger.begin_rows("p", &back, AT).expect("a way back");
    let refused = ledger.erase(&ada, None, AT).unwrap_err().to_string();
    assert!(refused.contains("custom object row of lead 2"), "an open call: {refused}");
    ledger.record(open, &Event::Accepted { request_id: None }, AT).expect("accepted");
    ledger.record(open, &done, AT).expect("verified");
    assert_eq!(ledger.erase(&ada, None, AT).expect("done").plans.len(), 1);
}
