//! Guards of several machines on one Postgres, under a Marketo that turns away what is beyond its
//! limits: together they stay within them, also while one of them dies and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mkto_sandbox::Options;

use crate::support::cluster::Cluster;
use crate::support::wait::{self, until};
use crate::support::{Guard, Instance, Leases, quick};

const MACHINES: [&str; 3] = ["one", "two", "three"];

/// What Marketo allows in a window of [`WINDOW`], and what each guard is told that it may use.
const CALLS: usize = 45;
const WINDOW: Duration = Duration::from_secs(3);
const AT_ONCE: usize = 6;

/// Callers of each guard, all of whom want more than there is.
const CALLERS: usize = 12;

/// Calls of each of them: several windows' worth, or somewhat more than one.
const MANY: usize = 5;
const SOME: usize = 2;

fn guard(instance: &Instance, machine: &str, leases: &str) -> Guard {
    let guard = Guard::builder(instance)
        .home(machine)
        .leases(Leases::Postgres(leases))
        .calls(CALLS)
        .window(WINDOW)
        .concurrency(AT_ONCE)
        .start();
    // It has heard from its store then.
    until("the guard to be ready", || guard.page("/-/readyz").0 == 200);
    guard
}

/// All callers of one guard, until each has made its calls; counts those that were answered. A
/// guard that is gone is no answer.
async fn callers(url: String, token: String, each: usize, answered: Arc<AtomicUsize>) {
    let client = wait::client();
    let calls = (0..CALLERS).map(|_| async {
        for _ in 0..each {
            let url = format!("{url}/rest/v1/leads.json?filterType=id&filterValues=1");
            if client
                .get(url)
                .bearer_auth(&token)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    futures::future::join_all(calls).await;
}

/// How often Marketo said that it was too much, of the calls that these three made.
#[expect(clippy::print_stdout, reason = "figures, shown with --nocapture")]
fn too_many(leases: [&str; 3], each: usize, dies: bool) -> u64 {
    let instance = Instance::start(Options {
        rate_limit: CALLS,
        rate_window: Duration::from_secs(3),
        concurrency: AT_ONCE,
        answer_delay: Duration::from_millis(100),
        ..quick()
    });
    let mut guards: Vec<Guard> = MACHINES
        .iter()
        .zip(leases)
        .map(|(machine, leases)| guard(&instance, machine, leases))
        .collect();
    let token = guards[0].token();
    let answered: [Arc<AtomicUsize>; 3] = Default::default();
    std::thread::scope(|scope| {
        for (guard, answered) in guards.iter().zip(&answered) {
            let callers = callers(guard.url(), token.clone(), each, Arc::clone(answered));
            scope.spawn(|| instance.block_on(callers));
        }
        if dies {
            until("a call of each caller", || answered[2].load(Ordering::Relaxed) >= CALLERS);
            guards[2].kill();
            guards[2] = guard(&instance, MACHINES[2], leases[2]);
            let callers = callers(guards[2].url(), token.clone(), each, Arc::clone(&answered[2]));
            scope.spawn(|| instance.block_on(callers));
        }
    });
    for (guard, answered) in answered.iter().enumerate() {
        let answered = answered.load(Ordering::Relaxed);
        assert!(answered >= CALLERS * each, "guard {guard} answered {answered} calls");
    }
    let errors = instance.sandbox.errors();
    let of = |code: &str| errors.get(code).copied().unwrap_or_default();
    println!(
        "{} calls, {} times 606, {} times 615",
        instance.sandbox.calls_made(),
        of("606"),
        of("615")
    );
    of("606") + of("615")
}

#[test]
fn guards_that_share_their_leases_share_the_limits_and_are_never_turned_away() {
    let Some(cluster) = Cluster::start() else { return };
    let (one, two, three) = (cluster.database(), cluster.database(), cluster.database());
    assert!(
        too_many([&one, &two, &three], SOME, false) > 0,
        "guards that know nothing of each other exceed them"
    );
    let shared = cluster.database();
    assert_eq!(too_many([&shared; 3], MANY, false), 0);
}

#[test]
fn a_guard_that_dies_and_comes_back_does_not_make_the_others_exceed_the_limits() {
    let Some(cluster) = Cluster::start() else { return };
    let shared = cluster.database();
    assert_eq!(too_many([&shared; 3], MANY, true), 0);
}
