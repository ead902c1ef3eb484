//! A server that reads HTTP by hand and answers what the script says, odd bytes included.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::marketo::{Client, ClientOptions, Clock};

pub(super) const SECRET: &str = "s3cr3t-of-the-service";
/// A token that a caller brings.
pub(super) const BORROWED: &str = "b0rr0w3d:cd";
pub(super) const TOKEN: &str = "t0k3n-of-the-hour:ab";

/// How fast the waits pass.
const SPEED: u32 = 1_000;

#[derive(Debug, Clone)]
pub(super) enum Reply {
    Raw(String),
    /// The request is read, and the line is cut.
    Cut,
    /// The request is read, and nothing comes.
    Hang,
}

impl Reply {
    pub(super) fn raw(bytes: &str) -> Self {
        Self::Raw(bytes.to_owned())
    }

    pub(super) fn status(status: &str, body: &str) -> Self {
        Self::Raw(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    pub(super) fn json(body: &str) -> Self {
        Self::status("200 OK", body)
    }

    pub(super) fn code(code: &str) -> Self {
        Self::json(&format!(
            r#"{{"requestId":"a#1","success":false,"errors":[{{"code":"{code}","message":"words"}}]}}"#
        ))
    }
}

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Reply>,
    calls: Vec<Seen>,
    tokens: Vec<Seen>,
}

/// Gives a token to whoever asks, and to every other request the next reply of the script.
pub(super) struct Scripted {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Scripted {
    pub(super) async fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { script: script.into(), ..State::default() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    pub(super) fn options(&self) -> ClientOptions {
        ClientOptions::new(format!("http://{}", self.address).parse().unwrap())
            .credentials("client", SECRET)
            .rate(1_000, Duration::from_secs(20))
            .a_day(1_000, 1_000_000)
            .clock(Clock::sped_up(SPEED))
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.options()).unwrap()
    }

    /// The calls of the API, in the order in which they came.
    pub(super) fn calls(&self) -> Vec<Seen> {
        self.state.lock().unwrap().calls.clone()
    }

    /// The requests for a token.
    pub(super) fn tokens(&self) -> Vec<Seen> {
        self.state.lock().unwrap().tokens.clone()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Some(seen) = read(&mut stream).await {
        let reply = {
            let mut state = state.lock().unwrap();
            if seen.line.contains("/identity/") {
                state.tokens.push(seen);
                Reply::json(&format!(r#"{{"access_token":"{TOKEN}","expires_in":3599}}"#))
            } else {
                let known = [TOKEN, BORROWED].map(|token| format!("Bearer {token}"));
                let shown = seen.header("authorization");
                assert!(known.iter().any(|known| shown == Some(known)), "{shown:?}");
                state.calls.push(seen);
                state.script.pop_front().unwrap_or(Reply::Cut)
            }
        };
        match reply {
            Reply::Raw(bytes) => {
                if stream.write_all(bytes.as_bytes()).await.is_err() || is_short(&bytes) {
                    return;
                }
            }
            Reply::Cut => return,
            Reply::Hang => std::future::pending::<()>().await,
        }
    }
}

/// Whether fewer bytes follow the head than it announces; then the line is cut.
fn is_short(bytes: &str) -> bool {
    let (head, body) = bytes.split_once("\r\n\r\n").unwrap();
    head.lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .is_some_and(|length| length.parse::<usize>().unwrap() > body.len())
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        if let Some(seen) = parse(&bytes) {
            return Some(seen);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Seen> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let seen = Seen { line, headers, body: body.to_owned() };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    (body.len() >= length).then_some(seen)
}
