//! Bodies taken apart and put together again.

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{Action, Incoming, Refused, read};
use crate::guard::proxy::route::Verb;

fn sync(body: &Value) -> Incoming {
    read(Verb::Sync, &Method::POST, "/rest/v1/leads.json", body.to_string().as_bytes(), "test")
        .unwrap()
}

fn sent(incoming: &Incoming) -> String {
    String::from_utf8(incoming.envelope.body(incoming.records.iter().map(|record| &record.shape)))
        .unwrap()
}

#[test]
fn what_is_sent_is_what_came_number_for_number() {
    let body = r#"{"action":"createOrUpdate","asyncProcessing":null,"input":[{"email":"a@example.com","n":123456789012345678901234567890,"x":1.10}]}"#;
    let incoming =
        read(Verb::Sync, &Method::POST, "/rest/v1/leads.json", body.as_bytes(), "test").unwrap();
    assert_eq!(sent(&incoming), body);
}

#[test]
fn keys_compare_as_marketo_compares_them_and_an_empty_one_is_none() {
    let incoming = sync(&json!({"input": [
        {"email": "Ada@Example.com"}, {"email": " ada@example.com\u{200b}"}, {"email": ""}, {"email": "null"},
        {"email": null}, {"firstName": "Ada"}, "no object", {"email": ["ada@example.com"]},
    ]}));
    let keys: Vec<Option<&str>> =
        incoming.records.iter().map(|record| record.key.as_deref()).collect();
    let ada = Some("ada@example.com");
    assert_eq!(keys, [ada, ada, None, None, None, None, None, None]);
    assert_eq!(incoming.records[0].leases, incoming.records[1].leases);
    assert!(incoming.records[2..].iter().all(|record| record.leases.is_empty()));
}

#[test]
fn a_record_that_sets_an_email_takes_the_right_to_it_whatever_it_is_looked_up_by() {
    let by_id = sync(
        &json!({"action": "updateOnly", "lookupField": "id", "input": [{"id": 7, "email": "a@example.com"}]}),
    );
    let by_email = sync(&json!({"input": [{"Email": "A@example.com"}]}));
    assert_eq!(
        (by_id.envelope.action, by_id.records[0].key.as_deref()),
        (Action::UpdateOnly, Some("7"))
    );
    assert_eq!(by_id.records[0].leases.len(), 2);
    assert!(by_id.records[0].leases.is_superset(&by_email.records[0].leases));
}

#[test]
fn a_form_is_keyed_by_the_email_among_its_fields() {
    let body = json!({"formId": 1, "input": [{"leadFormFields": {"email": "a@example.com"}, "cookie": "x"}]});
    let incoming = read(
        Verb::Form,
        &Method::POST,
        "/rest/v1/leads/submitForm.json",
        body.to_string().as_bytes(),
        "test",
    )
    .unwrap();
    assert_eq!(incoming.records[0].key.as_deref(), Some("a@example.com"));
    assert_eq!(serde_json::from_str::<Value>(&sent(&incoming)).unwrap(), body);
}

#[test]
fn what_is_no_write_is_refused_with_marketos_code() {
    let code = |body: &str| {
        read(Verb::Sync, &Method::POST, "/", body.as_bytes(), "test").map(|_| ()).unwrap_err()
    };
    assert_eq!(code("{oops").code, "609");
    assert_eq!(code("[]").code, "609");
    for body in [r"{}", r#"{"input":[]}"#, r#"{"input":7}"#] {
        assert_eq!(code(body), Refused { code: "1003", message: "Leads not specified" }, "{body}");
    }
    let many = json!({"input": vec![json!({"email": "a@example.com"}); 301]});
    assert_eq!(code(&many.to_string()).code, "1003");
}

