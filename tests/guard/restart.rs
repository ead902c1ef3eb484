//! A guard after another: one that stopped well leaves nothing behind, and the wait after one that
//! was killed is told.

use std::time::Duration;

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::signal::{self, Signal};
use crate::support::wait;
use crate::support::{Guard, Instance, Leases, Mode, Run, quick};

const READ: &str = "/rest/v1/leads.json?filterType=id&filterValues=1";

/// Looks until something is so, for a minute at most.
fn until(is_so: impl Fn() -> bool, otherwise: impl Fn() -> String) {
    for _ in 0..3_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("not within a minute: {}", otherwise());
}

/// A figure of the metrics, whole.
fn figure(guard: &Guard, name: &str) -> String {
    format!("{:.0}", guard.metric(name))
}

/// A guard with the limits that are the default.
fn guard(instance: &Instance, window: Duration, leases: Option<&str>) -> Guard {
    let guard = Guard::builder(instance).calls(50).concurrency(5).window(window);
    match leases {
        Some(address) => guard.leases(Leases::Postgres(address)).start(),
        None => guard.start(),
    }
}

/// Stops one in the middle of its window, and starts the next.
fn a_guard_follows_one_that_stopped_well(instance: &Instance, leases: Option<&str>) -> Guard {
    // A window that does not end while the test runs: whatever is there at once was handed back.
    let mut first = guard(instance, Duration::from_secs(600), leases);
    let token = first.token();
    for _ in 0..3 {
        assert_eq!(first.get(READ, &token).0, 200);
    }
    assert_eq!(
        first.sync(&json!({"input": [{"email": "ada@example.com"}]}))["result"][0]["status"],
        "created"
    );
    first.stop();
    assert_eq!(first.wait(), Some(0));
    let next = guard(instance, Duration::from_secs(600), leases);
    assert_eq!(next.page("/-/readyz"), (200, "ready\n".to_owned()), "{}", next.log());
    assert_eq!(next.get(READ, &token).0, 200);
    assert_eq!(
        next.sync(&json!({"input": [{"email": "ada@example.com"}]}))["result"][0]["status"],
        "updated"
    );
    assert_eq!(figure(&next, "mkto_guard_part_at_once"), "5");
    // The calls of the first one are in Marketo's window still: 3 reads, and a look-up and a write.
    assert_eq!(figure(&next, "mkto_guard_part_calls"), "45");
    assert_eq!(figure(&next, "mkto_guard_guards"), "1", "nobody else is counted");
    next
}

#[test]
fn a_guard_that_stopped_well_hands_back_its_part_of_the_limits_and_its_leases() {
    let instance = Instance::start(quick());
    let mut next = a_guard_follows_one_that_stopped_well(&instance, None);
    next.stop();
    assert_eq!(next.wait(), Some(0));
    let data = instance.path(".local/share/mkto-audit");
    let files = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let file = files
        .into_iter()
        .find(|path| path.to_string_lossy().contains("lease"))
        .expect("a file of leases");
    let file = if file.is_dir() {
        std::fs::read_dir(file).unwrap().next().unwrap().unwrap().path()
    } else {
        file
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "looked at from outside, after its guards have ended"
    )]
    let db = rusqlite::Connection::open(&file).unwrap();
    let count = |sql| db.query_row::<i64, _, _>(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM key_state WHERE ends_at > 0"), 0);
    assert_eq!(count("SELECT count(*) FROM key_state WHERE length(waiting) > 0"), 0);
    assert_eq!(count("SELECT count(*) FROM share WHERE wants_calls > 0 OR at_once > 0"), 0);
    assert_eq!(
        count("SELECT sum(calls) FROM share"),
        5 + 3,
        "calls that are in Marketo's window, and nothing else"
    );
}

#[test]
fn so_it_is_in_postgres() {
    let instance = Instance::start(quick());
    let Some(cluster) = Cluster::start() else { return };
    a_guard_follows_one_that_stopped_well(&instance, Some(&cluster.database()));
}

#[test]
fn an_interrupt_is_a_good_end_too() {
    let instance = Instance::start(quick());
    let mut first = guard(&instance, Duration::from_secs(600), None);
    let token = first.token();
    assert_eq!(first.get(READ, &token).0, 200);
    signal::send(first.pid(), Signal::INT);
    assert!(first.wait().is_some());
    let next = guard(&instance, Duration::from_secs(600), None);
    assert_eq!(figure(&next, "mkto_guard_part_calls"), "49");
}

