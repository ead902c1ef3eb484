//! Marketo's own record of merges in a certificate, and what survivors are members of.

use std::fs;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use mkto_sandbox::{Meanwhile, Moment};
use serde_json::{Value, json};

use super::history::offline;
use crate::support::merging::{command, fill_cache, merge};
use crate::support::sandboxes::with;
use crate::support::signal::{self, Signal};
use crate::support::{Instance, Run, quick, wait};

/// Ada and Bob with two records each, of which lists and programs partly agree.
pub(super) fn pairs(knobs: &[&str]) -> Instance {
    let instance = with(knobs);
    for email in ["ada@example.com", "bob@example.com"] {
        for phone in [json!(null), json!("+44 1")] {
            instance.sandbox.put_lead(&json!({"email": email, "phone": phone}));
        }
    }
    instance.sandbox.put_list(1, "Newsletter", &[1, 2, 4]);
    let members = [(1, "Invited"), (2, "Attended"), (3, "Invited")];
    instance.sandbox.put_program(7, "Webinar", &["Invited", "Attended"], &members);
    fill_cache(&instance);
    instance
}

fn certificate(instance: &Instance) -> Value {
    let shown = offline(instance, &["certificate", "show", "1", "--json"]);
    serde_json::from_str::<Value>(&shown.stdout).unwrap_or_else(|_| panic!("{}", shown.picture()));
    shown.json()
}

#[test]
fn a_certificate_names_marketos_own_record_with_or_without_its_optional_attributes() {
    for (knobs, user) in [(&["merge_record=own"][..], Some("user")), (&["merge_record=bare"], None)]
    {
        let instance = pairs(knobs);
        merge(&instance, &["--confirm"]).expect_code(0);
        let afterwards = certificate(&instance)["afterwards"].clone();
        assert_eq!(afterwards["marketo"]["seen"], 2, "{knobs:?}: {afterwards:#}");
        assert!(afterwards["marketo_at"].is_string(), "{afterwards:#}");
        let record = &afterwards["group"][0]["records"][0];
        assert_eq!((&record["winner"], &record["losers"]), (&json!(1), &json!([2])));
        assert_eq!(record["user"].is_string(), user.is_some(), "{record}");
        assert_eq!(record["request_id"].is_string(), user.is_some(), "{record}");
    }
}

#[test]
fn what_marketos_record_contradicts_stops_the_run_and_stays_open() {
    // Of the others the first merge shows how this instance names ours.
    for (knob, words, groups) in [
        ("merge_record=other_user", "another user made it", 1),
        ("merge_record=other_call", "it was made by the call 1#18000000000", 1),
        ("merge_record=other_records", "it took lead 987654321 too", 2),
    ] {
        let instance = pairs(&[knob]);
        let run = merge(&instance, &["--confirm", "--json"]).expect_code(1);
        assert!(run.stderr.contains(words), "{knob}: {}", run.picture());
        let certificate = offline(&instance, &["certificate", "show", "1", "--json"]);
        let certificate = certificate.expect_code(3).json();
        let afterwards = &certificate["afterwards"];
        assert_eq!(afterwards["marketo"]["contradicts"], groups, "{knob}: {afterwards:#}");
        assert_eq!(afterwards["marketo"]["seen"], 2 - groups, "{knob}: {afterwards:#}");
        let records =
            afterwards["group"].as_array().unwrap().iter().map(|group| &group["records"][0]);
        let why: Vec<&str> = records.filter_map(|record| record["why"].as_str()).collect();
        assert_eq!(why.len(), groups, "{why:?}");
        assert!(why.iter().all(|why| why.contains(words)), "{why:?}");
        let page = offline(&instance, &["certificate", "show", "1", "--html"]).stdout;
        let said = format!("contradicts this account in {groups} group");
        assert!(page.contains(&said), "{page}");
        // It is a finding that no later look closes; a person can.
        let next = merge(&instance, &["--confirm", "--json"]);
        assert_eq!(next.stderr.matches("OPEN finding").count(), groups, "{}", next.picture());
        for finding in 1..=groups {
            let finding = finding.to_string();
            merge(&instance, &["--acknowledge", &finding, "--reason", "looked"]).expect_code(0);
        }
        let last = merge(&instance, &["--confirm", "--json"]).expect_code(0);
        assert!(!last.stderr.contains("OPEN"), "{}", last.picture());
    }
}

