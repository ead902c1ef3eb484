//! A second `mkto-audit scan`: what changed, at the cost of what changed.

use mkto_sandbox::Fault;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::support::wait::{self, until};
use crate::support::{Instance, Run, quick};

fn scanned(leads: u32) -> Instance {
    let mut options = quick();
    options.leads = leads;
    options.duplicates = 0.2;
    options.set_knob("activity_delay_ms=0").unwrap();
    let instance = Instance::start(options);
    instance.run(["scan", "--db", "cache.db"]).expect_code(0);
    instance
}

fn scan(instance: &Instance) -> Value {
    instance.run(["scan", "--json", "--db", "cache.db"]).expect_code(0).json()
}

fn groups(instance: &Instance, db: &str) -> Value {
    instance.run(["report", "--json", "--db", db]).expect_code(0).json()["group"].clone()
}

/// One lead more, one changed, one less.
fn meddle(instance: &Instance) {
    let leads = instance.sandbox.leads();
    instance.sandbox.put_lead(&json!({"email": "new@example.com"}));
    instance.sandbox.change_lead(leads[0].id, &json!({"email": "new@example.com"}));
    instance.sandbox.delete_lead(leads[1].id);
}

#[test]
fn it_says_what_it_found_and_full_starts_over() {
    let instance = scanned(1_000);
    meddle(&instance);
    let found = scan(&instance);
    assert_eq!([&found["strategy"], &found["full"]], [&json!("refresh"), &json!(false)]);
    assert_eq!(
        [&found["new"], &found["changed"], &found["removed"]],
        [&json!(1), &json!(1), &json!(1)]
    );
    let again = scan(&instance);
    assert_eq!(
        [&again["new"], &again["changed"], &again["removed"]],
        [&json!(0), &json!(0), &json!(0)]
    );
    let told = instance.run(["scan", "--db", "cache.db"]).expect_code(0);
    assert!(told.stdout.contains("0 new, 0 changed, 0 removed"), "{}", told.picture());
    let full = instance.run(["scan", "--full", "--json", "--db", "cache.db"]).expect_code(0).json();
    assert_eq!([&full["strategy"], &full["full"]], [&json!("pages"), &json!(true)]);
}

#[test]
fn a_history_that_is_too_short_and_other_fields_are_told_and_read_in_full() {
    let instance = scanned(300);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let cache = Connection::open_with_flags(instance.path("cache.db"), flags).unwrap();
    cache.execute("UPDATE meta SET refresh_from = '2026-01-01T00:00:00Z'", []).unwrap();
    drop(cache);
    let run = instance.run(["scan", "--json", "--db", "cache.db"]).expect_code(0);
    assert!(
        run.stderr.contains("scanning in full: the last scan began on 2026-01-01"),
        "{}",
        run.stderr
    );
    assert_eq!(run.json()["full"], true);

    let mut other = instance.command(["scan", "--json", "--db", "cache.db"]);
    let run = Run::of(other.env("MKTO_AUDIT__SCAN__FIELDS", "region")).expect_code(0);
    assert!(
        run.stderr.contains("the configuration adds region since the last scan"),
        "{}",
        run.stderr
    );
}

#[test]
fn cut_short_at_any_call_it_loses_no_change() {
    for endpoint in
        ["GET /rest/v1/activities", "GET /rest/v1/activities/deletedleads", "GET /rest/v1/leads"]
    {
        let instance = scanned(600);
        meddle(&instance);
        instance.sandbox.fail_next(endpoint, Fault::Slow);
        let already = instance.sandbox.calls().get(endpoint).copied().unwrap_or(0);
        let mut child = instance.command(["scan", "--db", "cache.db"]).spawn().unwrap();
        until("the next call, or the end of the scan", || {
            instance.sandbox.calls().get(endpoint).copied().unwrap_or(0) != already
                || child.try_wait().unwrap().is_some()
        });
        child.kill().unwrap();
        wait::end_of(&mut child);
        let found = scan(&instance);
        assert_eq!(found["strategy"], "refresh", "{endpoint}");
        instance.run(["scan", "--db", "fresh.db"]).expect_code(0);
        assert_eq!(groups(&instance, "cache.db"), groups(&instance, "fresh.db"), "{endpoint}");
    }
}

#[test]
fn a_budget_that_ends_stops_it_with_4_and_the_next_one_finds_everything() {
    let instance = scanned(600);
    meddle(&instance);
    let mut poor = instance.command(["scan", "--json", "--db", "cache.db"]);
    // A refresh takes eight calls.
    let spent = instance.sandbox.calls_made();
    let run = Run::of(poor.env("MKTO_AUDIT__LIMITS__DAILY_CALLS", (spent + 5).to_string()))
        .expect_code(4);
    assert_eq!(run.json()["complete"], false, "{}", run.picture());
    scan(&instance);
    instance.run(["scan", "--db", "fresh.db"]).expect_code(0);
    assert_eq!(groups(&instance, "cache.db"), groups(&instance, "fresh.db"));
}

#[test]
fn what_is_known_of_births_follows_a_merge_by_somebody_else() {
    let instance = scanned(0);
    let ids: Vec<u64> =
        (0..3).map(|_| instance.sandbox.put_lead(&json!({"email": "ada@example.com"}))).collect();
    scan(&instance);
    let merge = format!(
        "{}/rest/v1/leads/{}/merge.json?leadId={}",
        instance.sandbox.base_url(),
        ids[0],
        ids[1]
    );
    let token = crate::support::token(&instance);
    let merged: Value = instance.block_on(async move {
        let call = wait::client().post(merge).bearer_auth(token).header("content-length", 0);
        call.send().await.unwrap().json().await.unwrap()
    });
    assert_eq!(merged["success"], true, "{merged}");
    assert_eq!(scan(&instance)["removed"], 1);
    let past =
        |db: &str| instance.run(["report", "--json", "--db", db]).json()["merged_before"].clone();
    instance.run(["scan", "--db", "fresh.db"]).expect_code(0);
    assert_eq!(past("cache.db")[0]["leads"], 1, "{}", past("cache.db"));
    assert_eq!(past("cache.db"), past("fresh.db"));
}
