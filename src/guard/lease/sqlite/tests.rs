//! Rounds that go wrong half-way, in whatever way: refused, undone, and no reason for the next one
//! to fail.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::timeout;

use super::File;
use crate::guard::lease::{LeaseError, LeaseKey, Leases as _, SharedLeases, Terms};

/// Much longer than anything here should take.
const SOON: Duration = Duration::from_secs(20);

fn keys(name: &str) -> BTreeSet<LeaseKey> {
    BTreeSet::from([LeaseKey::of("instance", "email", name).unwrap()])
}

/// A store whose rounds do this half-way, while the switch is on.
fn store(path: &Path, wrong: fn(&Connection)) -> (Arc<SharedLeases>, Arc<AtomicBool>) {
    let mut file = File::open(path).unwrap();
    let switch = Arc::new(AtomicBool::new(false));
    let is_on = Arc::clone(&switch);
    file.half_way = Some(Box::new(move |db| {
        if is_on.load(Ordering::SeqCst) {
            wrong(db);
        }
    }));
    (Arc::new(SharedLeases::start(file, Terms { unsent: SOON * 10, place: SOON * 10 })), switch)
}

async fn refuses_while_it_goes_wrong_and_then_goes_on(wrong: fn(&Connection)) {
    let folder = tempfile::tempdir().unwrap();
    let (leases, switch) = store(&folder.path().join("leases.db"), wrong);
    let held = leases.acquire(&keys("a")).await.unwrap();
    let waiting = {
        let leases = leases.clone();
        tokio::spawn(async move { leases.acquire(&keys("a")).await })
    };
    tokio::task::yield_now().await;
    switch.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let refused = leases.try_acquire(&keys("b")).await;
        assert!(matches!(refused, Err(LeaseError::Unavailable { .. })), "{refused:?}");
        let refused = leases.renew(&held, SOON).await;
        assert!(matches!(refused, Err(LeaseError::Unavailable { .. })), "{refused:?}");
    }
    assert!(leases.ready().await.is_err());
    switch.store(false, Ordering::SeqCst);
    leases.renew(&held, SOON * 10).await.unwrap();
    assert_eq!(
        leases.try_acquire(&keys("b")).await.unwrap().len(),
        1,
        "what went wrong took nothing"
    );
    assert!(
        leases.try_acquire(&keys("a")).await.unwrap().is_empty(),
        "nor did it give anything away"
    );
    leases.release(held).await.unwrap();
    // It came before anything went wrong or while it did: it has kept its place, or was refused.
    match timeout(SOON, waiting).await.unwrap().unwrap() {
        Ok(next) => assert_eq!(next.len(), 1),
        Err(refused) => assert!(matches!(refused, LeaseError::Unavailable { .. }), "{refused}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_rounds_that_panicked_the_next_one_works() {
    refuses_while_it_goes_wrong_and_then_goes_on(|_| panic!("half-way")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_rounds_that_failed_and_spoiled_their_connection_the_next_one_works() {
    refuses_while_it_goes_wrong_and_then_goes_on(|db| {
        // Nothing can be written by this connection any more, nor can this round be committed.
        db.execute_batch("ROLLBACK; PRAGMA query_only = ON").unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_for_a_while_is_used_again_once_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let leases = SharedLeases::sqlite(&path, Terms::default()).unwrap();
    let held = leases.acquire(&keys("a")).await.unwrap();
    let other = super::connect(&path).unwrap();
    other.execute_batch("ALTER TABLE lease RENAME TO away").unwrap();
    assert!(matches!(leases.try_acquire(&keys("b")).await, Err(LeaseError::Unavailable { .. })));
    other.execute_batch("ALTER TABLE away RENAME TO lease").unwrap();
    leases.renew(&held, SOON).await.unwrap();
    assert_eq!(leases.try_acquire(&keys("b")).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_first_format_is_brought_up_to_date_with_the_leases_that_are_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let held = {
        let leases = SharedLeases::sqlite(&path, Terms::default()).unwrap();
        leases.acquire(&keys("a")).await.unwrap()
    };
    let old = super::connect(&path).unwrap();
    old.execute_batch("DROP TABLE share; PRAGMA user_version = 1").unwrap();
    drop(old);
    let leases = SharedLeases::sqlite(&path, Terms::default()).unwrap();
    leases.renew(&held, SOON).await.unwrap();
    let found: u32 = super::connect(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(found, super::FORMAT);
}
