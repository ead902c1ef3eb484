//! Which records leave together, and which wait.

use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{HeaderMap, Method};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Board, Company, Unit};
use crate::guard::proxy::caller::{Caller, Waiting};
use crate::guard::proxy::incoming::read;
use crate::guard::proxy::route::Verb;
use crate::guard::proxy::user::ApiUser;

/// A board, and the callers that wait for it.
#[derive(Default)]
struct Scene {
    board: Board,
    waiting: Vec<Waiting>,
}

impl Scene {
    /// Somebody of this user sends these emails.
    fn send(&mut self, user: &str, emails: &[&str]) {
        let input: Vec<Value> =
            emails.iter().map(|email| json!({"email": email, "by": self.waiting.len()})).collect();
        self.send_body(user, &json!({"input": input}));
    }

    fn send_body(&mut self, user: &str, body: &Value) {
        let incoming = read(
            Verb::Sync,
            &Method::POST,
            "/rest/v1/leads.json",
            body.to_string().as_bytes(),
            "test",
        )
        .unwrap();
        let token = HeaderValue::from_str(&format!("Bearer {user}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, token)]);
        let place = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let records = incoming.records.len();
        let (caller, waiting) = Caller::new(
            ApiUser::named(user),
            incoming.envelope,
            headers,
            records,
            [place(), place()],
        );
        self.board.enter(&caller, incoming.records);
        self.waiting.push(waiting);
    }

    /// As whoever attends to a line does.
    fn take(&mut self, user: &str) -> Vec<Unit> {
        let user = ApiUser::named(user);
        let units = self.board.take(&user, &mut Vec::new());
        self.board.has_more(&user);
        units
    }

    fn finish(&mut self, mut units: Vec<Unit>) -> Vec<String> {
        let users = self.board.finish(units.iter_mut().flat_map(|unit| &mut unit.items));
        users.iter().map(ToString::to_string).collect()
    }
}

/// The emails of a call, and which callers each stands for.
fn shown(units: &[Unit]) -> Vec<(String, Vec<u64>)> {
    let by = |item: &super::Item| item.record.shape.values()["by"].as_u64().unwrap();
    units
        .iter()
        .map(|unit| {
            let email = unit.shape.values()["email"].as_str().unwrap().to_owned();
            (email, unit.items.iter().map(by).collect())
        })
        .collect()
}

#[test]
fn what_waits_and_agrees_leaves_as_one_call_and_a_key_once_in_it() {
    let mut scene = Scene::default();
    scene.send("crm", &["a@example.com"]);
    scene.send("crm", &["b@example.com", "A@example.com"]);
    scene.send("crm", &["a@example.com"]);
    let call = scene.take("crm");
    assert_eq!(
        shown(&call),
        [("a@example.com".to_owned(), vec![0, 1, 2]), ("b@example.com".to_owned(), vec![1])]
    );
    assert_eq!(call[0].shape.values()["by"], 2, "the last word counts");
    assert!(scene.take("crm").is_empty());
}

#[test]
fn a_key_that_is_on_its_way_holds_up_itself_alone_and_first_come_is_first_served() {
    let mut scene = Scene::default();
    scene.send("crm", &["a@example.com"]);
    let first = scene.take("crm");
    scene.send("web", &["a@example.com", "b@example.com"]);
    scene.send("crm", &["a@example.com", "c@example.com"]);
    assert_eq!(shown(&scene.take("crm")), [("c@example.com".to_owned(), vec![2])]);
    assert_eq!(shown(&scene.take("web")), [("b@example.com".to_owned(), vec![1])]);
    assert!(scene.take("web").is_empty() && scene.take("crm").is_empty());
    assert_eq!(scene.finish(first), ["web"], "the next in line is told");
    assert!(scene.take("crm").is_empty(), "not before its turn");
    let second = scene.take("web");
    assert_eq!(shown(&second), [("a@example.com".to_owned(), vec![1])]);
    assert_eq!(scene.finish(second), ["crm"]);
    assert_eq!(shown(&scene.take("crm")), [("a@example.com".to_owned(), vec![2])]);
}

#[test]
fn writes_that_do_not_agree_leave_apart() {
    let mut scene = Scene::default();
    scene.send_body("crm", &json!({"input": [{"email": "a@example.com", "by": 0}]}));
    scene.send_body(
        "crm",
        &json!({"action": "createOnly", "input": [{"email": "b@example.com", "by": 1}]}),
    );
    scene.send_body("crm", &json!({"input": [{"email": "c@example.com", "by": 2}]}));
    assert_eq!(shown(&scene.take("crm")).len(), 2);
    assert_eq!(shown(&scene.take("crm")), [("b@example.com".to_owned(), vec![1])]);
}

#[test]
fn records_whose_result_hangs_on_each_other_are_never_one() {
    let mut scene = Scene::default();
    let body = json!({"action": "createOnly", "input": [{"email": "a@example.com", "by": 0}, {"email": "a@example.com", "by": 0}]});
    scene.send_body("crm", &body);
    assert_eq!(scene.take("crm").len(), 1);
    assert!(scene.take("crm").is_empty());
}

#[test]
fn a_call_has_at_most_300_records_and_less_than_a_megabyte() {
    let mut scene = Scene::default();
    let emails: Vec<String> = (0..200).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    scene.send("crm", &emails);
    scene.send("crm", &["x@example.com"; 1]);
    let others: Vec<String> = (0..200).map(|n| format!("q{n}@example.com")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    scene.send("crm", &others);
    assert_eq!(scene.take("crm").len(), 300);
    assert_eq!(scene.take("crm").len(), 101);

    for n in 0..3 {
        let large = json!({"input": [{"email": format!("l{n}@example.com"), "by": n, "note": "x".repeat(400_000)}]});
        scene.send_body("crm", &large);
    }
    assert_eq!(scene.take("crm").len(), 2);
    assert_eq!(scene.take("crm").len(), 1);
}

#[test]
fn what_was_refused_in_company_leaves_apart_and_in_its_old_place() {
    let mut scene = Scene::default();
    scene.send("crm", &["a@example.com"]);
    scene.send("crm", &["b@example.com"]);
    let call = scene.take("crm");
    scene.send("crm", &["a@example.com"]);
    for mut item in call.into_iter().flat_map(|unit| unit.items) {
        item.company = Company::OwnCaller;
        scene.board.put_back(item);
    }
    let first = scene.take("crm");
    assert_eq!(shown(&first), [("a@example.com".to_owned(), vec![0])]);
    assert_eq!(shown(&scene.take("crm")), [("b@example.com".to_owned(), vec![1])]);
    assert!(scene.take("crm").is_empty());
    scene.finish(first);
    assert_eq!(shown(&scene.take("crm")), [("a@example.com".to_owned(), vec![2])]);
}

#[test]
fn what_has_not_left_is_dropped_when_its_caller_is_gone() {
    let mut scene = Scene::default();
    scene.send("crm", &["a@example.com"]);
    scene.send("crm", &["a@example.com"]);
    drop(scene.waiting.remove(0));
    let mut given_up = Vec::new();
    let call = scene.board.take(&ApiUser::named("crm"), &mut given_up);
    assert_eq!((call.len(), given_up.len()), (0, 1));
    scene.board.finish(&mut given_up);
    assert_eq!(shown(&scene.take("crm")), [("a@example.com".to_owned(), vec![1])]);
}
