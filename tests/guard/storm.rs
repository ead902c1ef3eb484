//! The storm: many callers, few keys, everything goes wrong now and then, and nobody waits before
//! trying again.
//!
//! Directly that makes duplicates, as it does on a real instance. Through the guard it must make
//! none, and lose nothing: every acknowledged write is there, and of each key the last one is what
//! is stored.

use std::time::Duration;

use crate::support::storm::{
    Strength, Wind, blow, duplicates, nothing_is_lost_and_nothing_twice, weather,
};
use crate::support::{Guard, Instance, Mode, token};

#[expect(clippy::print_stdout, reason = "figures, shown with --nocapture")]
fn storm(strength: Strength, mode: Mode, least_duplicates: usize) {
    let directly = Instance::start(weather(strength));
    blow(&directly, &Wind::towards(&directly.sandbox.base_url(), token(&directly)), strength);
    // What was answered as lost may still be under way.
    directly.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
    let arisen = duplicates(&directly);
    assert!(arisen >= least_duplicates, "directly only {arisen} duplicates");

    println!("directly: {arisen} duplicates, {} calls", directly.sandbox.calls_made());

    let instance = Instance::start(weather(strength));
    // What is turned away with 606 by chance slows the guard down for a window; a short one keeps
    // the storm short.
    let guard = Guard::builder(&instance).mode(mode).window(Duration::from_secs(1)).start();
    let written = blow(&instance, &Wind::towards(&guard.url(), guard.token()), strength);
    nothing_is_lost_and_nothing_twice(&instance, &written, &|| guard.log());
    println!("through the guard: none, {} calls", instance.sandbox.calls_made());
    assert_eq!(written.len() as u64, strength.callers * strength.writes_each);
}

#[test]
fn a_storm_makes_duplicates_directly_and_none_through_the_guard() {
    storm(Strength { callers: 40, writes_each: 10, keys: 150, fault_rate: 0.01 }, Mode::Strict, 10);
}

#[test]
fn so_it_is_where_writes_are_sent_as_they_were_asked_for() {
    storm(
        Strength { callers: 30, writes_each: 8, keys: 100, fault_rate: 0.01 },
        Mode::Serialize,
        5,
    );
}

#[test]
#[ignore = "takes minutes; run it by name with --ignored"]
fn two_hundred_callers_write_twenty_thousand_times() {
    storm(
        Strength { callers: 200, writes_each: 100, keys: 5_000, fault_rate: 0.01 },
        Mode::Strict,
        150,
    );
}
