//! `--risk`: only groups of one risk, shown, exported and merged.

use serde_json::json;

use super::{create, run, three_groups};

fn keys(document: &serde_json::Value) -> Vec<&str> {
    let groups = document["group"].as_array().unwrap().iter();
    groups.map(|group| group["key"].as_str().unwrap()).collect()
}

#[test]
fn a_plan_is_shown_and_exported_by_risk_and_what_is_left_out_is_said() {
    let instance = three_groups();
    create(&instance, "nov");
    for (risk, key) in
        [("green", "bob@example.com"), ("amber", "ada@example.com"), ("red", "pair@example.com")]
    {
        let shown = run(&instance, &["plan", "show", "nov", "--risk", risk, "--json"]);
        let shown = shown.expect_code(0).json();
        assert_eq!((keys(&shown), &shown["groups"]), (vec![key], &json!(3)), "the sums are all's");
        let text = run(&instance, &["plan", "show", "nov", "--risk", risk]).expect_code(0).stdout;
        assert!(text.contains(&format!("shown: 1 {risk} of 3 groups")), "{text}");
        assert_eq!(text.matches("@example.com").count(), text.matches(key).count(), "{text}");
    }
    let file = instance.path("nov.csv");
    let file = file.to_str().unwrap();
    let told = run(&instance, &["plan", "export", file, "--plan", "nov", "--risk", "red"]);
    let told = told.expect_code(0).stdout;
    assert!(told.contains("1 group with 2 records (red; the plan has 3 groups)"), "{told}");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("pair@example.com") && !text.contains("ada@example.com"), "{text}");
    // What is decided in a part of the plan is taken as it is of the whole.
    std::fs::write(file, text.replacen(",,yes", ",merge,yes", 1)).unwrap();
    let taken = run(&instance, &["plan", "import", file, "--by", "Bo", "--json"]);
    assert_eq!(taken.expect_code(0).json()["merge"], 1);

    let page = instance.path("nov.html");
    let page = page.to_str().unwrap();
    let refused = run(&instance, &["plan", "export", page, "--plan", "nov", "--risk", "red"]);
    assert!(refused.expect_code(2).stderr.contains("choose the risk in the page"));
    run(&instance, &["plan", "show", "nov", "--risk", "blue"]).expect_code(2);
}

#[test]
fn only_groups_of_the_risk_are_merged() {
    let instance = three_groups();
    let merged = run(&instance, &["merge", "--risk", "green", "--confirm", "--json"]);
    // What a person has to decide about is named all the same.
    let merged = merged.expect_code(3);
    assert!(merged.stderr.contains("1 group of another risk passed over"), "{}", merged.picture());
    assert_eq!(keys(&merged.json()), ["bob@example.com", "pair@example.com"]);
    assert_eq!(merged.json()["merged"], 1);
    assert_eq!(instance.sandbox.merged_into(4), Some(3));
    assert!(instance.sandbox.lead(2).is_some() && instance.sandbox.lead(6).is_some());
    let both = run(&instance, &["merge", "--plan", "nov", "--risk", "green"]).expect_code(2);
    assert!(both.stderr.contains("cannot be used with"), "{}", both.picture());
}

/// Each flag, the setting that is behind it, and a pair of records that it lets in.
#[test]
fn a_flag_lets_a_red_group_into_the_plan_and_does_not_merge_it() {
    for (flag, one, other) in [
        ("--across-partitions", json!({"leadPartitionId": 1}), json!({"leadPartitionId": 2})),
        ("--include-shared", json!({"firstName": "Grace"}), json!({"firstName": "Zoltan"})),
        ("--merge-in-crm", json!({"sfdcLeadId": "00Q1"}), json!({"sfdcLeadId": "00Q2"})),
    ] {
        let mut options = crate::support::quick();
        options.set_knob("merge_across_partitions=allow").unwrap();
        let instance = crate::support::Instance::start(options);
        for more in [&one, &other] {
            let mut lead = json!({"email": "two@example.com", "createdAt": "2026-01-02T03:04:05Z"});
            for (name, value) in more.as_object().unwrap() {
                lead[name] = value.clone();
            }
            instance.sandbox.put_lead(&lead);
        }
        crate::support::merging::fill_cache(&instance);
        let left = run(&instance, &["merge", "--confirm", flag, "--json"]).expect_code(3).json();
        assert_eq!((&left["merged"], &left["skipped"]), (&json!(0), &json!(1)), "{flag}: {left:#}");
        let reason = left["group"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("plan decide"), "{flag}: {reason}");

        // The plan has it, for a person to decide about.
        let plan = left["plan"].as_str().unwrap();
        let shown = run(&instance, &["plan", "show", plan, "--json"]).json();
        assert_eq!(shown["group"][0]["risk"], "red", "{flag}: {shown:#}");
        let merge = ["merge", "--plan", plan, "--confirm", "--json"];
        let left = run(&instance, &merge).expect_code(3).json();
        assert_eq!(left["merged"], 0, "{flag}: {left:#}");
        let decide =
            ["plan", "decide", plan, "--email", "two@example.com", "--merge", "--by", "Bo"];
        run(&instance, &decide).expect_code(0);
        run(&instance, &["plan", "approve", plan, "--by", "Cy"]).expect_code(0);
        let done = run(&instance, &merge).expect_code(0).json();
        assert_eq!(done["merged"], 1, "{flag}: {done:#}");
    }
}
