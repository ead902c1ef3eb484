//! `upsert` and the guards of an instance take the same leases: neither writes what the other may
//! be writing.

use std::process::{Child, Stdio};
use std::time::Duration;

use mkto_sandbox::Options;
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::counts::{leads_with, writes};
use crate::support::wait::{self, until};
use crate::support::{Guard, Instance, Leases, Run, UNHURRIED, quick};

const LEASES: &str = "MKTO_AUDIT__GUARD__LEASES";
const EMAIL: &str = "ada@example.com";

/// A sandbox whose writes take a good part of the time that Marketo may take here, which is one and
/// a half seconds.
fn slow_writes() -> Instance {
    Instance::start(Options { race_window: Duration::from_millis(800), ..quick() })
}

/// A run of `upsert` that has a write of this one email in flight.
fn upsert_in_flight(instance: &Instance, leases: Leases<'_>) -> Child {
    let before = writes(instance);
    let file = instance.file("people.csv", format!("email,firstName\n{EMAIL},Ada\n"));
    let child = instance
        .command(["upsert", file.to_str().unwrap(), "--confirm"])
        .env(LEASES, leases.to_string())
        .envs([UNHURRIED].into_iter().filter(|_| matches!(leases, Leases::Memory)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the write at Marketo", || writes(instance) > before);
    child
}

/// How many leads have the email after an upsert and a guard wrote it at one time; the upsert may
/// be killed in mid-write.
fn leads_after_both(leases: Leases<'_>, killed: bool) -> usize {
    let instance = slow_writes();
    let guard = Guard::builder(&instance).leases(leases).start();
    let mut upsert = upsert_in_flight(&instance, leases);
    if killed {
        upsert.kill().unwrap();
    }
    let answer = guard.sync(&json!({"input": [{"email": EMAIL, "lastName": "Lovelace"}]}));
    assert!(answer["result"][0]["id"].is_number(), "{answer:?}");
    assert_eq!(wait::end_of(&mut upsert).success(), !killed);
    // Longer than the race window: what a killed run's call may still write is written by then.
    std::thread::sleep(Duration::from_millis(1_200));
    leads_with(&instance, EMAIL)
}

#[test]
fn a_guard_and_an_upsert_that_know_nothing_of_each_other_race() {
    let instance = Instance::start(quick());
    let held = instance.sandbox.hold_writes();
    let guard = Guard::builder(&instance).leases(Leases::Memory).unhurried().start();
    let mut upsert = upsert_in_flight(&instance, Leases::Memory);
    let (url, token) = (format!("{}/rest/v1/leads.json", guard.url()), guard.token());
    let caller = std::thread::spawn(move || {
        let call = wait::blocking_client().post(url).bearer_auth(&token);
        call.json(&json!({"input": [{"email": EMAIL, "lastName": "Lovelace"}]})).send().unwrap();
    });
    until("the second write at Marketo", || writes(&instance) == 2);
    drop(held);
    wait::joined(caller);
    assert!(wait::end_of(&mut upsert).success());
    assert_eq!(leads_with(&instance, EMAIL), 2);
}

#[test]
fn a_guard_waits_for_the_write_of_an_upsert() {
    assert_eq!(leads_after_both(Leases::Sqlite, false), 1);
}

#[test]
fn a_guard_waits_until_the_last_call_of_a_killed_upsert_is_over() {
    assert_eq!(leads_after_both(Leases::Sqlite, true), 1);
    let Some(cluster) = Cluster::start() else { return };
    assert_eq!(leads_after_both(Leases::Postgres(&cluster.database()), true), 1);
}

#[test]
fn an_upsert_waits_for_the_write_of_a_guard_and_says_so() {
    let instance = slow_writes();
    let guard = Guard::builder(&instance).leases(Leases::Sqlite).start();
    let (url, token) = (format!("{}/rest/v1/leads.json", guard.url()), guard.token());
    let caller = std::thread::spawn(move || {
        let call = wait::blocking_client().post(url).bearer_auth(&token);
        call.json(&json!({"input": [{"email": EMAIL, "lastName": "Lovelace"}]})).send().unwrap();
    });
    until("the write at Marketo", || writes(&instance) > 0);
    // Others of the same file are not held up by it.
    let file =
        instance.file("people.csv", format!("email,firstName\n{EMAIL},Ada\nbob@example.com,Bob\n"));
    let run = instance.run(["upsert", file.to_str().unwrap(), "--confirm"]).expect_code(0);
    wait::joined(caller);
    assert!(run.stdout.contains("line 2: updated"), "{}", run.picture());
    assert!(run.stdout.contains("line 3: created"), "{}", run.picture());
    assert_eq!(leads_with(&instance, EMAIL), 1);
    let lead =
        instance.sandbox.leads().into_iter().find(|lead| lead.fields["email"] == EMAIL).unwrap();
    assert_eq!(
        (&lead.fields["firstName"], &lead.fields["lastName"]),
        (&json!("Ada"), &json!("Lovelace"))
    );
}

#[test]
fn an_upsert_and_a_guard_that_write_the_same_hundred_people_make_each_once() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).leases(Leases::Sqlite).start();
    let people: Vec<String> = (0..100).map(|number| format!("p{number}@example.com")).collect();
    let file = instance.file("people.csv", format!("email\n{}\n", people.join("\n")));
    let mut upsert = instance
        .command(["upsert", file.to_str().unwrap(), "--confirm"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let token = guard.token();
    instance.block_on(async {
        let client = wait::client();
        let calls = people.iter().map(|email| {
            let body = json!({"input": [{"email": email, "firstName": "Ada"}]});
            let call =
                client.post(format!("{}/rest/v1/leads.json", guard.url())).bearer_auth(&token);
            async move {
                call.json(&body).send().await.unwrap().json::<serde_json::Value>().await.unwrap()
            }
        });
        for answer in futures::future::join_all(calls).await {
            assert!(answer["result"][0]["id"].is_number(), "{answer}");
        }
    });
    assert!(wait::end_of(&mut upsert).success());
    assert_eq!(instance.sandbox.leads().len(), 100);
}

#[test]
fn without_its_lease_store_an_upsert_writes_nothing() {
    let instance = Instance::start(quick());
    let file = instance.file("people.csv", format!("email\n{EMAIL}\n"));
    let mut command = instance.command(["upsert", file.to_str().unwrap(), "--confirm"]);
    command.env(LEASES, "postgres://guard:hush@127.0.0.1:1/leases");
    let run = Run::of(&mut command).expect_code(1);
    assert!(run.stderr.contains("lease store (postgres) cannot be used"), "{}", run.stderr);
    assert!(run.stderr.contains("guard.leases"), "{}", run.stderr);
    assert!(!run.picture().contains("hush"));
    assert_eq!(writes(&instance), 0);
    // What would be done is said without it.
    let mut command = instance.command(["upsert", file.to_str().unwrap(), "--dry-run"]);
    command.env(LEASES, "postgres://guard@127.0.0.1:1/leases");
    Run::of(&mut command).expect_code(0);
}
