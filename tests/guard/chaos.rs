//! A storm against guards of three machines that share a Postgres, while one of them is killed and
//! started again, over and over, and the Postgres is restarted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::cluster::Cluster;
use crate::support::guards::guard_elsewhere;
use crate::support::storm::{Strength, Wind, blow, nothing_is_lost_and_nothing_twice, weather};
use crate::support::wait::until;
use crate::support::{Guard, Instance};

/// What goes wrong while it blows.
#[derive(Clone, Copy)]
struct Trouble {
    crashes: usize,
    restarts_of_postgres: usize,
}

/// Ends the storm, also where the test fails: else the callers would go on for ever.
struct EndOfStorm<'a>(&'a AtomicBool);

impl Drop for EndOfStorm<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const MACHINES: [&str; 3] = ["one", "two", "three"];

#[expect(clippy::print_stdout, reason = "figures, shown with --nocapture")]
fn storm(strength: Strength, trouble: Trouble) {
    let instance = Instance::start(weather(strength));
    let Some(cluster) = Cluster::start() else { return };
    let address = cluster.database();
    let mut guards = MACHINES.map(|machine| guard_elsewhere(&instance, machine, &address));
    let urls = Arc::new(Mutex::new(guards.each_ref().map(Guard::url)));
    let over = Arc::new(AtomicBool::new(false));
    let wind = Wind {
        address: {
            let urls = Arc::clone(&urls);
            // A guard that is gone is passed by.
            Arc::new(move |attempt| {
                let machine = usize::try_from(attempt).unwrap() % MACHINES.len();
                urls.lock().unwrap()[machine].clone()
            })
        },
        token: guards[1].token(),
        goes_on: {
            let over = Arc::clone(&over);
            Arc::new(move || !over.load(Ordering::Relaxed))
        },
    };
    let written = std::thread::scope(|scope| {
        let ends = EndOfStorm(&over);
        let callers = scope.spawn(|| blow(&instance, &wind, strength));
        for crash in 1..=trouble.crashes {
            let before = instance.sandbox.calls_made();
            // It dies in the middle of its work: calls go out all the time.
            until("twenty calls more", || instance.sandbox.calls_made() >= before + 20);
            guards[0].kill();
            guards[0] = guard_elsewhere(&instance, MACHINES[0], &address);
            urls.lock().unwrap()[0] = guards[0].url();
            if crash * trouble.restarts_of_postgres % trouble.crashes < trouble.restarts_of_postgres
            {
                cluster.stop();
                cluster.start_again();
            }
        }
        drop(ends);
        callers.join().unwrap()
    });
    let log = || guards.each_ref().map(Guard::log).join("\n");
    nothing_is_lost_and_nothing_twice(&instance, &written, &log);
    println!(
        "{} writes through three guards, {} calls",
        written.len(),
        instance.sandbox.calls_made()
    );
}

#[test]
fn a_fleet_makes_no_duplicates_while_a_guard_crashes_and_postgres_is_restarted() {
    storm(
        Strength { callers: 30, writes_each: 8, keys: 100, fault_rate: 0.01 },
        Trouble { crashes: 6, restarts_of_postgres: 2 },
    );
}

#[test]
#[ignore = "takes minutes; run it by name with --ignored"]
fn a_fleet_makes_none_of_twenty_thousand_writes_either() {
    storm(
        Strength { callers: 200, writes_each: 100, keys: 5_000, fault_rate: 0.005 },
        Trouble { crashes: 40, restarts_of_postgres: 5 },
    );
}
