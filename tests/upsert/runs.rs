//! Several runs of `mkto-audit upsert`, one after another or at once, and what a run that died left
//! behind.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::support::counts::{duplicates, writes};
use crate::support::upserting::people;
use crate::support::wait::{self, until};
use crate::support::{Instance, Run, UNHURRIED, quick};

/// A run that is under way, for which no answer comes too late.
fn spawn(instance: &Instance, file: &std::path::Path) -> std::process::Child {
    spawn_with(instance, file, UNHURRIED)
}

fn spawn_with(
    instance: &Instance,
    file: &std::path::Path,
    variable: (&str, &str),
) -> std::process::Child {
    instance
        .command(["upsert", file.to_str().unwrap(), "--confirm", "--json"])
        .envs([variable])
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn people_of(
    instance: &Instance,
    name: &str,
    numbers: std::ops::Range<usize>,
) -> std::path::PathBuf {
    let rows: Vec<String> = numbers.map(|n| format!("p{n}@example.com,First {n}")).collect();
    instance.file(name, format!("email,firstName\n{}\n", rows.join("\n")))
}

#[test]
fn a_run_that_was_killed_with_a_call_in_flight_is_outwaited_by_the_next() {
    let instance = Instance::start(quick());
    let held = instance.sandbox.hold_writes();
    let file = instance.file("people.csv", people(3));
    let mut child = instance
        .command(["upsert", file.to_str().unwrap(), "--confirm"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the write at Marketo", || writes(&instance) > 0);
    child.kill().unwrap();
    wait::end_of(&mut child);
    assert!(instance.sandbox.leads().is_empty(), "the call is still under way");
    drop(held);
    let run = instance
        .run(["upsert", file.to_str().unwrap(), "--confirm", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(run["unchanged"], 3, "the killed run's call had written them");
    assert_eq!(duplicates(&instance), [""; 0]);
}

#[test]
fn a_run_after_a_killed_one_waits_for_that_ones_keys_and_for_no_others() {
    let instance = Instance::start(quick());
    let held = instance.sandbox.hold_writes();
    // A call may take 15 seconds here: enough for a busy machine, and not too long to wait for.
    let speed = ("MKTO_AUDIT_CLOCK_SPEED", "6");
    let mut child = spawn_with(&instance, &people_of(&instance, "a.csv", 0..3), speed);
    wait::until("a write under way", || writes(&instance) > 0);
    child.kill().unwrap();
    wait::end_of(&mut child);
    let next = spawn_with(&instance, &people_of(&instance, "b.csv", 0..6), speed);
    // The killed run's call is under way for as long as the sandbox holds it, and its leases with
    // it; those whom it does not write leave meanwhile.
    wait::until("a second write under way", || writes(&instance) >= 2);
    assert!(instance.sandbox.leads().is_empty(), "both calls are still under way");
    drop(held);
    let run = Run::from(wait::output_of(next)).expect_code(0).json();
    let counts = (&run["created"], &run["unchanged"]);
    assert_eq!(counts, (&json!(3), &json!(3)), "the killed run's call had written three of them");
    assert_eq!(duplicates(&instance), [""; 0]);
}

#[test]
fn two_runs_at_once_on_files_that_overlap_write_everybody_once() {
    let instance = Instance::start(quick());
    let files = [people_of(&instance, "a.csv", 0..400), people_of(&instance, "b.csv", 200..600)];
    let runs = files.each_ref().map(|file| spawn(&instance, file));
    let documents = runs.map(|run| Run::from(wait::output_of(run)).expect_code(0).json());
    let created: u64 = documents.iter().map(|run| run["created"].as_u64().unwrap()).sum();
    assert_eq!(created, 600, "{documents:?}");
    assert_eq!(instance.sandbox.leads().len(), 600);
    assert_eq!(duplicates(&instance), [""; 0]);
}

#[test]
fn a_run_beside_another_one_waits_for_the_keys_that_both_write_and_for_no_others() {
    let instance = Instance::start(quick());
    let held = instance.sandbox.hold_writes();
    let first = spawn(&instance, &people_of(&instance, "a.csv", 0..3));
    wait::until("a write under way", || writes(&instance) > 0);
    let second = spawn(&instance, &people_of(&instance, "b.csv", 2..5));
    // Those whom the first one does not write leave, and are held by the sandbox like the first.
    wait::until("a second write under way", || writes(&instance) >= 2);
    drop(held);
    let documents =
        [first, second].map(|run| Run::from(wait::output_of(run)).expect_code(0).json());
    assert_eq!((&documents[0]["created"], &documents[1]["created"]), (&json!(3), &json!(2)));
    assert_eq!(documents[1]["unchanged"], 1);
    assert_eq!(duplicates(&instance), [""; 0]);
}

/// The ledger of an instance, as the version before wrote it, with a call that it left open.
fn ledger_of_an_older_version(path: &std::path::Path, instance: &str) {
    let migrations = [
        include_str!("../../src/ledger/0001_ledger.sql"),
        include_str!("../../src/ledger/0002_upsert.sql"),
        include_str!("../../src/ledger/0003_proof.sql"),
        include_str!("../../src/ledger/0004_runs.sql"),
        include_str!("../../src/ledger/0005_history.sql"),
        include_str!("../../src/ledger/0006_write_end.sql"),
    ];
    let db = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::default()).unwrap();
    db.execute_batch(&migrations.concat()).unwrap();
    db.pragma_update(None, "application_id", 0x6d6b_614c).unwrap();
    db.pragma_update(None, "user_version", 6).unwrap();
    db.execute("INSERT INTO meta (instance) VALUES (?1)", [instance]).unwrap();
    db.execute("INSERT INTO upsert_call (sent_at) VALUES ('2026-01-01T00:00:00Z')", []).unwrap();
}

#[test]
fn a_call_that_an_older_version_left_open_is_outwaited_before_anything_is_looked_up() {
    let instance = Instance::start(quick());
    let file = people_of(&instance, "a.csv", 0..3);
    instance.run(["upsert", file.to_str().unwrap(), "--confirm"]).expect_code(0);
    let folder = instance.path(".local/share/mkto-audit");
    let ledger = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().ends_with(".ledger.db"))
        .unwrap();
    std::fs::remove_file(&ledger).unwrap();
    let name = instance.run(["scan", "--json"]).expect_code(0).json()["instance"].clone();
    std::fs::remove_file(&ledger).ok();
    ledger_of_an_older_version(&ledger, name.as_str().unwrap());
    let begun = tokio::time::Instant::now();
    let run = instance
        .run(["upsert", file.to_str().unwrap(), "--confirm", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(run["unchanged"], 3);
    // A hundred and ten seconds of Marketo's time, which passes sixty times as fast here.
    assert!(begun.elapsed() >= Duration::from_millis(1_800), "{:?}", begun.elapsed());
}
