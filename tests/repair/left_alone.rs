//! The groups that a run left alone: its output, its certificate and `history` say the same.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::{Value, json};

use super::history::offline;
use crate::support::merging::fill_cache;
use crate::support::{Instance, Run, quick, wait};

/// A group of each kind. Records 7 and 8 are those that move, 11 and 12 those that Marketo refuses.
fn every_kind() -> Instance {
    let instance = Instance::start(quick());
    for key in ["ok", "skip", "held", "moved", "red", "refused"] {
        for (n, phone) in [(0, json!(null)), (1, json!("+44 1"))] {
            let first = if key == "red" { ["Grace", "Zoltan"][n] } else { "Ada" };
            let email = format!("{key}@example.com");
            instance.sandbox.put_lead(&json!({"email": email, "firstName": first, "phone": phone,
                "createdAt": "2026-01-02T03:04:05Z"}));
        }
    }
    fill_cache(&instance);
    run(&instance, &["plan", "create", "--name", "nov"]).expect_code(0);
    for (email, flag) in [("skip@example.com", "--skip"), ("held@example.com", "--hold")] {
        let decide = ["plan", "decide", "nov", "--email", email, flag, "--by", "Bo"];
        run(&instance, &decide).expect_code(0);
    }
    instance.sandbox.change_lead(8, &json!({"firstName": "Augusta"}));
    let words = "Merging leads failed: leads share a Personalized URL";
    instance.sandbox.refuse_merge(12, "1079", words);
    instance
}

fn command(instance: &Instance, arguments: &[&str]) -> std::process::Command {
    let mut command = instance.command(arguments);
    command.env("MKTO_AUDIT_DB", instance.path("cache.db"));
    command.env("MKTO_AUDIT__REVIEW__POLICY", "never");
    command
}

fn run(instance: &Instance, arguments: &[&str]) -> Run {
    Run::of(&mut command(instance, arguments))
}

const CONFIRM: [&str; 4] = ["merge", "--plan", "nov", "--confirm"];

fn certificate(instance: &Instance, number: &str) -> Value {
    offline(instance, &["certificate", "show", number, "--json"]).expect_code(0).json()
}

/// Reasons of the groups left alone, by key, of a document with groups.
fn left_alone(document: &Value) -> BTreeMap<String, String> {
    let groups = document["group"].as_array().unwrap().iter();
    let text = |group: &Value, name: &str| group[name].as_str().unwrap_or_default().to_owned();
    groups
        .filter(|group| group["outcome"] == "skipped")
        .map(|group| (text(group, "key"), text(group, "reason")))
        .collect()
}

fn of<'a>(document: &'a Value, key: &str) -> &'a Value {
    let groups = document["group"].as_array().unwrap();
    groups.iter().find(|group| group["key"] == key).unwrap_or_else(|| panic!("{document:#}"))
}

#[test]
fn a_certificate_and_history_say_of_groups_left_alone_what_the_run_printed() {
    let instance = every_kind();
    let done = run(&instance, &[&CONFIRM[..], &["--json"]].concat()).expect_code(3).json();
    let printed = left_alone(&done);
    assert_eq!(
        printed.keys().map(String::as_str).collect::<Vec<_>>(),
        ["held@example.com", "moved@example.com", "red@example.com", "skip@example.com"],
        "{done:#}"
    );
    let sealed = certificate(&instance, "1");
    assert_eq!(left_alone(&sealed), printed, "{sealed:#}");
    assert_eq!((&sealed["totals"]["skipped"], &done["skipped"]), (&json!(4), &json!(4)));
    for what in ["merged", "removed", "failed"] {
        assert_eq!(sealed["totals"][what], done[what], "{what}: {sealed:#}");
    }
    assert_eq!(sealed["left_alone_known"], true);
    let held = of(&sealed, "held@example.com");
    assert_eq!((&held["leads"], &held["winner"]), (&json!([5, 6]), &json!(null)));
    assert!(held["left_alone_at"].is_string() && held["decided"]["by"] == "Bo", "{held}");
    assert!(held["hash"].as_str().unwrap().len() == 64);

    let history = offline(&instance, &["history", "--json"]).expect_code(0).json();
    assert_eq!(history["run"][0]["skipped"], 4, "{history}");
    let shown = offline(&instance, &["history", "show", "1", "--json"]).expect_code(0).json();
    assert_eq!(left_alone(&shown), printed);

    for (flag, name) in [("--html", "run.html"), ("--csv", "run.csv")] {
        let path = instance.path(name);
        let file = path.to_str().unwrap();
        offline(&instance, &["certificate", "show", "1", flag, file]).expect_code(0);
        offline(&instance, &["certificate", "verify", file]).expect_code(0);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(printed.keys().all(|key| text.contains(key)), "{name}: {text}");
        let one = printed["held@example.com"].as_str();
        assert!(text.contains(one), "{name} has no {one}: {text}");
        // Without one of them it is not the same any more.
        std::fs::write(&path, text.replace("held@example.com", "hold@example.com")).unwrap();
        offline(&instance, &["certificate", "verify", file]).expect_code(1);
    }
}