#[test]
fn another_spelling_of_ours_in_marketos_record_stops_nothing_and_is_noted() {
    let instance = pairs(&["merge_record=other_spelling"]);
    let run = merge(&instance, &["--confirm"]).expect_code(0);
    assert!(!run.stderr.contains("log says"), "{}", run.picture());
    let shown = offline(&instance, &["certificate", "show", "1", "--json"]).expect_code(0).json();
    let afterwards = &shown["afterwards"];
    assert_eq!(afterwards["marketo"]["seen"], 2, "{afterwards:#}");
    let record = &afterwards["group"][0]["records"][0];
    let note = record["note"].as_str().unwrap();
    assert!(note.contains("names the user Merge API User"), "{note}");
    assert!(note.contains("and the call "), "{note}");
    assert_eq!(record["why"], Value::Null);
    let page = offline(&instance, &["certificate", "show", "1", "--html"]).stdout;
    assert!(page.contains("the user Merge API User"), "{page}");
    let next = merge(&instance, &["--confirm", "--json"]).expect_code(0);
    assert!(!next.stderr.contains("OPEN"), "{}", next.picture());
}

#[test]
fn a_contradiction_stops_a_long_run_before_its_end() {
    let instance = with(&["merge_record=other_user"]);
    for n in 0..80 {
        for _ in 0..2 {
            instance.sandbox.put_lead(&json!({"email": format!("p{n}@example.com")}));
        }
    }
    fill_cache(&instance);
    let run = merge(&instance, &["--confirm", "--json"]).expect_code(1);
    let merged = run.json()["merged"].as_u64().unwrap();
    assert!((10..60).contains(&merged), "{merged}: {}", run.stderr);
    assert_eq!(run.json()["complete"], false);
}

/// Looks again for run 1, at Marketo, and gives its certificate.
fn look_again(instance: &Instance) -> Run {
    let mut command = instance.command(["certificate", "show", "1", "--look", "--json"]);
    Run::of(command.env("MKTO_AUDIT_DB", instance.path("cache.db")))
}

#[test]
fn a_later_look_is_a_record_of_its_own_and_older_files_verify_still() {
    let instance = pairs(&["merge_activity=hidden"]);
    merge(&instance, &["--confirm"]).expect_code(0);
    let before = certificate(&instance);
    assert_eq!(before["afterwards"]["marketo"]["not_seen"], 2, "{before:#}");
    let files = ["early.html", "early.json", "early.csv"];
    let paths = files.map(|file| instance.path(file).to_str().unwrap().to_owned());
    for (path, flag) in paths.iter().zip(["--html", "--json", "--csv"]) {
        offline(&instance, &["certificate", "show", "1", flag, path]).expect_code(0);
    }
    let after = look_again(&instance).expect_code(0).json();
    assert_eq!(after["afterwards"]["marketo"]["not_seen"], 2, "{after:#}");
    assert_ne!(before["afterwards"]["marketo_at"], after["afterwards"]["marketo_at"]);
    assert_eq!(before["chain"]["seal"], after["chain"]["seal"], "what was sealed stays");
    assert_eq!(before["group"], after["group"]);
    let (early, late) =
        (before["witness"].as_array().unwrap(), after["witness"].as_array().unwrap());
    assert!(late.len() > early.len() && late.starts_with(early), "{late:#?}");
    let late = instance.path("late.json");
    let late = late.to_str().unwrap();
    offline(&instance, &["certificate", "show", "1", "--json", late]).expect_code(0);
    for path in paths.iter().map(String::as_str).chain([late]) {
        offline(&instance, &["certificate", "verify", path]).expect_code(0);
    }
    // A look that is made up, taken out or told otherwise is noticed, whole as the file may be.
    let written: Value = serde_json::from_slice(&fs::read(late).unwrap()).unwrap();
    let forged = |change: &dyn Fn(&mut Value)| {
        let mut forged = written.clone();
        change(&mut forged);
        let path = instance.path("forged.json");
        fs::write(&path, serde_json::to_string_pretty(&forged).unwrap() + "\n").unwrap();
        let said =
            offline(&instance, &["certificate", "verify", path.to_str().unwrap()]).expect_code(1);
        said.stdout
    };
    forged(&|file| drop(file["witness"].as_array_mut().unwrap().pop()));
    forged(&|file| file["witness"][0]["at"] = json!("2026-01-01T00:00:00Z"));
    forged(&|file| file["witness"][0]["calls"][0]["body"]["winner"] = json!(9));
    let said = forged(&|file| file["afterwards"]["marketo"]["seen"] = json!(7));
    assert!(said.contains("does not follow from them"), "{said}");
}

