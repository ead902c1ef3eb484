//! Export jobs and their files, byte by byte.

use super::scripted::{Reply, Scripted};
use crate::lead::Window;
use crate::marketo::{Error, ExportLeads, ExportStatus, Ordered, Outcome};

const ID: &str = "3fadb012-0000-4000-8000-000000000000";

fn window() -> Window {
    Window::new("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-31T23:59:59Z".parse().unwrap())
        .unwrap()
}

fn job(status: &str) -> Reply {
    Reply::json(&format!(
        r#"{{"requestId":"a#1","success":true,"result":[{{"exportId":"{ID}","status":"{status}"}}]}}"#
    ))
}

fn refusal(message: &str) -> Reply {
    Reply::json(&format!(
        r#"{{"requestId":"a#1","success":false,"errors":[{{"code":"1029","message":"{message}"}}]}}"#
    ))
}

fn file(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::raw(&format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/csv;charset=UTF-8\r\n{headers}content-length: {length}\r\n\r\n{body}"
    ))
}

fn fields() -> Vec<String> {
    vec!["id".to_owned(), "email".to_owned()]
}

#[tokio::test]
async fn a_window_is_ordered_with_both_its_ends_and_without_milliseconds() {
    let server = Scripted::start(vec![job("Created")]).await;
    let Ordered::Taken(made) = server.client().create_export(&fields(), window()).await.unwrap()
    else {
        panic!("it was taken")
    };
    assert_eq!((made.id.as_str(), made.status), (ID, ExportStatus::Created));
    let body: serde_json::Value = serde_json::from_str(&server.calls()[0].body).unwrap();
    let created_at =
        serde_json::json!({"startAt": "2026-01-01T00:00:00Z", "endAt": "2026-01-31T23:59:59Z"});
    assert_eq!(
        body,
        serde_json::json!({"fields": ["id", "email"], "format": "CSV", "filter": {"createdAt": created_at}})
    );
}

