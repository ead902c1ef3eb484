//! Evidence from the activity log, and what `mkto-audit explain` makes of it.

use std::collections::BTreeMap;

use mkto_sandbox::{Options, SeedCause};
use serde_json::{Value, json};

use crate::assert_picture;
use crate::support::wait;
use crate::support::{Instance, Run, quick, word_for};

fn seeded(leads: u32) -> Instance {
    Instance::start(Options { leads, duplicates: 0.2, seed: 7, ..quick() })
}

fn groups(instance: &Instance) -> Vec<Value> {
    let report = instance.run(["report", "--json"]).expect_code(0).json();
    report["group"].as_array().unwrap().clone()
}

#[test]
fn the_cause_is_right_for_99_percent_of_groups_and_nothing_else_is_called_a_certain_race() {
    let instance = seeded(30_000);
    instance.run(["scan"]).expect_code(0);
    let groups = groups(&instance);
    let told: BTreeMap<&str, &Value> =
        groups.iter().map(|group| (group["key"].as_str().unwrap(), group)).collect();
    let labels = instance.sandbox.labels();
    assert!(labels.len() > 2_000, "{} groups are too few to speak of a hundredth", labels.len());
    let mut wrong = Vec::new();
    for label in labels {
        let group = told[label.key.as_str()];
        let right = group["cause"] == word_for(label.cause);
        if !right {
            wrong.push(format!("{:?} {} {}", label.cause, group["cause"], group["evidence"]));
        }
        let certain_race = group["cause"] == "race" && group["confidence"] == "high";
        assert!(!certain_race || label.cause == SeedCause::Race, "{group}");
    }
    assert!(wrong.len() * 100 <= labels.len(), "{} of {}: {wrong:#?}", wrong.len(), labels.len());
    let races = labels.iter().filter(|label| label.cause == SeedCause::Race).count();
    let proved =
        groups.iter().filter(|g| g["cause"] == "race" && g["confidence"] == "high").count();
    assert!(proved * 10 >= races * 7, "{proved} of {races} races are proved");
}

#[test]
fn births_are_asked_for_once_and_of_leads_in_groups_alone() {
    let instance = seeded(3_000);
    let first = instance.run(["scan"]).expect_code(0);
    assert!(first.stderr.contains("found out how"), "{}", first.picture());
    let of_activities = |instance: &Instance| {
        let calls = instance.sandbox.calls();
        let of = |path: &str| {
            calls.iter().filter(|(call, _)| call.contains(path)).map(|(_, n)| n).sum::<u64>()
        };
        of("activities.json") + of("pagingtoken.json")
    };
    let once = of_activities(&instance);
    // The whole log has some 5,000 entries, 300 of which are looked at in a call.
    assert!(once <= 60, "{once} calls");
    let again = instance.run(["scan", "--full"]).expect_code(0);
    assert!(!again.stderr.contains("found out how"), "{}", again.picture());
}

/// Leads of one address that were born behind so many other things that happened.
fn behind(changes: usize) -> Instance {
    let instance = Instance::start(quick());
    let other = instance.sandbox.put_lead(&json!({"email": "other@example.com"}));
    // The other's birth is to lie before the place at which the log is entered.
    std::thread::sleep(std::time::Duration::from_secs(7));
    for change in 0..changes {
        instance.sandbox.change_lead(other, &json!({"company": format!("Company {change}")}));
    }
    for _ in 0..2 {
        instance.sandbox.put_lead(&json!({"email": "twin@example.com"}));
    }
    instance
}

#[test]
fn births_behind_pages_of_other_things_are_found_with_a_page_each() {
    let instance = behind(1_000);
    let scan = instance.run(["scan"]).expect_code(0);
    assert!(scan.stderr.contains("found out how 2 records were"), "{}", scan.picture());
    let calls = instance.sandbox.calls();
    assert!(calls["GET /rest/v1/activities"] < 60, "{calls:?}");
}

#[test]
fn births_that_were_not_reached_are_looked_for_again_by_the_next_scan() {
    let instance = behind(7_000);
    let scan = instance.run(["scan"]).expect_code(0);
    assert!(scan.stderr.contains("the activity log does not show it"), "{}", scan.picture());
    let again = instance.run(["scan", "--full"]).expect_code(0);
    assert!(again.stderr.contains("the activity log does not show it"), "they are asked for again");
}