/// A run that is killed when its merges are settled and it has looked for nothing yet.
fn killed_before_it_looked() -> Instance {
    let instance = pairs(&[]);
    let pid = Arc::new(Mutex::new(None::<u32>));
    let end = Arc::clone(&pid);
    let kill = move |_: &mkto_sandbox::Screens<'_>| {
        if let Some(id) = end.lock().unwrap().take() {
            signal::sent(id, Signal::KILL);
        }
    };
    let run = Meanwhile::Run(Box::new(kill));
    instance.sandbox.at_moment("/activities/leadchanges", 1, Moment::Before, run);
    let mut held = pid.lock().unwrap();
    let mut child = command(&instance, &["--confirm"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    *held = Some(child.id());
    drop(held);
    assert_eq!(wait::end_of(&mut child).code(), None, "killed");
    instance
}

#[test]
fn what_a_killed_run_did_not_look_for_is_looked_for_on_request_and_then_never_again() {
    let instance = killed_before_it_looked();
    let before = certificate(&instance);
    let looked_for = |certificate: &Value, word: &str| {
        let afterwards = &certificate["afterwards"];
        (afterwards["marketo"][word].clone(), afterwards["members"][word].clone())
    };
    assert_eq!(looked_for(&before, "not_looked_for"), (json!(2), json!(2)), "{before:#}");
    assert_eq!(before["chain"]["last"], before["chain"]["seal"]);
    let after = look_again(&instance).expect_code(0).json();
    assert_eq!(after["afterwards"]["marketo"]["seen"], 2, "{after:#}");
    assert_eq!(after["afterwards"]["members"]["carried"], 2, "{after:#}");
    assert_eq!(before["group"], after["group"]);
    let but_rows = |instance: &Instance| {
        let mut calls = instance.sandbox.calls();
        calls.retain(|call, _| call.contains("/activities") || call.contains("ship.json"));
        calls
    };
    let calls = but_rows(&instance);
    assert!(!calls.is_empty());
    let again = look_again(&instance).expect_code(0);
    assert!(again.stderr.contains("nothing else of this run is left"), "{}", again.picture());
    assert_eq!(again.json(), after);
    assert_eq!(but_rows(&instance), calls, "Marketo is asked for late rows alone");
}

#[test]
fn the_next_run_looks_for_what_a_killed_one_did_not() {
    let instance = killed_before_it_looked();
    merge(&instance, &["--confirm"]).expect_code(0);
    let after = certificate(&instance);
    assert_eq!(after["afterwards"]["marketo"]["seen"], 2, "{after:#}");
    assert_eq!(after["afterwards"]["members"]["carried"], 2, "{after:#}");
}

#[test]
fn lists_and_programs_are_counted_before_and_after_with_their_collisions() {
    let instance = pairs(&[]);
    merge(&instance, &["--confirm"]).expect_code(0);
    let certificate = certificate(&instance);
    let afterwards = &certificate["afterwards"];
    assert_eq!(afterwards["members"]["carried"], 2, "{afterwards:#}");
    let news = &afterwards["lists"][0];
    assert_eq!(
        (&news["name"], &news["before"], &news["after"], &news["collisions"]),
        (&json!("Newsletter"), &json!(3), &json!(2), &json!(1)),
        "{afterwards:#}"
    );
    let webinar = &afterwards["programs"][0];
    assert_eq!(
        (&webinar["name"], &webinar["before"], &webinar["after"], &webinar["collisions"]),
        (&json!("Webinar"), &json!(3), &json!(2), &json!(1)),
        "{afterwards:#}"
    );
    assert_eq!(
        (&webinar["success_before"], &webinar["success_after"]),
        (&json!(1), &json!(1)),
        "{afterwards:#}"
    );
    let page = offline(&instance, &["certificate", "show", "1", "--html"]).stdout;
    for words in ["Lists and programs", "Webinar: 2 → 1, 1 of them one with another"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let csv = offline(&instance, &["certificate", "show", "1", "--csv"]).stdout;
    for row in [
        "1,ada@example.com,merged,,1,2,",
        ",seen,list Newsletter,2,1,1,carried,",
        ",seen,program Webinar,2,1,1,carried,",
        ",seen,success in program Webinar,1,1,1,carried,",
        "1,,total,,,,,,,,list Newsletter,3,2,2,carried,\r\n",
        "1,,total,,,,,,,,program Webinar,3,2,2,carried,\r\n",
    ] {
        assert!(csv.contains(row), "{row}: {csv}");
    }
}

#[test]
fn the_rate_is_told_by_cause_and_by_whoever_made_the_extra_records() {
    let mut options = mkto_sandbox::Options { leads: 200, duplicates: 0.4, seed: 5, ..quick() };
    options.set_knob("merge_ms=0").unwrap();
    let instance = Instance::start(options);
    let with_cache = |arguments: &[&str]| {
        let mut command = instance.command(arguments);
        Run::of(command.env("MKTO_AUDIT_DB", instance.path("cache.db")))
    };
    with_cache(&["scan"]).expect_code(0);
    let done = merge(&instance, &["--confirm", "--limit", "10", "--json"]).json();
    let removed = done["removed"].as_u64().unwrap();
    assert!(removed >= 10, "{done}");
    let rate = certificate(&instance)["rate"].clone();
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap();
    assert_eq!(number(&rate, "extra_before") - number(&rate, "extra_after"), removed, "{rate:#}");
    assert_eq!(rate["unattributed"], 0, "{rate:#}");
    for part in ["by_cause", "by_source"] {
        for moment in ["extra_before", "extra_after"] {
            let rows = rate[part].as_array().unwrap().iter();
            let sum: u64 = rows.map(|row| number(row, moment)).sum();
            assert_eq!(sum, number(&rate, moment), "{part} {moment}: {rate:#}");
        }
        assert!(rate[part].as_array().unwrap().len() > 1, "{part}: {rate:#}");
    }
    let named = rate["by_source"].as_array().unwrap().iter();
    assert!(named.filter(|row| row["source"] != "").count() > 0, "{rate:#}");
    // What the next scan counts is what the certificate said.
    with_cache(&["scan"]).expect_code(0);
    let report = with_cache(&["report", "--json"]).json();
    assert_eq!(report["excess"], rate["extra_after"], "{rate:#}");
    let page = offline(&instance, &["certificate", "show", "1", "--html"]).stdout;
    assert!(page.contains("Extra records before and after"), "{page}");
}

#[test]
fn files_verify_still_when_a_person_of_theirs_was_erased() {
    let instance = pairs(&[]);
    merge(&instance, &["--confirm"]).expect_code(0);
    let paths = ["before.html", "before.json"].map(|file| instance.path(file));
    for (path, flag) in paths.iter().zip(["--html", "--json"]) {
        let show = ["certificate", "show", "1", flag, path.to_str().unwrap()];
        offline(&instance, &show).expect_code(0);
    }
    let erase = ["backup", "erase", "--email", "ada@example.com", "--confirm"];
    offline(&instance, &erase).expect_code(0);
    for path in &paths {
        offline(&instance, &["certificate", "verify", path.to_str().unwrap()]).expect_code(0);
    }
    let after = certificate(&instance);
    assert!(!after.to_string().contains("ada@example.com"), "{after:#}");
    let looks = after["witness"].as_array().unwrap().iter();
    let members = looks.filter(|look| look["kind"] == "members");
    let bodies: Vec<bool> = members
        .flat_map(|look| look["calls"].as_array().unwrap())
        .map(|seen| seen["body"].is_null())
        .collect();
    assert_eq!(bodies, [true, false], "{after:#}");
    assert_eq!(after["afterwards"]["programs"][0]["before"], 1, "of Bob alone: {after:#}");
    let path = instance.path("after.json");
    let path = path.to_str().unwrap();
    offline(&instance, &["certificate", "show", "1", "--json", path]).expect_code(0);
    offline(&instance, &["certificate", "verify", path]).expect_code(0);
}
