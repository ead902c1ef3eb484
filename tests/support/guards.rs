//! Several guards of one instance, on one machine or on several.

use std::time::Duration;

use mkto_sandbox::Options;
use mkto_testing::wait::{self, until};
use reqwest::blocking::Response;
use serde_json::{Value, json};

use super::counts::{leads_with, writes};
use super::guard::{Guard, Leases};
use super::instance::{Instance, quick};

/// A guard of another machine: one that shares no folder with the others.
pub fn guard_elsewhere(instance: &Instance, machine: &str, address: &str) -> Guard {
    // What is turned away with 606 by chance slows a guard down for a window; a short one keeps a
    // storm short.
    let guard = Guard::builder(instance).home(machine).leases(Leases::Postgres(address));
    guard.window(Duration::from_secs(1)).start()
}

/// So many upserts of one email at one moment, by turns through each of these guards.
pub async fn upserts(guards: &[&Guard], token: &str, email: &str, calls: usize) -> Vec<Value> {
    let client = wait::client();
    let calls = guards.iter().cycle().take(calls).enumerate().map(|(number, guard)| {
        let body = json!({"input": [{"email": email, "firstName": format!("Writer {number}")}]});
        let call = client
            .post(format!("{}/rest/v1/leads.json", guard.url()))
            .bearer_auth(token)
            .json(&body);
        async move { call.send().await.unwrap().json().await.unwrap() }
    });
    futures::future::join_all(calls).await
}

/// Kills a guard as soon as its write has arrived at Marketo, and writes the same address through
/// another that knows of the first one's leases; how many leads have it then.
pub fn leads_after_a_crash(leases: Leases<'_>) -> usize {
    // The write of the killed guard goes on at Marketo for a good part of the time that Marketo may
    // take here, which is one and a half seconds.
    let instance = Instance::start(Options { race_window: Duration::from_millis(800), ..quick() });
    let mut first = Guard::builder(&instance).leases(leases).start();
    let second = Guard::builder(&instance).leases(leases).start();
    let caller = caller(&first);
    until("the write at Marketo", || writes(&instance) > 0);
    first.kill();
    assert!(wait::joined(caller).is_err(), "the guard is gone before it answers");
    let answer = second.sync(&json!({"input": [{"email": "ada@example.com", "firstName": "Ada"}]}));
    assert!(answer["result"][0]["id"].is_number(), "{answer:?}");
    // Longer than the race window: what the killed guard's call may still write is written by then.
    std::thread::sleep(Duration::from_millis(1_200));
    leads_with(&instance, "ada@example.com")
}

/// Writes an address through a guard, in a thread.
pub fn caller(guard: &Guard) -> std::thread::JoinHandle<Result<Response, reqwest::Error>> {
    let (url, token) = (format!("{}/rest/v1/leads.json", guard.url()), guard.token());
    std::thread::spawn(move || {
        let call = wait::blocking_client().post(url).bearer_auth(&token);
        call.json(&json!({"input": [{"email": "ada@example.com"}]})).send()
    })
}