#[test]
fn a_real_race_is_explained_by_its_two_calls() {
    let instance = Instance::start(Options {
        race_window: std::time::Duration::from_millis(1_500),
        ..quick()
    });
    assert_eq!(instance.block_on(upserts_at_once(&instance, 2)), 2, "both are answered");
    assert_eq!(instance.sandbox.leads_living(), 2, "the sandbox races");
    // The activities of the births are visible a little later than the leads.
    let seen = |instance: &Instance| {
        instance.run(["scan"]).expect_code(0);
        instance.run(["explain", "ada@example.com", "--json"]).expect_code(0).json()
    };
    let told =
        (0..20).map(|_| seen(&instance)).find(|told| told["group"][0]["timeline"][2].is_object());
    let told = told.expect("the births are found");
    let group = &told["group"][0];
    assert_eq!(
        (&group["cause"], &group["confidence"]),
        (&"race".into(), &"high".into()),
        "{told:#}"
    );
    let events: Vec<&str> = group["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["call_arrived", "call_arrived", "lead_born", "lead_born"], "{told:#}");
}

#[test]
fn a_group_is_told_as_a_timeline_with_its_reasons_and_what_to_change() {
    let instance = seeded(3_000);
    instance.run(["scan"]).expect_code(0);
    let groups = groups(&instance);
    let race = groups
        .iter()
        .filter(|group| group["cause"] == "race" && group["confidence"] == "high")
        .min_by_key(|group| group["key"].as_str().unwrap().to_owned())
        .unwrap();
    let key = race["key"].as_str().unwrap();
    let mut redactions = instance.redactions();
    redactions.retain(|(_, shown)| *shown != "[REQUEST]");
    assert_picture!(
        "explain_race",
        redactions,
        instance.run(["explain", key]).expect_code(0).picture()
    );
    let mut redactions = instance.redactions();
    redactions.push((r#""scanned_at": "[^"]+""#.to_owned(), r#""scanned_at": "[TIME]""#));
    assert_picture!(
        "explain_race_json",
        redactions,
        instance.run(["explain", key, "--json"]).expect_code(0).stdout
    );
    let none = instance.run(["explain", "nobody@example.org"]).expect_code(0);
    assert_eq!(none.stdout, "no duplicates of nobody@example.org among 3,000 people\n");
}

#[test]
fn somebody_who_was_merged_is_told_when_from_which_and_by_which_plan() {
    let instance = Instance::start(quick());
    let ids: Vec<u64> =
        (0..3).map(|_| instance.sandbox.put_lead(&json!({"email": "ada@example.com"}))).collect();
    crate::support::merging::fill_cache(&instance);
    let done =
        crate::support::merging::merge(&instance, &["--confirm", "--json"]).expect_code(0).json();
    let plan = done["plan"].as_str().unwrap();
    let explain = |flags: &[&str]| {
        let mut command = instance.command([&["explain", " Ada@Example.com"], flags].concat());
        Run::of(command.env("MKTO_AUDIT_DB", instance.path("cache.db"))).expect_code(0)
    };
    let told = explain(&["--json"]).json();
    let merged = &told["merged"][0];
    assert_eq!((&merged["plan"], &merged["survivor"]), (&json!(plan), &json!(ids[0])), "{told}");
    assert_eq!(merged["merged"], json!([ids[1], ids[2]]));
    assert!(merged["at"].is_string() && told["group"] == json!([]), "{told}");
    let text = explain(&[]).stdout;
    let line =
        format!("records {} and {} were merged into {}, by plan {plan}", ids[1], ids[2], ids[0]);
    assert!(text.contains(&line) && text.contains("no duplicates among 1 person"), "{text}");
}

#[test]
fn the_evidence_pack_of_an_integration_names_calls_and_leads_and_nobody() {
    let instance = seeded(3_000);
    instance.run(["scan"]).expect_code(0);
    let report = instance.run(["report", "--json"]).expect_code(0).json();
    let most = report["by_integration"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|totals| totals["api_user"].is_string())
        .max_by_key(|totals| totals["races"].as_u64())
        .unwrap();
    let user = most["api_user"].as_str().unwrap();
    let pack = instance.run(["explain", "--integration", user, "--csv"]).expect_code(0).stdout;
    let rows: Vec<&str> = pack.lines().collect();
    assert!(rows.len() > 10 && rows[0].starts_with("group,lead,made_by,late,cause"), "{pack}");
    let made_by = |row: &&&str| row.contains(user) && row.contains(",late,");
    assert_eq!(rows.iter().filter(made_by).count() as u64, most["excess"].as_u64().unwrap());
    for line in rows.iter().filter(|row| !row.contains(user)) {
        assert!(!line.contains('@'), "another's login or an address: {line}");
    }
    let unknown = instance.run(["explain", "--integration", "nobody", "--csv"]).expect_code(2);
    assert!(unknown.stderr.contains(user), "names those that there are: {}", unknown.picture());
    instance.run(["explain"]).expect_code(2);
    instance.run(["explain", " "]).expect_code(2);
}

/// Sends so many upserts of one address at one moment, and counts those that were answered.
async fn upserts_at_once(instance: &Instance, calls: usize) -> usize {
    let base = instance.sandbox.base_url();
    let http = wait::client();
    let token = format!(
        "{base}/identity/oauth/token?grant_type=client_credentials&client_id={}&client_secret={}",
        instance.sandbox.client_id(),
        instance.sandbox.client_secret()
    );
    let token: Value = http.get(token).send().await.unwrap().json().await.unwrap();
    let token = token["access_token"].as_str().unwrap();
    let body = json!({"input": [{"email": "ada@example.com"}]}).to_string();
    let call = || {
        let request = http.post(format!("{base}/rest/v1/leads.json")).bearer_auth(token);
        request.header("content-type", "application/json").body(body.clone()).send()
    };
    let answers = futures::future::join_all((0..calls).map(|_| call())).await;
    answers.into_iter().flatten().count()
}
