//! Callers of `mkto-audit guard` that mean no good, or that spell things as nobody else does: no
//! lead write gets past unguarded, nothing else becomes one, and nobody's records are another's.

use mkto_sandbox::Fault;
use serde_json::{Value, json};

use crate::support::counts::{leads_with, writes};
use crate::support::stub::{self, Stub, exchange};
use crate::support::{Guard, Instance, Mode, quick};

/// A request in bytes, closed after its answer.
fn request(line: &str, token: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = if headers.to_lowercase().contains("transfer-encoding") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head =
        format!("{line}\r\nHost: guard\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n");
    format!("{head}{headers}{length}\r\n{body}").into_bytes()
}

fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).into_owned()
}

const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn a_lead_write_is_guarded_however_it_is_spelled() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).start();
    let token = guard.token();
    let passed = guard.metric("mkto_guard_passed_total{status=\"200\"}").to_string();
    let spellings = [
        "POST /rest/v1/leads.json HTTP/1.1",
        "POST /rest/v1/leads%2Ejson HTTP/1.1",
        "POST /rest/v1/%256Ceads.json HTTP/1.1",
        "POST //rest//v1/leads.json/ HTTP/1.1",
        "POST /REST/V1/LEADS.JSON HTTP/1.1",
        "POST /rest/v1/lists/../leads.json HTTP/1.1",
        "POST http://elsewhere.example.com/rest/v1/leads.json HTTP/1.1",
        "POST /rest/v1/leads.json?_method=GET&_method=POST HTTP/1.1",
        "POST /rest/v1/leads.json?_METHOD=GET HTTP/1.1",
        "POST /rest/v1/leads.json HTTP/1.0",
    ];
    for (line, n) in spellings.iter().zip(0..) {
        let body = json!({"input": [{"email": format!("p{n}@example.com")}]}).to_string();
        let answer = text(&exchange(&guard.url(), &request(line, &token, JSON, &body)));
        assert!(answer.contains("200 OK"), "{line}: {answer}");
    }
    let now = guard.metric("mkto_guard_passed_total{status=\"200\"}").to_string();
    assert_eq!(now, passed, "none of them passed");
    let ends =
        ["created", "refused"].map(|end| format!("mkto_guard_records_total{{outcome=\"{end}\"}}"));
    let counted: f64 = ends.iter().map(|name| guard.metric(name)).sum();
    assert_eq!(counted.to_string(), spellings.len().to_string(), "each was taken apart");
}

#[test]
fn what_marketo_would_refuse_as_a_write_is_not_made_one() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).start();
    let token = guard.token();
    let body = json!({"input": [{"email": "ada@example.com"}]}).to_string();
    for (line, headers) in [
        ("PUT /rest/v1/leads.json HTTP/1.1", JSON),
        ("PATCH /rest/v1/leads.json HTTP/1.1", JSON),
        ("POST /rest/v1/leads.json HTTP/1.1", "Content-Type: text/plain\r\n"),
        (
            "POST /rest/v1/leads.json HTTP/1.1",
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
        ),
    ] {
        let answer = text(&exchange(&guard.url(), &request(line, &token, headers, &body)));
        assert!(answer.contains("\"success\":false"), "{line} {headers} {answer}");
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let line = "POST /rest/v1/leads.json HTTP/1.1";
    let answer =
        text(&exchange(&guard.url(), &request(line, &token, form, "email=ada%40example.com")));
    assert!(answer.contains("\"612\""), "Marketo's own word on it: {answer}");
    assert_eq!(leads_with(&instance, "ada@example.com"), 0);
    for (line, status) in
        [("CONNECT elsewhere.example.com:443 HTTP/1.1", "400"), ("OPTIONS * HTTP/1.1", "400")]
    {
        let answer = text(&exchange(&guard.url(), &request(line, &token, "", "")));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
    }
}

#[test]
fn a_call_that_only_looks_like_a_read_is_never_sent_twice() {
    let stub = Stub::start(|_, _| {
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops".to_vec()
    });
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).upstream(stub.url()).start();
    let mut before = 0;
    for (line, times) in [
        ("POST /rest/v1/leads/7/merge.json?leadId=8&my_method=GET HTTP/1.1", 1),
        ("POST /rest/v1/leads/7/merge.json?leadId=8&x=_method=GET HTTP/1.1", 1),
        ("GET /rest/v1/leads/7/merge.json?leadId=8&_method=POST HTTP/1.1", 1),
        ("POST /rest/v1/leads.json?_method=GET HTTP/1.1", 3),
        ("GET /rest/v1/leads.json?filterType=id&filterValues=1 HTTP/1.1", 3),
    ] {
        exchange(&guard.url(), &request(line, "token", "", ""));
        let now = stub.received().len();
        assert_eq!(now - before, times, "{line}");
        before = now;
    }
}

