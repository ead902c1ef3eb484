//! What faces the network, given whatever can come: bodies of writes, and targets of requests.
//!
//! `PROPTEST_CASES=2000000 cargo test --lib guard::proxy::fuzz` tries so many of each.

use hyper::{Method, Uri};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::classify::{Route, classify, only_reads};
use super::parse::parse;
use crate::guard::engine::{Endpoint, WriteMode};

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    prop_oneof![Just(Endpoint::SyncLeads), Just(Endpoint::PushLead), Just(Endpoint::SubmitForm)]
}

/// JSON as clients write it, and as they should not.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ ]?(null|a@example\\.com|A@Example\\.COM|5|5\\.0|\u{200b}|,)?[ ]?".prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    let name = "email|Email|id|leadFormFields|cookie|lookupField|\\PC{0,4}";
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The body of a write: members that count and others, any of them perhaps twice.
fn any_body() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => "input|action|lookupField|partitionName|asyncProcessing|formId",
        1 => "\\PC{0,5}",
    ];
    let value = prop_oneof![
        2 => any_json().prop_map(|value| value.to_string()),
        3 => proptest::collection::vec(any_json(), 0..5).prop_map(|list| json!(list).to_string()),
        1 => "\"(createOrUpdate|createOnly|updateOnly|createDuplicate|email|id)\"",
        1 => Just("true".to_owned()),
    ];
    proptest::collection::vec((name, value), 0..6).prop_map(|members| {
        let members: Vec<String> =
            members.into_iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        format!("{{{}}}", members.join(","))
    })
}

/// A body, and one with some bytes gone, changed or added.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    let changes = proptest::collection::vec(change, 0..3);
    prop_oneof![
        8 => (any_body(), changes).prop_map(|(body, changes)| {
            let mut bytes = body.into_bytes();
            for (place, byte, what) in changes {
                let place = place.index(bytes.len().max(1));
                match what {
                    0 => bytes.insert(place.min(bytes.len()), byte),
                    1 if place < bytes.len() => drop(bytes.remove(place)),
                    _ => bytes.truncate(place),
                }
            }
            bytes
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..60),
    ]
}

/// One of the ways in which a server that is lenient reads a path for the plain one.
fn respelled(path: &str, how: &[(prop::sample::Index, u8)]) -> String {
    let mut path = path.to_owned();
    for (place, how) in how {
        let places: Vec<usize> = match how {
            // Between segments something may stand that names none.
            0..=3 => path.match_indices('/').map(|(at, _)| at).collect(),
            _ => path.match_indices(|c: char| c.is_ascii_alphabetic()).map(|(at, _)| at).collect(),
        };
        let at = places[place.index(places.len())];
        match how {
            0 => path.insert(at, '/'),
            1 => path.insert_str(at, "/."),
            2 => path.insert_str(at, "/x/.."),
            3 => path.replace_range(at..=at, "\\"),
            4 => {
                let upper = path[at..=at].to_ascii_uppercase();
                path.replace_range(at..=at, &upper);
            }
            // A letter of an escape is no letter of the path.
            _ if path[..at].ends_with('%') || path[..at.saturating_sub(1)].ends_with('%') => {}
            5 => {
                let coded = format!("%{:02X}", path.as_bytes()[at]);
                path.replace_range(at..=at, &coded);
            }
            _ => {
                let coded = format!("%25{:02x}", path.as_bytes()[at]);
                path.replace_range(at..=at, &coded);
            }
        }
        if path.contains("/..") || path.contains('\\') {
            // What follows may not tear these apart again.
            break;
        }
    }
    path
}

proptest! {
    /// Whatever comes: what is sent on holds exactly the records that were taken for it, each with
    /// the key that it is leased by, and never leaves before the write is done.
    #[test]
    fn what_is_sent_is_what_was_read(bytes in any_bytes(), endpoint in any_endpoint()) {
        let Ok(incoming) = parse(endpoint, &bytes, "test") else { return Ok(()) };
        let records = incoming.records.iter().map(|record| &record.raw);
        let body = incoming.envelope.body(WriteMode::AsAsked, records);
        let came = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        // A number beyond what a double holds passes as it came; nothing here could compare it.
        let Ok(came) = serde_json::from_slice::<Value>(came) else { return Ok(()) };
        let sent: Value = serde_json::from_slice(&body).unwrap();
        prop_assert_ne!(&sent["asyncProcessing"], &json!(true));
        prop_assert_eq!(&sent["input"], &came["input"]);
        for (record, sent) in incoming.records.iter().zip(sent["input"].as_array().unwrap()) {
            let values = match endpoint {
                Endpoint::SubmitForm => &sent["leadFormFields"],
                Endpoint::SyncLeads | Endpoint::PushLead => sent,
            };
            let value = values.get(&incoming.envelope.lookup).unwrap_or(&Value::Null);
            let key = incoming.envelope.kind.key(value).map(String::from);
            prop_assert_eq!(&record.key, &key);
            prop_assert!(record.key.is_none() || !record.leases.is_empty());
        }
        let again = parse(endpoint, &body, "test").unwrap();
        let records = again.records.iter().map(|record| &record.raw);
        prop_assert_eq!(again.envelope.body(WriteMode::AsAsked, records), body);
    }

    /// A write that slipped past for its spelling would be one that nobody guards.
    #[test]
    fn a_write_is_seen_in_every_spelling_of_its_path(
        which in 0..3_usize,
        how in proptest::collection::vec((any::<prop::sample::Index>(), 0..7_u8), 0..6),
        end in "(\\.json|\\.xml|\\.JSON|\\.json/|\\.json;v=1|%2ejson|/)?",
        query in "(\\?(partitionName=A|_METHOD=GET|_method=PUT|x=%3F_method%3DGET))?",
    ) {
        let (path, endpoint) = [
            ("/rest/v1/leads", Endpoint::SyncLeads),
            ("/rest/v1/leads/push", Endpoint::PushLead),
            ("/rest/v1/leads/submitform", Endpoint::SubmitForm),
        ][which];
        let target = format!("{}{end}{query}", respelled(path, &how));
        let Ok(uri) = target.parse::<Uri>() else { return Ok(()) };
        for method in [Method::POST, Method::PUT, Method::PATCH] {
            prop_assert_eq!(classify(&method, &uri), Route::Write(endpoint), "{}", target);
            prop_assert!(!only_reads(&method, &uri), "{}", target);
        }
    }

    /// No target brings the route table down; what it takes for a write names leads.
    #[test]
    fn any_target_has_a_route(
        target in "/(rest|identity|-|bulk|%72est|[a-z%0-9./;\\\\]{0,12})?(/[a-zA-Z0-9%./;_\\\\-]{0,12}){0,4}(\\?[a-zA-Z_=&%0-9]{0,20})?",
        method in "GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH",
    ) {
        let Ok(uri) = target.parse::<Uri>() else { return Ok(()) };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let route = classify(&method, &uri);
        if let Route::Write(_) = route {
            prop_assert!(!only_reads(&method, &uri), "{} {}", method, target);
        }
        if route == Route::Token {
            prop_assert!(uri.path().starts_with("/identity/"), "{}", target);
        }
    }
}
