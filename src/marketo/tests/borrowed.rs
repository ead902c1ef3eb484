//! Calls on behalf of callers, with their own credentials and in their own words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{TimeZone as _, Utc};
use hyper::Method;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue};

use tokio::time::Instant;

use super::logged;
use super::scripted::{BORROWED, Reply, Scripted};
use crate::marketo::pacer::Pacer;
use crate::marketo::session::Session;
use crate::marketo::{
    AtAnyTime, Auth, Borrowed, CallFailure, Client, Found, LeaveBy, MARGIN, MarketoTime, Meaning,
    OneRun, RawWrite, SYNC_LIMIT, SendGate, Turns, Withheld, Written,
};

const TARGET: &str = "/rest/v1//leads.json?partitionName=a%2Cb&x=a|b";
const BODY: &str =
    r#"{"action":"createOrUpdate", "input":[ {"email":"ada@example.com","n":1.0} ]}"#;

fn borrowed() -> Auth {
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {BORROWED}");
    headers.insert(AUTHORIZATION, HeaderValue::try_from(bearer).unwrap());
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("br"));
    headers.insert("x-caller", HeaderValue::from_static("crm"));
    Auth::Borrowed(Borrowed::new(&headers))
}

fn pacer() -> Arc<Pacer> {
    let spending = Arc::new(OneRun::default());
    Arc::new(Pacer::new(1_000, Duration::from_secs(20), 5, 1_000, spending))
}

/// A client without credentials of its own.
fn client(server: &Scripted) -> Client {
    let mut options = server.options();
    options.credentials = None;
    Client::new(options).unwrap()
}

async fn write(server: &Scripted, gate: &impl SendGate) -> Result<Written, CallFailure> {
    let write = RawWrite {
        method: Method::POST,
        target: TARGET.to_owned(),
        body: BODY.into(),
        limit: SYNC_LIMIT,
    };
    client(server).session(borrowed(), &pacer()).write(gate, write).await
}

fn session<'a, T: Turns>(client: &'a Client, turns: &'a T) -> Session<'a, T> {
    client.session(borrowed(), turns)
}

async fn found(server: &Scripted, keys: &[&str]) -> Result<Found, CallFailure> {
    let (client, pacer) = (client(server), pacer());
    session(&client, &pacer).look_up("email", keys, &["id", "email"]).await
}

async fn look_up(server: &Scripted, keys: &[&str]) -> Result<Vec<u64>, CallFailure> {
    Ok(found(server, keys).await?.leads.iter().map(|lead| lead.id).collect())
}