fn headers(pairs: [(HeaderName, &'static str); 2]) -> HeaderMap {
    pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

#[test]
fn writes_agree_only_where_token_and_every_member_and_the_reading_of_their_bodies_agree() {
    let a = sync(&json!({"input": [{"email": "a@example.com"}]})).envelope;
    let b = sync(&json!({"input": [{"email": "b@example.com"}]})).envelope;
    let other =
        sync(&json!({"partitionName": "EU", "input": [{"email": "b@example.com"}]})).envelope;
    let said =
        |token, content_type| headers([(AUTHORIZATION, token), (CONTENT_TYPE, content_type)]);
    let usual = said("token", "application/json");
    assert_eq!(a.agreement(&usual), b.agreement(&usual));
    assert_eq!(
        a.agreement(&usual),
        b.agreement(&said("token", "Application/JSON; charset=\"UTF-8\""))
    );
    assert_ne!(a.agreement(&usual), b.agreement(&said("another", "application/json")));
    assert_ne!(
        a.agreement(&usual),
        b.agreement(&said("token", "application/json; charset=iso-8859-1"))
    );
    assert_ne!(a.agreement(&usual), other.agreement(&usual));
    let body = br#"{"input":[{"email":"a@example.com"}]}"#;
    let put = read(Verb::Sync, &Method::PUT, "/rest/v1/leads.json", body, "test").unwrap().envelope;
    assert_ne!(a.agreement(&usual), put.agreement(&usual), "the method too");
}

#[test]
fn what_is_named_twice_is_sent_once_and_has_the_key_that_it_is_leased_by() {
    let body = br#"{"input":[{"email":"a@example.com","email":"b@example.com"}],"input":[{"email":"c@example.com","email":"d@example.com"}]}"#;
    let incoming = read(Verb::Sync, &Method::POST, "/", body, "test").unwrap();
    assert_eq!(incoming.records[0].key.as_deref(), Some("d@example.com"));
    assert_eq!(sent(&incoming), r#"{"input":[{"email":"d@example.com"}]}"#);
    let body = br#"{"formId":1,"input":[{"leadFormFields":{"email":"a@example.com"},"leadFormFields":{"email":"b@example.com","email":"c@example.com"}}]}"#;
    let incoming = read(Verb::Form, &Method::POST, "/", body, "test").unwrap();
    assert_eq!(incoming.records[0].key.as_deref(), Some("c@example.com"));
    assert_eq!(
        sent(&incoming),
        r#"{"formId":1,"input":[{"leadFormFields":{"email":"c@example.com"}}]}"#
    );
}

#[test]
fn values_that_differ_in_case_alone_share_a_right_and_are_not_one_record() {
    let incoming = sync(&json!({"lookupField": "externalPersonId", "input": [
        {"externalPersonId": "003AbC"}, {"externalPersonId": "003abc"}, {"externalPersonId": " 003AbC "},
        {"externalPersonId": "42"}, {"externalPersonId": 42}, {"externalPersonId": "042"}, {"externalPersonId": "M\u{fc}ller"},
        {"externalPersonId": "Muller"}, {"externalPersonId": "True"}, {"externalPersonId": true},
        {"externalPersonId": "Stra\u{df}e"}, {"externalPersonId": "STRASSE"},
    ]}));
    let of =
        |place: usize| (incoming.records[place].key.as_deref(), &incoming.records[place].leases);
    assert_eq!(of(0).0, Some("003AbC"));
    assert_eq!(of(0), of(2));
    for (one, other) in [(0, 1), (3, 5), (6, 7), (8, 9), (10, 11)] {
        assert_eq!(of(one).1, of(other).1);
        assert_ne!(of(one).0, of(other).0);
    }
    assert_eq!(of(3), of(4));
}

#[test]
fn a_mark_at_the_beginning_is_no_part_of_the_body_and_every_write_is_waited_for() {
    let body = b"\xef\xbb\xbf{\"asyncProcessing\":true,\"input\":[{\"email\":\"a@example.com\"}]}";
    let incoming = read(Verb::Sync, &Method::POST, "/", body, "test").unwrap();
    assert_eq!(sent(&incoming), r#"{"input":[{"email":"a@example.com"}]}"#);
}

#[test]
fn a_later_record_of_the_key_wins_field_by_field() {
    let incoming = sync(
        &json!({"input": [{"email": "a@example.com", "x": 1, "y": 1}, {"email": "a@example.com", "y": null}]}),
    );
    let merged = incoming.records[0].shape.clone().then(&incoming.records[1].shape);
    assert_eq!(
        Value::Object(merged.values()),
        json!({"email": "a@example.com", "x": 1, "y": null})
    );
    let by_id = merged.addressed("email", "id", super::raw(&7));
    assert_eq!(Value::Object(by_id.values()), json!({"id": 7, "x": 1, "y": null}));
}
