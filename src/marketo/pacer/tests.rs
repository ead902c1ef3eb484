//! The pace, on a clock that stands still until somebody waits.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Pacer, Share, time_for};
use crate::marketo::{NoCall, OneRun};

/// Runs calls that take these times to arrive and to be answered, and gives when each arrived.
fn arrivals(pacer: Pacer, calls: Vec<(u64, u64)>) -> Vec<Duration> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let start = Instant::now();
        let pacer = Arc::new(pacer);
        let tasks: Vec<_> = calls
            .into_iter()
            .map(|(to_arrive, to_answer)| {
                let pacer = Arc::clone(&pacer);
                tokio::spawn(async move {
                    let slot = pacer.slot().await.unwrap();
                    tokio::time::sleep(Duration::from_millis(to_arrive)).await;
                    let arrival = start.elapsed();
                    tokio::time::sleep(Duration::from_millis(to_answer)).await;
                    drop(slot);
                    arrival
                })
            })
            .collect();
        let mut arrivals = Vec::new();
        for task in tasks {
            arrivals.push(task.await.unwrap());
        }
        arrivals.sort();
        arrivals
    })
}

fn most_in_a_window(arrivals: &[Duration], window: Duration) -> usize {
    arrivals
        .iter()
        .map(|start| arrivals.iter().filter(|at| *at >= start && **at < *start + window).count())
        .max()
        .unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_window_ever_sees_more_arrivals_than_allowed(
        calls in proptest::collection::vec((0..900_u64, 0..900_u64), 1..120),
        allowed in 1..12_usize,
        at_once in 1..6_usize,
    ) {
        let window = Duration::from_secs(2);
        let seen = arrivals(Pacer::new(allowed, window, at_once, 1_000, Arc::new(OneRun::default())), calls);
        prop_assert!(most_in_a_window(&seen, window) <= allowed);
    }
}

#[test]
fn with_answers_of_400_ms_97_percent_of_the_rate_is_reached() {
    let (calls, window) = (100, Duration::from_secs(20));
    let seen = arrivals(
        Pacer::new(calls, window, 5, 10_000, Arc::new(OneRun::default())),
        vec![(5, 395); 1_000],
    );
    // The first window is full at once; from then on the limit gives 100 calls every 20 s.
    let (first, last) = (seen[calls].as_secs_f64(), seen[9 * calls].as_secs_f64());
    let share = (8.0 * window.as_secs_f64()) / (last - first);
    assert!(share >= 0.97, "{share} of the rate");
    assert!(most_in_a_window(&seen, window) <= calls);
}

#[tokio::test(start_paused = true)]
async fn after_too_many_everybody_waits_and_goes_on_more_slowly() {
    let pacer =
        Arc::new(Pacer::new(8, Duration::from_secs(20), 8, 1_000, Arc::new(OneRun::default())));
    // Turned away together, hence one reason to slow down.
    pacer.slow_down(Duration::from_secs(5));
    pacer.slow_down(Duration::from_secs(3));
    let start = Instant::now();
    for _ in 0..6 {
        drop(pacer.slot().await.unwrap());
    }
    assert_eq!(start.elapsed().as_secs(), 5);
    drop(pacer.slot().await.unwrap());
    assert_eq!(start.elapsed().as_secs(), 25, "the seventh of now six waits for the window");
}

#[tokio::test(start_paused = true)]
async fn the_rate_grows_back_to_what_is_configured_and_no_further() {
    let pacer =
        Arc::new(Pacer::new(8, Duration::from_secs(20), 8, 1_000, Arc::new(OneRun::default())));
    pacer.slow_down(Duration::ZERO);
    for _ in 0..100 {
        drop(pacer.slot().await.unwrap());
    }
    assert_eq!(pacer.state().allowed, 8);
}

#[tokio::test(start_paused = true)]
async fn calls_are_spaced_once_half_of_them_are_used() {
    let pacer =
        Arc::new(Pacer::new(10, Duration::from_secs(20), 10, 1_000, Arc::new(OneRun::default())));
    for _ in 0..5 {
        assert_eq!(pacer.spacing(), Duration::ZERO);
        drop(pacer.slot_at_once().unwrap().unwrap());
    }
    drop(pacer.slot_at_once().unwrap().unwrap());
    assert_eq!(pacer.spacing(), Duration::from_secs(5), "20 s for the four that are left");
    for _ in 0..4 {
        drop(pacer.slot_at_once().unwrap().unwrap());
    }
    assert!(pacer.slot_at_once().is_none(), "there is none left");
    assert_eq!(pacer.spacing(), Duration::from_secs(9), "five times what is even");
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert_eq!(pacer.spacing(), Duration::from_millis(1_800), "a tenth closer than the limit is");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(pacer.spacing(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_right_at_once_is_had_by_nobody_who_would_overtake_another() {
    let pacer = Arc::new(Pacer::new(2, Duration::from_secs(20), 1, 2, Arc::new(OneRun::default())));
    let held = pacer.slot_at_once().unwrap().unwrap();
    assert!(pacer.slot_at_once().is_none(), "one at once");
    let mut waiting = Box::pin(pacer.slot());
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(held);
    assert!(pacer.slot_at_once().is_none(), "somebody is before");
    drop(waiting.await.unwrap());
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(pacer.slot_at_once().unwrap().unwrap_err(), NoCall::Spent { budget: 2 });
    assert_eq!(pacer.made(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_right_that_was_not_used_takes_no_place_in_the_window_and_none_of_the_budget() {
    let pacer = Arc::new(Pacer::new(1, Duration::from_secs(20), 1, 1, Arc::new(OneRun::default())));
    let start = Instant::now();
    for _ in 0..3 {
        pacer.slot().await.unwrap().unused();
    }
    drop(pacer.slot().await.unwrap());
    assert_eq!((start.elapsed(), pacer.made()), (Duration::ZERO, 1));
}

#[tokio::test]
async fn the_days_budget_is_never_exceeded() {
    let pacer =
        Arc::new(Pacer::new(100, Duration::from_secs(20), 5, 2, Arc::new(OneRun::default())));
    drop((pacer.slot().await.unwrap(), pacer.slot().await.unwrap()));
    assert_eq!(pacer.slot().await.unwrap_err(), NoCall::Spent { budget: 2 });
    assert_eq!(pacer.made(), 2);
}

#[test]
fn the_time_that_calls_take_comes_from_the_limits() {
    let limit = Share { calls: 50, at_once: 5 };
    let of = |calls, free| time_for(calls, free, limit, Duration::from_secs(20)).as_secs();
    assert_eq!(of(0, 50), 0);
    assert_eq!(of(41, 50), 4, "as quick as Marketo answers");
    assert_eq!(of(51, 50), 20, "the last one waits for the next window");
    assert_eq!(of(60, 10), 20);
    assert_eq!(of(61, 10), 40);
    assert_eq!(of(41, 0), 20, "the window is full by now");
}
