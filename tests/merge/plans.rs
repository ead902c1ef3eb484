//! Plans that are kept: shown again, carried out, interrupted, and asked for under a wrong id.

use serde_json::{Value, json};

use crate::support::merging::{fill_cache, merge};
use crate::support::{Instance, Run, quick};

/// Two people with two records each.
fn two_pairs() -> Instance {
    let instance = Instance::start(quick());
    for email in ["ada@example.com", "bob@example.com"] {
        for phone in [json!(null), json!("+44 1")] {
            instance.sandbox.put_lead(&json!({"email": email, "phone": phone}));
        }
    }
    fill_cache(&instance);
    instance
}

/// Without anything that could reach Marketo.
fn offline(instance: &Instance, flags: &[&str]) -> Run {
    let mut command = instance.command([&["merge"], flags].concat());
    command.env_remove("MARKETO_CLIENT_ID").env_remove("MARKETO_CLIENT_SECRET");
    Run::of(command.env("MKTO_AUDIT_DB", instance.path("none.db")))
}

fn outcomes(run: &Value) -> Vec<&str> {
    run["group"].as_array().unwrap().iter().filter_map(|group| group["outcome"].as_str()).collect()
}

#[test]
fn a_plan_that_was_carried_out_says_so_with_what_became_of_each_group() {
    let instance = two_pairs();
    let plan =
        merge(&instance, &["--json"]).expect_code(0).json()["plan"].as_str().unwrap().to_owned();

    // Before: as it was shown when it was made, and without asking Marketo.
    let calls = instance.sandbox.calls();
    let kept = offline(&instance, &["--plan", &plan, "--json"]).expect_code(0).json();
    assert_eq!((&kept["state"], &kept["dry_run"]), (&json!("new"), &json!(true)), "{kept}");
    assert_eq!(outcomes(&kept), ["would_merge", "would_merge"]);
    let text = offline(&instance, &["--plan", &plan]).expect_code(0).stdout;
    assert!(text.contains("2 groups would be merged, 2 records removed"), "{text}");
    assert_eq!(instance.sandbox.calls(), calls, "nobody was asked");

    // One of them changes, so that it is left alone.
    let bob = kept["group"][1]["losers"][0].as_u64().unwrap();
    instance.sandbox.change_lead(bob, &json!({"email": "else@example.com"}));
    merge(&instance, &["--plan", &plan, "--confirm"]).expect_code(3);

    let done = offline(&instance, &["--plan", &plan, "--json"]).expect_code(0).json();
    assert_eq!(outcomes(&done), ["merged", "skipped"]);
    assert_eq!(
        (&done["state"], &done["merged"], &done["removed"]),
        (&json!("carried_out"), &json!(1), &json!(1))
    );
    assert!(done["last_run_at"].is_string(), "{done}");
    assert!(done["group"][1]["reason"].as_str().unwrap().contains("another key"), "{done}");
    let text = offline(&instance, &["--plan", &plan]).expect_code(0).stdout;
    assert!(
        text.contains("\ncarried out ")
            && text.contains("1 group merged, 1 record removed, 1 group left alone"),
        "{text}"
    );
    assert!(!text.contains("would be merged") && !text.contains("carry out exactly"), "{text}");

    // Again: what was left alone is looked at again, and it is said.
    let again = merge(&instance, &["--plan", &plan, "--confirm"]).expect_code(3);
    assert!(again.stderr.contains("this plan was carried out"), "{}", again.picture());
    assert!(
        again.stderr.contains("what is left is looked at again: 1 group"),
        "{}",
        again.picture()
    );
}

#[test]
fn a_plan_of_which_all_is_merged_has_nothing_left_to_do() {
    let instance = two_pairs();
    let plan = merge(&instance, &["--json"]).json()["plan"].as_str().unwrap().to_owned();
    merge(&instance, &["--plan", &plan, "--confirm"]).expect_code(0);
    let again = merge(&instance, &["--plan", &plan, "--confirm"]).expect_code(0);
    assert!(again.stdout.contains("2 groups merged, 2 records removed"), "{}", again.picture());
    assert!(again.stdout.contains("nothing is left to do"), "{}", again.picture());
    let again = merge(&instance, &["--plan", &plan, "--confirm", "--json"]).expect_code(0).json();
    assert_eq!((&again["state"], &again["merged"]), (&json!("carried_out"), &json!(2)), "{again}");
}

