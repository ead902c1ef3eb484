//! What passes through `mkto-audit guard` passes byte for byte, and callers that are slow, or cut
//! off, harm nobody else.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use serde_json::json;

use crate::support::counts::{leads_with, writes};
use crate::support::guard::is_open;
use crate::support::stub::{exchange, is_whole};
use crate::support::wait::{self, until};
use crate::support::{Guard, Instance, quick};

/// A server that keeps what it was sent and gives one answer to it.
fn recorder(answer: Vec<u8>) -> (String, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        let mut buffer = [0; 8 * 1024];
        while !is_whole(&received) {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&received));
            received.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(&answer).unwrap();
        received
    });
    (url, thread)
}

/// The lines of a head, sorted, without what concerns one hop.
fn head_and_body(message: &[u8]) -> (String, Vec<String>, Vec<u8>) {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(message[..end].to_vec()).unwrap();
    let mut lines = head.lines().map(str::to_owned);
    let first = lines.next().unwrap();
    let hop = |line: &String| {
        let line = line.to_lowercase();
        line.starts_with("connection:")
            || line.starts_with("host:")
            || line.starts_with("transfer-encoding:")
    };
    let mut lines: Vec<String> = lines.filter(|line| !hop(line)).collect();
    lines.sort();
    (first, lines, message[end + 4..].to_vec())
}

#[test]
fn everything_that_is_no_lead_write_passes_byte_for_byte_both_ways() {
    let instance = Instance::start(quick());
    let binary: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let multipart = [
        b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"leads.csv\"\r\n\r\n",
        &binary[..],
        b"\r\n--x--\r\n",
    ]
    .concat();
    let ok = |kind: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: {kind}\r\nX-Odd-Case: Yes\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let envelope = ok(
        "application/json;charset=UTF-8",
        b"{\"requestId\":\"a#1\",  \"result\":[],\"success\":true}",
    );
    let partial = [b"HTTP/1.1 206 Partial Content\r\nContent-Type: text/csv\r\nContent-Range: bytes 5-8/100\r\nContent-Length: 4\r\n\r\n".as_slice(), b"\x00\xff,\n"].concat();
    let cases: Vec<(&str, &[u8], Vec<u8>)> = vec![
        (
            "GET /rest/v1/leads.json?filterType=email&filterValues=O'Brien%2B1@example.com,b@example.com&fields=id HTTP/1.1\r\nAuthorization: Bearer caller-token\r\nX-Custom: 1",
            b"",
            envelope.clone(),
        ),
        (
            "POST /rest/v1/leads.json?_method=GET HTTP/1.1\r\nAuthorization: Bearer caller-token\r\nContent-Type: application/x-www-form-urlencoded",
            b"filterType=id&filterValues=1,2,3",
            envelope.clone(),
        ),
        (
            "POST /bulk/v1/leads.json?format=csv HTTP/1.1\r\nAuthorization: Bearer caller-token\r\nContent-Type: multipart/form-data; boundary=x",
            &multipart,
            envelope.clone(),
        ),
        (
            "GET /bulk/v1/leads/export/1/file.json HTTP/1.1\r\nAuthorization: Bearer caller-token\r\nRange: bytes=5-8",
            b"",
            partial,
        ),
        (
            "GET /bulk/v1/leads/export/1/file.json HTTP/1.1\r\nAuthorization: Bearer caller-token",
            b"",
            ok("text/csv", &binary),
        ),
        (
            "DELETE /rest/v1/lists/1/leads.json?id=1&id=2 HTTP/1.1\r\nAuthorization: Bearer caller-token",
            b"",
            envelope.clone(),
        ),
        (
            "POST /rest/v1/leads/7/merge.json?leadIds=8,9 HTTP/1.1\r\nAuthorization: Bearer caller-token\r\nContent-Length: 0",
            b"",
            envelope.clone(),
        ),
        (
            "GET /rest/v1/lead/1.json HTTP/1.1\r\nAuthorization: Bearer caller-token",
            b"",
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nnone"
                .to_vec(),
        ),
        (
            "POST /identity/oauth/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded",
            b"grant_type=client_credentials&client_id=a&client_secret=b",
            ok("application/json", b"{\"access_token\": \"t\", \"scope\":\"a@api.example.com\"}"),
        ),
    ];
    for (head, body, answer) in cases {
        let (upstream, recorded) = recorder(answer.clone());
        let guard = Guard::builder(&instance).upstream(&upstream).unhurried().start();
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("\r\nContent-Length: {}", body.len())
        };
        let request = [
            format!("{head}{length}\r\nHost: guard\r\nConnection: close\r\n\r\n").as_bytes(),
            body,
        ]
        .concat();
        let answered = exchange(&guard.url(), &request);
        let (sent, received) = (head_and_body(&request), head_and_body(&wait::joined(recorded)));
        assert_eq!(received, sent, "what Marketo sees of {head}");
        let (status, headers, content) = head_and_body(&answered);
        let (their_status, their_headers, their_content) = head_and_body(&answer);
        assert_eq!(
            (status, content),
            (their_status, their_content),
            "what the caller sees of {head}"
        );
        // A server adds the date where there is none.
        let headers: Vec<String> =
            headers.into_iter().filter(|line| !line.to_lowercase().starts_with("date:")).collect();
        assert_eq!(headers, their_headers, "{head}");
    }
}

