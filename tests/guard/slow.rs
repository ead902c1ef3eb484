//! Callers of `mkto-audit guard` that are slow, or too many: they hold nobody up, and not for long.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use mkto_sandbox::Options;
use serde_json::{Value, json};

use crate::support::counts::{leads_with, writes};
use crate::support::guard::{is_open, records_waiting};
use crate::support::stub::Stub;
use crate::support::wait::{self, until_async};
use crate::support::{Guard, Instance, Mode, quick};

fn connect(guard: &Guard, begun: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(guard.url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    stream.write_all(begun).unwrap();
    stream
}

/// What the guard says before it hangs up.
fn last_words(mut stream: TcpStream) -> String {
    let mut words = Vec::new();
    // Cut off hard is cut off too.
    drop(stream.read_to_end(&mut words));
    String::from_utf8_lossy(&words).into_owned()
}

#[test]
fn a_caller_that_sends_its_head_or_its_body_too_slowly_is_cut_off() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).start();
    let write =
        b"POST /rest/v1/leads.json HTTP/1.1\r\nHost: g\r\nContent-Length: 500\r\n\r\n{\"inp";
    let read = b"POST /rest/v1/leads.json?_method=GET HTTP/1.1\r\nHost: g\r\nContent-Length: 500\r\n\r\nfilt";
    let stream =
        b"POST /bulk/v1/leads.json HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n";
    let slow: Vec<(TcpStream, &str)> = vec![
        (connect(&guard, b"POST /rest/v1/leads.json HTTP/1.1\r\nHos"), ""),
        (connect(&guard, write), "HTTP/1.1 408"),
        (connect(&guard, read), "HTTP/1.1 408"),
        (connect(&guard, stream), "HTTP/1.1 "),
    ];
    for (stream, said) in slow {
        let words = last_words(stream);
        assert!(words.starts_with(said), "{said} {words}");
    }
    assert_eq!(writes(&instance), 0);
}

const FETCH: &[u8] =
    b"GET /bulk/v1/leads/export/1/file.json HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer t\r\n\r\n";

/// More than lies between the stub and a reader that does not read.
const LARGE: usize = 64 * 1024 * 1024;

/// The answer to [`FETCH`].
fn large_file() -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: {LARGE}\r\n\r\n");
    [head.as_bytes(), &vec![b'x'; LARGE]].concat()
}

#[test]
fn a_caller_that_does_not_read_its_answer_is_cut_off_and_its_right_to_call_is_the_next_ones() {
    let (told, cut) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let stub = Stub::start(move |_, request| {
        if request.starts_with("GET /bulk") {
            told.lock().unwrap().send(()).unwrap();
            return large_file();
        }
        crate::support::stub::json(r#"{"requestId":"a#1","result":[],"success":true}"#)
    });
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).upstream(stub.url()).concurrency(1).start();
    let reader = connect(&guard, FETCH);
    cut.recv_timeout(Duration::from_secs(20)).unwrap();
    // The one right to call is the file's, until its caller is cut off.
    let (status, body) = guard.get("/rest/v1/lists.json", "t");
    assert_eq!((status, &body["success"]), (200, &json!(true)));
    let words = last_words(reader);
    assert!(words.len() < LARGE, "{} bytes", words.len());
}

#[test]
fn callers_that_stream_as_slowly_as_they_like_leave_a_place_for_all_others() {
    let instance = Instance::start(quick());
    let guard = Guard::builder(&instance).concurrency(2).unhurried().start();
    let token = guard.token();
    let begun = format!(
        "POST /bulk/v1/leads.json?format=csv HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {token}\r\nContent-Length: 100000\r\n\r\nabc"
    );
    let slow: Vec<TcpStream> = (0..5).map(|_| connect(&guard, begun.as_bytes())).collect();
    let answer = guard.sync(&json!({"input": [{"email": "ada@example.com"}]}));
    assert_eq!(answer["result"][0]["status"], "created", "{answer:?}");
    drop(slow);
}

#[test]
fn more_connections_than_one_user_may_have_waiting_do_not_shut_the_others_out() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let instance = Instance::start(quick());
    // At Marketo's own speed nobody is cut off for a minute.
    let guard = Guard::builder(&instance).unhurried().start();
    let idle: Vec<TcpStream> = (0..1_200).map(|_| connect(&guard, b"GET /rest/v1/le")).collect();
    let answer = guard.sync(&json!({"input": [{"email": "ada@example.com"}]}));
    assert_eq!(answer["result"][0]["status"], "created");
    assert!(idle.iter().all(is_open), "it was served only when others had been cut off");
}

