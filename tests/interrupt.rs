//! Ctrl-C while a command waits for its place among the limits: it ends, and nothing is half known.
//!
//! The limits here let so many calls leave in an hour; one more would be waited for that long.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::signal::{self, Signal};
use crate::support::wait::{self, until};
use crate::support::{Instance, Run, quick};

/// Runs a command that may make so many calls in an hour, and sends it a signal as soon as they are
/// made. The rest ends by itself, with no call more.
fn stopped_after(calls: u64, instance: &Instance, arguments: &[&str], signal: Signal) -> Run {
    let before = instance.sandbox.calls_made();
    let mut child = instance
        .command(arguments)
        .env("MKTO_AUDIT__LIMITS__CALLS", calls.to_string())
        .env("MKTO_AUDIT__LIMITS__WINDOW", "1h")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("its calls, or its end", || {
        instance.sandbox.calls_made() >= before + calls || child.try_wait().unwrap().is_some()
    });
    // It is gone already where it needed no more calls than these.
    signal::sent(child.id(), signal);
    let run = Run::from(wait::output_of(child));
    assert!(instance.sandbox.calls_made() <= before + calls, "{}", run.picture());
    run
}

fn file(instance: &Instance) -> String {
    let file = instance
        .file("people.csv", "email,firstName\nada@example.com,Ada\nknown@example.com,Alan\n");
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_command_that_prepares_ends_at_once() {
    for arguments in
        ["scan", "scan --full", "scan --estimate", "doctor", "merge", "upsert --dry-run FILE"]
    {
        let instance = Instance::start(quick());
        let file = file(&instance);
        for _ in 0..2 {
            instance.sandbox.put_lead(&json!({"email": "twice@example.com"}));
        }
        if arguments == "merge" {
            instance.run(["scan"]).expect_code(0);
        }
        let arguments: Vec<&str> = arguments
            .split(' ')
            .map(|word| if word == "FILE" { file.as_str() } else { word })
            .collect();
        for signal in [Signal::INT, Signal::TERM] {
            let run = stopped_after(1, &instance, &arguments, signal).expect_code(4);
            assert!(run.stderr.contains("stopp"), "{arguments:?}: {}", run.picture());
        }
    }
}

/// Stops a command after its first call, its second, and so on, until it ends by itself; `look` is
/// asked after each.
fn stopped_everywhere(instance: &Instance, arguments: &[&str], look: impl Fn(&Run)) -> u64 {
    for calls in 1..100 {
        let run = stopped_after(calls, instance, arguments, Signal::INT);
        look(&run);
        if run.code == Some(0) {
            return calls;
        }
        assert_eq!(run.code, Some(4), "{}", run.picture());
    }
    panic!("a hundred calls are not enough");
}

#[test]
fn an_upsert_that_is_stopped_before_any_of_its_calls_writes_nobody_twice_and_goes_on() {
    let instance = Instance::start(quick());
    instance.sandbox.put_lead(&json!({"email": "known@example.com"}));
    let file = file(&instance);
    let runs = stopped_everywhere(&instance, &["upsert", &file, "--confirm", "--json"], |run| {
        if run.stdout.is_empty() {
            return;
        }
        for record in run.json()["record"].as_array().unwrap() {
            let known = ["created", "updated", "unchanged", "skipped"]
                .map(Value::from)
                .contains(&record["status"]);
            assert!(known, "what was withheld is known not to be written: {record}");
        }
    });
    assert!(runs > 1);
    assert_eq!(instance.sandbox.leads_living(), 2);
}

#[test]
fn a_merge_that_is_stopped_before_any_of_its_calls_loses_nothing_and_goes_on() {
    let instance = Instance::start(quick());
    for n in 0..3 {
        let lead = json!({"email": format!("p{n}@example.com"), "firstName": "Ada"});
        instance.sandbox.put_lead(&lead);
        let mut twin = lead;
        twin["phone"] = json!("1");
        twin["unsubscribed"] = json!(true);
        instance.sandbox.put_lead(&twin);
    }
    instance.run(["scan"]).expect_code(0);
    let runs = stopped_everywhere(&instance, &["merge", "--confirm", "--json"], |_| ());
    assert!(runs > 3, "a merge is prepared, written for, sent and looked at: {runs}");
    let leads = instance.sandbox.leads();
    assert_eq!(leads.len(), 3);
    assert!(
        leads.iter().all(|lead| lead.fields["phone"] == "1" && lead.fields["unsubscribed"] == true)
    );
}

#[test]
fn a_write_that_is_under_way_is_brought_to_its_end() {
    let mut options = quick();
    options.answer_delay = std::time::Duration::from_millis(300);
    let instance = Instance::start(options);
    let file = file(&instance);
    let child = instance
        .command(["upsert", &file, "--confirm", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the write at Marketo", || instance.sandbox.calls().contains_key("POST /rest/v1/leads"));
    signal::send(child.id(), Signal::INT);
    let run = Run::from(wait::output_of(child)).expect_code(0).json();
    assert_eq!((&run["created"], instance.sandbox.leads_living()), (&json!(2), 2));
}

#[test]
fn a_plan_that_is_stopped_is_not_kept() {
    let instance = Instance::start(quick());
    // More than one look of 300 records.
    for group in 0..200 {
        for _ in 0..2 {
            instance.sandbox.put_lead(&json!({"email": format!("p{group}@example.com")}));
        }
    }
    instance.run(["scan"]).expect_code(0);
    let plans = |run: &Run| {
        let listed = instance.run(["plan", "list", "--json"]).json();
        let plans = listed["plan"].as_array().unwrap();
        if run.code == Some(0) {
            assert_eq!((plans.len(), &plans[0]["groups"]), (1, &json!(200)), "{listed:#}");
        } else {
            assert_eq!(plans.len(), 0, "{}", run.picture());
            assert!(run.stderr.contains("stopp"), "{}", run.picture());
        }
    };
    let calls = stopped_everywhere(&instance, &["plan", "create", "--name", "all"], plans);
    assert!(calls > 2, "it was stopped while it read: {calls}");
}
