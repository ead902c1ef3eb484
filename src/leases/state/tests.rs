//! The rules beside the model check: order, and what it is kept by.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;

const TERMS: Terms = Terms { unsent: Duration::from_secs(30), place: Duration::from_secs(9) };
const SECOND: Duration = Duration::from_secs(1);

fn keys(bits: u8) -> BTreeSet<LeaseKey> {
    (0..4).filter(|bit| bits >> bit & 1 == 1).map(|bit| LeaseKey::from_bytes([bit; 32])).collect()
}

fn at(seconds: u32) -> Time {
    Time { now: SECOND * (seconds + 1), clock: 0 }
}

fn arrives(state: &mut State, guard: i64, time: Time, bits: u8) -> BatchResult {
    let batch = Batch { arrive: vec![keys(bits)], ..Batch::default() };
    state.apply(guard, time, &batch, TERMS)
}

fn looks(
    state: &mut State,
    guard: i64,
    time: Time,
    waiting: &[(Ticket, u8)],
    release: &[Grant],
) -> BatchResult {
    let waiting: Vec<_> = waiting.iter().map(|(ticket, bits)| (*ticket, keys(*bits))).collect();
    let complete = waiting.iter().flat_map(|(_, keys)| keys).copied().collect();
    let batch = Batch { waiting, complete, release: release.to_vec(), ..Batch::default() };
    state.apply(guard, time, &batch, TERMS)
}

#[test]
fn a_sign_of_life_is_written_only_when_a_third_of_its_time_is_over() {
    let mut state = State::default();
    arrives(&mut state, 1, at(0), 1);
    let ticket = arrives(&mut state, 2, at(0), 1).arrived[0];
    let written = |state: &mut State, seconds| {
        let before = state.clone();
        looks(state, 2, at(seconds), &[(ticket, 1)], &[]);
        *state != before
    };
    assert!(!written(&mut state, 2), "other processes are not woken by a look");
    assert!(written(&mut state, 3));
    assert!(!written(&mut state, 5));
}

#[test]
fn a_process_is_woken_when_its_turn_may_have_come_and_only_then() {
    let mut state = State::default();
    let held = arrives(&mut state, 1, at(0), 1).granted[0].1.clone();
    let first = arrives(&mut state, 2, at(0), 0b11).arrived[0];
    let next = arrives(&mut state, 3, at(0), 0b10);
    assert!(next.granted.is_empty(), "the one before it waits for that key too");
    // The one before it stops waiting.
    let left = Batch { complete: keys(0b11), ..Batch::default() };
    assert!(state.clone().apply(2, at(1), &left, TERMS).wakes);
    assert!(looks(&mut state, 1, at(1), &[], &held).wakes);
    let served = looks(&mut state, 2, at(1), &[(first, 0b11)], &[]);
    assert_eq!(served.granted[0].1.len(), 2);
    assert!(!served.wakes, "both keys are leased now");
    assert!(looks(&mut state, 2, at(1), &[], &served.granted[0].1).wakes);
    let alone = looks(&mut state, 3, at(1), &[(next.arrived[0], 0b10)], &[]);
    assert!(!looks(&mut state, 3, at(1), &[], &alone.granted[0].1).wakes, "nobody else waits");
    assert!(state.rows.is_empty(), "{state:?}");
}

#[test]
fn numbers_are_at_least_the_time_and_grow_though_the_clock_is_set_back() {
    let mut state = State::default();
    let mut granted = |clock: u64, bits: u8| {
        let batch = Batch { take: vec![keys(bits)], ..Batch::default() };
        state.apply(1, Time { clock, ..at(0) }, &batch, TERMS).taken[0][0].generation
    };
    assert_eq!([granted(700, 1), granted(700, 2), granted(500, 4)], [700, 701, 702]);
}

#[test]
fn an_older_state_of_the_store_grants_nothing_until_what_left_is_over() {
    let mut state = State { saves: 7, ..State::default() };
    let take = Batch { take: vec![keys(1)], seen: 8, ..Batch::default() };
    assert!(state.apply(1, at(0), &take, TERMS).taken[0].is_empty());
    assert_eq!(state.saves, 8, "it is told once");
    let waits = arrives(&mut state, 2, at(0), 1);
    assert_eq!((waits.granted.len(), waits.look_again), (0, Some(QUIET)));
    let over = Time { now: at(0).now + QUIET, clock: 0 };
    let ticket = waits.arrived[0];
    assert_eq!(looks(&mut state, 2, over, &[(ticket, 1)], &[]).granted.len(), 1);
}