#[tokio::test]
async fn a_borrowed_call_leaves_byte_for_byte_with_its_callers_headers_and_no_token_of_ours() {
    let answer = r#"{"requestId":"a#1","success":true,"result":[{"id":7,"status":"created","odd":1.0}],"warnings":["w"]}"#;
    let reply = format!(
        "HTTP/1.1 200 OK\r\ndate: Tue, 24 Nov 2026 12:00:10 GMT\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let server = Scripted::start(vec![Reply::raw(&reply)]).await;
    let written = write(&server, &AtAnyTime).await.unwrap();
    assert_eq!(written.rows, [serde_json::json!({"id": 7, "status": "created", "odd": 1.0})]);
    assert_eq!((written.request_id.as_deref(), written.warnings.len()), (Some("a#1"), 1));
    assert_eq!(written.in_flight.limit(), SYNC_LIMIT);
    let call = &server.calls()[0];
    assert_eq!(call.line, format!("POST {TARGET} HTTP/1.1"));
    assert_eq!(call.body, BODY);
    assert_eq!(call.header("authorization"), Some(format!("Bearer {BORROWED}").as_str()));
    assert_eq!((call.header("x-caller"), call.header("accept-encoding")), (Some("crm"), None));
    assert!(server.tokens().is_empty());
}

#[tokio::test]
async fn what_marketo_says_of_a_borrowed_token_is_handed_back_as_it_came() {
    for code in ["601", "602"] {
        let server = Scripted::start(vec![Reply::code(code)]).await;
        let failure = write(&server, &AtAnyTime).await.unwrap_err();
        let CallFailure::Refused(refusal) = failure else { panic!("{failure:?}") };
        assert_eq!((refusal.code.as_str(), refusal.meaning), (code, Meaning::TokenRefused));
        assert_eq!(refusal.status, 200);
        assert!(refusal.body.starts_with(b"{\"requestId\":\"a#1\",\"success\":false"));
        assert_eq!((server.calls().len(), server.tokens().len()), (1, 0));
    }
    let plain =
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nno";
    let server = Scripted::start(vec![Reply::raw(plain)]).await;
    let failure = write(&server, &AtAnyTime).await.unwrap_err();
    let CallFailure::Refused(refusal) = failure else { panic!("{failure:?}") };
    assert_eq!((refusal.status, refusal.meaning), (401, Meaning::TokenRefused));
    assert_eq!(
        (&*refusal.body, refusal.content_type.unwrap().as_bytes()),
        (&b"no"[..], &b"text/plain"[..])
    );
}

#[tokio::test]
async fn a_look_up_knows_marketos_clock_from_the_date_that_its_answer_bore() {
    let answer = r#"{"requestId":"a#1","success":true,"result":[{"id":7,"email":"a@x"}]}"#;
    let dated = format!(
        "HTTP/1.1 200 OK\r\ndate: Tue, 24 Nov 2026 12:00:10 GMT\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let server = Scripted::start(vec![Reply::raw(&dated), Reply::json(answer)]).await;
    let before = Instant::now();
    let known = found(&server, &["a@x"]).await.unwrap();
    assert_eq!((known.request_id.as_deref(), known.leads.len()), (Some("a#1"), 1));
    let clock = known.clock.unwrap();
    assert!(before <= clock.asked && clock.asked <= clock.heard && clock.heard <= Instant::now());
    assert!(found(&server, &["a@x"]).await.unwrap().clock.is_none());
}

#[test]
fn marketos_time_is_known_no_better_than_its_answer_tells() {
    let called = Instant::now();
    let asked = called + Duration::from_secs(4);
    // The answer took three seconds, and nobody knows where.
    let heard = asked + Duration::from_secs(3);
    let at = |second| Utc.with_ymd_and_hms(2026, 11, 24, 12, 0, second).unwrap();
    let clock = MarketoTime { date: at(10), asked, heard };
    assert_eq!(clock.at(called), Some((at(3), at(7))));
}

#[tokio::test]
async fn a_borrowed_write_whose_answer_is_lost_is_in_doubt_and_was_sent_once() {
    let before = Instant::now();
    let no_rows = r#"{"requestId":"a#1","success":true,"result":{}}"#;
    for reply in [Reply::Cut, Reply::code("604"), Reply::json("<html>"), Reply::json(no_rows)] {
        let server = Scripted::start(vec![reply.clone()]).await;
        let failure = write(&server, &AtAnyTime).await.unwrap_err();
        let CallFailure::InDoubt { in_flight, .. } = failure else { panic!("{reply:?}") };
        assert!(in_flight.sent_at() > before && in_flight.limit() == SYNC_LIMIT);
        assert_eq!(server.calls().len(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn only_too_many_matches_are_asked_for_in_halves() {
    let found = |id: u64| {
        Reply::json(&format!(r#"{{"requestId":"a#1","success":true,"result":[{{"id":{id}}}]}}"#))
    };
    let too_many = Reply::json(
        r#"{"requestId":"a#1","success":false,"errors":[{"code":"1003","message":"Too many results match the filter"}]}"#,
    );
    let server = Scripted::start(vec![too_many, found(9), found(7)]).await;
    assert_eq!(look_up(&server, &["a@x", "b@x"]).await.unwrap(), [7, 9]);
    assert_eq!(server.calls().len(), 3);

    let server = Scripted::start(vec![Reply::code("1003")]).await;
    let failure = look_up(&server, &["a@x", "b@x"]).await.unwrap_err();
    let CallFailure::Refused(refusal) = failure else { panic!("{failure:?}") };
    assert_eq!((refusal.meaning, server.calls().len()), (Meaning::InvalidData, 1));

    let server = Scripted::start(vec![]).await;
    let failure = look_up(&server, &["a,b@x"]).await.unwrap_err();
    assert!(matches!(failure, CallFailure::CannotAsk { .. }), "{failure:?}");
    assert!(server.calls().is_empty());
}

/// Lets a call leave until a moment, which is over for all but the last of so many attempts.
struct Until {
    too_late: u32,
    asked: AtomicU32,
}

impl SendGate for Until {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= self.too_late {
            return Ok(Some(LeaveBy::within(MARGIN)));
        }
        let leave_by = LeaveBy::within(Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(Some(leave_by))
    }
}

#[tokio::test]
async fn a_write_that_is_too_late_does_not_leave_and_asks_its_gate_again() {
    let done = r#"{"requestId":"a#1","success":true,"result":[{"id":7,"status":"created"}]}"#;
    let server = Scripted::start(vec![Reply::json(done)]).await;
    let gate = Until { too_late: 2, asked: AtomicU32::new(0) };
    assert_eq!(write(&server, &gate).await.unwrap().rows.len(), 1);
    assert_eq!((gate.asked.load(Ordering::Relaxed), server.calls().len()), (3, 1));

    let gate = Until { too_late: 99, asked: AtomicU32::new(0) };
    let failure = write(&server, &gate).await.unwrap_err();
    assert!(matches!(failure, CallFailure::Unavailable { attempts: 5, .. }), "{failure:?}");
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_borrowed_header_is_in_no_debug_text_and_no_log() {
    logged::keep();
    let mut shown = format!("{:?}", borrowed());
    assert!(shown.contains("x-caller"), "{shown}");
    for reply in [Reply::Cut, Reply::code("601"), Reply::code("1003")] {
        let server = Scripted::start(vec![reply]).await;
        let failure = write(&server, &AtAnyTime).await.unwrap_err();
        let looked_up = look_up(&server, &["ada@example.com"]).await;
        shown = format!("{shown}{failure:?}{looked_up:?}");
    }
    shown.push_str(&logged::taken());
    assert!(shown.contains("not answered"), "nothing was logged");
    for hidden in [BORROWED, "crm", "ada@", "ada%40", "partitionName"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}
