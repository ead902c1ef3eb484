//! What a caller of the leases in memory costs where thousands of others wait: it gets in line at
//! its end, one from the front is served and gives back, and another takes a key that is free.
//!
//! Each of these asks the book of leases whose turn it is, and when the next lease ends. With a
//! look at everybody that would cost as many times more as there are callers in line; so the figure
//! is how much longer a long line takes than a short one.

#![expect(
    clippy::indexing_slicing,
    reason = "keys and their owners are counted from the same zero"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mkto_audit::leases::{Lease, LeaseKey, SharedLeases, Terms};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::goal::Goal;
use crate::instance;

/// Keys, callers in line for each of them, and how many of all are served while the line is kept as
/// long as it is.
const KEYS: usize = 1_000;
const SHORT: usize = 1;
const LONG: usize = 20;
const SERVED: usize = 5_000;

/// Both lines, and the one beside the other.
pub(crate) fn measure() -> Vec<Goal> {
    let runtime = instance::runtime();
    let (short, long) = runtime.block_on(async { (a_caller(SHORT).await, a_caller(LONG).await) });
    let micros = |span: Duration| span.as_secs_f64() * 1e6;
    println!(
        "waiting, a caller with {} in line: {:.1} µs; with {}: {:.1} µs",
        KEYS * SHORT,
        micros(short),
        KEYS * LONG,
        micros(long)
    );
    let what = format!("waiting, a caller where {} times as many wait", LONG / SHORT);
    vec![Goal::at_most(3.0, "times as long", what, long.as_secs_f64() / short.as_secs_f64())]
}

/// How long it takes for a caller to come and another to be served, with so many in line for each
/// key.
async fn a_caller(in_line: usize) -> Duration {
    let leases = Arc::new(SharedLeases::memory(Terms {
        unsent: Duration::from_secs(3600),
        ..Terms::default()
    }));
    let keys: Vec<BTreeSet<LeaseKey>> = (0..KEYS)
        .filter_map(|number| LeaseKey::of("instance", "email", &format!("p{number}@example.com")))
        .map(|key| BTreeSet::from([key]))
        .collect();
    let mut lines = JoinSet::new();
    let comes = |lines: &mut JoinSet<(usize, Vec<Lease>)>, number: usize| {
        let (leases, key) = (Arc::clone(&leases), keys[number].clone());
        lines.spawn(async move { (number, leases.acquire(&key).await.unwrap()) });
    };
    let mut held = Vec::new();
    for key in &keys {
        held.push(leases.acquire(key).await.unwrap());
    }
    for _ in 0..in_line {
        for number in 0..KEYS {
            comes(&mut lines, number);
        }
    }
    // Until all of them are in line.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let free = BTreeSet::from([LeaseKey::of("instance", "email", "free@example.com").unwrap()]);
    let start = Instant::now();
    for number in (0..KEYS).cycle().take(SERVED) {
        // The line of this key grows by one at its end, and moves up by one.
        comes(&mut lines, number);
        leases.release(std::mem::take(&mut held[number])).await.unwrap();
        let (number, next) = lines.join_next().await.unwrap().unwrap();
        held[number] = next;
        let taken = leases.try_acquire(&free).await.unwrap();
        leases.release(taken).await.unwrap();
    }
    start.elapsed() / u32::try_from(SERVED).unwrap()
}
