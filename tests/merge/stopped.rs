//! Runs that end between the write to a record to keep and its merge: the next run of the same plan
//! goes on, whatever was written, and what stayed in between is named.

use std::collections::BTreeMap;
use std::process::Stdio;

use mkto_sandbox::Meanwhile;
use serde_json::{Value, json};

use crate::support::merging::{command, fill_cache, merge};
use crate::support::signal::{self, Signal};
use crate::support::{Instance, Run, quick, wait};

/// A group of each kind of field that a run writes: what the record to keep holds of it, and what
/// the other one does.
fn kinds() -> Vec<(&'static str, Value, Value)> {
    vec![
        ("text", json!({}), json!({"title": "Countess"})),
        ("phone", json!({}), json!({"phone": "+44 1"})),
        ("website", json!({}), json!({"website": "https://example.com/ada"})),
        ("long", json!({}), json!({"interests": "looms\npoetry"})),
        ("integer", json!({}), json!({"numberOfEmployees": 12})),
        ("float", json!({}), json!({"annualRevenue": 1.5})),
        ("date", json!({}), json!({"dateOfBirth": "1985-12-10"})),
        ("datetime", json!({}), json!({"lastPurchaseAt": "2026-01-02T03:04:05Z"})),
        ("score", json!({"leadScore": 3}), json!({"leadScore": 17})),
        ("sum", json!({"behaviorScore": 3}), json!({"behaviorScore": 17})),
        ("flag", json!({}), json!({"vip": true})),
        (
            "address",
            json!({}),
            json!({"address": "1 Loom Street", "city": "Leeds", "postalCode": "LS1"}),
        ),
        (
            "unsubscribed",
            json!({}),
            json!({"unsubscribed": true, "unsubscribedReason": "too many mails"}),
        ),
        (
            "reasons",
            json!({"doNotCallReason": "an old one"}),
            json!({"doNotCall": true, "doNotCallReason": "at work"}),
        ),
        ("listed", json!({}), json!({"blackListed": true, "blackListedCause": "asked for it"})),
        (
            "bounced",
            json!({}),
            json!({"emailInvalid": true, "emailInvalidCause": "550 no such user"}),
        ),
        (
            "suspended",
            json!({}),
            json!({"marketingSuspended": true, "marketingSuspendedCause": "by phone"}),
        ),
        ("custom", json!({}), json!({"emailOptOut": true})),
    ]
}

/// Those of them whose values no run takes back.
const STAYS: [&str; 6] = ["unsubscribed", "reasons", "listed", "bounced", "suspended", "custom"];

/// The instance, with the records of each kind: the one to keep, the other.
fn every_kind() -> (Instance, BTreeMap<&'static str, (u64, u64)>) {
    let instance = Instance::start(quick());
    let mut ids = BTreeMap::new();
    for (kind, keeps, other) in kinds() {
        let put = |more: &Value| {
            let mut fields = json!({"email": format!("{kind}@example.com"), "firstName": "Ada",
                "createdAt": "2026-01-02T03:04:05Z"});
            for (name, value) in more.as_object().unwrap() {
                fields[name] = value.clone();
            }
            instance.sandbox.put_lead(&fields)
        };
        ids.insert(kind, (put(&keeps), put(&other)));
    }
    fill_cache(&instance);
    (instance, ids)
}

/// The command with the rules of the sum and of the flag.
fn summing(instance: &Instance, flags: &[&str]) -> std::process::Command {
    let mut command = command(instance, flags);
    command.env("MKTO_AUDIT__FIELDS__behaviorScore", "sum");
    command.env("MKTO_AUDIT__FIELDS__vip", "any_true");
    command.env("MKTO_AUDIT__WINNER__ORDER", "oldest");
    command
}

fn show(instance: &Instance, arguments: &[&str]) -> Value {
    let mut command = instance.command(arguments);
    Run::of(command.env("MKTO_AUDIT_DB", instance.path("cache.db"))).json()
}

fn of<'a>(document: &'a Value, kind: &str) -> &'a Value {
    let key = format!("{kind}@example.com");
    let groups = document["group"].as_array().unwrap();
    groups.iter().find(|group| group["key"] == key).unwrap_or_else(|| panic!("{key}: {document:#}"))
}

/// Makes a plan of every kind, and ends its run by a signal as soon as the records to keep are
/// written to. Gives the plan and what the run printed.
fn stopped(instance: &Instance, signal: Signal) -> (String, Run) {
    let dry = Run::of(&mut summing(instance, &["--json"])).expect_code(0).json();
    let plan = dry["plan"].as_str().unwrap().to_owned();
    let mut child = summing(instance, &["--plan", &plan, "--confirm", "--json"]);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let stop = move |_: &mkto_sandbox::Screens<'_>| {
        signal::send(pid, signal);
    };
    instance.sandbox.after_call("POST /rest/v1/leads.json", 1, Meanwhile::Run(Box::new(stop)));
    let run = Run::from(wait::output_of(child));
    assert!(!instance.sandbox.calls().keys().any(|call| call.ends_with("/merge")));
    (plan, run)
}