#[test]
fn after_a_guard_that_was_killed_the_next_says_that_it_waits_until_its_calls_have_left_the_window()
{
    let instance = Instance::start(quick());
    let mut first = guard(&instance, Duration::from_secs(6), None);
    let token = first.token();
    first.kill();
    let next = guard(&instance, Duration::from_secs(6), None);
    let (status, why) = next.page("/-/readyz");
    assert_eq!(status, 503);
    assert!(why.starts_with("waiting for a part of the limits: 1 other guard"), "{why}");
    let checked = instance.run([
        "guard",
        "check",
        "--ready",
        "--listen",
        next.url().trim_start_matches("http://"),
    ]);
    assert!(checked.expect_code(1).stderr.contains("waiting for a part of the limits"));
    next.logged("no call for 5 s: waiting for a part of the limits: 1 other guard");
    assert!(next.metric("mkto_guard_waiting_for_part_seconds") >= 5.0);
    // A call that came meanwhile is held, and leaves when it may.
    assert_eq!(next.get(READ, &token).0, 200);
    until(|| next.page("/-/readyz").0 == 200, || next.log());
    next.logged("calls leave: this guard has its part of the limits");
    assert_eq!(figure(&next, "mkto_guard_waiting_for_part_seconds"), "0");
}

#[test]
fn a_guard_whose_budget_is_used_up_is_not_ready_and_says_why() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).daily_calls(1).start();
    assert_eq!(guard.page("/-/readyz").0, 200);
    assert_eq!(guard.get(READ, &guard.token()).0, 200);
    let (status, why) = guard.page("/-/readyz");
    assert_eq!(status, 503);
    assert!(
        why.starts_with("the day's budget of 1 calls (limits.daily_calls) is used up"),
        "{why}"
    );
}

#[test]
fn a_token_that_marketo_refuses_is_no_missing_permission() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).start();
    let client = wait::blocking_client();
    let write = || {
        client
            .post(format!("{}/rest/v1/leads.json", guard.url()))
            .json(&json!({"input": [{"email": "ada@example.com"}]}))
    };
    for _ in 0..3 {
        let answer: serde_json::Value =
            write().bearer_auth("expired").send().unwrap().json().unwrap();
        assert_eq!(answer["errors"][0]["code"], "601", "{answer}");
    }
    let answer: serde_json::Value = write().send().unwrap().json().unwrap();
    assert_eq!(answer["success"], false, "{answer}");
    guard.logged("Marketo refused the caller's token");
    guard.logged("no-token");
    let log = guard.log();
    assert!(!log.contains("may not read leads"), "{log}");
    let lines = log
        .lines()
        .filter(|line| line.contains("refused the caller's token") && line.contains("601"));
    assert_eq!(lines.count(), 1, "once a minute: {log}");
    let (status, words) = guard.page("/-/readyz");
    assert_eq!(status, 200);
    assert!(words.starts_with("ready\nMarketo refused the token of "), "{words}");
}

#[test]
fn a_key_of_several_leads_is_told_with_the_way_out() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).start();
    let twice = json!({"action": "createDuplicate", "input": [{"email": "twice@example.com"}]});
    guard.sync(&twice);
    guard.sync(&twice);
    let answer =
        guard.sync(&json!({"input": [{"email": "twice@example.com", "firstName": "Ada"}]}));
    assert_eq!(answer["result"][0]["reasons"][0]["code"], "1007", "{answer:?}");
    let line = guard.logged("several leads have this key: the caller got 1007");
    assert!(line.contains("guard.on_duplicates") && line.contains("key="), "{line}");
    assert!(!guard.log().contains("twice@"), "{}", guard.log());
}

#[test]
fn the_mode_is_a_flag_which_beats_the_variable_and_shadow_mode_reports_from_the_start() {
    let instance = Instance::start(quick());
    let mut guard =
        Guard::builder(&instance).mode(Mode::Strict).arguments(&["--mode", "shadow"]).start();
    let report = || instance.run(["guard", "report"]);
    // Its file is made by a task of its own, right after the start.
    until(|| report().code == Some(0), || report().picture());
    let shown = report().expect_code(0).stdout;
    assert!(
        shown.starts_with("Watching ") && shown.contains("no write has come through the guard yet"),
        "{shown}"
    );
    guard.sync(&json!({"input": [{"email": "ada@example.com"}, {"email": "ADA@example.com"}]}));
    let user = r#"{user="mkto-audit@api.example.com"}"#;
    assert_eq!(figure(&guard, &format!("mkto_guard_would_have_raced_total{user}")), "1");
    assert_eq!(figure(&guard, &format!("mkto_guard_watched_records_total{user}")), "2");
    let line = guard.logged("would have raced");
    assert!(
        line.contains("remedy=\"guard --mode serialize\"") && line.contains("records=1"),
        "{line}"
    );
    let counted = |run: Run| run.expect_code(0).stdout.contains("1 of 2 records would have raced");
    until(|| counted(report()), || report().picture());
    guard.stop();
    assert_eq!(guard.wait(), Some(0));
    assert!(counted(report()));
}
