//! Several guards of one machine, and guards that die: leases that they share, and that outlive
//! them.

use std::time::Duration;

use mkto_sandbox::Options;
use serde_json::json;

use crate::support::counts::{leads_with, writes};
use crate::support::guards::{caller, leads_after_a_crash, upserts};
use crate::support::wait::{self, until};
use crate::support::{Guard, Instance, Leases, quick};

#[test]
fn guards_of_one_machine_share_their_leases() {
    // Long enough that on a busy machine too the calls of three guards overlap.
    let instance = Instance::start(Options { race_window: Duration::from_secs(1), ..quick() });
    let with = |leases: Leases<'_>, email: &str| {
        let guards: Vec<Guard> =
            (0..3).map(|_| Guard::builder(&instance).leases(leases).start()).collect();
        let guards: Vec<&Guard> = guards.iter().collect();
        let answers = instance.block_on(upserts(&guards, &guards[0].token(), email, 30));
        let written = answers.iter().filter(|answer| answer["result"][0]["id"].is_number()).count();
        (leads_with(&instance, email), written)
    };
    assert!(
        with(Leases::Memory, "alone@example.com").0 > 1,
        "guards that know nothing of each other race"
    );
    assert_eq!(with(Leases::Sqlite, "shared@example.com"), (1, 30));
}

#[test]
fn guards_that_know_nothing_of_each_other_write_over_a_call_that_is_under_way() {
    let instance = Instance::start(quick());
    let held = instance.sandbox.hold_writes();
    let [mut first, second] =
        [(); 2].map(|()| Guard::builder(&instance).leases(Leases::Memory).unhurried().start());
    let callers = [caller(&first)];
    until("the first write at Marketo", || writes(&instance) == 1);
    first.kill();
    let callers = callers.into_iter().chain([caller(&second)]).collect::<Vec<_>>();
    until("the second write at Marketo", || writes(&instance) == 2);
    drop(held);
    let answers: Vec<bool> = callers.into_iter().map(|call| wait::joined(call).is_ok()).collect();
    assert_eq!(answers, [false, true]);
    until("both leads", || leads_with(&instance, "ada@example.com") == 2);
}

#[test]
fn a_killed_guards_key_is_not_written_before_its_last_call_is_over() {
    assert_eq!(leads_after_a_crash(Leases::Sqlite), 1);
}

#[test]
fn without_its_leases_a_guard_writes_nothing_and_still_reads() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).leases(Leases::Sqlite).start();
    let token = guard.token();
    assert_eq!(guard.page("/-/readyz").0, 200);
    let data = instance.path(".local/share/mkto-audit");
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".leases.db") {
            std::fs::write(
                &path,
                "no leases at all, and long enough to be looked at as a page of them",
            )
            .unwrap();
        }
    }
    let answer = guard.sync(&json!({"input": [{"email": "ada@example.com"}]}));
    assert_eq!(
        (&answer["success"], &answer["errors"][0]["code"]),
        (&json!(false), &json!("608")),
        "{answer:?}"
    );
    assert_eq!(writes(&instance), 0);
    assert_eq!(guard.page("/-/readyz").0, 503);
    let (status, read) = guard.get("/rest/v1/leads.json?filterType=id&filterValues=1", &token);
    assert_eq!((status, &read["success"]), (200, &json!(true)), "{read}");
}

#[test]
fn why_the_leases_cannot_be_had_is_in_the_log() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).leases(Leases::Sqlite).start();
    let data = instance.path(".local/share/mkto-audit");
    let file = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let file = file.filter(|path| path.to_string_lossy().ends_with(".leases.db")).last().unwrap();
    let other =
        rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)
            .unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let answer = guard.sync(&json!({"input": [{"email": "ada@example.com"}]}));
    assert_eq!(answer["errors"][0]["code"], "608", "{answer:?}");
    let refused = guard.logged("a write is refused");
    assert!(refused.contains("database is locked"), "{refused}");
    // Whoever held it lets go, and writes go on.
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(
        guard.sync(&json!({"input": [{"email": "ada@example.com"}]}))["result"][0]["status"],
        "created"
    );
}