/// The next run of the plan merges every group, and nothing of any kind is lost.
fn the_next_run_merges(instance: &Instance, plan: &str, ids: &BTreeMap<&'static str, (u64, u64)>) {
    let run = Run::of(&mut summing(instance, &["--plan", plan, "--confirm", "--json"]));
    let done = run.expect_code(0).json();
    assert_eq!(done["merged"], ids.len(), "{done:#}");
    for (kind, _, other) in kinds() {
        let (keeps, gone) = ids[kind];
        assert_eq!(instance.sandbox.merged_into(gone), Some(keeps), "{kind}");
        let survivor = instance.sandbox.lead(keeps).unwrap();
        for (name, value) in other.as_object().unwrap() {
            let wanted = if kind == "sum" { json!(20) } else { value.clone() };
            let held = &survivor.fields[name];
            let spelt = |value: &Value| value.to_string().replace([' ', '\r'], "");
            assert_eq!(spelt(held), spelt(&wanted), "{kind}: {name}");
        }
    }
}

#[test]
fn a_run_that_is_interrupted_before_its_merges_names_what_stays_and_the_next_one_merges() {
    let (instance, ids) = every_kind();
    let (plan, run) = stopped(&instance, Signal::INT);
    let done = run.expect_code(4).json();
    assert_eq!((&done["merged"], &done["prepared"]), (&json!(0), &json!(STAYS.len())), "{done:#}");
    for (kind, _, other) in kinds() {
        let group = of(&done, kind);
        let stays = STAYS.contains(&kind);
        let outcome = if stays { "prepared" } else { "skipped" };
        assert_eq!(group["outcome"], outcome, "{kind}: {group:#}");
        assert_eq!(group["written"]["lead"], ids[kind].0, "{kind}: {group:#}");
        for field in group["written"]["fields"].as_array().unwrap() {
            assert_eq!(field["given_back"], !stays, "{kind}: {group:#}");
            let name = field["name"].as_str().unwrap();
            let held = &instance.sandbox.lead(ids[kind].0).unwrap().fields;
            let is_there = held.get(name).unwrap_or(&Value::Null) == &other[name];
            assert_eq!(is_there, stays, "{kind}: {name} of {held:?}");
        }
    }
    let reason = of(&done, "unsubscribed")["written"]["fields"].to_string();
    assert!(reason.contains("too many mails"), "{reason}");

    let shown = show(&instance, &["history", "show", "1", "--json"]);
    let sealed = show(&instance, &["certificate", "show", "1", "--json"]);
    for document in [&shown, &sealed] {
        assert_eq!(of(document, "reasons")["outcome"], "prepared", "{document:#}");
        let fields = of(document, "reasons")["written"]["fields"].as_array().unwrap().clone();
        let reason = fields.iter().find(|field| field["name"] == "doNotCallReason").unwrap();
        let values = (&reason["before"], &reason["after"], &reason["given_back"]);
        assert_eq!(values, (&json!("an old one"), &json!("at work"), &json!(false)));
        assert_eq!(of(document, "text")["outcome"], "skipped", "{document:#}");
    }
    assert_eq!(sealed["totals"]["prepared"], STAYS.len(), "{:#}", sealed["totals"]);
    the_next_run_merges(&instance, &plan, &ids);
}

#[test]
fn a_run_that_is_killed_before_its_merges_is_told_so_and_the_next_one_merges() {
    let (instance, ids) = every_kind();
    let (plan, _) = stopped(&instance, Signal::KILL);
    let shown = show(&instance, &["history", "show", "1", "--json"]);
    assert_eq!(shown["run"]["prepared"], ids.len(), "{:#}", shown["run"]);
    for (kind, ..) in kinds() {
        assert_eq!(of(&shown, kind)["outcome"], "prepared", "{shown:#}");
    }
    the_next_run_merges(&instance, &plan, &ids);
}

#[test]
fn a_run_that_pauses_says_in_words_what_it_wrote_and_what_to_do() {
    let instance = Instance::start(quick());
    let no = json!({"unsubscribed": true, "unsubscribedReason": "too many mails"});
    let keeps = instance.sandbox.put_lead(&json!({"email": "ada@example.com"}));
    let mut other = no.clone();
    other["email"] = json!("ada@example.com");
    instance.sandbox.put_lead(&other);
    fill_cache(&instance);
    // As soon as the record is written to.
    let file = instance.path("stop");
    let at = file.clone();
    let write = move |_: &mkto_sandbox::Screens<'_>| std::fs::write(&at, "").unwrap();
    instance.sandbox.after_call("POST /rest/v1/leads.json", 1, Meanwhile::Run(Box::new(write)));
    let braked = |flags: &[&str]| {
        let mut command = command(&instance, flags);
        Run::of(command.env("MKTO_AUDIT__MERGE__STOP_FILE", &file))
    };
    let plan = merge(&instance, &["--json"]).json()["plan"].as_str().unwrap().to_owned();
    let paused = braked(&["--plan", &plan, "--confirm"]).expect_code(4);
    for words in [
        "WRITTEN TO, NOT MERGED",
        &format!("unsubscribedReason of {keeps}: (blank) → \"too many mails\", not given back"),
        "To merge the group, run the same plan again",
        "1 group written to and not merged",
    ] {
        assert!(paused.stdout.contains(words), "{words}: {}", paused.picture());
    }
    std::fs::remove_file(&file).unwrap();
    braked(&["--plan", &plan, "--confirm"]).expect_code(0);
}
