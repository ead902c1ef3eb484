//! Lines in, results out.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Fate, in_order, results};
use crate::dedupe::{Key, KeyKind};
use crate::guard::engine::Outcome;
use crate::guard::file::result::Status;
use crate::guard::read::Record;

fn record(line: u64, fields: Value) -> Record {
    let Value::Object(fields) = fields else { panic!("an object") };
    Record { line, fields }
}

fn emails(records: &[Value]) -> (Vec<super::Line>, Vec<crate::guard::LineResult>) {
    let records = records.iter().zip(1..).map(|(fields, line)| record(line, fields.clone()));
    in_order(records.collect(), "email", KeyKind::Email)
}

fn row(row: Value, coalesced: bool) -> Fate {
    let (request_id, warnings) = ("1#1".into(), [].into());
    Fate::Ended(Outcome::Row { row, request_id, warnings, coalesced })
}

/// `line status id` of each result.
fn shown(lines: &[super::Line], fates: &[Fate]) -> Vec<String> {
    let (results, _) = results(lines, fates, "stopped");
    let id = |id: Option<u64>| id.map_or("-".to_owned(), |id| id.to_string());
    results
        .iter()
        .map(|result| format!("{} {} {}", result.line, result.status.as_str(), id(result.id)))
        .collect()
}

#[test]
fn what_is_written_is_the_key_itself_without_what_nobody_sees() {
    let (lines, _) = emails(&[json!({"email": "\u{feff}Ada@example.com\u{200b} ", "title": "x"})]);
    let expected = json!({"email": "ada@example.com", "title": "x"});
    assert_eq!(json!(lines[0].record("email")), expected);
}

#[test]
fn ids_that_differ_in_case_alone_are_not_one_person_and_are_not_both_sent() {
    let records = ["003AbC", "003abc", "003AbC"].iter().zip(1..);
    let records = records.map(|(id, line)| record(line, json!({"externalPersonId": id})));
    let (lines, skipped) = in_order(records.collect(), "externalPersonId", KeyKind::Text);
    assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((skipped[0].line, skipped[0].status), (2, Status::Skipped));
}

#[test]
fn lines_of_one_person_follow_one_another_and_lines_without_a_key_are_left_out() {
    let (lines, skipped) = emails(&[
        json!({"email": "Ada@example.com", "title": "Miss"}),
        json!({"email": "bob@example.com"}),
        json!({"email": " ada@example.com ", "title": "Countess"}),
        json!({"email": " "}),
        json!({"title": "nobody"}),
        json!({"email": "a,b@example.com"}),
    ]);
    assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 3, 2]);
    assert_eq!(skipped.iter().map(|result| result.line).collect::<Vec<_>>(), [4, 5, 6]);
}

#[test]
fn a_line_is_told_which_later_one_took_it_in_and_that_one_what_became_of_both() {
    let ada = |n: u64| json!({"email": "ada@example.com", "n": n});
    let (lines, _) = emails(&[ada(1), ada(2), ada(3), json!({"email": "bob@example.com"})]);
    let created = |coalesced| row(json!({"id": 7, "status": "created"}), coalesced);
    let updated = |coalesced| row(json!({"id": 7, "status": "updated"}), coalesced);
    let bob = || row(json!({"id": 8, "status": "created"}), false);
    let fates = [created(true), updated(true), updated(false), bob()];
    assert_eq!(
        shown(&lines, &fates),
        ["1 coalesced 7", "2 coalesced 7", "3 created 7", "4 created 8"]
    );
    let (told, written) = results(&lines, &fates, "stopped");
    let reason = "with line 3, which has the same key and comes later";
    assert_eq!(told[0].reason.as_deref(), Some(reason));
    assert_eq!(written[&7], (3, Map::from_iter([("n".to_owned(), json!(3))])));
    // Each by itself, since one of them is bad.
    let bad =
        row(json!({"status": "skipped", "reasons": [{"code": "1003", "message": "bad"}]}), false);
    let fates = [created(false), bad, updated(false), bob()];
    assert_eq!(shown(&lines, &fates), ["1 created 7", "2 failed -", "3 updated 7", "4 created 8"]);
    let (told, _) = results(&lines, &fates, "stopped");
    assert_eq!(told[1].reason.as_deref(), Some("Marketo refused it: 1003 bad"));
}

