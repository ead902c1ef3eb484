//! The client against a server that answers byte by byte what a test tells it to.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Client, ClientOptions, Clock, Error, LeaveBy, MergeLeads, MergeOrder, Outcome, ReadLeads,
    ReadUsage, RecordStatus, SendGate, SyncAction, SyncLeads, SyncRequest, UntilStopped, Withheld,
};
use crate::lead::LeadId;

mod borrowed;
mod exporting;
mod history;
mod logged;
mod reading;
mod scripted;
mod status;

use scripted::{Reply, SECRET, Scripted, TOKEN};

const EMAIL: &str = "ada@example.com";

fn upsert() -> SyncRequest {
    let serde_json::Value::Object(record) = json!({"email": EMAIL}) else { unreachable!() };
    SyncRequest {
        action: SyncAction::CreateOrUpdate,
        lookup_field: "email".to_owned(),
        partition: None,
        input: vec![record],
    }
}

struct Order(LeadId, Vec<LeadId>, bool);

impl super::sealed::Sealed for Order {}

impl MergeOrder for Order {
    fn winner(&self) -> LeadId {
        self.0
    }
    fn losers(&self) -> &[LeadId] {
        &self.1
    }
    fn in_crm(&self) -> bool {
        self.2
    }
}

/// Answers after which nobody knows whether the call was carried out.
fn doubtful() -> Vec<Reply> {
    let mut replies = vec![
        Reply::Cut,
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"requestId\":\"a#1\",\"succ"),
        Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
        Reply::status("502 Bad Gateway", "<html>bad gateway</html>"),
        Reply::status("500 Internal Server Error", ""),
        Reply::json("{\"requestId\":\"a#1\",\"succ"),
        Reply::json("<html>maintenance</html>"),
        Reply::json(""),
        Reply::json("{}"),
        Reply::json(r#"{"requestId":"a#1","success":false}"#),
    ];
    replies.extend(["502", "604", "608", "611", "614", "713", "699", "whatever"].map(Reply::code));
    replies
}

#[tokio::test]
async fn a_write_whose_answer_cannot_be_trusted_is_unclear_and_was_sent_once() {
    for reply in doubtful() {
        let server = Scripted::start(vec![reply.clone()]).await;
        let before = Instant::now();
        let error = server.client().sync_leads(&upsert()).await.unwrap_err();
        assert_eq!(
            (error.outcome(), server.calls().len()),
            (Outcome::Unclear, 1),
            "{reply:?}: {error}"
        );
        let sent_at = error.in_flight().unwrap().sent_at();
        assert!(sent_at >= before, "{reply:?}");

        let server = Scripted::start(vec![reply.clone()]).await;
        let error = server.client().merge_leads(&Order(1, vec![2], false)).await.unwrap_err();
        assert_eq!(
            (error.outcome(), server.calls().len()),
            (Outcome::Unclear, 1),
            "{reply:?}: {error}"
        );
    }
}

#[tokio::test]
async fn an_upsert_without_a_result_for_each_record_is_unclear() {
    for result in [
        "[]",
        "null",
        "{}",
        r#"[{"status":"updated"},{"status":"updated"}]"#,
        r#"[{"status":"odd"}]"#,
    ] {
        let body = format!(r#"{{"requestId":"a#1","success":true,"result":{result}}}"#);
        let server = Scripted::start(vec![Reply::json(&body)]).await;
        let error = server.client().sync_leads(&upsert()).await.unwrap_err();
        assert_eq!((error.outcome(), server.calls().len()), (Outcome::Unclear, 1), "{result}");
    }
}

/// Takes its time, as a lease store that is being restarted does, and notes when it gave its leave.
#[derive(Default)]
struct Slow(Mutex<Option<Instant>>);

impl SendGate for Slow {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        *self.0.lock().unwrap() = Some(Instant::now());
        Ok(None)
    }
}

