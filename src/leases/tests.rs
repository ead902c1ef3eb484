//! What every store of leases must do, asked of each of them in the same words.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{LeaseError, LeaseKey, SharedLeases, Terms};

pub(crate) mod faulty;
mod model;
mod postgres;
mod processes;
pub(super) mod rounds;
mod storm;

/// Short enough to wait for their end. A test that must hold one takes the default terms.
const TERMS: Terms = Terms { unsent: Duration::from_secs(2), place: Duration::from_secs(3) };

/// Stores count in milliseconds.
const TICK: Duration = Duration::from_millis(2);

/// Much longer than anything here should take.
const SOON: Duration = Duration::from_secs(20);

/// Two owners' views of one store, and what keeps it alive.
struct Store {
    here: SharedLeases,
    there: SharedLeases,
    _kept: Box<dyn Send>,
}

fn memory(terms: Terms) -> Store {
    let here = SharedLeases::memory(terms);
    Store { there: here.clone(), here, _kept: Box::new(()) }
}

fn sqlite(terms: Terms) -> Store {
    let folder = tempfile::tempdir().unwrap();
    let open = || SharedLeases::sqlite(&folder.path().join("leases.db"), terms).unwrap();
    Store { here: open(), there: open(), _kept: Box::new(folder) }
}

fn keys(names: &[&str]) -> BTreeSet<LeaseKey> {
    names.iter().map(|name| LeaseKey::of("instance", "email", name).unwrap()).collect()
}