#[test]
fn a_user_with_hundreds_of_writes_waiting_does_not_keep_another_from_its_turn() {
    let instance = Instance::start(Options { race_window: Duration::from_millis(40), ..quick() });
    // Marketo answers nobody before all are there.
    let held = instance.sandbox.hold_writes();
    let guard = Guard::builder(&instance).concurrency(1).mode(Mode::Serialize).unhurried().start();
    let (flood, quiet) = (guard.token_of("flood"), guard.token_of("quiet"));
    let url = format!("{}/rest/v1/leads.json", guard.url());
    let id = instance.block_on(async {
        let client = wait::client();
        let write = |token: &str, email: String, target: String| {
            let body = json!({"input": [{"email": email}]});
            client.post(target).bearer_auth(token).json(&body).send()
        };
        let mut waiting = tokio::task::JoinSet::new();
        for n in 0..400 {
            // Calls that differ in their target cannot leave together.
            waiting.spawn(write(&flood, format!("f{n}@example.com"), format!("{url}?n={n}")));
        }
        let waiting_are = async |records: u64| {
            until_async("all records that wait", async || {
                records_waiting(&client, &guard.url()).await == records
            })
            .await;
        };
        // One has left.
        waiting_are(399).await;
        let quiet = tokio::spawn(write(&quiet, "quiet@example.com".to_owned(), url.clone()));
        waiting_are(400).await;
        drop(held);
        let answer: Value = quiet.await.unwrap().unwrap().json().await.unwrap();
        assert_eq!(answer["result"][0]["status"], "created", "{answer}");
        waiting.abort_all();
        answer["result"][0]["id"].as_u64().unwrap()
    });
    // Ids are given in the order in which Marketo writes.
    let before = instance.sandbox.leads().iter().filter(|lead| lead.id < id).count();
    assert!(before <= 5, "{before} calls left before the one of another user");
}

/// A line to a server on which large requests crawl: what is beyond their first part takes seconds.
fn crawling_line(to: &str) -> String {
    let to = to.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), TcpStream::connect(&to).unwrap());
            let (mut from, mut into) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            std::thread::spawn(move || {
                let (mut sent, mut piece) = (0, [0; 8 * 1024]);
                while let Ok(read @ 1..) = from.read(&mut piece) {
                    sent += read;
                    if sent > 64 * 1024 {
                        // The line crawls.
                        std::thread::sleep(Duration::from_millis(30));
                    }
                    if into.write_all(&piece[..read]).is_err() {
                        break;
                    }
                }
                drop(into.shutdown(std::net::Shutdown::Write));
            });
            std::thread::spawn(move || {
                let (mut far, mut near) = (far, near);
                // Either side may hang up.
                drop(std::io::copy(&mut far, &mut near));
                drop(near.shutdown(std::net::Shutdown::Both));
            });
        }
    });
    url
}

#[test]
fn a_write_that_crawls_to_marketo_makes_no_duplicate_when_another_guard_takes_its_turn() {
    // It takes the line three seconds, and Marketo one; a right lasts two here.
    let instance = Instance::start(Options { race_window: Duration::from_secs(1), ..quick() });
    let line = crawling_line(&instance.sandbox.base_url());
    let guards = [(); 2].map(|()| Guard::builder(&instance).upstream(&line).start());
    let token = guards[0].token();
    let records = |filling: &str| -> Vec<Value> {
        let record = |n| json!({"email": format!("p{n}@example.com"), "company": filling});
        (0..100).map(record).collect()
    };
    let before = writes(&instance);
    instance.block_on(async {
        let client = wait::client();
        let write = |guard: &Guard, body: Value| {
            let call =
                client.post(format!("{}/rest/v1/leads.json", guard.url())).bearer_auth(&token);
            async move { call.json(&body).send().await.unwrap().json::<Value>().await.unwrap() }
        };
        let first = write(&guards[0], json!({"input": records(&"x".repeat(8_900))}));
        let second = write(&guards[1], json!({"input": records("x")}));
        // Whatever becomes of the first, the second gets its turn, and is written.
        let (_, second) = tokio::join!(first, async {
            // The first is to be on its way; were it not, there would be nothing to overtake.
            tokio::time::sleep(Duration::from_millis(300)).await;
            second.await
        });
        assert!(second["result"][99]["id"].is_number(), "{second}");
    });
    assert!(writes(&instance) > before);
    for n in 0..100 {
        assert_eq!(leads_with(&instance, &format!("p{n}@example.com")), 1, "p{n}");
    }
}

#[test]
fn files_that_are_fetched_leave_a_place_to_the_writes_where_there_are_two_and_one_place_is_said_to_be_too_few()
 {
    let (told, begun) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let stub = Stub::start(move |_, request| {
        if request.starts_with("GET /bulk") {
            told.lock().unwrap().send(()).unwrap();
            return large_file();
        }
        crate::support::stub::json(
            r#"{"requestId":"a#1","result":[{"id":1,"status":"created"}],"success":true}"#,
        )
    });
    let instance = Instance::start(quick());
    let limited = |places: usize| {
        let guard = Guard::builder(&instance).upstream(stub.url()).mode(Mode::Serialize);
        // Nobody is cut off for being slow as long as this test takes.
        guard.concurrency(places).unhurried().start()
    };
    let mut guard = limited(2);
    let readers: Vec<TcpStream> = (0..3).map(|_| connect(&guard, FETCH)).collect();
    begun.recv_timeout(Duration::from_secs(20)).unwrap();
    let body = json!({"input": [{"email": "ada@example.com"}]});
    let call = wait::blocking_client().post(format!("{}/rest/v1/leads.json", guard.url()));
    let answer: Value = call.bearer_auth("t").json(&body).send().unwrap().json().unwrap();
    assert_eq!(answer["result"][0]["status"], "created", "{answer}");
    assert!(begun.try_recv().is_err(), "a second file was fetched at the same time");
    drop(readers);

    guard.stop();
    assert_eq!(guard.wait(), Some(0));
    let warning = "limits.concurrency is 1";
    assert!(!guard.log().contains(warning), "{}", guard.log());
    limited(1).logged(warning);
}
