//! Turns among users, on a clock that the test turns.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::FairQueue;
use crate::guard::engine::request::ApiUser;
use crate::marketo::{OneRun, Pacer};

#[tokio::test(start_paused = true)]
async fn a_user_that_floods_does_not_keep_another_waiting() {
    let turns = Arc::new(FairQueue::new(Arc::new(Pacer::new(
        2,
        Duration::from_secs(1),
        2,
        1_000,
        Arc::new(OneRun::default()),
    ))));
    for _ in 0..100 {
        let turns = Arc::clone(&turns);
        tokio::spawn(async move { drop(turns.next(&ApiUser::named("flood")).await.unwrap()) });
    }
    // Of paused time, which passes only when all of them wait in the queue.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    for _ in 0..3 {
        drop(turns.next(&ApiUser::named("quiet")).await.unwrap());
    }
    assert!(start.elapsed() <= Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_can_share_a_call_lingers_where_calls_are_scarce_and_only_there() {
    let window = Duration::from_secs(20);
    let turns =
        FairQueue::new(Arc::new(Pacer::new(100, window, 10, 10_000, Arc::new(OneRun::default()))));
    let user = ApiUser::named("crm");
    let start = Instant::now();
    let mut left = Vec::new();
    for _ in 0..500 {
        turns.linger().await;
        drop(turns.next(&user).await.unwrap());
        left.push(start.elapsed());
    }
    assert_eq!(left[50], Duration::ZERO, "half a window's calls are free");
    for pair in left[200..].windows(2) {
        assert!(pair[1] >= pair[0] + Duration::from_millis(100), "{pair:?}");
    }
    let windows = (left[499].as_secs_f64() - left[99].as_secs_f64()) / window.as_secs_f64();
    let share = 4.0 / windows;
    assert!(share >= 0.97, "{share} of the limit is used");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_nobody_waits_for_any_more_is_the_next_ones() {
    let turns = FairQueue::new(Arc::new(Pacer::new(
        1,
        Duration::from_secs(20),
        1,
        10,
        Arc::new(OneRun::default()),
    )));
    let user = ApiUser::named("crm");
    let held = turns.next(&user).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(1), turns.next(&user)).await.is_err());
    drop(held);
    let start = Instant::now();
    drop(turns.next(&user).await.unwrap());
    assert_eq!((start.elapsed().as_secs(), turns.pacer().made_today()), (20, 2));
}
