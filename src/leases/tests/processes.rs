//! Several processes on one file of leases, one of them killed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{SOON, TERMS, keys};
use crate::leases::{SharedLeases, Terms};

/// Set for the process that is to be killed: the file, and for how long it renews.
const FILE: &str = "LEASES_OF_A_CHILD";
const MILLIS: &str = "LEASES_OF_A_CHILD_MILLIS";

/// This test binary once more, as the owner of key `a`. It says when it holds the lease.
fn owner(path: &Path, span: Duration) -> Child {
    let name = "leases::tests::processes::the_owner_that_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--ignored"])
        .env(FILE, path)
        .env(MILLIS, span.as_millis().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.as_mut().unwrap());
    let mut line = String::new();
    while !line.contains("holds a") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the owner ended");
    }
    child
}

#[test]
#[ignore = "it is the other process of the tests beside it"]
fn the_owner_that_is_killed() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let leases = SharedLeases::sqlite(Path::new(&path), TERMS).unwrap();
        let held = timeout(SOON, leases.acquire(&keys(&["a"]))).await.unwrap().unwrap();
        let span = std::env::var(MILLIS).unwrap().parse().unwrap();
        leases.renew(&held, Duration::from_millis(span)).await.unwrap();
        println!("holds a");
        // Until it is killed, or told to give back.
        let line = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]).unwrap());
        line.await.unwrap();
        leases.release(held).await.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_of_a_killed_process_outlives_it_until_its_call_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let leases = SharedLeases::sqlite(&path, TERMS).unwrap();
    let start = Instant::now();
    let mut child = owner(&path, TERMS.unsent * 3);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(leases.try_acquire(&keys(&["a"])).await.unwrap().is_empty());
    let held = timeout(SOON, leases.acquire(&keys(&["a"]))).await.unwrap().unwrap();
    assert!(start.elapsed() >= TERMS.unsent * 3);
    leases.release(held).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_by_another_process_is_seen_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    // Long enough that only the release can be what serves the waiter.
    let terms = Terms { unsent: SOON * 10, place: SOON * 10 };
    let leases = SharedLeases::sqlite(&path, terms).unwrap();
    let mut child = owner(&path, SOON * 10);
    let start = Instant::now();
    let wanted = keys(&["a"]);
    let waiting = leases.acquire(&wanted);
    drop(child.stdin.take());
    let held = timeout(SOON, waiting).await.unwrap().unwrap();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    leases.release(held).await.unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_file_open_that_was_deleted_gives_no_key_away_a_second_time() {
    for end in ["", "-wal", "-shm"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases.db");
        let here = SharedLeases::sqlite(&path, TERMS).unwrap();
        here.ready().await.unwrap();
        std::fs::remove_file(folder.path().join(format!("leases.db{end}"))).unwrap();
        // What is left may be no file of SQLite's, which is refused.
        let Ok(there) = SharedLeases::sqlite(&path, TERMS) else {
            assert!(here.try_acquire(&keys(&["a"])).await.unwrap_or_default().is_empty(), "{end}");
            continue;
        };
        let held = there.try_acquire(&keys(&["a"])).await.unwrap_or_default();
        let taken = here.try_acquire(&keys(&["a", "b"])).await.unwrap_or_default();
        assert!(
            taken.is_empty(),
            "{end}: two owners, or a key whose last owner nobody knows: {held:?} {taken:?}"
        );
        // The one who came later keeps what it has, and gets no more until what left before is
        // over.
        assert!(held.is_empty() || there.renew(&held, SOON).await.is_ok(), "{end}");
        assert!(there.try_acquire(&keys(&["c"])).await.unwrap_or_default().is_empty(), "{end}");
    }
}