#[test]
fn a_caller_that_is_killed_leaves_its_key_protected() {
    let instance = Instance::start(quick());
    let held = instance.sandbox.hold_writes();
    let guard = Guard::builder(&instance).unhurried().start();
    let file = instance.file("people.csv", "email,firstName\nada@example.com,First\n");
    let mut caller = instance
        .command(["upsert", file.to_str().unwrap(), "--confirm"])
        .env("MARKETO_BASE_URL", guard.url())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the write at Marketo", || writes(&instance) > 0);
    caller.kill().unwrap();
    wait::end_of(&mut caller);
    assert_eq!(leads_with(&instance, "ada@example.com"), 0, "its write is under way");
    drop(held);
    let answer =
        guard.sync(&json!({"input": [{"email": "ada@example.com", "firstName": "Second"}]}));
    assert_eq!(answer["result"][0]["status"], "updated", "{answer:?}");
    assert_eq!(leads_with(&instance, "ada@example.com"), 1);
}

#[test]
fn a_hundred_callers_that_dawdle_keep_nobody_else_waiting() {
    let instance = Instance::start(quick());
    // At Marketo's own speed nobody is cut off for a minute.
    let guard = Guard::builder(&instance).unhurried().start();
    let address = guard.url().trim_start_matches("http://").to_owned();
    let dawdlers: Vec<TcpStream> = (0..100)
        .map(|n| {
            let mut stream = TcpStream::connect(&address).unwrap();
            let begun: &[u8] = if n % 2 == 0 {
                b"POST /rest/v1/leads.json HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"inp"
            } else {
                b"GET /rest/v1/leads.json?filterTy"
            };
            stream.write_all(begun).unwrap();
            stream
        })
        .collect();
    let answer = guard.sync(&json!({"input": [{"email": "ada@example.com"}]}));
    assert_eq!(answer["result"][0]["status"], "created");
    assert!(dawdlers.iter().all(is_open), "it was served only when others had been cut off");
}

#[test]
fn it_speaks_tls_and_refuses_to_be_reached_from_elsewhere_without() {
    let instance = Instance::start(quick());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = instance.file("cert.pem", made.cert.pem());
    let key = instance.file("key.pem", made.signing_key.serialize_pem());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let guard = Guard::builder(&instance)
        .unhurried()
        .arguments(&["--tls-cert", certificate, "--tls-key", key])
        .start();
    assert!(guard.url().starts_with("https://"));
    let answer = guard.sync(&json!({"input": [{"email": "ada@example.com"}]}));
    assert_eq!(answer["result"][0]["status"], "created");

    let refused = instance.run(["guard", "--listen", "0.0.0.0:0"]).expect_code(2);
    assert!(refused.stderr.contains("there is no TLS"), "{}", refused.stderr);
    let refused =
        instance.run(["guard", "--tls-cert", key, "--tls-key", certificate]).expect_code(2);
    assert!(refused.stderr.contains("cannot be used for TLS"), "{}", refused.stderr);
}
