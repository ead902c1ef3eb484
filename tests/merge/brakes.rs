//! What ends a run before its plan does although nothing is wrong, and that the same command then
//! goes on.

use std::process::Stdio;

use chrono::{Datelike as _, Days, Utc};
use mkto_sandbox::{Meanwhile, Moment};
use serde_json::{Value, json};

use crate::support::merging::{command, crowd, emails_are_unique, merge, nothing_is_lost};
use crate::support::{Instance, Run, UNHURRIED, quick};

/// By the clock on the wall no look becomes too old only because this machine is busy.
fn unhurried(groups: usize) -> Instance {
    let mut options = quick();
    options.set_knob("clock_speed=1").unwrap();
    crowd(options, groups, false)
}

fn with(instance: &Instance, flags: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = command(instance, flags);
    command.env(UNHURRIED.0, UNHURRIED.1).envs(variables.iter().copied());
    Run::of(command.stdin(Stdio::null()))
}

fn merges(instance: &Instance) -> u64 {
    instance.sandbox.calls().get("POST /rest/v1/leads/{id}/merge").copied().unwrap_or_default()
}

fn plan_of(instance: &Instance) -> String {
    let plan = merge(instance, &["--json"]).expect_code(0).json();
    plan["plan"].as_str().unwrap().to_owned()
}

#[test]
fn a_stop_file_pauses_a_run_and_the_same_command_goes_on_without_it() {
    let instance = unhurried(12);
    let before = instance.sandbox.leads();
    let plan = plan_of(&instance);
    let file = instance.path("stop");
    let flags = ["--plan", &plan, "--confirm", "--json"];
    let variables = [("MKTO_AUDIT__MERGE__STOP_FILE", file.to_str().unwrap())];

    // It appears while the third merge runs.
    let appears = file.clone();
    let write = move |_: &mkto_sandbox::Screens<'_>| std::fs::write(&appears, "").unwrap();
    instance.sandbox.at_moment("/merge", 3, Moment::During, Meanwhile::Run(Box::new(write)));
    let run = with(&instance, &flags, &variables).expect_code(4);
    assert!(run.stderr.contains("stop file") && run.stderr.contains("remove it"), "{}", run.stderr);
    let done = run.json();
    let merged = merges(&instance);
    assert!((3..12).contains(&merged), "{merged}");
    assert_eq!((&done["merged"], &done["complete"]), (&json!(merged), &json!(false)), "{done}");
    let unclear = |group: &&Value| group["outcome"] == "unknown" || group["outcome"] == "failed";
    assert_eq!(done["group"].as_array().unwrap().iter().find(unclear), None);

    // As long as it is there nothing is merged.
    let living = instance.sandbox.leads();
    let run = with(&instance, &flags, &variables).expect_code(4);
    assert!(run.stderr.contains("nothing was merged"), "{}", run.stderr);
    assert_eq!((merges(&instance), instance.sandbox.leads()), (merged, living));

    std::fs::remove_file(&file).unwrap();
    with(&instance, &flags, &variables).expect_code(0);
    assert_eq!(merges(&instance), 12, "each group once");
    assert!(emails_are_unique(&instance));
    nothing_is_lost(&instance, &before);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the hours are those of this machine's clock")]
fn outside_its_hours_nothing_is_merged_and_within_them_everything() {
    let instance = unhurried(2);
    let plan = plan_of(&instance);
    let flags = ["--plan", &plan, "--confirm"];
    // Whatever day it is, and should midnight pass meanwhile.
    let day = Utc::now().date_naive().checked_add_days(Days::new(3)).unwrap().weekday();
    let closed = format!("{day} 08:00-18:00 UTC");
    let run = with(&instance, &flags, &[("MKTO_AUDIT__MERGE__HOURS", &closed)]).expect_code(4);
    let told = format!("merge.hours ({closed}) allows no merge at this time");
    assert!(run.stderr.contains(&told) && run.stderr.contains("goes on from"), "{}", run.stderr);
    assert_eq!(merges(&instance), 0);
    let open = [("MKTO_AUDIT__MERGE__HOURS", "Mon-Sun 00:00-24:00 Europe/Berlin")];
    with(&instance, &flags, &open).expect_code(0);
    assert_eq!(merges(&instance), 2);
}

#[test]
fn calls_that_others_need_are_left_to_them() {
    let instance = unhurried(2);
    let plan = plan_of(&instance);
    let flags = ["--plan", &plan, "--confirm"];
    let of = |quota, leave| {
        [("MKTO_AUDIT__LIMITS__QUOTA", quota), ("MKTO_AUDIT__MERGE__LEAVE_CALLS", leave)]
    };
    let run = with(&instance, &flags, &of("1000", "999")).expect_code(4);
    assert!(run.stderr.contains("after midnight US Central"), "{}", run.stderr);
    assert_eq!(merges(&instance), 0);
    let usage = |instance: &Instance| {
        let calls = instance.sandbox.calls();
        calls
            .iter()
            .filter(|(call, _)| call.contains("usage"))
            .map(|(_, count)| *count)
            .sum::<u64>()
    };
    assert_eq!(usage(&instance), 1);
    // Nobody is asked where nothing is to be left.
    with(&instance, &flags, &of("1000", "0")).expect_code(0);
    assert_eq!((merges(&instance), usage(&instance)), (2, 1));
}

#[test]
fn brakes_that_mean_nothing_are_refused_before_anything_is_called() {
    let instance = crowd(quick(), 1, false);
    let calls = instance.sandbox.calls();
    for (variable, value, words) in [
        ("MKTO_AUDIT__MERGE__HOURS", "Mon-Fri 20:00-06:00", "names no time zone"),
        ("MKTO_AUDIT__MERGE__HOURS", "nights Europe/Berlin", "takes hours such as"),
        ("MKTO_AUDIT__MERGE__CONCURRENCY", "6", "`limits.concurrency` lets 5 calls be in flight"),
        ("MKTO_AUDIT__MERGE__CONCURRENCY", "0", "must be at least 1"),
        ("MKTO_AUDIT__MERGE__LEAVE_CALLS", "50000", "none for a merge"),
    ] {
        let run = with(&instance, &["--confirm"], &[(variable, value)]).expect_code(2);
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
    assert_eq!(instance.sandbox.calls(), calls);
}