/// Waits until somebody waits for the key, which nobody holds.
async fn somebody_waits_for(leases: &SharedLeases, name: &str) {
    let waits = async {
        loop {
            let free = leases.try_acquire(&keys(&[name])).await.unwrap();
            if free.is_empty() {
                return;
            }
            leases.release(free).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, waits).await.unwrap_or_else(|_| panic!("nobody waits for {name}"));
}

/// The same tests for each store.
macro_rules! conformance {
    ($($store:ident: $open:expr;)+) => { $(
        mod $store {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_key_has_one_owner_and_other_keys_are_free() {
                super::one_owner($open(super::Terms::default())).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn who_came_first_is_served_first_whichever_process_it_is_in() {
                super::first_come_first_served($open(super::Terms::default())).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn nobody_starves_beside_callers_that_come_again_and_again() {
                super::not_starved($open(super::Terms::default())).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn whoever_waits_for_several_keys_takes_all_at_once_and_holds_none_meanwhile() {
                super::all_at_once($open(super::Terms::default())).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_lease_of_an_owner_that_is_gone_ends_and_is_then_lost_to_it() {
                super::gone($open(super::TERMS)).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn what_was_renewed_to_send_is_not_handed_over_before_its_time() {
                super::not_early($open(super::TERMS)).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_shorter_renewal_takes_nothing_away() {
                super::never_shortened($open(super::TERMS)).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn leases_are_renewed_together_or_not_at_all() {
                super::renewed_together($open(super::TERMS)).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn whoever_stops_waiting_leaves_the_line() {
                super::left($open(super::Terms::default())).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn no_key_has_two_owners_in_a_storm_and_none_is_lost_by_callers_that_vanish() {
                super::storm::storm($open(super::Terms::default())).await;
            }
        }
    )+ };
}

conformance! {
    in_memory: super::memory;
    in_sqlite: super::sqlite;
}

async fn one_owner(store: Store) {
    let held = store.here.acquire(&keys(&["a"])).await.unwrap();
    assert_eq!(held.iter().map(super::Lease::key).collect::<BTreeSet<_>>(), keys(&["a"]));
    store.here.renew(&held, SOON).await.unwrap();
    let free = store.there.try_acquire(&keys(&["a", "b"])).await.unwrap();
    assert_eq!(free.iter().map(super::Lease::key).collect::<BTreeSet<_>>(), keys(&["b"]));
    store.here.release(held).await.unwrap();
    assert_eq!(store.there.try_acquire(&keys(&["a"])).await.unwrap().len(), 1);
    assert!(store.here.acquire(&BTreeSet::new()).await.unwrap().is_empty());
    store.here.ready().await.unwrap();
}

async fn first_come_first_served(store: Store) {
    let held = store.here.acquire(&keys(&["a"])).await.unwrap();
    let (served, mut order) = tokio::sync::mpsc::unbounded_channel();
    for place in 0..6 {
        let leases = if place % 2 == 0 { store.here.clone() } else { store.there.clone() };
        let (served, mark) = (served.clone(), format!("mark {place}"));
        let wanted = keys(&["a", &mark]);
        tokio::spawn(async move {
            let held = leases.acquire(&wanted).await.unwrap();
            served.send(place).unwrap();
            leases.release(held).await.unwrap();
        });
        somebody_waits_for(&store.here, &mark).await;
    }
    store.here.release(held).await.unwrap();
    for place in 0..6 {
        assert_eq!(timeout(SOON, order.recv()).await.unwrap(), Some(place));
    }
}

async fn not_starved(store: Store) {
    let held = store.here.acquire(&keys(&["a"])).await.unwrap();
    let there = store.there.clone();
    let waiter = tokio::spawn(async move { there.acquire(&keys(&["a", "mark"])).await });
    somebody_waits_for(&store.here, "mark").await;
    let (served, mut others) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..8 {
        let (here, served) = (store.here.clone(), served.clone());
        others.spawn(async move {
            loop {
                let mut held = here.try_acquire(&keys(&["a"])).await.unwrap();
                if held.is_empty() {
                    held = here.acquire(&keys(&["a"])).await.unwrap();
                }
                served.fetch_add(1, Ordering::SeqCst);
                here.release(held).await.unwrap();
            }
        });
    }
    store.here.release(held).await.unwrap();
    let held = timeout(SOON, waiter).await.unwrap().unwrap().unwrap();
    assert_eq!(served.load(Ordering::SeqCst), 0, "all of them came later");
    store.there.release(held).await.unwrap();
    while served.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

async fn all_at_once(store: Store) {
    let held = store.here.acquire(&keys(&["b"])).await.unwrap();
    let there = store.there.clone();
    let both = tokio::spawn(async move { there.acquire(&keys(&["a", "b"])).await });
    somebody_waits_for(&store.here, "a").await;
    let (here, there) = (store.here.clone(), store.there.clone());
    let third = tokio::spawn(async move { here.acquire(&keys(&["a"])).await });
    store.here.release(held).await.unwrap();
    let both = timeout(SOON, both).await.unwrap().unwrap().unwrap();
    assert_eq!(both.len(), 2);
    assert!(!third.is_finished(), "it came later");
    there.release(both).await.unwrap();
    assert_eq!(timeout(SOON, third).await.unwrap().unwrap().unwrap().len(), 1);
}

async fn gone(store: Store) {
    let start = Instant::now();
    let lost = store.here.acquire(&keys(&["a"])).await.unwrap();
    let next = timeout(SOON, store.there.acquire(&keys(&["a"]))).await.unwrap().unwrap();
    assert!(start.elapsed() >= TERMS.unsent.saturating_sub(TICK));
    assert!(next[0].generation() > lost[0].generation());
    store.there.renew(&next, SOON).await.unwrap();
    let renewed = store.here.renew(&lost, SOON).await;
    assert!(matches!(renewed, Err(LeaseError::Lost { key }) if key == lost[0].key()));
    store.here.release(lost).await.unwrap();
    assert!(
        store.here.try_acquire(&keys(&["a"])).await.unwrap().is_empty(),
        "it is another's by now"
    );
}

async fn not_early(store: Store) {
    let held = store.here.acquire(&keys(&["a"])).await.unwrap();
    let start = Instant::now();
    let span = TERMS.unsent * 3;
    store.here.renew(&held, span).await.unwrap();
    drop(held);
    let next = timeout(SOON, store.there.acquire(&keys(&["a"]))).await.unwrap().unwrap();
    assert!(start.elapsed() >= span.saturating_sub(TICK), "{:?}", start.elapsed());
    store.there.release(next).await.unwrap();
}

async fn never_shortened(store: Store) {
    let held = store.here.acquire(&keys(&["a"])).await.unwrap();
    let start = Instant::now();
    let span = TERMS.unsent * 2;
    store.here.renew(&held, span).await.unwrap();
    store.here.renew(&held, Duration::from_millis(1)).await.unwrap();
    drop(held);
    let next = timeout(SOON, store.there.acquire(&keys(&["a"]))).await.unwrap().unwrap();
    assert!(start.elapsed() >= span.saturating_sub(TICK), "{:?}", start.elapsed());
    store.there.release(next).await.unwrap();
}

async fn renewed_together(store: Store) {
    let mut over = store.here.acquire(&keys(&["a"])).await.unwrap();
    let next = timeout(SOON, store.there.acquire(&keys(&["a"]))).await.unwrap().unwrap();
    store.there.release(next).await.unwrap();
    over.extend(store.here.acquire(&keys(&["b"])).await.unwrap());
    let start = Instant::now();
    assert!(matches!(store.here.renew(&over, SOON * 5).await, Err(LeaseError::Lost { .. })));
    let next = timeout(SOON, store.there.acquire(&keys(&["b"]))).await.unwrap().unwrap();
    assert!(start.elapsed() < SOON, "the other lease was not made longer either");
    store.there.release(next).await.unwrap();
}

async fn left(store: Store) {
    let held = store.here.acquire(&keys(&["a"])).await.unwrap();
    let there = store.there.clone();
    let waiter = tokio::spawn(async move { there.acquire(&keys(&["a", "b"])).await });
    somebody_waits_for(&store.here, "b").await;
    waiter.abort();
    let free = timeout(SOON / 4, store.here.acquire(&keys(&["b"]))).await.unwrap().unwrap();
    store.here.release(free).await.unwrap();
    store.here.release(held).await.unwrap();
    assert_eq!(store.there.try_acquire(&keys(&["a"])).await.unwrap().len(), 1);
}
