//! A run that is cut short leaves nobody behind whom the next one does not remove.

use mkto_sandbox::Fault;
use serde_json::json;

use super::{WHERE, instance, probe, strangers};
use crate::support::signal::{self, Signal};
use crate::support::{Instance, Run, wait};

/// Kills a run after so many calls; whether it was still running.
fn killed_after(instance: &Instance, calls: u64) -> bool {
    let from = instance.sandbox.calls_made();
    let arguments = [&["probe", "--confirm", "--wait", "20s"], &WHERE[..]].concat();
    let mut command = instance.command(arguments);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut ended = false;
    wait::until("so many calls, or its end", || {
        ended = child.try_wait().unwrap().is_some();
        ended || instance.sandbox.calls_made() >= from + calls
    });
    if ended {
        return false;
    }
    child.kill().unwrap();
    wait::end_of(&mut child);
    true
}

/// The same at its eighth call, where a run has made somebody and is far from its end.
fn killed_early(instance: &Instance) {
    let killed = (0..5).any(|_| killed_after(instance, 8));
    assert!(killed, "five runs were over before they were seen to make eight calls");
}

#[test]
fn killed_at_any_moment_it_leaves_nobody_whom_the_next_run_does_not_find() {
    let instance = instance(&["merge_ms=600"]);
    let before = strangers(&instance);
    let mut left_behind = 0;
    for calls in [2, 3, 4, 6, 9, 13, 17, 21, 26, 31, 37, 44] {
        killed_after(&instance, calls);
        left_behind += instance.sandbox.leads().len() - before.len();
        probe(&instance, &["--clean-up"]).expect_code(0);
        assert_eq!(instance.sandbox.leads(), before, "killed after {calls} calls");
    }
    assert!(left_behind > 0, "no kill left anybody behind, so that nothing was tested");
    // And the next run measures as if nothing had been.
    let document = probe(&instance, &["--confirm", "--json"]).expect_code(0).json();
    assert_eq!(document["complete"], true);
    assert_eq!(instance.sandbox.leads(), before);
}

#[test]
fn lost_answers_make_nobody_twice_and_leave_nobody() {
    for fault in ["cut_after=0.15", "lost_604=0.1", "stale_read=0.2", "missing_read=0.1"] {
        let mut options = crate::support::quick();
        options.set_fault(fault).unwrap();
        let instance = Instance::start(options);
        let stranger = json!({"email": "ada@example.com"});
        instance.sandbox.put_lead(&stranger);
        let before = strangers(&instance);
        let run = probe(&instance, &["--confirm", "--json", "--wait", "20s"]);
        assert!(matches!(run.code, Some(0 | 1 | 3 | 4)), "{fault}: {}", run.picture());
        if !matches!(run.code, Some(0 | 3)) {
            let again = probe(&instance, &["--clean-up"]);
            assert!(matches!(again.code, Some(0)), "{fault}: {}", again.picture());
        }
        assert_eq!(instance.sandbox.leads(), before, "{fault}: {}", run.picture());
    }
}

#[test]
fn a_lead_that_got_another_address_is_left_alone_and_named() {
    let instance = instance(&[]);
    killed_early(&instance);
    let theirs = instance.sandbox.leads().last().unwrap().id;
    assert!(instance.sandbox.leads().len() > 1, "somebody was made");
    instance.sandbox.change_lead(theirs, &json!({"email": "grace@example.com"}));
    let run = probe(&instance, &["--clean-up"]).expect_code(3);
    assert!(run.stderr.contains(&format!("lead {theirs} was left alone")), "{}", run.picture());
    let emails: Vec<String> = instance
        .sandbox
        .leads()
        .iter()
        .map(|lead| lead.fields["email"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(emails, ["ada@example.com", "grace@example.com"]);
}

#[test]
fn a_lead_that_the_crm_has_by_now_is_left_alone_and_named() {
    let instance = instance(&[]);
    killed_early(&instance);
    let theirs = instance.sandbox.leads().last().unwrap().id;
    assert!(instance.sandbox.leads().len() > 1, "somebody was made");
    instance.sandbox.change_lead(theirs, &json!({"sfdcLeadId": "00Q000000000001"}));
    let run = probe(&instance, &["--clean-up"]).expect_code(3);
    assert!(run.stderr.contains(&format!("lead {theirs} was left alone")), "{}", run.picture());
    assert!(run.stderr.contains("record of the CRM"), "{}", run.picture());
    assert_eq!(instance.sandbox.leads().len(), 2);
}

#[test]
fn without_the_permission_to_write_nothing_is_made() {
    let mut options = crate::support::quick();
    options.denied = vec!["Read-Write Lead".to_owned()];
    let instance = Instance::start(options);
    let run = probe(&instance, &["--confirm"]).expect_code(5);
    assert!(run.stderr.contains("Read-Write Lead"), "{}", run.picture());
    assert_eq!(instance.sandbox.leads_living(), 0);
}

#[test]
fn a_deletion_that_fails_is_tried_again() {
    let instance = instance(&[]);
    let before = strangers(&instance);
    instance.sandbox.fail_next("POST /rest/v1/leads/delete", Fault::ServerError);
    let document = probe(&instance, &["--confirm", "--json"]).json();
    assert_eq!(document["people"]["open"], 0, "{document}");
    assert_eq!(instance.sandbox.leads(), before);
}

#[test]
fn what_cannot_be_removed_is_told_and_removed_by_the_next_run() {
    let instance = instance(&[]);
    let before = strangers(&instance);
    for _ in 0..8 {
        instance.sandbox.fail_next("POST /rest/v1/leads/delete", Fault::ServerError);
    }
    let run = probe(&instance, &["--confirm", "--wait", "20s"]).expect_code(4);
    for words in ["could not all be removed", "after 8 deletions", "probe --clean-up"] {
        assert!(run.stderr.contains(words), "{words}: {}", run.picture());
    }
    assert!(!run.stderr.contains("nothing was changed"), "{}", run.picture());
    let run = probe(&instance, &["--clean-up"]).expect_code(0);
    assert!(run.stderr.contains("of an earlier run are gone now"), "{}", run.picture());
    assert_eq!(instance.sandbox.leads(), before);
}

#[test]
fn told_to_stop_it_measures_no_more_and_removes_everybody() {
    let instance = instance(&[]);
    let before = strangers(&instance);
    let mut command = instance.command(["probe", "--confirm"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    wait::until("somebody was made", || instance.sandbox.leads().len() > before.len());
    signal::send(child.id(), Signal::INT);
    let run = Run::from(wait::output_of(child)).expect_code(4);
    assert!(run.stderr.contains("stopped as asked: no profile was kept"), "{}", run.picture());
    assert_eq!(instance.sandbox.leads(), before);
    let shown = probe(&instance, &["--show"]).expect_code(2);
    assert!(shown.stderr.contains("nothing was measured"), "{}", shown.picture());
}