#[test]
fn a_record_that_was_written_to_and_not_merged_is_shown_with_what_it_got_back() {
    let instance = every_kind();
    run(&instance, &CONFIRM).expect_code(3);
    let sealed = certificate(&instance, "1");
    let refused = of(&sealed, "refused@example.com");
    assert_eq!((&refused["outcome"], &refused["removed"]), (&json!("failed"), &json!([])));
    let written = &refused["written"];
    assert_eq!((&written["lead"], &written["settled"]), (&json!(11), &json!(true)), "{refused:#}");
    assert_eq!(
        written["fields"],
        json!([{"name": "phone", "before": null, "after": "+44 1", "given_back": true}])
    );
    assert_eq!(instance.sandbox.lead(11).unwrap().fields.get("phone"), None);
    assert_eq!(of(&sealed, "ok@example.com")["written"], json!(null), "it was merged");
    let path = instance.path("run.html");
    let file = path.to_str().unwrap();
    offline(&instance, &["certificate", "show", "1", "--html", file]).expect_code(0);
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("Record 11 was written to, and its merge was not made."), "{page}");
}

#[test]
fn a_run_that_was_killed_keeps_the_groups_that_it_had_left_alone() {
    let instance = every_kind();
    let held = instance.sandbox.hold_writes();
    let mut child =
        command(&instance, &CONFIRM).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait::until("a write under way", || {
        instance.sandbox.calls().get("POST /rest/v1/leads").copied().unwrap_or_default() > 0
    });
    child.kill().unwrap();
    wait::end_of(&mut child);
    drop(held);
    let killed = certificate_of_killed(&instance);
    assert_eq!(killed["ended_at"], json!(null));
    let before = left_alone(&killed);
    assert_eq!(before.len(), 4, "{killed:#}");
    assert_eq!(killed["totals"]["skipped"], 4);

    let done = run(&instance, &[&CONFIRM[..], &["--json"]].concat()).expect_code(3).json();
    let sealed = certificate(&instance, "2");
    assert_eq!(left_alone(&sealed), left_alone(&done), "{sealed:#}");
    assert_eq!(sealed["totals"]["skipped"], done["skipped"]);
    assert_eq!(left_alone(&certificate(&instance, "1")), before, "the first one keeps its own");
}

/// Whatever the exit code, which says whether a call of it is open.
fn certificate_of_killed(instance: &Instance) -> Value {
    offline(instance, &["certificate", "show", "1", "--json"]).json()
}

#[test]
fn an_erased_group_is_still_counted_and_certificates_verify() {
    let instance = every_kind();
    run(&instance, &CONFIRM).expect_code(3);
    let earlier = instance.path("earlier.html");
    let earlier = earlier.to_str().unwrap();
    offline(&instance, &["certificate", "show", "1", "--html", earlier]).expect_code(0);
    let erase = ["backup", "erase", "--email", "held@example.com", "--confirm", "--json"];
    let refused = offline(&instance, &erase).expect_code(1);
    assert!(refused.stderr.contains("decisions forget NUMBER"), "{}", refused.picture());
    offline(&instance, &["decisions", "forget", "1", "--by", "Cy"]).expect_code(0);
    let erased = offline(&instance, &erase).expect_code(0).json();
    assert_eq!(erased["left_alone"], 1, "{erased}");
    offline(&instance, &["certificate", "verify", earlier]).expect_code(0);

    let sealed = certificate(&instance, "1");
    assert!(!sealed.to_string().contains("held@example.com"), "{sealed:#}");
    assert_eq!((&sealed["totals"]["skipped"], left_alone(&sealed).len()), (&json!(4), 4));
    let gone =
        sealed["group"].as_array().unwrap().iter().find(|group| group["leads"] == json!([5, 6]));
    assert_eq!(gone.unwrap()["reason"], json!(null));
    let later = instance.path("later.html");
    let later = later.to_str().unwrap();
    offline(&instance, &["certificate", "show", "1", "--html", later]).expect_code(0);
    offline(&instance, &["certificate", "verify", later]).expect_code(0);
}
