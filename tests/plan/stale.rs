//! What has moved since a plan was made is skipped, and told from what to what.

use serde_json::json;

use super::{create, group, run, three_groups};
use crate::support::merging::open_ledger;

#[test]
fn a_lead_that_changed_since_is_named_with_the_field_from_what_to_what() {
    let instance = three_groups();
    create(&instance, "nov");
    instance.sandbox.change_lead(2, &json!({"firstName": "Augusta"}));
    let merged =
        run(&instance, &["merge", "--plan", "nov", "--confirm", "--json"]).expect_code(3).json();
    let reason = group(&merged, "ada@example.com")["reason"].as_str().unwrap();
    assert!(reason.contains("lead 2 changed since the plan was made"), "{reason}");
    assert!(reason.contains("`firstName` (\"Ada\" → \"Augusta\")"), "{reason}");
    assert_eq!(instance.sandbox.merged_into(4), Some(3), "the others go on");
}

#[test]
fn a_decided_value_is_held_against_the_live_lead_too() {
    let instance = three_groups();
    create(&instance, "nov");
    let decide = [
        "plan",
        "decide",
        "nov",
        "--email",
        "ada@example.com",
        "--value-from",
        "title=2",
        "--by",
        "Bo",
    ];
    run(&instance, &decide).expect_code(0);
    run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
    instance.sandbox.change_lead(2, &json!({"title": "Poet"}));
    let merged =
        run(&instance, &["merge", "--plan", "nov", "--confirm", "--json"]).expect_code(3).json();
    let reason = group(&merged, "ada@example.com")["reason"].as_str().unwrap();
    assert!(reason.contains("\"Programmer\" → \"Poet\""), "{reason}");
    assert!(instance.sandbox.lead(2).is_some());
}

#[test]
fn a_plan_of_an_older_version_says_that_it_is_one() {
    let instance = three_groups();
    create(&instance, "nov");
    let body = json!({"id": "0123456789abcdef", "instance": "x", "groups": []}).to_string();
    open_ledger(&instance).save_plan("0123456789abcdef", "2026-01-01T00:00:00Z", &body).unwrap();
    for arguments in [
        &["plan", "show", "0123456789abcdef"][..],
        &["merge", "--plan", "0123456789abcdef"],
        &["merge", "--plan", "0123456789abcdef", "--confirm"],
    ] {
        let refused = run(&instance, arguments).expect_code(2);
        assert!(refused.stderr.contains("an older version"), "{}", refused.picture());
    }
    let listed = run(&instance, &["plan", "list"]).expect_code(0).stdout;
    assert!(
        listed.contains("0123456789abcdef") && listed.contains("by an older version"),
        "{listed}"
    );
}
