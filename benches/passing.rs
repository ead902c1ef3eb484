//! What passes through the guard unchanged, beside nginx as a plain reverse proxy with as many
//! workers as the guard has threads: the same requests by the same connections to the same server
//! behind them, in turns.
//!
//! The guard's limits are set so high that they never hold a request; with Marketo's own they
//! would, and nothing else would be measured. It counts each request, judges each answer, and gives
//! API users turns all the same. The server behind both is an nginx too, and all of them share the
//! machine, which blurs what tells the two apart.

use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::goal::Goal;
use crate::instance::{self, Rate};
use crate::program::Program;

/// As many as the guard has threads.
const WORKERS: usize = 2;

/// How long each proxy works in a round, and how many rounds there are.
const SPAN: Duration = Duration::from_secs(3);
const ROUNDS: usize = 7;

const RATE: Rate =
    Rate { calls: 1_000_000_000, window: Duration::from_secs(1), concurrency: 1_000 };

/// What a look-up by id answers, and a file of an export.
const SMALL: &str = "/rest/v1/lead/4711.json";
const LARGE: &str = "/bulk/v1/leads/export/ce45a7a1/file.json";
const LARGE_BYTES: usize = 64 * 1024 * 1024;

/// Requests a second of small answers, and megabytes a second of large ones.
pub(crate) fn measure() -> Vec<Goal> {
    let file = vec![b'x'; LARGE_BYTES];
    let Some(marketo) = Program::nginx(WORKERS, &origin(), &[("file", &file)]) else {
        println!(
            "passing: left out, since there is no nginx to compare with (Debian's package of that name)"
        );
        return Vec::new();
    };
    let nginx = Program::nginx(WORKERS, &reverse_proxy(marketo.url()), &[]).unwrap();
    let guard = Program::guard(marketo.url(), RATE, &[]);
    let runtime = instance::runtime();
    let compare = |target: &'static str, connections: usize| {
        let mut ratios = Vec::new();
        let (mut best_guard, mut best_nginx) = (Passed::default(), Passed::default());
        for round in 0..=ROUNDS {
            let beside = runtime.block_on(pass(nginx.url(), target, connections));
            let through = runtime.block_on(pass(guard.url(), target, connections));
            // The first one opens the connections behind the proxies.
            if round > 0 {
                ratios.push(through.requests / beside.requests);
                best_guard = best_guard.or(through);
                best_nginx = best_nginx.or(beside);
            }
        }
        ratios.sort_by(f64::total_cmp);
        (ratios.get(ROUNDS / 2).copied().unwrap(), best_guard, best_nginx)
    };
    let (small, guard_small, nginx_small) = compare(SMALL, 32);
    let (large, guard_large, nginx_large) = compare(LARGE, 4);
    println!(
        "passing, small answers: {:.0} a second, nginx {:.0}",
        guard_small.requests, nginx_small.requests
    );
    println!(
        "passing, files of 64 MB: {:.0} MB a second, nginx {:.0}",
        guard_large.megabytes(),
        nginx_large.megabytes()
    );
    vec![
        Goal::at_least(
            0.1,
            "times nginx",
            "passing, small answers, the median of the rounds",
            small,
        ),
        Goal::at_least(1.0, "times nginx", "passing, large files, the median of the rounds", large),
    ]
}

/// The server behind the proxies.
fn origin() -> String {
    let lead = r#"{"requestId":"a#1","success":true,"result":[{"id":4711,"email":"ada@example.com","firstName":"Ada","lastName":"Byron","createdAt":"2026-01-02T03:04:05Z","updatedAt":"2026-01-02T03:04:05Z"}]}"#;
    format!(
        "server {{ listen 127.0.0.1:PORT;
        location = {SMALL} {{ default_type application/json; return 200 '{lead}'; }}
        location = {LARGE} {{ default_type text/csv; alias FILES/file; }} }}"
    )
}

fn reverse_proxy(upstream: &str) -> String {
    let address = upstream.trim_start_matches("http://");
    format!(
        "upstream marketo {{ server {address}; keepalive 64; keepalive_requests 1000000000; }}
        server {{ listen 127.0.0.1:PORT;
        location / {{ proxy_pass http://marketo; proxy_http_version 1.1; proxy_set_header Connection \"\";
        proxy_max_temp_file_size 0; }} }}"
    )
}

/// What passed in a second.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    requests: f64,
    bytes: f64,
}

impl Passed {
    fn megabytes(self) -> f64 {
        self.bytes / 1_000_000.0
    }

    /// The faster one.
    fn or(self, other: Self) -> Self {
        if other.bytes > self.bytes { other } else { self }
    }
}

/// Keeps so many connections busy for a while.
async fn pass(url: &str, target: &'static str, connections: usize) -> Passed {
    let mut callers = JoinSet::new();
    let start = Instant::now();
    let until = start + SPAN;
    for _ in 0..connections {
        let mut connection = Connection::open(url, "some-token").await;
        callers.spawn(async move {
            let (mut requests, mut bytes) = (0.0, 0.0);
            while Instant::now() < until {
                let mut answer = connection.get(target).await;
                assert_eq!(answer.status(), 200);
                let body = answer.body_mut();
                while let Some(frame) = body.frame().await {
                    bytes += length(frame.unwrap().data_ref().map_or(0, hyper::body::Bytes::len));
                }
                requests += 1.0;
            }
            (requests, bytes)
        });
    }
    let done = callers.join_all().await;
    let took = start.elapsed().as_secs_f64();
    let sum = |of: fn(&(f64, f64)) -> f64| done.iter().map(of).sum::<f64>() / took;
    Passed { requests: sum(|one| one.0), bytes: sum(|one| one.1) }
}

fn length(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap())
}
