//! Opt-outs that come while a merge runs, on fields of this instance's own and in runs that are
//! killed.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use mkto_sandbox::{Meanwhile, Options};
use serde_json::json;

use crate::support::merging::{command, fill_cache, merge};
use crate::support::signal::{self, Signal};
use crate::support::wait;
use crate::support::{Instance, Run, quick};

fn pair(knobs: &[&str]) -> (Instance, u64, u64) {
    let mut options = quick();
    for knob in knobs {
        options.set_knob(knob).unwrap();
    }
    let instance = Instance::start(options);
    let ada = json!({"email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace"});
    let ids: Vec<u64> = (0..2).map(|_| instance.sandbox.put_lead(&ada)).collect();
    fill_cache(&instance);
    (instance, ids[0], ids[1])
}

fn says_no(instance: &Instance, lead: u64, field: &str) -> bool {
    instance.sandbox.lead(lead).unwrap().fields.get(field) == Some(&json!(true))
}

#[test]
fn an_opt_out_of_the_instances_own_that_comes_while_the_merge_runs_is_on_the_survivor() {
    let (instance, winner, loser) = pair(&["merge_ms=1000", "activity_delay_ms=0"]);
    // Of an unset field a merge takes the loser's value by itself.
    instance.sandbox.change_lead(winner, &json!({"emailOptOut": false}));
    let fields = json!({"emailOptOut": true});
    instance.sandbox.at_call("/merge", 1, Meanwhile::Change { lead: loser, fields });
    let done = merge(&instance, &["--confirm", "--json"]);
    assert_eq!(instance.sandbox.merged_into(loser), Some(winner), "{}", done.picture());
    assert!(says_no(&instance, winner, "emailOptOut"), "{}", done.picture());
}

#[test]
fn an_opt_out_that_comes_while_the_merge_of_a_killed_run_runs_is_on_the_survivor_after_the_next() {
    let (instance, winner, loser) = pair(&["merge_ms=1000", "activity_delay_ms=0"]);
    instance.sandbox.at_call(
        "/merge",
        1,
        Meanwhile::Change { lead: loser, fields: json!({"doNotCall": true}) },
    );
    let mut child = command(&instance, &["--confirm"]);
    let child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    let child = Arc::new(Mutex::new(child));
    let kill = move |_: &mkto_sandbox::Screens<'_>| {
        signal::send(pid, Signal::KILL);
    };
    instance.sandbox.after_call("/merge", 1, Meanwhile::Run(Box::new(kill)));
    assert!(!wait::end_of(&mut child.lock().unwrap()).success());
    let next = merge(&instance, &["--confirm", "--json"]);
    assert_eq!(instance.sandbox.merged_into(loser), Some(winner), "{}", next.picture());
    assert!(says_no(&instance, winner, "doNotCall"), "{}", next.picture());
}

#[test]
fn a_sum_that_was_written_before_the_ledger_was_lost_is_not_added_up_again() {
    let (instance, winner, loser) = pair(&["activity_delay_ms=0"]);
    instance.sandbox.change_lead(winner, &json!({"leadScore": 10}));
    instance.sandbox.change_lead(loser, &json!({"leadScore": 7}));
    let summing = |flags: &[&str]| {
        let mut command = command(&instance, flags);
        command.env("MKTO_AUDIT__FIELDS__leadScore", "sum");
        command
    };
    let mut child = summing(&["--confirm"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    let kill = move |_: &mkto_sandbox::Screens<'_>| {
        signal::send(pid, Signal::KILL);
    };
    instance.sandbox.after_call("POST /rest/v1/leads.json", 1, Meanwhile::Run(Box::new(kill)));
    assert!(!wait::end_of(&mut child).success());
    let score = || instance.sandbox.lead(winner).unwrap().fields["leadScore"].clone();
    assert_eq!((score(), instance.sandbox.merged_into(loser)), (json!(17), None));

    std::fs::remove_dir_all(instance.path(".local/share/mkto-audit")).unwrap();
    let next = Run::of(&mut summing(&["--confirm", "--json"])).expect_code(0);
    assert_eq!(instance.sandbox.merged_into(loser), Some(winner), "{}", next.picture());
    assert_eq!(score(), 17, "{}", next.picture());

    // Without the log nobody can tell, and the group is left alone.
    let options = Options { denied: vec!["Read-Only Activity".to_owned()], ..quick() };
    let instance = Instance::start(options);
    for points in [10, 7] {
        instance.sandbox.put_lead(
            &json!({"email": "ada@example.com", "firstName": "Ada", "leadScore": points}),
        );
    }
    fill_cache(&instance);
    let mut command = command(&instance, &["--confirm", "--json"]);
    let left = Run::of(command.env("MKTO_AUDIT__FIELDS__leadScore", "sum")).expect_code(3).json();
    let reason = left["group"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("whose ledger is lost") && reason.contains("Read-Only Activity"),
        "{reason}"
    );
}

#[test]
fn a_log_that_cannot_be_read_is_told_and_not_passed_over() {
    let options =
        mkto_sandbox::Options { denied: vec!["Read-Only Activity".to_owned()], ..quick() };
    let instance = Instance::start(options);
    for _ in 0..2 {
        instance.sandbox.put_lead(&json!({"email": "ada@example.com", "firstName": "Ada"}));
    }
    fill_cache(&instance);
    let done = merge(&instance, &["--confirm"]).expect_code(0);
    assert!(done.stderr.contains("NOT KNOWN: whether anybody opted out"), "{}", done.picture());
    let again = merge(&instance, &["--confirm"]).expect_code(0);
    assert!(!again.stderr.contains("NOT KNOWN"), "told once: {}", again.picture());
}