/// What happens next. Waiting callers and grants are counted from the first one.
#[derive(Debug, Clone)]
enum Event {
    Arrives(i64, u8),
    Takes(i64, u8),
    Looks(i64),
    StopsWaiting(usize),
    Releases(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_i64, 1..16_u8).prop_map(|(guard, bits)| Event::Arrives(guard, bits)),
        1 => (0..3_i64, 1..16_u8).prop_map(|(guard, bits)| Event::Takes(guard, bits)),
        4 => (0..3_i64).prop_map(Event::Looks),
        1 => (0..6_usize).prop_map(Event::StopsWaiting),
        4 => (0..6_usize).prop_map(Event::Releases),
    ]
}

/// Processes that all live, and the slow oracle: one list of all who wait, in order.
#[derive(Default)]
struct World {
    state: State,
    waiting: BTreeMap<Ticket, (i64, BTreeSet<LeaseKey>)>,
    held: Vec<(i64, Vec<Grant>)>,
}

impl World {
    fn batch(&mut self, guard: i64, mut batch: Batch) -> TestCaseResult {
        let own = self.waiting.iter().filter(|(_, (whose, _))| *whose == guard);
        batch.waiting = own.map(|(ticket, (_, keys))| (*ticket, keys.clone())).collect();
        batch.complete.extend(batch.waiting.iter().flat_map(|(_, keys)| keys));
        let result = self.state.apply(guard, at(0), &batch, TERMS);
        let arrived = result.arrived.iter().copied().zip(batch.arrive);
        self.waiting.extend(arrived.map(|(ticket, keys)| (ticket, (guard, keys))));
        let served: BTreeSet<Ticket> = result.granted.iter().map(|(ticket, _)| *ticket).collect();
        prop_assert_eq!(served, self.turns(guard));
        for (ticket, grants) in result.granted {
            self.waiting.remove(&ticket);
            self.held.push((guard, grants));
        }
        for grants in result.taken {
            for grant in &grants {
                let mut waited_for = self.waiting.values().flat_map(|(_, keys)| keys);
                prop_assert!(waited_for.all(|key| *key != grant.key), "{grant:?} was waited for");
            }
            self.held.push((guard, grants));
        }
        let mut keys = self.held.iter().flat_map(|(_, grants)| grants).map(|grant| grant.key);
        let mut once = BTreeSet::new();
        prop_assert!(keys.all(|key| once.insert(key)), "a key has two owners");
        Ok(())
    }

    /// Whose turn it is, by a look at all who wait.
    fn turns(&self, guard: i64) -> BTreeSet<Ticket> {
        let held = self.held.iter().flat_map(|(_, grants)| grants).map(|grant| grant.key);
        let mut taken: BTreeSet<LeaseKey> = held.collect();
        let mut turns = BTreeSet::new();
        for (ticket, (whose, keys)) in &self.waiting {
            if *whose == guard && keys.is_disjoint(&taken) {
                turns.insert(*ticket);
            }
            taken.extend(keys);
        }
        turns
    }

    fn happens(&mut self, event: &Event) -> TestCaseResult {
        match *event {
            Event::Arrives(guard, bits) => {
                self.batch(guard, Batch { arrive: vec![keys(bits)], ..Batch::default() })
            }
            Event::Takes(guard, bits) => {
                self.batch(guard, Batch { take: vec![keys(bits)], ..Batch::default() })
            }
            Event::Looks(guard) => self.batch(guard, Batch::default()),
            Event::StopsWaiting(nth) => {
                let Some(ticket) = self.waiting.keys().nth(nth).copied() else { return Ok(()) };
                let Some((guard, complete)) = self.waiting.remove(&ticket) else { return Ok(()) };
                self.batch(guard, Batch { complete, ..Batch::default() })
            }
            Event::Releases(nth) if nth < self.held.len() => {
                let (guard, release) = self.held.remove(nth);
                self.batch(guard, Batch { release, ..Batch::default() })
            }
            Event::Releases(_) => Ok(()),
        }
    }
}

proptest! {
    #[test]
    fn whoever_is_served_has_nobody_before_it_in_any_process(
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut world = World::default();
        for event in events {
            world.happens(&event)?;
        }
        // Everybody is served in the end, and nothing is left behind.
        while !world.waiting.is_empty() || !world.held.is_empty() {
            let (waiting, held) = (world.waiting.len(), world.held.len());
            world.happens(&Event::Releases(0))?;
            (0..3).try_for_each(|guard| world.happens(&Event::Looks(guard)))?;
            prop_assert!(world.waiting.len() < waiting || world.held.len() < held);
        }
        prop_assert!(world.state.rows.is_empty(), "{:?}", world.state);
    }
}
