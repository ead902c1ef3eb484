//! A plan is read group by group: it is the same plan as if all of it were read at once.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::{
    Bench, CardFilter, Choice, Decisions, Door, INSTANCE, PlanReview, Seen, Tab, choice, lead,
    pair, several_people, unseen,
};
use crate::dedupe::{LeftOut, PlannedGroup, Risk};
use crate::lead::Lead;
use crate::ledger::{DecisionRow, Digest, Ledger};
use crate::review::card::Card;
use crate::review::effect::effective;
use crate::review::loaded::Kept;
use crate::review::{Loaded, Standing, differences, each_standing};

fn key(number: u64) -> String {
    format!("p{number}@example.com")
}

/// So many groups, of which every fourth is red and every seventh is of three.
fn groups(count: u64) -> Vec<Vec<Lead>> {
    let group = |number: u64| {
        let first = number * 10 + 1;
        let mut leads = match number % 4 {
            3 => several_people(&key(number), first),
            _ => pair(&key(number), first),
        };
        if number.is_multiple_of(7) {
            leads.push(lead(first + 2, &key(number)).with("city", "Bergen"));
        }
        leads
    };
    (0..count).map(group).collect()
}

/// Something is decided about the first group, the last, and every third between; the second is
/// taken back.
fn decide(review: &PlanReview, count: u64) {
    let all: Vec<(String, Decisions)> = (0..count)
        .filter(|number| number % 3 == 0 || number + 1 == count)
        .map(|number| {
            let chosen = Choice::ALL[(number % 4) as usize];
            (key(number), choice(chosen))
        })
        .collect();
    review.decide(&all, &unseen(), "Bo", Door::Csv).unwrap();
    if let Some((first, _)) = all.first() {
        let seen = || Seen::Plan(review.head().unwrap().digest);
        let other = Decisions { winner: Some(2), ..choice(Choice::Merge) };
        review.decide(&[(first.clone(), other)], &seen(), "Cy", Door::Review).unwrap();
    }
    if let Some((taken_back, _)) = all.get(1).filter(|_| all.len() > 2) {
        let seen = Seen::Plan(review.head().unwrap().digest);
        let nothing = [(taken_back.clone(), Decisions::default())];
        review.decide(&nothing, &seen, "Di", Door::Cli).unwrap();
    }
}

/// Every decision in force, by key: read all at once.
fn in_force(ledger: &Ledger, plan: &str) -> BTreeMap<String, (Decisions, DecisionRow)> {
    let mut all = BTreeMap::new();
    for row in ledger.decisions_since(plan, 0).unwrap() {
        let decisions: Decisions = serde_json::from_str(&row.state).unwrap();
        all.insert(row.key.clone(), (decisions, row));
    }
    all.retain(|_, (decisions, _)| !decisions.is_empty());
    all
}

/// What merges of all groups at once, and the keys of what does not.
fn all_at_once(ledger: &Ledger, loaded: &Loaded) -> (Vec<PlannedGroup>, Vec<String>) {
    let decided = in_force(ledger, &loaded.head.plan);
    let kept: Vec<Kept> =
        (0..loaded.index.len()).map(|place| loaded.kept(ledger, place).unwrap()).collect();
    let (mut merge, mut left) = (Vec::new(), Vec::new());
    for kept in &kept {
        let key = kept.planned.key.as_str();
        let nothing = Decisions::default();
        let decisions = decided.get(key).map_or(&nothing, |(decisions, _)| decisions);
        match effective(kept, &loaded.header, decisions) {
            Ok(group) if group.merges() => merge.push(group),
            _ => left.push(key.to_owned()),
        }
    }
    (merge, left)
}

fn one_by_one(ledger: &Ledger, loaded: &Loaded) -> (Vec<PlannedGroup>, Vec<String>) {
    let (mut merge, mut left) = (Vec::new(), Vec::new());
    each_standing(ledger, loaded, |standing| {
        match standing {
            Standing::Merges(group) => merge.push(*group),
            Standing::Left(LeftOut { key, .. }) => left.push(key.as_str().to_owned()),
        }
        Ok::<_, crate::review::Error>(ControlFlow::Continue(()))
    })
    .unwrap();
    (merge, left)
}

fn digest_of_all(ledger: &Ledger, loaded: &Loaded) -> String {
    let decided = in_force(ledger, &loaded.head.plan);
    if decided.is_empty() {
        return loaded.head.digest.clone();
    }
    let mut digest = Digest::default();
    digest.add(&loaded.head.digest);
    for (key, (_, row)) in &decided {
        digest.add(key);
        digest.add(&row.state);
    }
    digest.hex()
}

/// The cards of a filter, so many at a time, and how many there are to be.
fn in_pages(review: &PlanReview, filter: &CardFilter, count: usize) -> (u64, Vec<Card>) {
    let (mut cards, mut after, mut total) = (Vec::new(), None, 0);
    loop {
        let page = review.cards(filter, after, count).unwrap();
        total = total.max(page.total);
        let Some(last) = page.cards.last() else { return (total, cards) };
        after = Some(last.place);
        cards.extend(page.cards);
    }
}

