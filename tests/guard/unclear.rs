//! Answers that got lost between Marketo and `mkto-audit guard`, where looking cannot tell what
//! became of the call: it is never said to be done or refused, and never sent again on a guess.

use mkto_sandbox::Fault;
use serde_json::{Value, json};

use crate::support::counts::{leads_with, writes};
use crate::support::{Guard, Instance, Mode, quick};

/// Calls of Submit Form and Push Lead that arrived.
fn events(instance: &Instance) -> u64 {
    let calls = instance.sandbox.calls();
    ["submitForm", "push"]
        .iter()
        .filter_map(|name| calls.get(&format!("POST /rest/v1/leads/{name}")))
        .sum()
}

#[track_caller]
fn assert_open(answer: &serde_json::Map<String, Value>, what: &str) {
    let answer = Value::Object(answer.clone());
    let said = (&answer["success"], &answer["errors"][0]["code"]);
    assert_eq!(said, (&json!(false), &json!("604")), "{what}: {answer}");
}

#[test]
fn a_lost_write_of_an_email_that_cannot_be_looked_up_stays_open() {
    for mode in Mode::GUARDING {
        let instance = Instance::start(quick());
        let guard = Guard::builder(&instance).mode(mode).start();
        let mut sent = 0;
        for action in ["createOnly", "createOrUpdate"] {
            for (fault, leads) in [(Fault::CutAfter, 1), (Fault::CutBefore, 0)] {
                let what = format!("{mode} {action} {fault:?}");
                // Look-ups take several values, with commas between them.
                let email = format!("{action}{leads},ada@example.com");
                instance.sandbox.fail_next("POST /rest/v1/leads", fault);
                let answer = guard.sync(&json!({"action": action, "input": [{"email": email}]}));
                sent += 1;
                assert_open(&answer, &what);
                assert_eq!(
                    (leads_with(&instance, &email), writes(&instance)),
                    (leads, sent),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn a_lead_that_create_only_may_have_made_is_not_said_to_have_been_there_before() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).start();
    instance.sandbox.fail_next("POST /rest/v1/leads", Fault::CutAfter);
    // Marketo shows the value otherwise than it was given, so that the lead does not look like what
    // was written.
    let answer = guard.sync(&json!({"action": "createOnly", "input": [
        {"email": "ada@example.com", "vip": "yes"},
    ]}));
    assert_open(&answer, "createOnly");
    assert_eq!((leads_with(&instance, "ada@example.com"), writes(&instance)), (1, 1));
}

#[test]
fn a_form_or_a_push_whose_answer_was_lost_is_not_done_because_its_lead_has_the_values_already() {
    let instance = Instance::start(quick());
    instance.sandbox.put_program(7, "Webinar", &["Invited"], &[]);
    let old = json!({"email": "old@example.com", "firstName": "Ada", "createdAt": "2020-01-01T00:00:00Z"});
    instance.sandbox.put_lead(&old);
    let guard = Guard::builder(&instance).start();
    let form = |fields: Value| json!({"formId": 1, "input": [{"leadFormFields": fields}]});
    let push = |fields: Value| json!({"programName": "Webinar", "input": [fields]});
    let known = json!({"email": "old@example.com", "firstName": "Ada"});
    let new_name = json!({"email": "old@example.com", "firstName": "Augusta"});
    let mut sent = 0;
    for (path, body) in [
        ("submitForm", form(known.clone())),
        ("push", push(known)),
        ("submitForm", form(new_name.clone())),
        ("push", push(new_name)),
    ] {
        instance.sandbox.fail_next(&format!("POST /rest/v1/leads/{path}"), Fault::CutBefore);
        let answer = guard.post(&format!("/rest/v1/leads/{path}.json"), &body);
        sent += 1;
        assert_open(&answer, path);
        assert_eq!(events(&instance), sent, "{path}: a second one would be a second event");
    }
}

#[test]
fn a_form_or_a_push_that_a_look_up_can_tell_of_is_settled() {
    let instance = Instance::start(quick());
    instance.sandbox.put_program(7, "Webinar", &["Invited"], &[]);
    let guard = Guard::builder(&instance).start();
    for (path, body) in [
        (
            "submitForm",
            json!({"formId": 1, "input": [{"leadFormFields": {"email": "form@example.com"}}]}),
        ),
        ("push", json!({"programName": "Webinar", "input": [{"email": "push@example.com"}]})),
    ] {
        let email = if path == "push" { "push@example.com" } else { "form@example.com" };
        // Nobody has the address, so that nothing was done: it is sent again. Then the lead is too
        // young to be another's.
        for (fault, calls) in [(Fault::CutBefore, 2), (Fault::CutAfter, 1)] {
            for lead in instance.sandbox.leads() {
                instance.sandbox.delete_lead(lead.id);
            }
            let before = events(&instance);
            instance.sandbox.fail_next(&format!("POST /rest/v1/leads/{path}"), fault);
            let answer = guard.post(&format!("/rest/v1/leads/{path}.json"), &body);
            assert_eq!(answer["result"][0]["status"], "created", "{path} {fault:?} {answer:?}");
            let now = (events(&instance) - before, leads_with(&instance, email));
            assert_eq!(now, (calls, 1), "{path} {fault:?}");
        }
    }
}
