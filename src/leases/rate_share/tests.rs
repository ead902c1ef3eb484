//! Guards that come, go, die and lose answers, on a clock that the test moves, against the state
//! of a store: whatever happens, Marketo never sees more than the limits, and what there is goes to
//! those who have use for it.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tokio::time::Instant;

use super::{IDLE, RateShare, Timing, parts};
use crate::leases::backend::Batch;
use crate::leases::state::{State, Time};
use crate::leases::{LeaseKey, Leaving, Terms};
use crate::marketo::{Clock, Share};

const WINDOW: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

/// A guard: what it keeps, and the calls that it made.
struct Guard {
    owner: i64,
    part: RateShare,
    may_use: Share,
    /// Calls under way.
    in_flight: usize,
    /// When the answers came that its pacer still counts.
    answers: VecDeque<Duration>,
    renewed: Duration,
}

/// Marketo, the store, and all guards that live.
struct World {
    start: Instant,
    now: Duration,
    timing: Timing,
    limit: Share,
    store: State,
    guards: Vec<Guard>,
    started: i64,
    /// When calls arrived: Marketo's window.
    arrived: VecDeque<Duration>,
}

impl World {
    fn new(limit: Share) -> Self {
        Self {
            start: Instant::now(),
            now: Duration::ZERO,
            timing: Timing::of(WINDOW, Clock::real()),
            limit,
            store: State::default(),
            guards: Vec::new(),
            started: 0,
            arrived: VecDeque::new(),
        }
    }

    fn start(&mut self) {
        let part = RateShare::new(LeaseKey::of_limits("instance"), self.limit, self.timing);
        let (may_use, answers) = (Share::default(), VecDeque::new());
        self.guards.push(Guard {
            owner: self.started,
            part,
            may_use,
            in_flight: 0,
            answers,
            renewed: self.now,
        });
        self.started += 1;
        self.renew(self.guards.len() - 1, true);
    }

    /// A renewal; its answer may be lost.
    fn renew(&mut self, guard: usize, answered: bool) {
        let at = self.start + self.now;
        let Some(guard) = self.guards.get_mut(guard) else { return };
        let used = Share { calls: guard.in_flight + guard.answers.len(), at_once: guard.in_flight };
        let claim = Some(guard.part.claim(at, used, used.at_once));
        let batch = Batch { claim, ..Batch::default() };
        let time = Time { now: self.now, clock: 0 };
        let shared = self.store.apply(guard.owner, time, &batch, Terms::default()).shared.unwrap();
        guard.renewed = self.now;
        guard.may_use = if answered { guard.part.told(at, shared) } else { guard.part.not_told() };
    }

    /// A call, if the guard may make one.
    fn call(&mut self, guard: usize) {
        let Some(guard) = self.guards.get_mut(guard) else { return };
        if guard.in_flight < guard.may_use.at_once
            && guard.in_flight + guard.answers.len() < guard.may_use.calls
        {
            guard.in_flight += 1;
            self.arrived.push_back(self.now);
        }
    }

    fn answer(&mut self, guard: usize) {
        let Some(guard) = self.guards.get_mut(guard) else { return };
        if guard.in_flight > 0 {
            guard.in_flight -= 1;
            guard.answers.push_back(self.now);
        }
    }

    fn kill(&mut self, guard: usize) {
        if guard < self.guards.len() {
            self.guards.remove(guard);
        }
    }

    /// A guard stops in good order: it says which of its calls still count.
    fn leave(&mut self, guard: usize) {
        if guard >= self.guards.len() {
            return;
        }
        let gone = self.guards.remove(guard);
        let answered: Vec<Duration> =
            gone.answers.iter().map(|answer| (*answer + WINDOW).saturating_sub(self.now)).collect();
        let instance = LeaseKey::of_limits("instance");
        let left = Leaving::of(instance, WINDOW, self.timing, gone.in_flight, &answered);
        let batch = Batch { left: Some(left), ..Batch::default() };
        let time = Time { now: self.now, clock: 0 };
        self.store.apply(gone.owner, time, &batch, Terms::default());
    }