#[test]
fn a_plan_that_is_read_group_by_group_is_the_one_that_is_read_at_once() {
    for count in [0, 1, 2, 3, 29] {
        let bench = Bench::of(&groups(count));
        let review = bench.review();
        for is_decided in [false, true] {
            if is_decided {
                decide(&review, count);
            }
            let ledger = bench.ledger();
            let loaded = Loaded::of(&ledger, INSTANCE, &bench.plan).unwrap();
            assert_eq!(loaded.index.len() as u64, count);
            let expected = all_at_once(&ledger, &loaded);
            assert_eq!(one_by_one(&ledger, &loaded), expected, "{count} groups");
            assert_eq!(loaded.digest(), digest_of_all(&ledger, &loaded), "{count} groups");
            assert!(ledger.is_intact(&loaded.head).unwrap());
            let digest = loaded.digest();
            drop((ledger, loaded));
            let head = review.head().unwrap();
            assert_eq!(head.digest, digest, "the page that was open knows it, too");
            let records: usize = expected.0.iter().map(|group| group.losers.len()).sum();
            assert_eq!((head.groups, head.records), (count, records as u64));
        }
    }
}

#[test]
fn pages_of_any_size_and_filter_have_each_card_once_and_in_order() {
    let bench = Bench::of(&groups(29));
    let review = bench.review();
    decide(&review, 29);
    let (total, all) = in_pages(&review, &CardFilter::default(), 1_000);
    let places: Vec<u64> = all.iter().map(|card| card.place).collect();
    assert_eq!((total, places), (29, (0..29).collect()));
    let tab_of = |card: &Card| match card.decisions.choice {
        Some(_) if card.refused.is_none() => Tab::Done,
        Some(_) => Tab::Decide,
        None if card.risk == Risk::Red => Tab::Decide,
        None => Tab::Safe,
    };
    let tab = |tab| CardFilter { tab: Some(tab), ..CardFilter::default() };
    let mut filters: Vec<(CardFilter, Vec<Card>)> = vec![(CardFilter::default(), all.clone())];
    for wanted in [Tab::Safe, Tab::Decide, Tab::Done] {
        let of_it = all.iter().filter(|card| tab_of(card) == wanted).cloned().collect();
        filters.push((tab(wanted), of_it));
    }
    let search = CardFilter { search: Some("P2".to_owned()), ..CardFilter::default() };
    let found = all.iter().filter(|card| card.key.contains("p2")).cloned().collect();
    filters.push((search, found));
    for (filter, expected) in &filters {
        assert!(!expected.is_empty(), "{filter:?}");
        for count in [1, 2, 3, 28, 29, 30] {
            let (total, cards) = in_pages(&review, filter, count);
            assert_eq!((total, &cards), (expected.len() as u64, expected), "{filter:?}, {count}");
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "no command takes a group out of a plan")]
fn a_group_that_is_gone_from_the_middle_or_the_end_is_noticed() {
    for gone in [0, 1, 2] {
        let bench = Bench::of(&groups(3));
        let file = bench.file();
        let db = rusqlite::Connection::open(file).unwrap();
        db.execute_batch(&format!(
            "DROP TRIGGER plan_body_kept; DELETE FROM plan_body WHERE place = {gone}"
        ))
        .unwrap();
        drop(db);
        let ledger = bench.ledger();
        let loaded = Loaded::of(&ledger, INSTANCE, &bench.plan).unwrap();
        let read = each_standing(&ledger, &loaded, |_| {
            Ok::<_, crate::review::Error>(ControlFlow::Continue(()))
        });
        let why = read.unwrap_err();
        let why = std::error::Error::source(&why).map_or(why.to_string(), ToString::to_string);
        assert!(why.contains("a group of it is missing"), "{gone}: {why}");
    }
}

#[test]
fn what_two_plans_have_otherwise_is_found_group_by_group() {
    let mut bench = Bench::of(&groups(250));
    let a = bench.review();
    // The first group is gone, one in the middle has another lead, one at the end is new.
    let mut others = groups(251);
    others[100].push(lead(1_009, &key(100)).with("city", "Oslo"));
    others.remove(0);
    bench.plan = bench.keep(&others, Some("later"));
    let b = bench.review();
    let decided = [(key(249), choice(Choice::Skip))];
    b.decide(&decided, &unseen(), "Bo", Door::Cli).unwrap();
    let (same, found) = differences(&a, &b).unwrap();
    let signs: Vec<(char, &str)> = found.iter().map(|one| (one.sign(), one.key.as_str())).collect();
    let expected = [
        ('-', "p0@example.com"),
        ('~', "p100@example.com"),
        ('~', "p249@example.com"),
        ('+', "p250@example.com"),
    ];
    assert_eq!((same, signs.as_slice()), (247, &expected[..]));
    assert!(found[1].what.iter().any(|line| line.contains("1009")), "{:?}", found[1].what);
    assert_eq!(found[2].what[0], "not merged, was");
    assert_eq!(differences(&b, &b).unwrap(), (250, Vec::new()));
}
