//! The same bars at every door: a command, a CSV, what a page saved, and taking a word back.

use serde_json::{Value, json};

use super::{create, run, run_with, three_groups};
use crate::support::Instance;

const CONFIRM: [&str; 4] = ["merge", "--plan", "nov", "--confirm"];
const ALWAYS: [(&str, &str); 1] = [("MKTO_AUDIT__REVIEW__POLICY", "always")];

fn digest(instance: &Instance) -> Value {
    run(instance, &["plan", "show", "nov", "--json"]).expect_code(0).json()["digest"].clone()
}

/// Imports what a page would have saved of Bob's group.
fn page(instance: &Instance, group: &Value, approve: bool) -> String {
    let shown = run(instance, &["plan", "show", "nov", "--json"]).json();
    let decisions = json!({"schema": "mkto-audit/decisions/1", "plan": shown["plan"], "digest": shown["digest"],
        "by": "Bo", "note": null, "approve": approve, "group": [group]});
    instance.file("nov.decisions.json", decisions.to_string()).to_str().unwrap().to_owned()
}

/// Imports the plan's CSV with the first row of a group changed.
fn csv(instance: &Instance, from: &str, to: &str) -> String {
    let file = instance.path("nov.csv").to_str().unwrap().to_owned();
    run(instance, &["plan", "export", &file]).expect_code(0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
    file
}

#[test]
fn a_decision_that_is_taken_back_voids_the_approval_all_the_same() {
    type Decides<'a> = &'a dyn Fn(&Instance);
    let bob = ["plan", "decide", "nov", "--email", "bob@example.com", "--by", "Bo"];
    let by_command = |instance: &Instance| {
        run(instance, &[&bob[..], &["--skip"]].concat()).expect_code(0);
        run(instance, &[&bob[..], &["--clear"]].concat()).expect_code(0);
    };
    let by_csv = |instance: &Instance| {
        for (from, to) in [("\r\n2,,yes", "\r\n2,skip,yes"), ("\r\n2,skip,yes", "\r\n2,,yes")] {
            let file = csv(instance, from, to);
            run(instance, &["plan", "import", &file, "--by", "Bo"]).expect_code(0);
        }
    };
    let by_page = |instance: &Instance| {
        for group in [
            json!({"key": "bob@example.com", "decision": "skip"}),
            json!({"key": "bob@example.com"}),
        ] {
            let file = page(instance, &group, false);
            run(instance, &["plan", "import", &file]).expect_code(0);
        }
    };

    let doors: [(&str, Decides<'_>); 3] =
        [("command", &by_command), ("csv", &by_csv), ("page", &by_page)];
    for (door, decide_and_undo) in doors {
        let instance = three_groups();
        create(&instance, "nov");
        let before = digest(&instance);
        run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
        decide_and_undo(&instance);
        assert_eq!(digest(&instance), before, "{door}");
        let refused = run_with(&instance, &CONFIRM, &ALWAYS).expect_code(2);
        assert!(
            refused.stderr.contains("decided about after Cy approved it"),
            "{door}: {}",
            refused.picture()
        );
        let listed = run(&instance, &["plan", "list", "--json"]).json();
        assert_eq!(listed["plan"][0]["approved_by"], Value::Null, "{door}");
        run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
        run_with(&instance, &CONFIRM, &ALWAYS).expect_code(3);
        assert_eq!(instance.sandbox.merged_into(2), Some(1), "{door}");
    }
}

#[test]
fn to_take_a_word_back_voids_what_was_approved_while_it_stood() {
    let instance = three_groups();
    create(&instance, "nov");
    let hold = ["plan", "decide", "nov", "--email", "ada@example.com", "--hold", "--by", "Bo"];
    run(&instance, &hold).expect_code(0);
    create(&instance, "dec");
    run(&instance, &["plan", "approve", "dec", "--by", "Cy"]).expect_code(0);
    run(&instance, &["decisions", "forget", "1", "--by", "Di"]).expect_code(0);
    let confirm = ["merge", "--plan", "dec", "--confirm"];
    let refused = run_with(&instance, &confirm, &ALWAYS).expect_code(2);
    assert!(refused.stderr.contains("decided about after Cy approved it"), "{}", refused.picture());
    assert!(instance.sandbox.lead(2).is_some());
}

#[test]
fn no_door_leaves_out_the_record_to_keep() {
    let instance = three_groups();
    let third = json!({"email": "ada@example.com", "firstName": "Ada", "title": "Poet"});
    instance.sandbox.put_lead(&third);
    super::fill_cache(&instance);
    create(&instance, "nov");
    let before = digest(&instance);
    let words =
        "record 1 is the one to keep and cannot be left out; choose another record to keep first";
    let ada = ["plan", "decide", "nov", "--email", "ada@example.com", "--by", "Bo"];
    let refused = run(&instance, &[&ada[..], &["--leave-out", "1"]].concat()).expect_code(2);
    assert!(refused.stderr.contains(words), "{}", refused.picture());
    let group = json!({"key": "ada@example.com", "left_out": [1]});
    let file = page(&instance, &group, false);
    let refused = run(&instance, &["plan", "import", &file]).expect_code(2);
    assert!(refused.stderr.contains(words), "{}", refused.picture());
    let file = csv(&instance, "\r\n1,,yes,1,yes", "\r\n1,,yes,1,no");
    let refused = run(&instance, &["plan", "import", &file, "--by", "Bo", "--json"]).expect_code(3);
    assert!(refused.stdout.contains(words), "{}", refused.picture());
    assert_eq!(digest(&instance), before, "nothing was taken");

    // The same import may choose another one.
    let group = json!({"key": "ada@example.com", "left_out": [1], "keep": 2});
    let file = page(&instance, &group, false);
    run(&instance, &["plan", "import", &file]).expect_code(0);
    let shown = run(&instance, &["plan", "show", "nov", "--json"]).json();
    let ada = super::group(&shown, "ada@example.com");
    assert_eq!((&ada["winner"], &ada["losers"]), (&json!(2), &json!([7])));
}

#[test]
fn who_decided_in_a_page_does_not_approve_with_the_same_file() {
    let instance = three_groups();
    create(&instance, "nov");
    let two = [("MKTO_AUDIT__REVIEW__TWO_PEOPLE", "true")];
    let group = json!({"key": "bob@example.com", "decision": "skip"});
    let file = page(&instance, &group, true);
    let taken = run_with(&instance, &["plan", "import", &file], &two).expect_code(3);
    let told = "the decisions are taken, and not approved: Bo decided about groups";
    assert!(taken.stderr.contains(told), "{}", taken.picture());
    let shown = run(&instance, &["plan", "show", "nov", "--json"]).json();
    assert_eq!((&shown["done"], &shown["approval"]), (&json!(1), &Value::Null));
    for (by, code) in [(" BO", 2), ("Cy", 0)] {
        run_with(&instance, &["plan", "approve", "nov", "--by", by], &two).expect_code(code);
    }
}
