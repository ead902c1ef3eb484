//! `mkto-audit guard`: what passes passes unchanged, and what writes makes no duplicate.

use std::time::Duration;

use mkto_sandbox::Fault;
use serde_json::{Value, json};

use crate::support::counts::{leads_with, writes};
use crate::support::wait::{self, until_async};
use crate::support::{Guard, Instance, Mode, quick};

mod chaos;
mod clients;
mod concurrency;
mod hostile;
mod leases;
mod log;
mod passing;
mod postgres;
mod proxied;
mod restart;
mod service;
mod shadow;
mod shares;
mod slow;
mod storm;
mod unclear;

fn statuses(answer: &Value) -> Vec<&str> {
    answer["result"].as_array().unwrap().iter().map(|row| row["status"].as_str().unwrap()).collect()
}

#[test]
fn writes_are_answered_in_marketos_shape_and_in_the_order_of_the_callers_records() {
    for mode in Mode::GUARDING {
        let instance = Instance::start(quick());
        let known = instance.sandbox.put_lead(&json!({"email": "known@example.com"}));
        for _ in 0..2 {
            instance.sandbox.put_lead(&json!({"email": "twice@example.com"}));
        }
        let guard = Guard::builder(&instance).mode(mode).start();
        let answer = guard.sync(&json!({"input": [
            {"email": "new@example.com", "firstName": "Grace"},
            {"email": "twice@example.com", "firstName": "Bob"},
            {"email": "Known@example.com", "firstName": "Ada"},
            {"email": "new@example.com", "lastName": "Hopper"},
            {"email": "known@example.com", "numberOfEmployees": "many"},
            {"firstName": "Nobody"},
            {"email": ""},
        ]}));
        assert_eq!(answer.keys().collect::<Vec<_>>(), ["requestId", "result", "success"], "{mode}");
        let answer = Value::Object(answer);
        let expected =
            ["created", "skipped", "updated", "updated", "skipped", "skipped", "created"];
        assert_eq!(statuses(&answer), expected, "{mode}: {answer}");
        let result = &answer["result"];
        assert_eq!(result[1]["reasons"][0]["code"], "1007", "{mode}");
        assert_eq!(result[2]["id"], known, "{mode}");
        assert_eq!(result[3]["id"], result[0]["id"], "{mode}");
        assert_eq!(result[4]["reasons"][0]["code"], "1003", "{mode}");
        let created = instance.sandbox.lead(result[0]["id"].as_u64().unwrap()).unwrap();
        assert_eq!(
            (&created.fields["firstName"], &created.fields["lastName"]),
            (&json!("Grace"), &json!("Hopper"))
        );
    }
}

#[test]
fn every_action_and_every_other_lookup_field_does_what_marketo_does() {
    for mode in Mode::GUARDING {
        let instance = Instance::start(quick());
        let known = instance
            .sandbox
            .put_lead(&json!({"email": "known@example.com", "externalPersonId": "X1"}));
        let guard = Guard::builder(&instance).mode(mode).start();
        for (body, status, code) in [
            (
                json!({"action": "createOnly", "input": [{"email": "known@example.com"}]}),
                "skipped",
                "1005",
            ),
            (
                json!({"action": "updateOnly", "input": [{"email": "none@example.com"}]}),
                "skipped",
                "1004",
            ),
            (
                json!({"action": "updateOnly", "lookupField": "id", "input": [{"id": known, "title": "Dr"}]}),
                "updated",
                "",
            ),
            (
                json!({"lookupField": "externalPersonId", "input": [{"externalPersonId": "X1", "title": "Sir"}]}),
                "updated",
                "",
            ),
            (
                json!({"action": "createDuplicate", "input": [{"email": "known@example.com"}]}),
                "created",
                "",
            ),
            (json!({"input": [{"id": known, "email": "known@example.com"}]}), "skipped", "1003"),
        ] {
            let answer = guard.sync(&body);
            let row = &answer["result"][0];
            assert_eq!(row["status"], status, "{mode} {body}");
            assert_eq!(
                row["reasons"][0]["code"].as_str().unwrap_or_default(),
                code,
                "{mode} {body}"
            );
        }
        assert_eq!(leads_with(&instance, "known@example.com"), 2, "{mode}");
        assert_eq!(guard.metric("mkto_guard_create_duplicate_total").to_string(), "1");
        for (body, code) in [
            (json!({"lookupField": "phone", "input": [{"phone": "1"}]}), "1011"),
            (json!({"colour": "red", "input": [{"email": "a@example.com"}]}), "1006"),
            (json!({"action": "destroy", "input": [{"email": "a@example.com"}]}), "1003"),
            (json!({"input": []}), "1003"),
        ] {
            let answer = guard.sync(&body);
            assert_eq!(
                (&answer["success"], &answer["errors"][0]["code"]),
                (&json!(false), &json!(code)),
                "{mode} {body}"
            );
        }
    }
}

