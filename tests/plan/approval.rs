//! Approvals: of one digest, used once, by somebody else where that is asked for.

use serde_json::json;

use super::{create, run, run_with, three_groups};

const CONFIRM: [&str; 4] = ["merge", "--plan", "nov", "--confirm"];
const ALWAYS: [(&str, &str); 1] = [("MKTO_AUDIT__REVIEW__POLICY", "always")];

#[test]
fn an_approval_is_used_up_by_a_run() {
    let instance = three_groups();
    create(&instance, "nov");
    let refused = run_with(&instance, &CONFIRM, &ALWAYS).expect_code(2);
    assert!(refused.stderr.contains("not approved"), "{}", refused.picture());
    // Left alone, so that something of the plan remains.
    let bob = instance.sandbox.lead(4).unwrap();
    instance.sandbox.change_lead(4, &json!({"email": "else@example.com"}));
    run(&instance, &["plan", "approve", "nov", "--by", "Cy", "--note", "all seen"]).expect_code(0);
    let listed = run(&instance, &["plan", "list", "--json"]).json();
    assert_eq!(listed["plan"][0]["approved_by"], "Cy", "{listed}");
    run_with(&instance, &CONFIRM, &ALWAYS).expect_code(3);
    assert_eq!(instance.sandbox.merged_into(2), Some(1));

    instance.sandbox.change_lead(4, &json!({"email": bob.fields["email"]}));
    let used = run_with(&instance, &CONFIRM, &ALWAYS).expect_code(2);
    assert!(used.stderr.contains("used up the approval of Cy"), "{}", used.picture());
    assert!(instance.sandbox.merged_into(4).is_none());
    run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
    run_with(&instance, &CONFIRM, &ALWAYS).expect_code(3);
    assert_eq!(instance.sandbox.merged_into(4), Some(3));
}

#[test]
fn a_run_that_may_take_a_part_goes_on_under_the_same_approval() {
    let instance = three_groups();
    create(&instance, "nov");
    run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
    let few = [ALWAYS[0], ("MKTO_AUDIT__MERGE__MAX_GROUPS", "1")];
    let first = run_with(&instance, &CONFIRM, &few);
    assert!(first.stderr.contains("left to the next run"), "{}", first.picture());
    run_with(&instance, &CONFIRM, &few);
    let merged = [instance.sandbox.merged_into(2), instance.sandbox.merged_into(4)];
    assert_eq!(merged, [Some(1), Some(3)]);
}

#[test]
fn a_decision_voids_the_approval() {
    let instance = three_groups();
    create(&instance, "nov");
    run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
    run(
        &instance,
        &["plan", "decide", "nov", "--email", "ada@example.com", "--merge", "--by", "Bo"],
    )
    .expect_code(0);
    let refused = run(&instance, &CONFIRM).expect_code(2);
    assert!(refused.stderr.contains("decided about after Cy approved it"), "{}", refused.picture());
}

#[test]
fn two_people_are_two() {
    let instance = three_groups();
    create(&instance, "nov");
    run(
        &instance,
        &["plan", "decide", "nov", "--email", "ada@example.com", "--merge", "--by", "Bo"],
    )
    .expect_code(0);
    let two = [("MKTO_AUDIT__REVIEW__TWO_PEOPLE", "true")];
    let own = run_with(&instance, &["plan", "approve", "nov", "--by", "bo"], &two).expect_code(2);
    assert!(own.stderr.contains("somebody else"), "{}", own.picture());
    // Without the setting it is allowed; the merge holds it against the setting all the same.
    run(&instance, &["plan", "approve", "nov", "--by", "Bo"]).expect_code(0);
    let refused = run_with(&instance, &CONFIRM, &two).expect_code(2);
    assert!(refused.stderr.contains("somebody else"), "{}", refused.picture());
    run_with(&instance, &["plan", "approve", "nov", "--by", "Cy"], &two).expect_code(0);
    run_with(&instance, &CONFIRM, &two).expect_code(3);
    assert_eq!(instance.sandbox.merged_into(2), Some(1));
}

#[test]
fn the_policy_is_not_passed_by_without_a_plan() {
    let instance = three_groups();
    let refused = run_with(&instance, &["merge", "--confirm"], &ALWAYS).expect_code(2);
    assert!(refused.stderr.contains("`review.policy` is `always`"), "{}", refused.picture());
    assert!(refused.stderr.contains("mkto-audit plan create"), "{}", refused.picture());
    assert!(instance.sandbox.lead(2).is_some());
    // Otherwise as ever: what is red stays.
    run(&instance, &["merge", "--confirm"]).expect_code(3);
    assert_eq!(instance.sandbox.merged_into(2), Some(1));
    assert!(instance.sandbox.lead(6).is_some());
    // And a plan of `merge` is held to it too.
    let instance = three_groups();
    let plan = run(&instance, &["merge", "--json"]).json()["plan"].as_str().unwrap().to_owned();
    run_with(&instance, &["merge", "--plan", &plan, "--confirm"], &ALWAYS).expect_code(2);
    run(&instance, &["plan", "approve", &plan, "--by", "Cy"]).expect_code(0);
    run_with(&instance, &["merge", "--plan", &plan, "--confirm"], &ALWAYS).expect_code(3);
    assert_eq!(instance.sandbox.merged_into(2), Some(1));
}

#[test]
fn the_digest_that_was_approved_is_in_the_history_and_in_the_certificate() {
    let instance = three_groups();
    create(&instance, "nov");
    let digest = || {
        let shown = run(&instance, &["plan", "show", "nov", "--json"]).json();
        shown["digest"].as_str().unwrap().to_owned()
    };
    let own = digest();
    run(
        &instance,
        &["plan", "decide", "nov", "--email", "ada@example.com", "--merge", "--by", "Bo"],
    )
    .expect_code(0);
    let decided = digest();
    assert_ne!(decided, own);
    run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
    run(&instance, &[&CONFIRM[..], &["--digest", &decided]].concat());
    assert_eq!(instance.sandbox.merged_into(2), Some(1));
    let history = run(&instance, &["history", "--json"]).json();
    assert_eq!(history["run"][0]["digest"], decided.as_str(), "{history}");
    let certificate = run(&instance, &["certificate", "show", "1", "--json"]).json();
    assert_eq!(certificate["digest"], decided.as_str());
    assert_eq!(certificate["approved"]["by"], "Cy");
}
