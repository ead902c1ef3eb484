//! A sandbox to measure against, and a client that calls it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use mkto_audit::ledger::Ledger;
use mkto_audit::marketo::{Client, ClientOptions, Clock};
use mkto_sandbox::{Options, Sandbox};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What ledgers and caches are bound to here.
pub(crate) const NAME: &str = "sandbox.example.com";

/// How many times as fast Marketo's own time passes.
const QUICK: u32 = 60;

/// How many calls are allowed, and how many at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) calls: usize,
    pub(crate) window: Duration,
    pub(crate) concurrency: usize,
}

impl Rate {
    /// Limits that hold nobody up: where calls are counted, waiting for a window would only take
    /// time.
    pub(crate) const UNLIMITED: Self =
        Self { calls: 1_000_000, window: Duration::from_secs(20), concurrency: 8 };
}

/// Options of a sandbox in which nothing takes longer than it must.
pub(crate) fn quick() -> Options {
    sped_up(QUICK, 0)
}

/// The same with another clock, where a merge takes so many milliseconds of Marketo's time.
pub(crate) fn sped_up(clock_speed: u32, merge_ms: u32) -> Options {
    let mut options =
        Options { race_window: Duration::ZERO, daily_quota: 1_000_000, ..Options::default() };
    for knob in [format!("clock_speed={clock_speed}"), format!("merge_ms={merge_ms}")] {
        options.set_knob(&knob).unwrap();
    }
    options
}

/// Starts a sandbox that allows exactly this rate, and a client that is configured to it.
pub(crate) async fn start(options: Options, rate: Rate) -> (Sandbox, Client) {
    start_within(options, rate, rate, QUICK).await
}

/// Starts a sandbox that allows `marketos` rate, and a client that is configured to its `own`, with
/// a clock of this speed.
pub(crate) async fn start_within(
    options: Options,
    marketos: Rate,
    own: Rate,
    clock_speed: u32,
) -> (Sandbox, Client) {
    let options = Options {
        rate_limit: marketos.calls,
        rate_window: marketos.window,
        concurrency: marketos.concurrency,
        ..options
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sandbox = Sandbox::start(listener, options).unwrap();
    let options = ClientOptions::new(sandbox.base_url().parse().unwrap())
        .credentials(sandbox.client_id(), sandbox.client_secret())
        .rate(own.calls, own.window)
        .concurrency(own.concurrency)
        .a_day(u64::MAX, u64::MAX)
        .clock(Clock::sped_up(clock_speed));
    (sandbox, Client::new(options).unwrap())
}

/// A ledger in a folder of its own, which lasts as long as the folder.
pub(crate) fn ledger() -> (TempDir, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("ledger.db"), NAME).unwrap();
    (folder, ledger)
}

/// The runtime that sandbox and client share.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The time, as the command line reads it.
#[expect(clippy::disallowed_methods, reason = "a benchmark stands where the command line does")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