#[test]
fn that_there_are_too_many_is_absorbed_in_an_answer_without_a_length_too() {
    let stub = Stub::start(|number, _| match number {
        0 => stub::chunked(
            r#"{"requestId":"a#1","success":false,"errors":[{"code":"606","message":"too many"}]}"#,
        ),
        1 => stub::chunked(
            r#"{"requestId":"a#2","success":false,"errors":[{"code":"615","message":"at once"}]}"#,
        ),
        _ => stub::chunked(&format!(
            r#"{{"requestId":"a#3","result":["{}"],"success":true}}"#,
            "x".repeat(5_000)
        )),
    });
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).upstream(stub.url()).start();
    let (status, body) = guard.get("/rest/v1/lists.json", "token");
    assert_eq!((status, &body["requestId"]), (200, &json!("a#3")), "{body}");
    assert_eq!(body["result"][0].as_str().unwrap().len(), 5_000, "and a long one is whole");
    assert_eq!(guard.metric("mkto_guard_too_many_total").to_string(), "2");
}

#[test]
fn two_framings_in_one_request_never_reach_marketo() {
    let stub = Stub::start(|_, _| stub::json(r#"{"requestId":"a#1","result":[],"success":true}"#));
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).upstream(stub.url()).start();
    let line = "POST /rest/v1/lists/1/leads.json HTTP/1.1";
    let hidden =
        "0\r\n\r\nPOST /rest/v1/leads.json HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    for headers in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\nContent-Length: 60\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let head = format!(
            "{line}\r\nHost: guard\r\nConnection: close\r\nAuthorization: Bearer token\r\n{headers}\r\n"
        );
        let answer = text(&exchange(&guard.url(), format!("{head}{hidden}").as_bytes()));
        let is_one_or_none = answer.starts_with("HTTP/1.1 200")
            || answer.starts_with("HTTP/1.1 4")
            || answer.starts_with("HTTP/1.1 5");
        assert!(is_one_or_none && answer.matches("HTTP/1.1").count() == 1, "{headers} {answer}");
    }
    for received in stub.received() {
        let head = received.to_lowercase();
        assert!(head.starts_with("post /rest/v1/lists/1/leads.json http/1.1"), "{received}");
        assert!(
            !(head.contains("content-length") && head.contains("transfer-encoding")),
            "{received}"
        );
        assert!(!received.contains("leads.json HTTP/1.1\r\nHost: x"), "{received}");
    }
}

#[test]
fn a_caller_of_http_1_0_and_one_that_asks_before_it_sends_are_served() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).start();
    let token = guard.token();
    let read = request("GET /rest/v1/lists.json HTTP/1.0", &token, "", "");
    let answer = text(&exchange(&guard.url(), &read));
    assert!(answer.starts_with("HTTP/1.0 200") && answer.contains("\"success\":true"), "{answer}");
    let body = json!({"input": [{"email": "ada@example.com"}]}).to_string();
    let asks = format!("{JSON}Expect: 100-continue\r\n");
    let line = "POST /rest/v1/leads.json HTTP/1.1";
    let answer = text(&exchange(&guard.url(), &request(line, &token, &asks, &body)));
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue") && answer.contains("\"created\""),
        "{answer}"
    );
}

#[test]
fn ids_that_differ_in_case_alone_stay_two_leads_where_marketo_minds_the_case() {
    for mode in Mode::GUARDING {
        let mut options = quick();
        options.set_knob("lookup_case=minded").unwrap();
        let instance = Instance::start(options);
        let guard = Guard::builder(&instance).mode(mode).start();
        let body = json!({"lookupField": "externalPersonId", "input": [
            {"externalPersonId": "003AbC", "firstName": "Ada"},
            {"externalPersonId": "003abc", "firstName": "Bob"},
            {"externalPersonId": "003AbC", "lastName": "Lovelace"},
        ]});
        for statuses in [["created", "created", "updated"], ["updated", "updated", "updated"]] {
            let answer = guard.sync(&body);
            let said: Vec<&Value> = (0..3).map(|n| &answer["result"][n]["status"]).collect();
            assert_eq!(said, statuses, "{mode} {answer:?}");
            assert_eq!(answer["result"][0]["id"], answer["result"][2]["id"], "{mode}");
        }
        let names: Vec<Value> =
            instance.sandbox.leads().iter().map(|lead| lead.fields["firstName"].clone()).collect();
        assert_eq!(names, ["Ada", "Bob"], "{mode}");
    }
}

#[test]
fn a_key_of_several_leads_that_only_marketo_sees_gets_marketos_answer_and_not_calls_without_end() {
    for mode in Mode::GUARDING {
        let instance = Instance::start(quick());
        for id in ["003ABC", "003AbC"] {
            instance.sandbox.put_lead(&json!({"externalPersonId": id}));
        }
        let guard = Guard::builder(&instance).mode(mode).write_the_winner().start();
        // Marketo takes it for either of them, and the guard, which cannot know that it does, for
        // neither.
        let answer = guard.sync(&json!({"lookupField": "externalPersonId",
            "input": [{"externalPersonId": "003abc", "firstName": "Ada"}]}));
        assert_eq!(answer["result"][0]["reasons"][0]["code"], "1007", "{mode} {answer:?}");
        assert!(writes(&instance) <= 5, "{mode}: {} calls for one record", writes(&instance));
    }
}

