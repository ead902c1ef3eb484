//! The same promises of a Postgres, which is a server of the tests' own; and what a server can do
//! that a file cannot.

use std::sync::Arc;
use std::time::Duration;

use mkto_testing::cluster::Cluster;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{SOON, Store, TERMS, keys};
use crate::leases::{LeaseError, SharedLeases, Terms};

fn open(address: &str, terms: Terms) -> SharedLeases {
    SharedLeases::postgres(&address.parse().unwrap(), terms).unwrap()
}

/// Two guards' views of a database that nobody else uses.
fn store(cluster: &Cluster, terms: Terms) -> Store {
    let address = cluster.database();
    let open = || open(&address, terms);
    Store { here: open(), there: open(), _kept: Box::new(()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_keeps_every_promise_of_a_store() {
    let Some(cluster) = Cluster::start() else { return };
    let usual = Terms::default();
    super::one_owner(store(&cluster, Terms::default())).await;
    super::first_come_first_served(store(&cluster, usual)).await;
    super::not_starved(store(&cluster, usual)).await;
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
    let Some(cluster) = Cluster::start() else { return };
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
    super::somebody_waits_for(&here, "mark").await;
    here.release(held).await.unwrap();
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_outlive_a_crash_of_a_server_that_was_set_up_to_commit_carelessly() {
    let Some(cluster) = Cluster::start() else { return };
    let address = cluster.database();
    // Nothing is written by itself before the crash, and each transaction sees what was there when
    // it began.
    for setting in ["synchronous_commit = off", "default_transaction_isolation = 'repeatable read'"]
    {
        Cluster::set(&address, setting);
    }
    let open = || open(&address, Terms::default());
    super::storm::storm(Store { here: open(), there: open(), _kept: Box::new(()) }).await;
    let leases = open();
    let held = leases.acquire(&keys(&["a"])).await.unwrap();
    leases.renew(&held, SOON * 10).await.unwrap();
    cluster.crash();
    cluster.start_again();
    let later = open();
    timeout(SOON, async { while later.ready().await.is_err() {} }).await.unwrap();
    assert!(
        later.try_acquire(&keys(&["a"])).await.unwrap().is_empty(),
        "its lease was lost in the crash"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_keeps_its_place_while_the_server_is_restarted() {
    let Some(cluster) = Cluster::start() else { return };
    let Store { here, there, .. } = store(&cluster, Terms { unsent: SOON * 10, place: SOON * 10 });
    let held = here.acquire(&keys(&["a"])).await.unwrap();
    let waiting = {
        let there = there.clone();
        tokio::spawn(async move { there.acquire(&keys(&["a", "mark"])).await })
    };
    super::somebody_waits_for(&here, "mark").await;
    cluster.stop();
    cluster.start_again();
    timeout(SOON, async { while here.ready().await.is_err() {} }).await.unwrap();
    here.release(held).await.unwrap();
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap().unwrap().len(), 2);
}

/// What an administrator does to the tables.
async fn administer(address: &str, sql: &str) {
    let (client, connection) =
        tokio_postgres::connect(address, tokio_postgres::NoTls).await.unwrap();
    let work = async {
        client.batch_execute(sql).await.unwrap();
        drop(client);
    };
    let (ended, ()) = tokio::join!(connection, work);
    ended.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_put_back_is_noticed_by_whoever_knows_of_later_leases() {
    let Some(cluster) = Cluster::start() else { return };
    let address = cluster.database();
    let leases = open(&address, Terms::default());
    let before = leases.acquire(&keys(&["before"])).await.unwrap();
    administer(
        &address,
        "CREATE TABLE keys AS TABLE mkto_audit_leases.key_state; \
         CREATE TABLE store AS TABLE mkto_audit_leases.store",
    )
    .await;
    let since = leases.acquire(&keys(&["since"])).await.unwrap();
    administer(
        &address,
        "TRUNCATE mkto_audit_leases.key_state, mkto_audit_leases.store; \
         INSERT INTO mkto_audit_leases.key_state TABLE keys; \
         INSERT INTO mkto_audit_leases.store TABLE store",
    )
    .await;
    assert!(matches!(leases.renew(&since, SOON).await, Err(LeaseError::Lost { .. })));
    for leases in [leases, open(&address, Terms::default())] {
        assert!(leases.try_acquire(&keys(&["since"])).await.unwrap().is_empty());
        assert!(leases.try_acquire(&keys(&["free"])).await.unwrap().is_empty());
        leases.renew(&before, SOON).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_another_server_is_noticed_by_whoever_comes_first() {
    let Some(cluster) = Cluster::start() else { return };
    let address = cluster.database();
    let leases = open(&address, Terms::default());
    assert_eq!(leases.try_acquire(&keys(&["a"])).await.unwrap().len(), 1, "the first server");
    drop(leases);
    // As where these tables were copied from another server, or this one's timeline is a new one.
    administer(&address, "UPDATE mkto_audit_leases.store SET identity = left(identity, -1) || 'x'")
        .await;
    let leases = open(&address, Terms::default());
    assert!(leases.try_acquire(&keys(&["b"])).await.unwrap().is_empty());
    // Once is enough: nobody is kept waiting again by the next connection.
    administer(&address, "UPDATE mkto_audit_leases.store SET quiet_until = 0").await;
    let later = open(&address, Terms::default());
    assert_eq!(later.try_acquire(&keys(&["b"])).await.unwrap().len(), 1);
}

/// The address of a database as it is reached over a line on which every answer takes a while.
async fn far_away(address: &str) -> String {
    let host = address.split(['@', '/']).nth(3).unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = address.replace(&host, &listener.local_addr().unwrap().to_string());
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (mut from_server, mut to_server) =
                tokio::net::TcpStream::connect(&host).await.unwrap().into_split();
            let (mut from_client, mut to_client) = near.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut answer = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = from_server.read(&mut answer).await {
                    // The way to a server that is far away.
                    tokio::time::sleep(Duration::from_millis(15)).await;
                    if to_client.write_all(&answer[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    far
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_waiters_are_served_by_a_server_that_is_far_away() {
    let Some(cluster) = Cluster::start() else { return };
    let address = cluster.database();
    let (here, there) = (
        open(&address, Terms::default()),
        Arc::new(open(&far_away(&address).await, Terms::default())),
    );
    let names: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let held = here.acquire(&keys(&all)).await.unwrap();
    let waiting = names.iter().map(|name| {
        let (there, key) = (Arc::clone(&there), keys(&[name]));
        tokio::spawn(async move { there.acquire(&key).await })
    });
    let waiting: Vec<_> = waiting.collect();
    here.release(held).await.unwrap();
    for waiter in waiting {
        assert_eq!(waiter.await.unwrap().unwrap().len(), 1);
    }
    let free: Vec<_> = futures::future::join_all(names.iter().map(|name| {
        let (there, key) = (Arc::clone(&there), keys(&[name]));
        async move { there.try_acquire(&key).await }
    }))
    .await;
    assert!(free.into_iter().all(|taken| taken.unwrap().is_empty()), "each is somebody's by now");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_of_without_its_password() {
    let nowhere = open("postgres://guard:hush@127.0.0.1:1/leases", Terms::default());
    let error = nowhere.try_acquire(&keys(&["a"])).await.unwrap_err();
    let told = format!("{error} {error:?} {nowhere:?}");
    assert!(!told.contains("hush"), "{told}");
}
