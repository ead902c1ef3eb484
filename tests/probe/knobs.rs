//! Every position of every switch of the sandbox is found, over real HTTP.

use serde_json::Value;

use super::{WHERE, found, instance, probe, strangers};

/// Measures with these knobs, and compares what is found. Nobody is left, no stranger touched.
#[track_caller]
fn finds(knobs: &[&str], flags: &[&str], expected: &[(&str, &str)]) -> Value {
    let instance = instance(knobs);
    let before = strangers(&instance);
    let run = probe(&instance, &[&["--confirm", "--json"], &WHERE[..], flags].concat());
    let document = run.json();
    let run = run.expect_code(0);
    for (question, wanted) in expected {
        assert_eq!(found(&document, question), wanted, "{question} with {knobs:?}: {}", run.stdout);
    }
    assert_eq!(document["complete"], true, "{document}");
    assert_eq!(instance.sandbox.leads(), before, "nobody is left, no stranger is touched");
    assert_eq!(document["people"]["open"], 0, "{document}");
    document
}

fn field<'d>(document: &'d Value, field: &str) -> &'d Value {
    let answers = document["answer"].as_array().unwrap();
    let blocked = answers.iter().find(|answer| answer["question"] == "blocked_fields").unwrap();
    &blocked["fields"][field]
}

#[test]
fn the_harder_positions() {
    let expected = [
        ("blocked_fields", "none"),
        ("blank_fill", "first_listed"),
        ("scores", "sum"),
        ("false_against_true", "stays"),
        ("unset_against_true", "yes"),
        ("created_at", "winner"),
        ("lists", "union"),
        ("program_status", "winner"),
        ("merge_log", "shown"),
        ("log_request", "ours"),
        ("deletions", "not_seen"),
        ("create_only", "races"),
        ("duplicate_unsubscribed", "no"),
        ("email_case", "ignored"),
        ("email_blanks", "minded"),
    ];
    let document = finds(&[], &[], &expected);
    assert_eq!(field(&document, "title"), "free");
    assert_eq!(found(&document, "fill_of_blocked"), &Value::Null);
}

#[test]
fn the_other_positions() {
    let knobs = [
        "blocked_fields=department",
        "merge_obeys_block=true",
        "merge_blanks=first_nonblank",
        "merge_score=winner",
        "bool_rule=legacy_true_wins",
        "merge_created_at=oldest",
        "merge_lists=lost",
        "merge_status=higher",
        "merge_activity=late",
        "merge_request_id=absent",
        "merge_emits_delete=true",
        "create_only_races=false",
        "durable_unsubscribe=always",
        "email_case=minded",
        "email_trim=true",
    ];
    let expected = [
        ("blocked_fields", "some"),
        ("fill_of_blocked", "no"),
        ("blank_fill", "first_nonblank"),
        ("scores", "winner"),
        ("false_against_true", "true_wins"),
        ("unset_against_true", "yes"),
        ("created_at", "oldest"),
        ("lists", "lost"),
        ("program_status", "higher"),
        ("merge_log", "shown"),
        ("log_request", "absent"),
        ("deletions", "listed"),
        ("create_only", "not_seen"),
        ("duplicate_unsubscribed", "yes"),
        ("email_case", "minded"),
        ("email_blanks", "ignored"),
    ];
    let document = finds(&knobs, &[], &expected);
    assert_eq!(field(&document, "department"), "non_empty");
}

#[test]
fn third_positions_and_blocks_of_all_kinds() {
    let knobs = [
        "blocked_fields=title,vip",
        "blocked=always",
        "merge_status=latest",
        "merge_activity=hidden",
        "merge_unset=kept",
    ];
    let expected = [
        ("blocked_fields", "some"),
        ("blank_fill", "first_listed"),
        ("unset_against_true", "no"),
        ("program_status", "latest"),
        ("merge_log", "not_seen"),
    ];
    let document = finds(&knobs, &["--wait", "20s"], &expected);
    assert_eq!(found(&document, "log_request"), &Value::Null);
    assert_eq!(found(&document, "fill_of_blocked"), &Value::Null);
    assert_eq!(field(&document, "title"), "always");
    // An unset boolean reads as the false that was written first.
    assert_eq!(field(&document, "vip"), "blocked");
}

#[test]
fn a_merge_that_fills_what_is_blocked_is_told_from_one_that_does_not() {
    let knobs = ["blocked_fields=department,vip", "merge_obeys_block=false"];
    let expected = [("blocked_fields", "some"), ("fill_of_blocked", "yes")];
    let document = finds(&knobs, &["--wait", "20s"], &expected);
    assert_eq!(field(&document, "department"), "non_empty");
    assert_eq!(field(&document, "vip"), "blocked");
}