#[test]
fn a_write_whose_key_is_empty_is_never_sent_again_on_a_guess() {
    for mode in Mode::GUARDING {
        let instance = Instance::start(quick());
        let guard = Guard::builder(&instance).mode(mode).start();
        instance.sandbox.fail_next("POST /rest/v1/leads", Fault::CutAfter);
        let body = json!({"lookupField": "externalPersonId",
            "input": [{"externalPersonId": "", "email": "ada@example.com"}]});
        let answer = guard.sync(&body);
        assert_eq!(answer["errors"][0]["code"], "604", "{mode} {answer:?}");
        assert_eq!((leads_with(&instance, "ada@example.com"), writes(&instance)), (1, 1), "{mode}");
    }
}

#[test]
fn a_lost_answer_to_create_only_is_never_said_to_have_updated() {
    let instance = Instance::start(quick());
    instance
        .sandbox
        .put_lead(&json!({"email": "old@example.com", "createdAt": "2020-01-01T00:00:00Z"}));
    let guard = Guard::builder(&instance).start();
    instance.sandbox.fail_next("POST /rest/v1/leads", Fault::CutAfter);
    let answer =
        guard.sync(&json!({"action": "createOnly", "input": [{"email": "old@example.com"}]}));
    assert_eq!(answer["result"][0]["reasons"][0]["code"], "1005", "{answer:?}");
}

#[test]
fn a_write_is_waited_for_also_where_its_caller_would_not() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).start();
    let body = json!({"asyncProcessing": true, "input": [{"email": "ada@example.com"}]});
    assert_eq!(guard.sync(&body)["result"][0]["status"], "created");
}

#[test]
fn what_is_named_twice_reaches_marketo_once() {
    let stub = Stub::start(|_, request| {
        if request.starts_with("GET") {
            return stub::json(r#"{"requestId":"a#1","result":[],"success":true}"#);
        }
        stub::json(r#"{"requestId":"a#2","result":[{"id":1,"status":"created"}],"success":true}"#)
    });
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).upstream(stub.url()).start();
    for (path, body) in [
        (
            "leads.json",
            r#"{"input":[{"email":"a@example.com","email":"b@example.com"}],"action":"createDuplicate","action":"createOrUpdate"}"#,
        ),
        (
            "leads/submitForm.json",
            r#"{"formId":1,"input":[{"leadFormFields":{"email":"a@example.com","email":"b@example.com"}}]}"#,
        ),
    ] {
        let line = format!("POST /rest/v1/{path} HTTP/1.1");
        let answer = text(&exchange(&guard.url(), &request(&line, "token", JSON, body)));
        assert!(answer.contains("\"created\""), "{answer}");
    }
    let all = stub.received().concat();
    assert!(all.contains("b%40example.com") && all.contains("\"b@example.com\""), "{all}");
    assert!(!all.contains("a@example.com") && !all.contains("createDuplicate"), "{all}");
}

#[test]
fn blanks_around_an_email_make_no_second_lead_through_whichever_endpoint_it_comes() {
    // Here blanks count for Marketo; whether they do is not documented.
    let instance = Instance::start(quick());
    instance.sandbox.put_program(1, "Newsletter", &["Member"], &[]);
    let guard = Guard::builder(&instance).start();
    let form = |email: &str| json!({"formId": 1, "input": [{"leadFormFields": {"email": email, "title": "Dr"}}]});
    let push = |email: &str| json!({"programName": "Newsletter", "input": [{"email": email}]});
    let only = |email: &str| json!({"action": "createOnly", "input": [{"email": email}]});
    let there = |email: &str| json!({"partitionName": "Default", "input": [{"email": email}]});
    for (n, (path, body)) in [
        ("leads/submitForm.json", &form as &dyn Fn(&str) -> Value),
        ("leads/push.json", &push),
        ("leads.json", &only),
        ("leads.json", &there),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("p{n}@example.com");
        for spelled in
            [format!(" {email}"), format!("{email} "), email.clone(), format!("{email}\u{200b}")]
        {
            let answer = guard.post(&format!("/rest/v1/{path}"), &body(&spelled));
            assert_eq!(answer["success"], true, "{path} {answer:?}");
        }
        guard.sync(&json!({"input": [{"email": email}]}));
        let held = |lead: &mkto_sandbox::LeadView| lead.fields["email"].to_string();
        let same: Vec<String> = instance
            .sandbox
            .leads()
            .iter()
            .map(held)
            .filter(|held| held.contains(&format!("p{n}@")))
            .collect();
        assert_eq!(same, [format!("\"{email}\"")], "{path}");
    }
    let titles = instance
        .sandbox
        .leads()
        .iter()
        .filter(|lead| lead.fields.get("title") == Some(&json!("Dr")))
        .count();
    assert_eq!(titles, 1, "the form's other fields are as they came");
}
