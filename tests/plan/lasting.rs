//! What people decided in one plan is known in the next ones.

use serde_json::{Value, json};

use super::{create, fill_cache, group, run, three_groups};
use crate::support::Instance;

const ADA: &str = "ada@example.com";

fn decide(instance: &Instance, plan: &str, flags: &[&str]) {
    let about = ["plan", "decide", plan, "--email", ADA, "--by", "Bo"];
    run(instance, &[&about[..], flags].concat()).expect_code(0);
}

/// A third record of Ada.
fn new_record(instance: &Instance) {
    let lead = json!({"email": ADA, "firstName": "Ada", "title": "Poet"});
    instance.sandbox.put_lead(&lead);
    fill_cache(instance);
}

fn left<'a>(plan: &'a Value, key: &str) -> Option<&'a str> {
    let all = plan["left_out"].as_array().unwrap();
    all.iter().find(|left| left["key"] == key).map(|left| left["reason"].as_str().unwrap())
}

#[test]
fn two_people_are_not_merged_when_a_third_record_gets_their_address() {
    let instance = three_groups();
    create(&instance, "nov");
    decide(&instance, "nov", &["--not-same", "--note", "mother and child"]);
    new_record(&instance);
    let plan = create(&instance, "dec");
    let ada = group(&plan, ADA);
    assert_eq!((&ada["risk"], &ada["outcome"]), (&json!("red"), &json!("skipped")));
    let why = ada["objection"].as_str().unwrap();
    for words in ["Bo said on", "(plan nov)", "mother and child", "record 7 is new since"] {
        assert!(why.contains(words), "{words} in {why}");
    }
    let merged = run(&instance, &["merge", "--confirm", "--json"]).expect_code(3).json();
    let why = group(&merged, ADA)["reason"].as_str().unwrap();
    assert!(why.contains("records 1 and 2 are not one person"), "{why}");
    assert!(instance.sandbox.lead(1).is_some() && instance.sandbox.lead(2).is_some());

    // 7 is the same person as 1; that 2 is another one still stands.
    decide(&instance, "dec", &["--merge", "--leave-out", "2"]);
    run(&instance, &["plan", "approve", "dec", "--by", "Cy"]).expect_code(0);
    run(&instance, &["merge", "--plan", "dec", "--confirm"]);
    assert_eq!(instance.sandbox.merged_into(7), Some(1));
    assert_eq!(instance.sandbox.merged_into(2), None);
    let later = create(&instance, "jan");
    assert!(left(&later, ADA).unwrap().contains("Bo said on"), "{later:#}");
}

#[test]
fn a_hold_is_known_in_later_plans_through_every_door_until_it_is_taken_back() {
    let instance = three_groups();
    create(&instance, "nov");
    decide(&instance, "nov", &["--hold", "--note", "ask sales"]);
    let plan = create(&instance, "dec");
    let ada = group(&plan, ADA);
    assert_eq!((&ada["decision"], &ada["outcome"]), (&json!("hold"), &json!("skipped")));
    let words = ada["said_before"].as_str().unwrap();
    assert!(words.starts_with("held by Bo on 20") && words.ends_with("(plan nov)"), "{words}");
    let text = run(&instance, &["plan", "show", "dec"]).expect_code(0).stdout;
    assert!(text.contains(words) && text.contains("decided: hold (ask sales)"), "{text}");
    for name in ["dec.csv", "dec.html", "dec.xlsx"] {
        let file = instance.path(name);
        let file = file.to_str().unwrap();
        run(&instance, &["plan", "export", file, "--plan", "dec"]).expect_code(0);
        if !name.ends_with("xlsx") {
            let text = std::fs::read_to_string(file).unwrap().to_lowercase();
            assert!(text.contains(&words.to_lowercase()), "{name}");
            continue;
        }
        let same = run(&instance, &["plan", "import", file, "--by", "Di", "--json"]);
        assert_eq!(same.expect_code(0).json()["changed"], 0, "an unchanged file decides nothing");
    }
    // Where only safe groups are wanted it is left alone, and neither counts.
    let safe = ["plan", "create", "--safe-first", "1", "--json"];
    let safe = run(&instance, &safe).expect_code(0).json();
    assert_eq!((&safe["groups"], &safe["group"][0]["key"]), (&json!(1), &json!("bob@example.com")));
    assert!(left(&safe, ADA).unwrap().starts_with(words), "{safe:#}");
    let first = ["plan", "create", "--limit", "1", "--name", "one", "--json"];
    let first = run(&instance, &first).expect_code(0).json();
    assert_eq!((&first["groups"], &first["done"]), (&json!(2), &json!(1)), "{first:#}");
    let merged = run(&instance, &["merge", "--json"]).expect_code(0).json();
    assert!(group(&merged, ADA)["reason"].as_str().unwrap().starts_with(words), "{merged:#}");

    let list = run(&instance, &["decisions", "list", "--json"]).expect_code(0).json();
    let kept = &list["decision"][0];
    assert_eq!((&kept["decision"], &kept["left_out"]), (&json!("hold"), &json!([])));
    assert_eq!(
        (&kept["leads"], &kept["by"], &kept["note"]),
        (&json!([1, 2]), &json!("Bo"), &json!("ask sales"))
    );
    let list = run(&instance, &["decisions", "list"]).expect_code(0).stdout;
    assert!(list.contains("ada@example.com  records 1 and 2 are on hold"), "{list}");
    assert!(list.contains("in plan nov: ask sales"), "{list}");
    assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");

    run(&instance, &["decisions", "forget", ADA, "--by", "Cy"]).expect_code(0);
    for plan in
        [run(&instance, &["plan", "show", "dec", "--json"]).json(), create(&instance, "jan")]
    {
        let ada = group(&plan, ADA);
        assert_eq!((&ada["outcome"], &ada["decision"]), (&json!("would_merge"), &Value::Null));
    }
}

#[test]
fn a_record_stays_left_out_when_the_others_were_merged() {
    let instance = three_groups();
    new_record(&instance);
    create(&instance, "nov");
    decide(&instance, "nov", &["--leave-out", "2"]);
    run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
    run(&instance, &["merge", "--plan", "nov", "--confirm"]);
    assert_eq!(instance.sandbox.merged_into(7), Some(1));
    fill_cache(&instance);
    let plan = create(&instance, "dec");
    let ada = group(&plan, ADA);
    assert_eq!((&ada["left_out"], &ada["outcome"]), (&json!([2]), &json!("skipped")));
    assert!(ada["said_before"].as_str().unwrap().starts_with("record 2 left out by Bo on"));
    let merged = run(&instance, &["merge", "--confirm", "--json"]).json();
    assert!(group(&merged, ADA)["reason"].as_str().unwrap().starts_with("record 2 left out by Bo"));
    assert_eq!(instance.sandbox.merged_into(2), None);

    // Decided otherwise in the later plan, it is merged.
    decide(&instance, "dec", &["--include", "2", "--merge"]);
    run(&instance, &["plan", "approve", "dec", "--by", "Cy"]).expect_code(0);
    run(&instance, &["merge", "--plan", "dec", "--confirm"]);
    assert_eq!(instance.sandbox.merged_into(2), Some(1));
    let list = run(&instance, &["decisions", "list"]).expect_code(0).stdout;
    assert!(list.contains("nothing is decided that outlives its plan"), "{list}");
}