#[tokio::test]
async fn a_stop_takes_back_a_write_that_waits_for_its_place_and_not_one_that_has_left() {
    let written = r#"{"requestId":"a#1","success":true,"result":[{"id":1,"status":"created"}]}"#;
    let server = Scripted::start(vec![Reply::json(written)]).await;
    let an_hour = Duration::from_secs(3_600);
    let options = ClientOptions { calls: 1, window: an_hour, ..server.options() };
    let client = Client::new(options).unwrap();
    // It is told to stop at the very moment when it leaves.
    let rows =
        client.sync_leads_with(&LeavesAndIsWithdrawn(CancellationToken::new()), &upsert()).await;
    assert_eq!(rows.unwrap()[0].status, RecordStatus::Created);

    let stop = CancellationToken::new();
    let gate = UntilStopped::at_once(stop.clone());
    let request = upsert();
    let waits = client.sync_leads_with(&gate, &request);
    let (withheld, ()) = tokio::join!(waits, async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stop.cancel();
    });
    assert!(matches!(withheld, Err(Error::Withheld { .. })), "{withheld:?}");
    assert_eq!((server.calls().len(), client.calls_made()), (1, 1));
}

struct LeavesAndIsWithdrawn(CancellationToken);

impl SendGate for LeavesAndIsWithdrawn {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        self.0.cancel();
        Ok(None)
    }

    async fn withdrawn(&self) -> Withheld {
        self.0.cancelled().await;
        Withheld("too late".to_owned())
    }
}

#[tokio::test]
async fn marketos_time_for_a_call_counts_from_when_it_left_and_not_from_when_its_permit_was_asked_for()
 {
    let server = Scripted::start(vec![Reply::Cut]).await;
    let gate = Slow::default();
    let error = server.client().sync_leads_with(&gate, &upsert()).await.unwrap_err();
    let sent_at = error.in_flight().unwrap().sent_at();
    assert!(Some(sent_at) >= *gate.0.lock().unwrap());
}

#[tokio::test]
async fn a_write_without_an_answer_is_given_up_after_marketo_gave_it_up_and_not_sent_again() {
    let server = Scripted::start(vec![Reply::Hang]).await;
    let error = server.client().sync_leads(&upsert()).await.unwrap_err();
    assert_eq!((error.outcome(), server.calls().len()), (Outcome::Unclear, 1), "{error}");
    assert!(error.to_string().contains("no answer in time"), "{error}");
}

#[tokio::test]
async fn a_write_that_is_refused_is_not_done_and_not_sent_again() {
    let mut replies = vec![
        Reply::status("413 Payload Too Large", ""),
        Reply::raw(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/elsewhere\r\ncontent-length: 0\r\n\r\n",
        ),
    ];
    replies.extend(
        ["610", "712", "714", "1003", "1004", "1076", "1077", "1078", "1079", "1080"]
            .map(Reply::code),
    );
    for reply in replies {
        let server = Scripted::start(vec![reply.clone()]).await;
        let error = server.client().merge_leads(&Order(1, vec![2], false)).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{reply:?}: {error}");
        assert_eq!((error.outcome(), server.calls().len()), (Outcome::NotDone, 1), "{reply:?}");
    }
}

#[tokio::test]
async fn a_write_that_was_turned_away_before_it_was_executed_is_sent_again() {
    for (code, tokens) in [("601", 2), ("602", 2), ("606", 1), ("615", 1)] {
        let done = Reply::json(
            r#"{"requestId":"a#1","success":true,"result":[{"id":"7","status":"created"}]}"#,
        );
        let server = Scripted::start(vec![Reply::code(code), done]).await;
        let rows = server.client().sync_leads(&upsert()).await.unwrap();
        assert_eq!((rows[0].status, rows[0].id), (RecordStatus::Created, Some(7)));
        let calls = server.calls();
        assert_eq!((calls.len(), server.tokens().len()), (2, tokens), "{code}");
        assert_eq!(calls[0].body, calls[1].body);
    }
}

