//! How many people a second many callers write who each write one at a time: directly, and through
//! the guard, all under Marketo's limits of 100 calls in 20 s and 10 at once, by the clock on the
//! wall.
//!
//! The direct callers do the best that can be done: they share one count of the calls, each waits
//! for its turn, none is ever refused. Callers that know nothing of one another get 606 and do
//! worse. The first window is left out, since in it a hundred calls may leave at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mkto_audit::marketo::{Client, RecordStatus, SyncAction, SyncLeads as _, SyncRequest};
use mkto_sandbox::Options;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::connection::{Connection, status, token};
use crate::goal::Goal;
use crate::instance::{self, Rate};
use crate::program::Program;

/// Callers at once, each with one record on the way.
const CALLERS: usize = 600;

/// Marketo's own.
const RATE: Rate = Rate { calls: 100, window: Duration::from_secs(20), concurrency: 10 };

/// How long any call takes, beside the quarter of a second between an upsert's look-up and its
/// writing.
const ANSWER: Duration = Duration::from_millis(150);

/// Windows that are measured.
const WINDOWS: u32 = 3;

/// All three ways at once, each against a sandbox of its own: they wait far more than they work.
pub(crate) fn measure() -> Vec<Goal> {
    let runtime = instance::runtime();
    let (direct, serialize, strict) = runtime
        .block_on(async { futures::join!(directly(), guarded("serialize"), guarded("strict")) });
    println!(
        "guarding, {CALLERS} callers of one record each, directly: {direct:.2} records a second"
    );
    let goal = |mode: &str, rate: f64| {
        let what = format!("guarding, the same in {mode}, {rate:.0} records a second");
        Goal::at_least(50.0, "times the direct calls", what, rate / direct)
    };
    vec![goal("serialize", serialize), goal("strict", strict)]
}

fn options() -> Options {
    Options { answer_delay: ANSWER, ..Options::default() }
}

/// Records a second of callers that call Marketo themselves.
async fn directly() -> f64 {
    let (_sandbox, client) = instance::start(options(), RATE).await;
    let written = Arc::new(AtomicU32::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call(client.clone(), caller, Arc::clone(&written)));
    }
    a_second(&written).await
}

async fn call(client: Client, caller: usize, written: Arc<AtomicU32>) {
    for number in 0.. {
        let Value::Object(record) = json!({"email": email(caller, number), "firstName": "Ada"})
        else {
            unreachable!("an object was written down")
        };
        let request = SyncRequest {
            action: SyncAction::CreateOrUpdate,
            lookup_field: "email".to_owned(),
            partition: None,
            input: vec![record],
        };
        let results = client.sync_leads(&request).await.unwrap();
        assert_eq!(results.first().unwrap().status, RecordStatus::Created);
        written.fetch_add(1, Ordering::Relaxed);
    }
}

/// Records a second of the same callers through a guard.
async fn guarded(mode: &str) -> f64 {
    let (sandbox, _client) = instance::start(options(), RATE).await;
    let guard = Program::guard(&sandbox.base_url(), RATE, &[("MKTO_AUDIT__GUARD__MODE", mode)]);
    let token = token(&sandbox).await;
    let written = Arc::new(AtomicU32::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let connection = Connection::open(guard.url(), &token).await;
        callers.spawn(call_guard(connection, caller, Arc::clone(&written)));
    }
    let rate = a_second(&written).await;
    let refused = sandbox.errors();
    assert!(refused.is_empty(), "the guard keeps within the limits: {refused:?}");
    rate
}

async fn call_guard(mut connection: Connection, caller: usize, written: Arc<AtomicU32>) {
    for number in 0.. {
        let answer = connection.upsert(&email(caller, number)).await;
        assert_eq!(status(&answer), "created");
        written.fetch_add(1, Ordering::Relaxed);
    }
}

fn email(caller: usize, number: u32) -> String {
    format!("p{number}.{caller}@example.com")
}

/// Waits for the first window to pass, and measures the ones after it.
async fn a_second(written: &AtomicU32) -> f64 {
    tokio::time::sleep(RATE.window).await;
    let before = written.load(Ordering::Relaxed);
    let span = RATE.window * WINDOWS;
    tokio::time::sleep(span).await;
    f64::from(written.load(Ordering::Relaxed) - before) / span.as_secs_f64()
}