    /// Time passes; whoever lives renews in time.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = end.min(self.now + self.timing.renewal);
            for number in 0..self.guards.len() {
                let guard = &mut self.guards[number];
                guard.answers.retain(|answer| *answer + WINDOW > self.now);
                if self.now >= guard.renewed + self.timing.renewal {
                    self.renew(number, true);
                }
            }
            self.arrived.retain(|arrival| *arrival + WINDOW > self.now);
        }
    }

    fn is_within_the_limits(&self) -> TestCaseResult {
        let in_flight: usize = self.guards.iter().map(|guard| guard.in_flight).sum();
        prop_assert!(
            self.arrived.len() <= self.limit.calls,
            "{} calls in a window",
            self.arrived.len()
        );
        prop_assert!(in_flight <= self.limit.at_once, "{} calls at once", in_flight);
        let may_use: usize = self.guards.iter().map(|guard| guard.may_use.calls).sum();
        prop_assert!(may_use <= self.limit.calls, "parts of {} calls", may_use);
        Ok(())
    }

    fn may_use(&self) -> Vec<usize> {
        self.guards.iter().map(|guard| guard.may_use.calls).collect()
    }
}

#[derive(Debug, Clone)]
enum Event {
    Start,
    Kill(usize),
    Leave(usize),
    Calls(usize, usize),
    Answers(usize, usize),
    Renew(usize, bool),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => Just(Event::Start),
        1 => (0..4_usize).prop_map(Event::Kill),
        1 => (0..4_usize).prop_map(Event::Leave),
        8 => (0..4_usize, 1..30_usize).prop_map(|(guard, calls)| Event::Calls(guard, calls)),
        8 => (0..4_usize, 1..30_usize).prop_map(|(guard, calls)| Event::Answers(guard, calls)),
        6 => (0..4_usize, prop::bool::weighted(0.8)).prop_map(|(guard, answered)| Event::Renew(guard, answered)),
        6 => prop_oneof![4 => 1..3_000_u64, 1 => 3_000..30_000_u64].prop_map(Event::Pass),
    ]
}

proptest! {
    #[test]
    fn together_guards_never_exceed_the_limits_whichever_die_start_or_lose_an_answer(
        calls in 1..60_usize,
        at_once in 1..12_usize,
        events in prop::collection::vec(event(), 1..150),
    ) {
        let mut world = World::new(Share { calls, at_once });
        world.start();
        for event in events {
            match event {
                Event::Start if world.guards.len() < 4 => world.start(),
                Event::Start => {}
                Event::Kill(guard) => world.kill(guard),
                Event::Leave(guard) => world.leave(guard),
                Event::Calls(guard, calls) => (0..calls).for_each(|_| world.call(guard)),
                Event::Answers(guard, answers) => (0..answers).for_each(|_| world.answer(guard)),
                Event::Renew(guard, answered) => world.renew(guard, answered),
                Event::Pass(millis) => world.pass(Duration::from_millis(millis)),
            }
            world.is_within_the_limits()?;
        }
    }

    #[test]
    fn a_limit_is_divided_to_the_last_call_and_nobody_gets_less_than_an_equal_part_or_what_it_wants(
        limit in 1..200_usize,
        wants in prop::collection::vec(0..300_usize, 1..20),
    ) {
        let equal = limit / wants.len();
        let given = parts(limit, wants.iter().copied().zip(0..).collect());
        prop_assert_eq!(given.iter().map(|(_, part)| part).sum::<usize>(), limit);
        for (owner, part) in given {
            let wanted = wants[usize::try_from(owner).unwrap()];
            prop_assert!(part >= wanted.min(equal), "{part} of {limit}");
            prop_assert!(part >= (equal / IDLE).max(usize::from(equal > 0)), "{part} of {limit}");
        }
    }
}

#[test]
fn one_guard_has_all_and_two_that_are_idle_half_each() {
    let mut world = World::new(Share { calls: 50, at_once: 5 });
    world.start();
    assert_eq!(world.may_use(), [50]);
    world.start();
    assert_eq!(world.may_use(), [50, 0], "the first one has not seen it yet");
    world.pass(SECOND * 3);
    assert_eq!(world.may_use(), [25, 25]);
    let at_once: usize = world.guards.iter().map(|guard| guard.may_use.at_once).sum();
    assert_eq!(at_once, 5);
}

#[test]
fn a_busy_guard_has_most_of_it_while_the_other_is_idle_and_gives_it_up_as_its_calls_leave_the_window()
 {
    let mut world = World::new(Share { calls: 48, at_once: 5 });
    world.start();
    world.start();
    let work = |world: &mut World, guard, seconds| {
        for _ in 0..seconds {
            for _ in 0..10 {
                world.call(guard);
                world.answer(guard);
            }
            world.pass(SECOND);
            world.is_within_the_limits().unwrap();
        }
    };
    work(&mut world, 0, 30);
    assert_eq!(world.may_use(), [42, 6]);
    // Both work from now on.
    for _ in 0..60 {
        work(&mut world, 0, 1);
        work(&mut world, 1, 1);
    }
    assert_eq!(world.may_use(), [24, 24]);
}

