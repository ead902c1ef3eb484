//! Bodies taken apart and put together again.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Action, Endpoint, Incoming, Refused, parse};
use crate::dedupe::KeySpec;
use crate::guard::engine::{Envelope, Record, WriteMode};
use crate::lead::Lead;
use crate::leases::LeaseKey;

fn sync(body: &Value) -> Incoming {
    parse(Endpoint::SyncLeads, body.to_string().as_bytes(), "test").unwrap()
}

fn sent(incoming: &Incoming) -> String {
    let records = incoming.records.iter().map(|record| &record.raw);
    String::from_utf8(incoming.envelope.body(WriteMode::AsAsked, records)).unwrap()
}

#[test]
fn what_is_sent_is_what_came_number_for_number() {
    let body = r#"{"action":"createOrUpdate","asyncProcessing":null,"input":[{"email":"a@example.com","n":123456789012345678901234567890,"x":1.10}]}"#;
    let incoming = parse(Endpoint::SyncLeads, body.as_bytes(), "test").unwrap();
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
fn a_record_that_sets_an_email_takes_the_lease_of_it_whatever_it_is_looked_up_by() {
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
    let incoming = parse(Endpoint::SubmitForm, body.to_string().as_bytes(), "test").unwrap();
    assert_eq!(incoming.records[0].key.as_deref(), Some("a@example.com"));
    assert_eq!(serde_json::from_str::<Value>(&sent(&incoming)).unwrap(), body);
}

#[test]
fn what_is_no_write_is_refused_with_marketos_code() {
    let code =
        |body: &str| parse(Endpoint::SyncLeads, body.as_bytes(), "test").map(|_| ()).unwrap_err();
    assert_eq!(code("{oops").code, "609");
    assert_eq!(code("[]").code, "609");
    for body in [r"{}", r#"{"input":[]}"#, r#"{"input":7}"#] {
        assert_eq!(code(body), Refused { code: "1003", message: "Leads not specified" }, "{body}");
    }
    let many = json!({"input": vec![json!({"email": "a@example.com"}); 301]});
    assert_eq!(code(&many.to_string()).code, "1003");
}

#[test]
fn what_is_named_twice_is_sent_once_and_has_the_key_that_it_is_leased_by() {
    let body = br#"{"input":[{"email":"a@example.com","email":"b@example.com"}],"input":[{"email":"c@example.com","email":"d@example.com"}]}"#;
    let incoming = parse(Endpoint::SyncLeads, body, "test").unwrap();
    assert_eq!(incoming.records[0].key.as_deref(), Some("d@example.com"));
    assert_eq!(sent(&incoming), r#"{"input":[{"email":"d@example.com"}]}"#);
    let body = br#"{"formId":1,"input":[{"leadFormFields":{"email":"a@example.com"},"leadFormFields":{"email":"b@example.com","email":"c@example.com"}}]}"#;
    let incoming = parse(Endpoint::SubmitForm, body, "test").unwrap();
    assert_eq!(incoming.records[0].key.as_deref(), Some("c@example.com"));
    assert_eq!(
        sent(&incoming),
        r#"{"formId":1,"input":[{"leadFormFields":{"email":"c@example.com"}}]}"#
    );
}

#[test]
fn values_that_differ_in_case_alone_share_a_lease_and_are_not_one_record() {
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
    let incoming = parse(Endpoint::SyncLeads, body, "test").unwrap();
    assert_eq!(sent(&incoming), r#"{"input":[{"email":"a@example.com"}]}"#);
}
/// What may be looked up: a field, its data type, and whether a caller's call tells its kind.
const LOOKED_UP: [(&str, &str, bool); 6] = [
    ("email", "email", true),
    ("id", "integer", true),
    ("externalId", "string", true),
    ("emailOptInCode", "string", true),
    ("workEmail", "email", false),
    ("accountNumber", "integer", false),
];

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-20_i32..20).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
        proptest::collection::vec(any_text(), 0..2).prop_map(Value::from),
        any_text().prop_map(|text| json!({"email": text})),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ \u{200b}]?(null|NULL|true|5|5\\.0|05|1e20|Ada@X\\.com|<>|mailto:a@b\\.c)[ \u{a0}]?",
        "[aA5ßÅ.@<> +e0-]{0,5}",
        "\\PC{0,6}",
    ]
}

/// The key of a record that holds one value, as a file's are handed to the engine.
fn key_in_a_file(spec: &KeySpec, field: &str, value: &Value) -> Option<String> {
    let envelope =
        Envelope { kind: spec.kind(field), ..Envelope::sync(Action::CreateOrUpdate, field) };
    let fields = serde_json::Map::from_iter([(field.to_owned(), value.clone())]);
    Record::of_fields(&fields, &envelope, "test").key
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn every_way_in_has_the_same_key_for_a_value(value in any_value()) {
        for (field, data_type, is_told) in LOOKED_UP {
            let spec = KeySpec::new(vec![field.to_owned()], false).by_schema(|_| Some(data_type));
            let merge = spec.key_of(&Lead::new(1).with(field, value.clone())).map(String::from);
            let file = key_in_a_file(&spec, field, &value);
            prop_assert_eq!(&merge, &file, "{} {}", field, value);
            let call = sync(&json!({"lookupField": field, "input": [{field: value}]}));
            if is_told {
                prop_assert_eq!(&merge, &call.records[0].key, "{} {}", field, value);
            }
            // Whatever is a key is leased, and by every way the same.
            let lease = LeaseKey::of_value("test", field, &value);
            prop_assert_eq!(call.records[0].leases.first().copied(), lease);
            prop_assert!(merge.is_none() || lease.is_some());
            if let Some(key) = &merge {
                prop_assert_eq!(lease, LeaseKey::of("test", field, key), "{} {}", field, value);
            }
        }
    }

    #[test]
    fn a_cell_has_the_key_of_the_text_that_it_holds(text in any_text()) {
        for (field, data_type, _) in LOOKED_UP {
            let spec = KeySpec::new(vec![field.to_owned()], false).by_schema(|_| Some(data_type));
            let scan = crate::scan::key_of_cell(&spec, data_type, field, &text);
            let file = key_in_a_file(&spec, field, &json!(text));
            prop_assert_eq!(scan, file, "{} {:?}", field, text);
        }
    }
}