#[tokio::test]
async fn the_meanings_of_1029_are_told_apart() {
    let server = Scripted::start(vec![refusal("Too many jobs in queue")]).await;
    assert_eq!(server.client().enqueue_export(ID).await.unwrap(), Ordered::QueueFull);

    let server = Scripted::start(vec![refusal("Job already queued"), job("Processing")]).await;
    let Ordered::Taken(queued) = server.client().enqueue_export(ID).await.unwrap() else {
        panic!("taken")
    };
    assert_eq!(queued.status, ExportStatus::Processing);

    for what in ["create", "enqueue"] {
        let server = Scripted::start(vec![refusal("Export daily quota exceeded")]).await;
        let client = server.client();
        let ordered = match what {
            "create" => client.create_export(&fields(), window()).await,
            _ => client.enqueue_export(ID).await,
        };
        assert!(matches!(ordered, Err(Error::Quota { .. })), "{what}");
        assert_eq!(server.calls().len(), 1);
    }

    let server = Scripted::start(vec![refusal("Something else")]).await;
    let refused = server.client().enqueue_export(ID).await.unwrap_err();
    assert_eq!(refused.code(), Some("1029"));
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_unclear_and_a_place_in_the_queue_is_asked_for_again() {
    let empty = Reply::json(r#"{"requestId":"a#1","success":true,"result":[]}"#);
    for lost in [Reply::Cut, Reply::code("604"), Reply::status("502 Bad Gateway", ""), empty] {
        let server = Scripted::start(vec![lost.clone()]).await;
        let error = server.client().create_export(&fields(), window()).await.unwrap_err();
        assert_eq!(
            (error.outcome(), server.calls().len()),
            (Outcome::Unclear, 1),
            "{lost:?}: {error}"
        );
    }
    for lost in [Reply::Cut, Reply::code("604"), Reply::status("502 Bad Gateway", "")] {
        let server = Scripted::start(vec![lost, job("Queued")]).await;
        assert!(matches!(server.client().enqueue_export(ID).await.unwrap(), Ordered::Taken(_)));
        assert_eq!(server.calls().len(), 2);
    }
}

#[tokio::test]
async fn a_jobs_status_is_read_in_either_spelling_with_size_and_checksum() {
    for (written, meant) in [
        ("Canceled", ExportStatus::Cancelled),
        ("Cancelled", ExportStatus::Cancelled),
        ("Failed", ExportStatus::Failed),
    ] {
        let server = Scripted::start(vec![job(written)]).await;
        assert_eq!(server.client().export(ID).await.unwrap().status, meant);
    }
    let server = Scripted::start(vec![job("Resting")]).await;
    assert!(matches!(server.client().export(ID).await, Err(Error::Answer { .. })));

    let complete = format!(
        r#"{{"requestId":"a#1","success":true,"result":[{{"exportId":"{ID}","status":"Completed","createdAt":"2026-01-07T00:00:00Z","numberOfRecords":2,"fileSize":7,"fileChecksum":"sha256:AB12"}}]}}"#
    );
    let server = Scripted::start(vec![Reply::json(&complete)]).await;
    let job = server.client().export(ID).await.unwrap();
    assert_eq!((job.records, job.size, job.sha256.as_deref()), (Some(2), Some(7), Some("ab12")));
}

/// What comes of a file from a byte on, and where it begins.
async fn fetched(server: &Scripted, from: u64) -> (u64, String) {
    let mut download = server.client().export_file(ID, from).await.unwrap().unwrap();
    let mut text = String::new();
    while let Some(piece) = download.piece().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    (download.from(), text)
}

#[tokio::test]
async fn a_file_is_fetched_from_the_byte_that_is_missing() {
    let rest = file("206 Partial Content", "content-range: bytes 3-6/7\r\n", "1\n2\n");
    let server = Scripted::start(vec![rest]).await;
    assert_eq!(fetched(&server, 3).await, (3, "1\n2\n".to_owned()));
    assert_eq!(server.calls()[0].header("range"), Some("bytes=3-"));
    assert_eq!(server.calls()[0].header("accept-encoding"), Some("identity"));

    let server = Scripted::start(vec![file("200 OK", "", "id\n1\n2\n")]).await;
    assert_eq!(
        fetched(&server, 3).await,
        (0, "id\n1\n2\n".to_owned()),
        "the server knows no ranges"
    );
}

#[tokio::test]
async fn a_cut_is_an_error_and_no_end_of_the_file() {
    let cut = Reply::raw(
        "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-length: 700\r\n\r\nid\n1\n",
    );
    let server = Scripted::start(vec![cut]).await;
    let mut download = server.client().export_file(ID, 0).await.unwrap().unwrap();
    let mut cut = false;
    for _ in 0..3 {
        match download.piece().await {
            Ok(piece) => assert!(piece.is_some(), "the end was not seen"),
            Err(error) => {
                assert_eq!(error.outcome(), Outcome::NotDone);
                cut = true;
                break;
            }
        }
    }
    assert!(cut);
}

#[tokio::test]
async fn what_comes_in_place_of_a_file_is_read_as_what_it_is() {
    let server = Scripted::start(vec![Reply::status("404 Not Found", "no such file")]).await;
    assert!(server.client().export_file(ID, 0).await.unwrap().is_none());

    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let expired =
        r#"{"requestId":"a#1","success":false,"errors":[{"code":"602","message":"expired"}]}"#;
    let expired = Reply::raw(&format!("{json}content-length: {}\r\n\r\n{expired}", expired.len()));
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let replies = vec![expired, Reply::raw(page), Reply::status("502 Bad Gateway", ""), Reply::Cut];
    let server = Scripted::start([replies, vec![file("200 OK", "", "id\n")]].concat()).await;
    assert_eq!(fetched(&server, 0).await, (0, "id\n".to_owned()));
    assert_eq!((server.calls().len(), server.tokens().len()), (5, 2));
}
