//! The budgets of a day: they outlive a run, and every command keeps to the same one.

use mkto_sandbox::Options;

use crate::support::{Instance, Run, quick};

fn with_budget(instance: &Instance, arguments: &[&str], calls: u64) -> Run {
    Run::of(instance.command(arguments).env("MKTO_AUDIT__LIMITS__DAILY_CALLS", calls.to_string()))
}

#[test]
fn a_days_calls_are_counted_across_runs_and_commands_and_a_larger_budget_goes_on() {
    let instance = Instance::start(Options { leads: 3_000, ..quick() });
    let scan = ["scan", "--json"];
    let first = with_budget(&instance, &scan, 25).expect_code(4);
    assert_eq!(first.json()["complete"], false);
    let made = instance.sandbox.calls_made();
    let again = with_budget(&instance, &scan, 25).expect_code(4);
    assert!(
        again.stderr.contains("budget of 25 calls a day (limits.daily_calls) is used up"),
        "{}",
        again.picture()
    );
    assert_eq!(instance.sandbox.calls_made(), made, "nothing was called");
    with_budget(&instance, &["doctor"], 25);
    assert_eq!(instance.sandbox.calls_made(), made, "nor by another command");
    assert_eq!(with_budget(&instance, &scan, 1_000).expect_code(0).json()["leads"], 3_000);
}

#[test]
fn where_calls_cannot_be_counted_none_is_made() {
    let instance = Instance::start(Options { leads: 10, ..quick() });
    instance.run(["scan"]).expect_code(0);
    let data = instance.path(".local/share/mkto-audit");
    let book = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".spent.db"))
        .unwrap();
    std::fs::write(&book, "no book at all, but long enough to be looked at as one").unwrap();
    let made = instance.sandbox.calls_made();
    let run = instance.run(["scan"]);
    assert!(
        run.code.is_some_and(|code| code != 0) && run.stderr.contains("spent.db"),
        "{}",
        run.picture()
    );
    assert_eq!(instance.sandbox.calls_made(), made);
}