#[test]
fn the_part_of_a_guard_that_died_comes_back_once_its_last_call_has_left_the_window() {
    let mut world = World::new(Share { calls: 50, at_once: 5 });
    world.start();
    world.start();
    world.pass(SECOND * 5);
    world.kill(1);
    world.pass(WINDOW);
    assert_eq!(world.may_use(), [25]);
    world.pass(world.timing.row);
    assert_eq!(world.may_use(), [50]);
}

#[test]
fn a_guard_that_follows_one_that_stopped_has_all_at_once_but_the_calls_that_still_count() {
    let mut world = World::new(Share { calls: 50, at_once: 5 });
    world.start();
    world.call(0);
    world.answer(0);
    world.pass(SECOND);
    world.leave(0);
    world.start();
    assert_eq!(world.may_use(), [49], "one call is in Marketo's window still");
    assert_eq!(world.guards[0].may_use.at_once, 5);
    world.pass(WINDOW);
    assert_eq!(world.may_use(), [50]);
}

#[test]
fn after_a_guard_that_used_all_of_its_calls_the_next_may_call_as_they_leave_the_window() {
    let mut world = World::new(Share { calls: 50, at_once: 5 });
    world.start();
    for _ in 0..50 {
        world.call(0);
        world.answer(0);
        world.pass(Duration::from_millis(400));
    }
    world.leave(0);
    world.start();
    for second in 1..20_usize {
        world.pass(SECOND);
        // Two and a half calls leave it each second, and a row's calls are kept until the last of
        // them has.
        let (least, most) = ((second - 1) * 5 / 2, second * 5 / 2 + 3);
        let may_use = world.may_use()[0];
        assert!((least.saturating_sub(2)..=most).contains(&may_use), "{may_use} after {second} s");
    }
}

#[test]
fn guards_divide_what_one_that_stopped_does_not_hold_any_more() {
    let mut world = World::new(Share { calls: 50, at_once: 5 });
    (0..3).for_each(|_| world.start());
    world.pass(SECOND * 5);
    for _ in 0..10 {
        world.call(0);
        world.answer(0);
    }
    world.leave(0);
    world.pass(SECOND * 2);
    assert_eq!(world.may_use(), [20, 20]);
}

#[test]
fn a_guard_that_was_killed_is_told_apart_and_so_is_when_its_row_ends() {
    let mut world = World::new(Share { calls: 50, at_once: 5 });
    world.start();
    world.kill(0);
    world.start();
    let asked = |world: &mut World| {
        let guard = &world.guards[0];
        let claim = Some(guard.part.claim(world.start + world.now, Share::default(), 0));
        let batch = Batch { claim, ..Batch::default() };
        let time = Time { now: world.now, clock: 0 };
        world.store.apply(guard.owner, time, &batch, Terms::default()).shared.unwrap()
    };
    assert_eq!((asked(&mut world).silent, asked(&mut world).claim.calls), (0, 0));
    world.pass(world.timing.row / 2);
    let shared = asked(&mut world);
    assert_eq!((shared.silent, shared.claim.calls, shared.frees_in), (1, 0, world.timing.row / 2));
    world.pass(world.timing.row / 2);
    assert_eq!((asked(&mut world).silent, world.may_use()), (0, vec![50]));
}

#[test]
fn after_the_store_was_away_nobody_takes_what_is_anothers_that_is_not_back_yet() {
    let mut world = World::new(Share { calls: 50, at_once: 5 });
    world.start();
    world.start();
    world.pass(SECOND * 5);
    // No renewal for so long that all rows are over; one of them comes a second before the other.
    world.now += world.timing.row * 2;
    world.renew(0, true);
    assert_eq!(world.may_use(), [25, 25]);
    world.now += SECOND;
    world.renew(0, true);
    world.renew(1, true);
    world.pass(SECOND * 60);
    assert_eq!(world.may_use(), [25, 25]);
}

#[test]
fn a_guard_that_never_heard_of_the_store_uses_the_limits_as_its_own() {
    let limit = Share { calls: 50, at_once: 5 };
    let mut part =
        RateShare::new(LeaseKey::of_limits("instance"), limit, Timing::of(WINDOW, Clock::real()));
    assert_eq!(part.not_told(), limit);
}
