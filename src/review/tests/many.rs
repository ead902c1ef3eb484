//! A plan of a hundred thousand groups.

use std::time::{Duration, Instant};

use super::{Bench, CardFilter, Choice, Door, Seen, Tab, choice, pair};

/// Measured by hand, in a release build:
/// `cargo test --release --lib -- --ignored --nocapture a_hundred_thousand`
#[test]
#[expect(clippy::disallowed_methods, reason = "what is measured is how long it takes")]
#[ignore = "takes a while; run it by name with --ignored"]
fn a_page_of_a_hundred_thousand_groups_comes_at_once() {
    let groups: Vec<_> =
        (0..100_000_u64).map(|n| pair(&format!("p{n}@example.com"), n * 2 + 1)).collect();
    let bench = Bench::of(&groups);
    drop(groups);
    let timed = |what: &str, from: Instant| {
        println!("{what}: {:?}", from.elapsed());
        from.elapsed()
    };
    let from = Instant::now();
    let review = bench.review();
    timed("open", from);
    let from = Instant::now();
    let head = review.head().unwrap();
    timed("head", from);
    assert_eq!(head.safe, 100_000);
    let mut slowest = Duration::ZERO;
    for after in [None, Some(50_000), Some(99_000)] {
        let from = Instant::now();
        let filter = CardFilter { tab: Some(Tab::Safe), ..CardFilter::default() };
        let page = review.cards(&filter, after, 50).unwrap();
        slowest = slowest.max(timed("50 cards", from));
        assert_eq!((page.cards.len(), page.total), (50, 100_000));
    }
    let from = Instant::now();
    let filter = CardFilter { search: Some("p4711".to_owned()), ..CardFilter::default() };
    assert_eq!(review.cards(&filter, None, 50).unwrap().total, 11);
    slowest = slowest.max(timed("search", from));
    let mut after = None;
    let from = Instant::now();
    for _ in 0..4 {
        let filter = CardFilter { tab: Some(Tab::Safe), ..CardFilter::default() };
        let page = review.cards(&filter, after, 500).unwrap();
        after = page.cards.last().map(|card| card.place);
        let all: Vec<_> = page
            .cards
            .iter()
            .map(|card| (card.stored_key.clone(), choice(Choice::Merge)))
            .collect();
        review.decide(&all, &Seen::of(&page.cards), "Bo", Door::Review).unwrap();
    }
    timed("2,000 decisions", from);
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let most = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        println!("{most}");
    }
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
}