/// A write to a new and one to a known key, each of whose answers is lost in this way.
fn lost_answers(mode: Mode, fault: Fault) {
    let instance = Instance::start(quick());
    let old = json!({"email": "known@example.com", "createdAt": "2024-02-29T12:00:00Z"});
    let known = instance.sandbox.put_lead(&old);
    let guard = Guard::builder(&instance).mode(mode).start();
    for (email, status) in [("new@example.com", "created"), ("known@example.com", "updated")] {
        instance.sandbox.fail_next("POST /rest/v1/leads", fault);
        let answer = guard.sync(&json!({"input": [{"email": email, "firstName": "Ada"}]}));
        assert_eq!(answer["result"][0]["status"], status, "{mode} {fault:?} {answer:?}");
        assert_eq!(leads_with(&instance, email), 1, "{mode} {fault:?}");
    }
    assert_eq!(
        instance.sandbox.lead(known).unwrap().fields["firstName"],
        "Ada",
        "{mode} {fault:?}"
    );
    // What was done needs no second call; what was not needs one.
    assert_eq!(
        writes(&instance),
        if fault == Fault::CutBefore { 4 } else { 2 },
        "{mode} {fault:?}"
    );
}

/// Every fault at once: a guard lets a lost call's time run out, and nothing else happens
/// meanwhile.
fn answers_lost_in_each_way(mode: Mode, faults: &[Fault]) {
    std::thread::scope(|scope| {
        for fault in faults {
            scope.spawn(|| lost_answers(mode, *fault));
        }
    });
}

#[test]
fn a_lost_answer_is_settled_by_looking_and_its_caller_gets_the_true_result() {
    answers_lost_in_each_way(
        Mode::Strict,
        &[
            Fault::Lost604,
            Fault::Lost502,
            Fault::CutAfter,
            Fault::Html,
            Fault::Truncated,
            Fault::CutBefore,
        ],
    );
}

#[test]
fn so_it_is_where_writes_are_sent_as_they_were_asked_for() {
    answers_lost_in_each_way(Mode::Serialize, &[Fault::Lost604, Fault::CutAfter, Fault::CutBefore]);
}

#[test]
fn a_key_stays_protected_when_its_caller_has_gone() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).max_wait(Duration::from_millis(700)).start();
    instance.sandbox.fail_next("POST /rest/v1/leads", Fault::Lost604);
    let body = json!({"input": [{"email": "new@example.com", "firstName": "First"}]});
    let answer = guard.sync(&body);
    assert_eq!((&answer["success"], &answer["errors"][0]["code"]), (&json!(false), &json!("604")));
    // A client that sends the same again at once, as libraries do, and again until it is told.
    let mut tries = 0;
    while guard.sync(&body)["success"] != true {
        tries += 1;
        assert!(tries < 100);
    }
    assert_eq!(leads_with(&instance, "new@example.com"), 1);
}

#[test]
fn what_is_too_many_is_waited_out_and_not_passed_on() {
    let mut options = quick();
    options.rate_limit = 4;
    options.rate_window = Duration::from_secs(1);
    let instance = Instance::start(options);
    // The guard is told of one more than there is, and has to find out.
    let guard = Guard::builder(&instance).calls(5).window(Duration::from_secs(1)).start();
    let token = guard.token();
    for n in 0..4 {
        let answer = guard.sync(&json!({"input": [{"email": format!("p{n}@example.com")}]}));
        assert_eq!(answer["result"][0]["status"], "created", "{answer:?}");
        let (_, body) = guard.get("/rest/v1/leads/describe.json", &token);
        assert_eq!(body["success"], true, "{body}");
    }
    assert!(guard.metric("mkto_guard_too_many_total") > 0.0);
}

