//! What a write through an idle guard takes beyond the call itself: calls one after another, each
//! of them directly and through every kind of guard in turn, so that whatever else the machine does
//! meets all of them alike.

use std::time::Duration;

use mkto_sandbox::Options;
use tokio::time::Instant;

use crate::connection::{Connection, status, token};
use crate::goal::Goal;
use crate::instance::{self, Rate};
use crate::program::Program;

/// Calls of each way that are measured, and that go before them.
const CALLS: usize = 4_000;
const WARM_UP: usize = 200;

/// Limits that never hold a call.
const RATE: Rate = Rate { calls: 100_000_000, window: Duration::from_secs(20), concurrency: 1_000 };

/// Mode and lease store of each guard; only the first two have a goal.
const GUARDS: [(&str, &str); 4] =
    [("serialize", "sqlite"), ("serialize", "memory"), ("strict", "sqlite"), ("strict", "memory")];

/// The direct call beside each guard.
pub(crate) fn measure() -> Vec<Goal> {
    let runtime = instance::runtime();
    let mut times = runtime.block_on(times());
    let mut of = |way: usize, share: f64| at(times.get_mut(way).unwrap(), share);
    let (median, high) = (of(0, 0.5), of(0, 0.99));
    println!("latency, the call itself: median {median:.2} ms, 99th percentile {high:.2} ms");
    let mut goals = Vec::new();
    for (number, (mode, store)) in GUARDS.into_iter().enumerate() {
        let (added, added_high) = (of(number + 1, 0.5) - median, of(number + 1, 0.99) - high);
        let what = format!("latency, {mode} with leases in {store}");
        if mode == "serialize" {
            goals.push(Goal::at_most(1.0, "ms", format!("{what}, added at the median"), added));
            goals.push(Goal::at_most(
                5.0,
                "ms",
                format!("{what}, at the 99th percentile"),
                added_high,
            ));
        } else {
            println!(
                "{what}, a look-up and a write: {added:.2} ms added at the median, {added_high:.2} ms at the 99th percentile"
            );
        }
    }
    goals
}

/// The times of each way, the direct one first, in milliseconds.
async fn times() -> Vec<Vec<f64>> {
    let options =
        Options { race_window: Duration::ZERO, daily_quota: u64::MAX, ..Options::default() };
    let (sandbox, _client) = instance::start(options, RATE).await;
    let token = token(&sandbox).await;
    let guards = GUARDS.map(|(mode, store)| {
        let variables = [("MKTO_AUDIT__GUARD__MODE", mode), ("MKTO_AUDIT__GUARD__LEASES", store)];
        Program::guard(&sandbox.base_url(), RATE, &variables)
    });
    let mut ways = vec![Connection::open(&sandbox.base_url(), &token).await];
    for guard in &guards {
        ways.push(Connection::open(guard.url(), &token).await);
    }
    let mut times = vec![Vec::with_capacity(CALLS); ways.len()];
    for call in 0..WARM_UP + CALLS {
        for (number, (connection, times)) in ways.iter_mut().zip(&mut times).enumerate() {
            let email = format!("p{call}.{number}@example.com");
            let before = Instant::now();
            let answer = connection.upsert(&email).await;
            let took = before.elapsed();
            assert_eq!(status(&answer), "created");
            if call >= WARM_UP {
                times.push(took.as_secs_f64() * 1_000.0);
            }
        }
    }
    times
}

/// The time that this share of the calls did not exceed.
fn at(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let rank = (share * f64::from(u32::try_from(times.len()).unwrap())).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among some thousands"
    )]
    times.get(rank as usize - 1).copied().unwrap()
}
