//! Addresses, hops, and whether a call left in time.

use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::{NoAnswer, Transport, Whole, without_hop_by_hop};
use crate::marketo::deadline::{LeaveBy, MARGIN};

#[tokio::test]
async fn paths_stay_byte_for_byte_and_the_token_endpoint_has_its_own_place() {
    let base = Url::parse("https://base.example.com/tenant/").unwrap();
    let identity = Url::parse("https://id.example.com/identity").unwrap();
    let transport = Transport::new(&base, &identity).unwrap();
    let target = |path: &str| transport.target(&path.parse().unwrap()).unwrap().to_string();
    assert_eq!(
        target("/rest/v1//leads.json?filterValues=O'Brien%2B1@example.com&x=a|b"),
        "https://base.example.com/tenant/rest/v1//leads.json?filterValues=O'Brien%2B1@example.com&x=a|b"
    );
    assert_eq!(
        target("/identity/oauth/token?a=b"),
        "https://id.example.com/identity/oauth/token?a=b"
    );
    assert_eq!(target("/identityx"), "https://base.example.com/tenant/identityx");
}

/// What a server got of a call that has to leave by then, and what its sender takes that for.
async fn sent(leave_by: LeaveBy) -> (String, Result<Whole, NoAnswer>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let transport = Transport::new(&base, &base).unwrap();
    let mut request = Request::new(Bytes::from_static(b"{\"input\":[]}"));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = "/rest/v1/leads.json".parse().unwrap();
    let asked = tokio::spawn(async move {
        transport.exchange(request, leave_by, Duration::from_secs(20)).await
    });
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut got = vec![0; 4096];
    let mut length = 0;
    while !got[..length].ends_with(b"}") {
        match connection.read(&mut got[length..]).await.unwrap() {
            0 => break,
            more => length += more,
        }
    }
    drop(connection);
    (String::from_utf8_lossy(&got[..length]).into_owned(), asked.await.unwrap().1)
}

#[tokio::test]
async fn a_call_that_could_not_leave_in_time_does_not_leave_and_is_known_not_to_have() {
    let (got, asked) = sent(LeaveBy::within(MARGIN)).await;
    assert!(
        got.ends_with("{\"input\":[]}") && matches!(asked, Err(NoAnswer::Lost(_))),
        "{asked:?}"
    );
    let leave_by = LeaveBy::within(Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let (got, asked) = sent(leave_by).await;
    assert!(
        !got.contains("input") && matches!(asked, Err(NoAnswer::NotSent(_))),
        "{got} {asked:?}"
    );
}

#[tokio::test]
async fn a_call_that_crawls_out_of_this_machine_never_arrives_whole_after_its_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let transport = Transport::new(&base, &base).unwrap();
    let body = vec![b' '; 8 * 1024 * 1024];
    let length = body.len();
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = "/rest/v1/leads.json".parse().unwrap();
    let leave_by = LeaveBy::within(Duration::from_millis(200));
    let asking = transport.exchange(request, leave_by, Duration::from_secs(600));
    let taking = async { listener.accept().await.unwrap().0 };
    let ((left_at, asked), mut connection) = tokio::join!(asking, taking);
    assert!(left_at.is_none() && matches!(asked, Err(NoAnswer::NotSent(_))), "{asked:?}");
    // Only now is it taken.
    let mut got = Vec::new();
    // It is cut off one way or the other.
    drop(connection.read_to_end(&mut got).await);
    assert!(got.len() < length, "{} bytes", got.len());
}

#[test]
fn what_concerns_one_hop_stays_there() {
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("connection", "close, x-hop"), ("x-hop", "1"), ("te", "trailers"), ("x-end", "2")]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    without_hop_by_hop(&mut headers);
    assert_eq!(
        headers.keys().map(hyper::header::HeaderName::as_str).collect::<Vec<_>>(),
        ["x-end"]
    );
}
