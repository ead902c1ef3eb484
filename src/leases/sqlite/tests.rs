//! Batches that go wrong half-way, in whatever way: refused, undone, and no reason for the next one
//! to fail.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::timeout;

use super::{File, LEASES, QUIET, boot_clock};
use crate::leases::api::Grant;
use crate::leases::{Lease, LeaseError, LeaseKey, SharedLeases, Terms};
use crate::sqlite::{Kind, OpenError};

/// Much longer than anything here should take.
const SOON: Duration = Duration::from_secs(20);

fn keys(name: &str) -> BTreeSet<LeaseKey> {
    BTreeSet::from([LeaseKey::of("instance", "email", name).unwrap()])
}

/// A store whose batches do this half-way, while the switch is on.
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
    // It came before anything went wrong or while it did: it waits still, or was refused.
    match timeout(SOON, waiting).await.unwrap().unwrap() {
        Ok(next) => assert_eq!(next.len(), 1),
        Err(refused) => assert!(matches!(refused, LeaseError::Unavailable { .. }), "{refused}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_batches_that_panicked_the_next_one_works() {
    refuses_while_it_goes_wrong_and_then_goes_on(|_| panic!("half-way")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_batches_that_failed_and_spoiled_their_connection_the_next_one_works() {
    refuses_while_it_goes_wrong_and_then_goes_on(|db| {
        // Nothing can be written by this connection any more, nor can this batch be committed.
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
    other.execute_batch("ALTER TABLE key_state RENAME TO away").unwrap();
    assert!(matches!(leases.try_acquire(&keys("b")).await, Err(LeaseError::Unavailable { .. })));
    other.execute_batch("ALTER TABLE away RENAME TO key_state").unwrap();
    leases.renew(&held, SOON).await.unwrap();
    assert_eq!(leases.try_acquire(&keys("b")).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_an_older_format_is_brought_up_to_date_with_the_leases_that_are_in_it() {
    for format in 1..LEASES.format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases.db");
        let older = &LEASES.migrations[..format as usize];
        let old = Kind { migrations: older, ..LEASES }.open(&path, |_| Ok(())).unwrap();
        let moment = boot_clock::now().unwrap();
        old.execute("INSERT INTO machine VALUES (?1, 0)", [&moment.boot]).unwrap();
        let key = *keys("a").first().unwrap();
        let ends_at = moment.millis + 100_000;
        old.execute(
            "INSERT INTO lease VALUES (?1, 7, ?2, 100000)",
            rusqlite::params![key.as_bytes(), ends_at],
        )
        .unwrap();
        let leases = SharedLeases::sqlite(&path, Terms::default()).unwrap();
        assert!(leases.try_acquire(&keys("a")).await.unwrap().is_empty(), "it is held");
        let held = Lease(Grant { key, generation: 7 });
        leases.renew([&held], SOON).await.unwrap();
        let next = leases.try_acquire(&keys("b")).await.unwrap();
        assert!(next[0].generation() > 7);
        // A program of the older format that has the file open finds its tables gone.
        assert!(old.execute("DELETE FROM lease WHERE ends_at <= 0", []).is_err());
        drop(old);
        let old = Kind { migrations: older, ..LEASES }.open(&path, |_| Ok(()));
        assert!(matches!(old, Err(OpenError::Newer { .. })), "{old:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_older_content_is_back_grants_nothing_to_anybody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let open = || SharedLeases::sqlite(&path, Terms::default()).unwrap();
    let leases = open();
    let before = leases.acquire(&keys("before")).await.unwrap();
    let other = super::connect(&path).unwrap();
    other.execute_batch("CREATE TABLE copy AS SELECT * FROM key_state; CREATE TABLE count AS SELECT * FROM number").unwrap();
    let since = leases.acquire(&keys("since")).await.unwrap();
    other
        .execute_batch(
            "DELETE FROM key_state; INSERT INTO key_state SELECT * FROM copy; \
             DELETE FROM number; INSERT INTO number SELECT * FROM count",
        )
        .unwrap();
    assert!(matches!(leases.renew(&since, SOON).await, Err(LeaseError::Lost { .. })));
    for leases in [leases, open()] {
        assert!(leases.try_acquire(&keys("since")).await.unwrap().is_empty());
        assert!(leases.try_acquire(&keys("free")).await.unwrap().is_empty());
        leases.renew(&before, SOON).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_start_of_the_machine_leases_of_before_are_gone_and_nothing_is_granted_too_early() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let leases = SharedLeases::sqlite(&path, Terms::default()).unwrap();
    let held = leases.acquire(&keys("a")).await.unwrap();
    let db = super::connect(&path).unwrap();
    db.execute_batch("UPDATE machine SET boot = 'an earlier one'").unwrap();
    let renewed = leases.renew(&held, SOON).await;
    assert!(matches!(renewed, Err(LeaseError::Lost { .. })), "{renewed:?}");
    let quiet_until: i64 =
        db.query_row("SELECT quiet_until FROM machine", [], |row| row.get(0)).unwrap();
    assert_eq!(crate::leases::changes::span(quiet_until), QUIET, "since its start");
}
