//! `mkto-audit history` and `history show`.

use serde_json::{Value, json};

use crate::support::merging::{command, fill_cache, merge};
use crate::support::{Instance, Run, quick, wait};

/// Ada and Bob with two records each.
pub(super) fn two_pairs() -> Instance {
    let instance = Instance::start(quick());
    for email in ["ada@example.com", "bob@example.com"] {
        for (phone, title) in [(json!(null), "CTO"), (json!("+44 1"), "Engineer")] {
            instance.sandbox.put_lead(&json!({"email": email, "phone": phone, "title": title}));
        }
    }
    instance.sandbox.put_list(1, "Newsletter", &[2]);
    fill_cache(&instance);
    instance
}

/// Without anything that could reach Marketo.
pub(super) fn offline(instance: &Instance, arguments: &[&str]) -> Run {
    let mut command = instance.command(arguments);
    command.env_remove("MARKETO_CLIENT_ID").env_remove("MARKETO_CLIENT_SECRET");
    Run::of(command.env("MKTO_AUDIT_DB", instance.path("cache.db")))
}

#[test]
fn a_run_is_listed_with_who_ran_it_and_shown_group_by_group() {
    let instance = two_pairs();
    let done =
        merge(&instance, &["--confirm", "--by", "Ada Lovelace", "--json"]).expect_code(0).json();
    assert_eq!(done["run"], 1, "{done}");

    let calls = instance.sandbox.calls();
    let history = offline(&instance, &["history", "--json"]).expect_code(0).json();
    let run = &history["run"][0];
    assert_eq!(
        (&run["run"], &run["kind"], &run["by"], &run["plan"]),
        (&json!(1), &json!("merge"), &json!("Ada Lovelace"), &done["plan"])
    );
    let digest = run["digest"].as_str().unwrap();
    assert!(digest.starts_with(done["plan"].as_str().unwrap()), "the plan's own: {run}");
    assert_eq!(
        (&run["merged"], &run["removed"], &run["failed"], &run["complete"]),
        (&json!(2), &json!(2), &json!(0), &json!(true))
    );
    assert!(run["begun_at"].as_str() <= run["ended_at"].as_str(), "{run}");

    let shown =
        offline(&instance, &["history", "show", "1", "--email", "ADA@example.com", "--json"])
            .expect_code(0)
            .json();
    assert_eq!(shown["group"].as_array().unwrap().len(), 1, "{shown}");
    let ada = &shown["group"][0];
    assert_eq!(
        (&ada["outcome"], &ada["winner"], &ada["removed"]),
        (&json!("merged"), &json!(1), &json!([2]))
    );
    assert!(ada["request_ids"][0].is_string(), "{ada}");
    let phone = ada["fields"].as_array().unwrap().iter().find(|field| field["name"] == "phone");
    assert_eq!(phone.unwrap()["after"], "+44 1");
    let dropped = ada["dropped"].as_array().unwrap().iter().find(|drop| drop["name"] == "title");
    assert_eq!(
        (&dropped.unwrap()["value"], &dropped.unwrap()["lead"]),
        (&json!("Engineer"), &json!(2))
    );
    let loser = &ada["before"][1];
    assert_eq!(
        (&loser["id"], &loser["role"], &loser["fields"]["phone"]),
        (&json!(2), &json!("loser"), &json!("+44 1"))
    );
    assert_eq!(loser["lists"][0]["name"], "Newsletter");
    assert_eq!(
        ada["before"][0]["fields"]["phone"],
        Value::Null,
        "the winner as it was before the write"
    );

    let text = offline(&instance, &["history", "show", "1"]).expect_code(0).stdout;
    for words in [
        "ada@example.com: 2 went into 1",
        "dropped: title \"Engineer\" of 2",
        "phone: (blank) → \"+44 1\", from 2",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(instance.sandbox.calls(), calls, "nobody was asked");
}

#[test]
fn a_run_that_was_killed_is_there_without_an_end_and_with_what_it_merged() {
    let instance = two_pairs();
    let held = instance.sandbox.hold_writes();
    let mut child = command(&instance, &["--confirm"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait::until("a write under way", || {
        instance.sandbox.calls().get("POST /rest/v1/leads").copied().unwrap_or_default() > 0
    });
    child.kill().unwrap();
    wait::end_of(&mut child);
    drop(held);
    let run = offline(&instance, &["history", "--json"]).expect_code(0).json()["run"][0].clone();
    assert_eq!(
        (&run["ended_at"], &run["complete"], &run["merged"]),
        (&json!(null), &json!(false), &json!(0))
    );

    // The next one is a run of its own, and does not take the first one's place.
    merge(&instance, &["--confirm"]).expect_code(0);
    let runs = offline(&instance, &["history", "--json"]).expect_code(0).json();
    let told: Vec<(u64, bool, u64)> = runs["run"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| {
            let number = |name: &str| run[name].as_u64().unwrap();
            (number("run"), run["complete"].as_bool().unwrap(), number("merged"))
        })
        .collect();
    assert_eq!(told, [(2, true, 2), (1, false, 0)]);
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let instance = two_pairs();
    let none = offline(&instance, &["history"]).expect_code(2);
    assert!(none.stderr.contains("there is no ledger yet"), "{}", none.picture());
    merge(&instance, &["--confirm"]).expect_code(0);
    let unknown = offline(&instance, &["history", "show", "9"]).expect_code(2);
    assert!(
        unknown.stderr.contains("has no run 9") && unknown.stderr.contains("run 1  "),
        "{}",
        unknown.picture()
    );
    let nobody =
        offline(&instance, &["history", "show", "1", "--email", "eve@example.com"]).expect_code(0);
    assert!(
        nobody.stderr.contains("no group in which a record had eve@example.com"),
        "{}",
        nobody.picture()
    );
}