#[test]
fn an_interrupted_plan_says_how_far_it_came_and_the_same_command_goes_on() {
    let instance = two_pairs();
    let plan = merge(&instance, &["--json"]).json()["plan"].as_str().unwrap().to_owned();
    let confirm = ["--plan", &plan, "--confirm", "--json"];
    // The day's budget ends after the first merge.
    let mut far = None;
    for more in 6..30 {
        let spent: u64 = instance.sandbox.calls().values().sum();
        let mut command = crate::support::merging::command(&instance, &confirm);
        Run::of(command.env("MKTO_AUDIT__LIMITS__DAILY_CALLS", (spent + more).to_string()));
        let seen = offline(&instance, &["--plan", &plan, "--json"]).json();
        if seen["merged"] == 1 {
            far = Some(seen);
            break;
        }
        assert_eq!(seen["merged"], 0, "both were merged at once: {seen}");
    }
    let far = far.expect("a run ended between the two merges");
    assert_eq!((&far["state"], &far["complete"]), (&json!("begun"), &json!(false)), "{far}");
    let text = offline(&instance, &["--plan", &plan]).stdout;
    assert!(text.contains("this plan was not carried out to its end"), "{text}");
    assert!(
        text.contains(&format!("to go on: mkto-audit merge --plan {plan} --confirm")),
        "{text}"
    );
    let on = merge(&instance, &["--plan", &plan, "--confirm"]).expect_code(0);
    assert!(
        on.stderr.contains("this plan was begun before") && on.stderr.contains("1 group merged"),
        "{}",
        on.picture()
    );
    let done = offline(&instance, &["--plan", &plan, "--json"]).expect_code(0).json();
    assert_eq!((&done["state"], &done["merged"]), (&json!("carried_out"), &json!(2)), "{done}");
}

#[test]
fn an_unknown_plan_is_answered_with_those_that_are_kept() {
    let instance = two_pairs();
    let none = offline(&instance, &["--plan", "0123"]).expect_code(2);
    assert!(none.stderr.contains("no plan is kept yet"), "{}", none.picture());
    let first = merge(&instance, &["--json"]).json()["plan"].as_str().unwrap().to_owned();
    merge(&instance, &["--plan", &first, "--confirm"]).expect_code(0);
    for id in 1..=2 {
        instance.sandbox.put_lead(&json!({"email": "cy@example.com", "score": id}));
    }
    fill_cache(&instance);
    let second = merge(&instance, &["--json"]).json()["plan"].as_str().unwrap().to_owned();
    for flags in [&["--plan", "0123"][..], &["--plan", "0123", "--confirm"]] {
        let unknown = merge(&instance, flags).expect_code(2);
        let said = &unknown.stderr;
        let (newer, older) = (said.find(&second).unwrap(), said.find(&first).unwrap());
        assert!(newer < older, "the newest comes first: {}", unknown.picture());
        assert!(said[newer..older].contains("1 group, not carried out"), "{}", unknown.picture());
        assert!(said[older..].contains("2 groups, carried out"), "{}", unknown.picture());
    }
}

#[test]
fn a_plan_of_nothing_is_no_plan() {
    let instance = two_pairs();
    let nobody = merge(&instance, &["--email", "nobody@example.com"]).expect_code(0);
    assert!(
        nobody.stderr.contains("nobody has duplicates at nobody@example.com among 4 people"),
        "{}",
        nobody.picture()
    );
    for flags in
        [&["--email", "nobody@example.com"][..], &["--domain", "example.org"], &["--min-size", "9"]]
    {
        for more in [&[][..], &["--confirm"]] {
            let run = merge(&instance, &[flags, more].concat()).expect_code(0);
            assert!(run.stdout.starts_with("nothing to merge"), "{}", run.picture());
            assert!(!run.stdout.contains("--plan"), "{}", run.picture());
        }
    }
    let unknown = offline(&instance, &["--plan", "0123"]).expect_code(2);
    assert!(unknown.stderr.contains("no plan is kept yet"), "{}", unknown.picture());
}
