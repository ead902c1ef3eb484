//! Many callers of `mkto-audit guard` at once.

use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};

use crate::support::counts::{leads_with, writes};
use crate::support::guard::records_waiting;
use crate::support::wait::{self, until_async};
use crate::support::{Guard, Instance, Mode, quick};

#[test]
fn fifty_writers_of_one_email_at_once_make_duplicates_directly_and_none_through_the_guard() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).start();
    for (base, email) in
        [(instance.sandbox.base_url(), "direct@example.com"), (guard.url(), "guarded@example.com")]
    {
        let token = guard.token();
        let answers = instance.block_on(async {
            let client = wait::client();
            let calls = (0..50).map(|n| {
                let body = json!({"input": [{"email": email, "firstName": format!("Writer {n}")}]});
                let call = client
                    .post(format!("{base}/rest/v1/leads.json"))
                    .bearer_auth(&token)
                    .json(&body)
                    .send();
                async move { call.await.unwrap().json::<Value>().await.unwrap() }
            });
            futures::future::join_all(calls).await
        });
        for answer in &answers {
            assert_eq!(answer["success"], true, "{answer}");
            assert!(answer["result"][0]["id"].is_number(), "{answer}");
        }
    }
    assert!(leads_with(&instance, "direct@example.com") > 10);
    assert_eq!(leads_with(&instance, "guarded@example.com"), 1);
    assert!(guard.metric("mkto_guard_races_prevented_total") >= 49.0);
}

#[test]
fn waiting_writes_leave_together_and_each_caller_gets_its_own_results() {
    let instance = Instance::start(quick());
    let held = instance.sandbox.hold_writes();
    let guard = Guard::builder(&instance).concurrency(1).mode(Mode::Serialize).unhurried().start();
    let token = guard.token();
    let answers = instance.block_on(async {
        let client = wait::client();
        let mut calls = (0..60).map(|n| {
            // One in six is bad in a way that concerns it alone.
            let employees = if n % 6 == 5 { json!("many") } else { json!(n) };
            let record =
                json!({"email": format!("p{n}@example.com"), "numberOfEmployees": employees});
            let call =
                client.post(format!("{}/rest/v1/leads.json", guard.url())).bearer_auth(&token);
            async move {
                call.json(&json!({"input": [record]}))
                    .send()
                    .await
                    .unwrap()
                    .json::<Value>()
                    .await
                    .unwrap()
            }
        });
        // The first leaves alone, since nothing else is there; all others wait for it.
        let first = tokio::spawn(calls.next().unwrap());
        until_async("the first write at Marketo", async || writes(&instance) > 0).await;
        let others = tokio::spawn(futures::future::join_all(calls));
        until_async("59 records that wait", async || {
            records_waiting(&client, &guard.url()).await == 59
        })
        .await;
        drop(held);
        [vec![first.await.unwrap()], others.await.unwrap()].concat()
    });
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer["result"].as_array().unwrap().len(), 1);
        let row = &answer["result"][0];
        if n % 6 == 5 {
            assert_eq!(row["reasons"][0]["code"], "1003", "{answer}");
        } else {
            let lead = instance.sandbox.lead(row["id"].as_u64().unwrap()).unwrap();
            assert_eq!(lead.fields["email"], format!("p{n}@example.com"));
        }
    }
    assert!(writes(&instance) <= 3, "{} calls for 60 callers", writes(&instance));
}

#[test]
fn a_call_that_marketo_refuses_as_a_whole_fails_only_the_caller_whose_fault_it_is() {
    let mut options = quick();
    options.race_window = Duration::from_millis(300);
    let instance = Instance::start(options);
    let guard = Guard::builder(&instance).concurrency(1).start();
    let token = guard.token();
    let answers = instance.block_on(async {
        let client = wait::client();
        let calls =
            (0..8).map(|n| {
                let body = match n {
                3 => "{\"input\": [{\"email\": ".to_owned(),
                4 => json!({"input": [{"email": "big@example.com", "note": "x".repeat(1_100_000)}]})
                    .to_string(),
                5 => json!({"input": ["no object"]}).to_string(),
                n => json!({"input": [{"email": format!("p{n}@example.com")}]}).to_string(),
            };
                let call =
                    client.post(format!("{}/rest/v1/leads.json", guard.url())).bearer_auth(&token);
                let call = call.header("content-type", "application/json").body(body).send();
                async move {
                    let answer = call.await.unwrap();
                    (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
                }
            });
        futures::future::join_all(calls).await
    });
    for (n, (status, answer)) in answers.iter().enumerate() {
        match n {
            3 => assert_eq!(answer["errors"][0]["code"], "609"),
            4 => assert_eq!(*status, 413),
            5 => assert_eq!(answer["result"][0]["reasons"][0]["code"], "1003"),
            _ => assert_eq!(answer["result"][0]["status"], "created", "{n} {answer}"),
        }
    }
}

#[test]
fn push_lead_and_submit_form_are_guarded_too() {
    let instance = Instance::start(quick());
    instance.sandbox.put_program(7, "Webinar", &["Invited", "Attended"], &[]);
    let guard = Guard::builder(&instance).start();
    let token = guard.token();
    let answers = instance.block_on(async {
        let client = wait::client();
        let calls = (0..12).map(|n| {
            let (path, body) = match n % 3 {
                0 => ("push", json!({"programName": "Webinar", "input": [{"email": "ada@example.com"}]})),
                1 => (
                    "submitForm",
                    json!({"formId": 1, "input": [{"leadFormFields": {"email": "Ada@example.com"}}]}),
                ),
                _ => ("", json!({"input": [{"email": "ada@example.com", "firstName": "Ada"}]})),
            };
            let slash = if path.is_empty() { "" } else { "/" };
            let url = format!("{}/rest/v1/leads{slash}{path}.json", guard.url());
            let call = client.post(url).bearer_auth(&token).json(&body).send();
            async move { call.await.unwrap().json::<Value>().await.unwrap() }
        });
        futures::future::join_all(calls).await
    });
    assert!(answers.iter().all(|answer| answer["success"] == true), "{answers:?}");
    assert_eq!(leads_with(&instance, "ada@example.com"), 1);
}

#[test]
fn a_bounded_queue_turns_away_at_once_what_it_cannot_hold() {
    let instance = Instance::start(quick());
    // Nothing is answered by Marketo before fifteen callers were turned away.
    let mut held = Some(instance.sandbox.hold_writes());
    let guard = Guard::builder(&instance).queue(5).concurrency(1).unhurried().start();
    let token = guard.token();
    let answers = instance.block_on(async {
        let client = wait::client();
        let calls = (0..20).map(|n| {
            let body = json!({"input": [{"email": format!("p{n}@example.com")}]});
            let call = client
                .post(format!("{}/rest/v1/leads.json", guard.url()))
                .bearer_auth(&token)
                .json(&body)
                .send();
            async move { call.await.unwrap().json::<Value>().await.unwrap() }
        });
        let mut calls: futures::stream::FuturesUnordered<_> = calls.collect();
        let mut answers = Vec::new();
        while let Some(answer) = calls.next().await {
            if answers.len() == 14 {
                held.take();
            }
            answers.push(answer);
        }
        answers
    });
    // In the order in which they came: who is turned away is so before anybody is served.
    let (turned, served) = answers.split_at(15);
    assert!(turned.iter().all(|answer| answer["errors"][0]["code"] == "606"), "{answers:?}");
    assert!(served.iter().all(|answer| answer["success"] == true), "{answers:?}");
}