#[test]
fn in_a_preview_and_of_what_is_there_already_the_last_line_of_a_person_stands_for_all() {
    let ada = || json!({"email": "ada@example.com"});
    let (lines, _) = emails(&[ada(), ada()]);
    for (outcome, word) in [
        (Outcome::WouldCreate, "2 would_create -"),
        (Outcome::WouldUpdate(7), "2 would_update 7"),
        (Outcome::Unchanged(7), "2 unchanged 7"),
    ] {
        let fates = [Fate::Ended(outcome.clone()), Fate::Ended(outcome)];
        let told = shown(&lines, &fates);
        assert!(told[0].starts_with("1 coalesced"), "{told:?}");
        assert_eq!(told[1], word);
    }
}

#[test]
fn a_line_that_was_not_sent_is_not_said_to_be_open_and_one_in_doubt_is() {
    let (lines, _) = emails(&[
        json!({"email": "a@example.com"}),
        json!({"email": "b@example.com"}),
        json!({"email": "c@example.com"}),
        json!({"email": "d@example.com"}),
    ]);
    let several = Outcome::Several { ids: vec![4, 9], request_id: None };
    let fates = [Fate::NotSent, Fate::InDoubt, Fate::Ended(Outcome::Open), Fate::Ended(several)];
    let (told, written) = results(&lines, &fates, "the run was stopped");
    assert!(written.is_empty());
    let told: Vec<(Status, &str)> = told
        .iter()
        .map(|result| (result.status, result.reason.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(told[0], (Status::Skipped, "the run was stopped"));
    assert_eq!(told[1].0, Status::Failed);
    assert!(told[1].1.contains("not known"), "{told:?}");
    assert!(told[2].1.contains("stays open"), "{told:?}");
    assert_eq!(told[3].0, Status::Skipped);
    assert!(told[3].1.starts_with("leads 4, 9 have this key"), "{told:?}");
}

proptest! {
    #[test]
    fn the_end_state_is_that_of_writing_one_after_another(
        rows in proptest::collection::vec(
            ("[abAB ]{0,2}", proptest::collection::btree_map("[xyz]", 0..4_i64, 0..3)), 0..30)
    ) {
        let mut one_after_another: BTreeMap<Key, Map<String, Value>> = BTreeMap::new();
        let mut records = Vec::new();
        for ((key, values), line) in rows.into_iter().zip(1..) {
            let fields: Map<String, Value> =
                values.into_iter().map(|(name, value)| (name, json!(value))).collect();
            if let Some(key) = Key::of(&key) {
                one_after_another.entry(key).or_default().extend(fields.clone());
            }
            let mut fields = fields;
            fields.insert("email".to_owned(), json!(key));
            records.push(Record { line, fields });
        }
        let count = records.len();
        let (lines, skipped) = in_order(records, "email", KeyKind::Email);
        let mut written: BTreeMap<Key, Map<String, Value>> = BTreeMap::new();
        for line in &lines {
            written.entry(line.key.clone()).or_default().extend(line.fields.clone());
        }
        prop_assert_eq!(written, one_after_another);
        prop_assert_eq!(lines.len() + skipped.len(), count, "every line has one result");
        let groups = lines.chunk_by(|one, other| one.key == other.key).count();
        let keys: std::collections::BTreeSet<&Key> = lines.iter().map(|line| &line.key).collect();
        prop_assert_eq!(groups, keys.len(), "lines of one key follow one another");
    }
}
