//! The same promises of a Postgres, which is a server of the tests' own; and what a server can do that a file cannot.

use std::sync::Arc;

use tokio::time::timeout;

use super::cluster::Cluster;
use super::{SOON, Store, TERMS, keys};
use crate::guard::lease::{LeaseError, Leases as _, SharedLeases, Terms};

fn open(address: &str, terms: Terms) -> SharedLeases {
    SharedLeases::postgres(&address.parse().unwrap(), terms).unwrap()
}

/// Two guards' views of a database that nobody else uses.
fn store(cluster: &Cluster, terms: Terms) -> Store<SharedLeases> {
    let address = cluster.database();
    let open = || Arc::new(open(&address, terms));
    Store { here: open(), there: open(), _kept: Box::new(()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_keeps_every_promise_of_a_store() {
    let cluster = Cluster::start();
    let usual = Terms::default();
    super::one_owner(store(&cluster, TERMS)).await;
    super::first_come_first_served(store(&cluster, usual)).await;
    super::all_at_once(store(&cluster, usual)).await;
    super::gone(store(&cluster, TERMS)).await;
    super::not_early(store(&cluster, TERMS)).await;
    super::never_shortened(store(&cluster, TERMS)).await;
    super::renewed_together(store(&cluster, TERMS)).await;
    super::left(store(&cluster, usual)).await;
    super::storm::storm(store(&cluster, usual)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_outlive_a_restart_of_the_server_and_without_it_none_is_had() {
    let cluster = Cluster::start();
    let Store { here, there, .. } = store(&cluster, Terms::default());
    let held = here.acquire(&keys(&["a"])).await.unwrap();
    here.renew(&held, SOON * 10).await.unwrap();
    cluster.stop();
    assert!(matches!(there.try_acquire(&keys(&["b"])).await, Err(LeaseError::Unavailable { .. })));
    assert!(here.ready().await.is_err());
    let waiting = {
        let there = there.clone();
        tokio::spawn(async move { there.acquire(&keys(&["a"])).await })
    };
    cluster.start_again();
    // Whoever comes while the server is away is refused, or waits where it had a place.
    let refused = timeout(SOON, waiting).await.unwrap().unwrap();
    assert!(matches!(refused, Err(LeaseError::Unavailable { .. })));
    assert!(there.try_acquire(&keys(&["a"])).await.unwrap().is_empty(), "it is held all along");
    let waiting = {
        let there = there.clone();
        tokio::spawn(async move { there.acquire(&keys(&["a", "mark"])).await })
    };
    super::somebody_waits_for(&*here, "mark").await;
    here.release(held).await.unwrap();
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_outlive_a_crash_of_a_server_that_was_set_up_to_commit_carelessly() {
    let cluster = Cluster::start();
    let address = cluster.database();
    // Nothing is written by itself before the crash, and each transaction sees what was there when it began.
    for setting in ["synchronous_commit = off", "default_transaction_isolation = 'repeatable read'"] {
        Cluster::set(&address, setting);
    }
    let open = || Arc::new(open(&address, Terms::default()));
    super::storm::storm(Store { here: open(), there: open(), _kept: Box::new(()) }).await;
    let leases = open();
    let held = leases.acquire(&keys(&["a"])).await.unwrap();
    leases.renew(&held, SOON * 10).await.unwrap();
    cluster.crash();
    cluster.start_again();
    let later = open();
    timeout(SOON, async { while later.ready().await.is_err() {} }).await.unwrap();
    assert!(later.try_acquire(&keys(&["a"])).await.unwrap().is_empty(), "its lease was lost in the crash");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_keeps_its_place_while_the_server_is_restarted() {
    let cluster = Cluster::start();
    let Store { here, there, .. } = store(&cluster, Terms { unsent: SOON * 10, place: SOON * 10 });
    let held = here.acquire(&keys(&["a"])).await.unwrap();
    let waiting = {
        let there = there.clone();
        tokio::spawn(async move { there.acquire(&keys(&["a", "mark"])).await })
    };
    super::somebody_waits_for(&*here, "mark").await;
    cluster.stop();
    cluster.start_again();
    timeout(SOON, async { while here.ready().await.is_err() {} }).await.unwrap();
    here.release(held).await.unwrap();
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap().unwrap().len(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_of_without_its_password() {
    let nowhere = open("postgres://guard:hush@127.0.0.1:1/leases", Terms::default());
    let error = nowhere.try_acquire(&keys(&["a"])).await.unwrap_err();
    let told = format!("{error} {error:?} {nowhere:?}");
    assert!(!told.contains("hush"), "{told}");
}
