//! `mkto-audit guard` in shadow mode: writes pass as they come, however large, and what is not
//! looked at is said.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::stub::{self, is_whole};
use crate::support::wait;
use crate::support::{Guard, Instance, Mode, Run, quick};

const PATIENCE: Duration = Duration::from_secs(60);

/// A Marketo that takes one call, and says when this part of it has come.
struct Upstream {
    url: String,
    part_came: mpsc::Receiver<()>,
    received: std::thread::JoinHandle<Vec<u8>>,
}

impl Upstream {
    fn start(part: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, part_came) = mpsc::channel();
        let received = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut received, mut told) = (Vec::new(), false);
            let mut buffer = vec![0; 64 * 1024];
            while !is_whole(&received) {
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0, "{} bytes came", received.len());
                let from = received.len().saturating_sub(part.len());
                received.extend_from_slice(&buffer[..read]);
                let mut places = received[from..].windows(part.len());
                if !told && places.any(|bytes| bytes == part.as_bytes()) {
                    told = true;
                    tell.send(()).ok();
                }
            }
            let answer =
                r#"{"requestId":"a#1","result":[{"id":1,"status":"created"}],"success":true}"#;
            stream.write_all(&stub::json(answer)).unwrap();
            received
        });
        Self { url, part_came, received }
    }

    fn shadowed(&self, instance: &Instance) -> Guard {
        // Nobody is cut off for being slow as long as a test takes.
        Guard::builder(instance).mode(Mode::Shadow).unhurried().upstream(&self.url).start()
    }
}

/// What a guard saw, when it has stopped.
fn report(instance: &Instance, mut guard: Guard, base_url: &str) -> (Value, String) {
    guard.stop();
    assert_eq!(guard.wait(), Some(0));
    let report = |arguments: &[&str]| {
        let mut command = instance.command(["guard", "report"].iter().chain(arguments));
        Run::of(command.env("MARKETO_BASE_URL", base_url)).expect_code(0)
    };
    (report(&["--json"]).json(), report(&[]).stdout)
}

#[test]
fn a_write_is_not_held_up_until_all_of_it_is_there_nor_framed_anew() {
    let instance = Instance::start(quick());
    let upstream = Upstream::start("ada@");
    let guard = upstream.shadowed(&instance);
    let mut caller = TcpStream::connect(guard.url().trim_start_matches("http://")).unwrap();
    caller.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /rest/v1/leads.json HTTP/1.1\r\nHost: g\r\nConnection: close\r\nAuthorization: Bearer t\r\n\
                Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (first, rest) =
        (r#"{"input": [{"email": "ada@"#, r#"example.com"}, {"email": "ADA@example.com"}]}"#);
    write!(caller, "{head}{:x}\r\n{first}\r\n", first.len()).unwrap();
    upstream.part_came.recv_timeout(PATIENCE).expect("it passes before the rest of it is there");
    write!(caller, "{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()).unwrap();
    let mut answer = String::new();
    caller.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"created\""), "{answer}");
    let received = String::from_utf8(wait::joined(upstream.received)).unwrap().to_lowercase();
    assert!(received.contains("transfer-encoding: chunked\r\n"), "{received}");
    assert!(!received.contains("content-length"), "{received}");
    let (seen, _) = report(&instance, guard, &upstream.url);
    let counts = ["calls", "records", "raced", "unseen"].map(|name| seen[name].clone());
    assert_eq!(counts, [json!(1), json!(2), json!(1), json!(0)], "and it was looked at: {seen}");
}

#[test]
fn a_body_that_is_too_large_passes_whole_and_is_counted_as_not_looked_at() {
    let instance = Instance::start(quick());
    let upstream = Upstream::start("the end");
    let guard = upstream.shadowed(&instance);
    let body = format!(
        r#"{{"input": [{{"email": "ada@example.com", "notes": "{}the end"}}]}}"#,
        "x".repeat(3_000_000)
    );
    let call = wait::blocking_client().post(format!("{}/rest/v1/leads.json", guard.url()));
    let call = call.bearer_auth("t").header("content-type", "application/json").body(body.clone());
    assert_eq!(call.send().unwrap().status(), 200);
    let received = wait::joined(upstream.received);
    assert!(received.ends_with(body.as_bytes()), "{} bytes came", received.len());
    let (seen, shown) = report(&instance, guard, &upstream.url);
    let counts = ["calls", "records", "unseen"].map(|name| seen[name].clone());
    assert_eq!(counts, [json!(1), json!(0), json!(1)], "{seen}");
    assert!(shown.contains("one too many at once: 1."), "{shown}");
}