#[test]
fn what_is_done_with_duplicates_is_as_configured() {
    let instance = Instance::start(quick());
    let older = instance
        .sandbox
        .put_lead(&json!({"email": "twice@example.com", "createdAt": "2020-01-01T00:00:00Z"}));
    instance.sandbox.put_lead(&json!({"email": "twice@example.com"}));
    let duplicate = json!({"action": "createDuplicate", "input": [{"email": "twice@example.com"}]});
    for mode in Mode::GUARDING {
        let mut guard = Guard::builder(&instance)
            .mode(mode)
            .write_the_winner()
            .forbid_create_duplicate()
            .start();
        let answer = guard
            .sync(&json!({"input": [{"email": "twice@example.com", "title": mode.to_string()}]}));
        assert_eq!(answer["result"][0], json!({"id": older, "status": "updated"}), "{mode}");
        assert_eq!(instance.sandbox.lead(older).unwrap().fields["title"], mode.to_string());
        assert_eq!(guard.sync(&duplicate)["success"], false);
        // After one that was killed the next would wait until its calls are over.
        guard.stop();
        guard.wait();
    }
    assert_eq!(leads_with(&instance, "twice@example.com"), 2);
}

#[test]
fn shadow_mode_changes_nothing_and_counts_what_would_have_raced() {
    let instance = Instance::start(quick());
    let mut guard = Guard::builder(&instance).mode(Mode::Shadow).unhurried().start();
    let token = guard.token();
    let held = instance.sandbox.hold_writes();
    instance.block_on(async {
        let client = wait::client();
        let calls = (0..10).map(|_| {
            let call =
                client.post(format!("{}/rest/v1/leads.json", guard.url())).bearer_auth(&token);
            call.json(&json!({"input": [{"email": "ada@example.com"}, {"email": ""}]})).send()
        });
        let answers = tokio::spawn(futures::future::join_all(calls));
        until_async("ten writes at Marketo", async || writes(&instance) >= 10).await;
        drop(held);
        for answer in answers.await.unwrap() {
            assert!(answer.unwrap().text().await.unwrap().contains("\"success\":true"));
        }
    });
    assert!(leads_with(&instance, "ada@example.com") > 1, "it does not guard");
    guard.stop();
    assert_eq!(guard.wait(), Some(0));
    let report = instance.run(["guard", "report", "--json"]).expect_code(0).json();
    assert_eq!(
        (&report["calls"], &report["records"], &report["raced"]),
        (&json!(10), &json!(20), &json!(9)),
        "{report}"
    );
    assert_eq!(report["by_user"]["mkto-audit@api.example.com"]["raced"], 9);
    let shown = instance.run(["guard", "report"]).expect_code(0).stdout;
    assert!(shown.contains("9 of 20 records would have raced"), "{shown}");
    assert!(!guard.log().contains("ada@"), "{}", guard.log());
}

#[test]
fn stopping_answers_what_is_under_way_and_takes_nothing_new() {
    let instance = Instance::start(quick());
    let mut guard = Guard::builder(&instance).unhurried().start();
    let token = guard.token();
    let held = instance.sandbox.hold_writes();
    let answer = instance.block_on(async {
        let body = json!({"input": [{"email": "ada@example.com"}]});
        let call = wait::client()
            .post(format!("{}/rest/v1/leads.json", guard.url()))
            .bearer_auth(&token)
            .json(&body);
        let call = tokio::spawn(call.send());
        until_async("the write at Marketo", async || writes(&instance) > 0).await;
        guard.stop();
        until_async("the guard to take no connection any more", async || {
            std::net::TcpStream::connect(guard.url().trim_start_matches("http://")).is_err()
        })
        .await;
        drop(held);
        call.await.unwrap().unwrap().json::<Value>().await.unwrap()
    });
    assert_eq!(answer["result"][0]["status"], "created");
    assert_eq!(guard.wait(), Some(0));
}

#[test]
fn nothing_of_a_person_and_no_token_is_in_the_log() {
    let instance = Instance::start(quick());
    let mut guard = Guard::builder(&instance).arguments(&["--log-format", "json", "-v"]).start();
    instance.sandbox.fail_next("POST /rest/v1/leads", Fault::CutAfter);
    guard.sync(&json!({"input": [{"email": "ada@example.com", "firstName": "Augusta"}]}));
    let token = guard.token();
    guard.get("/rest/v1/leads.json?filterType=email&filterValues=ada@example.com", &token);
    guard.stop();
    assert_eq!(guard.wait(), Some(0));
    let log = guard.log();
    assert!(log.lines().filter(|line| line.starts_with('{')).count() >= 2, "{log}");
    for line in log.lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<Value>(line).unwrap();
    }
    for secret in ["ada@", "Augusta", &token, instance.sandbox.client_secret()] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