#[tokio::test]
async fn a_write_that_could_not_be_sent_is_tried_again_and_then_not_done() {
    let server = Scripted::start(vec![]).await;
    let mut options = server.options();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    options.base_url = format!("http://{}", closed.local_addr().unwrap()).parse().unwrap();
    drop(closed);
    let error = Client::new(options).unwrap().sync_leads(&upsert()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { attempts: 8, .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotDone);
}

#[tokio::test]
async fn a_merge_has_everything_in_the_query_and_an_empty_body_with_a_length() {
    let server = Scripted::start(vec![Reply::json(r#"{"requestId":"a#1","success":true}"#)]).await;
    let accepted = server.client().merge_leads(&Order(5, vec![9, 7], true)).await.unwrap();
    assert_eq!(accepted.request_id.as_deref(), Some("a#1"));
    let call = &server.calls()[0];
    assert_eq!(
        call.line,
        "POST /rest/v1/leads/5/merge.json?leadIds=9%2C7&mergeInCRM=true HTTP/1.1"
    );
    assert_eq!((call.header("content-length"), call.body.as_str()), (Some("0"), ""));
}

#[tokio::test]
async fn the_reasons_of_a_skipped_record_are_read_under_both_names() {
    for name in ["reasons", "reason"] {
        let body = format!(
            r#"{{"success":true,"errors":null,"result":[{{"status":"skipped","{name}":[{{"code":1007,"message":null}}]}}]}}"#
        );
        let server = Scripted::start(vec![Reply::json(&body)]).await;
        let rows = server.client().sync_leads(&upsert()).await.unwrap();
        assert!(rows[0].has_code("1007"), "{name}");
    }
}

#[tokio::test]
async fn a_used_up_quota_names_when_it_is_filled_again() {
    let body = r#"{"requestId":"16b#16cba8ea16a","success":false,"errors":[{"code":"607","message":"quota"}]}"#;
    let server = Scripted::start(vec![Reply::json(body)]).await;
    let error = server.client().sync_leads(&upsert()).await.unwrap_err();
    assert!(matches!(error, Error::Quota { .. }) && error.stops_the_run());
    assert!(error.to_string().contains("2019-08-23 05:00 UTC"), "{error}");
}

#[tokio::test]
async fn the_token_is_asked_for_once_in_a_body_however_many_wait_for_it() {
    let server = Scripted::start(vec![Reply::json(r#"{"success":true,"result":[{}]}"#); 12]).await;
    let client = server.client();
    let calls = (0..12).map(|_| async { client.usage_today().await.unwrap() });
    futures::future::join_all(calls).await;
    let tokens = server.tokens();
    assert_eq!((tokens.len(), client.calls_made()), (1, 12));
    assert_eq!(tokens[0].line, "POST /identity/oauth/token HTTP/1.1");
    assert!(tokens[0].body.contains(SECRET));
}

#[tokio::test]
async fn a_token_that_is_refused_again_and_again_is_a_matter_of_credentials() {
    let server = Scripted::start(vec![Reply::code("601"); 9]).await;
    let error = server.client().usage_today().await.unwrap_err();
    assert!(matches!(error, Error::Credentials { .. }), "{error}");
}

#[tokio::test]
async fn the_secret_is_never_sent_in_the_clear_and_only_a_sandbox_is_hurried() {
    let server = Scripted::start(vec![]).await;
    let with = |base: &str, identity: &str, clock| {
        let mut options = server.options();
        options.base_url = base.parse().unwrap();
        options.identity_url = identity.parse().unwrap();
        options.clock = clock;
        Client::new(options)
    };
    let (good, bad) =
        ("https://123-ABC-456.mktorest.example.com", "http://123-ABC-456.mktorest.example.com");
    assert!(with(good, good, Clock::real()).is_ok());
    for (base, identity, clock) in
        [(bad, good, Clock::real()), (good, bad, Clock::real()), (good, good, Clock::sped_up(2))]
    {
        assert!(
            matches!(with(base, identity, clock), Err(Error::Setup { .. })),
            "{base} {identity}"
        );
    }
}

#[tokio::test]
async fn no_secret_token_or_person_is_in_an_error_a_debug_text_or_a_log() {
    logged::keep();
    let mut shown = String::new();
    for reply in doubtful() {
        let server = Scripted::start(vec![reply; 9]).await;
        let client = server.client();
        let errors = [
            client.sync_leads(&upsert()).await.unwrap_err(),
            client.leads_by("email", &[EMAIL.to_owned()], &["id".to_owned()]).await.unwrap_err(),
        ];
        for error in errors {
            write!(shown, "{error} {error:?} ").unwrap();
        }
        write!(shown, "{client:?} {:?} {:?} ", server.options(), upsert()).unwrap();
    }
    shown.push_str(&logged::taken());
    assert!(
        shown.contains("POST /rest/v1/leads.json") && shown.contains("not answered"),
        "nothing was logged"
    );
    for hidden in [SECRET, TOKEN, "ada@", "ada%40", "filterValues"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}
