//! The protocol of the leases, checked in every order in which its steps can happen.
//!
//! Guards take keys or wait for them, look up, ask for the renewal, send, and give back, against
//! the very rules that every store applies, and with the constants that the proxy uses. At every
//! moment a guard may sleep for any time, or be killed and started anew; its connection may fail;
//! an answer may be lost. A call takes its time to Marketo, looks up when it arrives, and inserts
//! at some moment before its limit is over, so that two calls of a key that run at one time would
//! both insert. What the network is trusted with is that a call which left arrives within
//! [`MARGIN`](crate::leases::MARGIN).
//!
//! Time goes by in steps of that margin, of which every span is a multiple. Since only what can
//! still come of a moment is told apart (`world`), there is no bound to how long the guards go on:
//! all runs of any length are covered. `weakened` shows for each rule that without it two calls of
//! a key meet.

use std::time::Duration;

use stateright::{Checker, Model, Property};

use crate::leases::LeaseKey;
use crate::marketo::SYNC_LIMIT;

mod rules;
mod steps;
mod weakened;
mod world;

use rules::Rules;
use steps::{Protocol, Step, owner};
use world::{Guard, TICK, Whereabouts, World};

/// What the protocol is for.
const ONE_CALL: &str = "one call of a key runs at a time";
const COVERED: &str = "a call has the leases of its keys for as long as it is under way";
const GENERATIONS: &str = "the generations of grants grow";
const SERVED: &str = "whoever waits is served, though everybody else is silent";
const NOT_STARVED: &str =
    "while a guard waits, each other one is granted one of its keys once at most";

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World { guards: vec![Guard::Idle; self.wants.len()], ..World::default() }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        self.possible(world, steps);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let next = self.after(world, step);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut promises = vec![
            Property::always(ONE_CALL, |protocol: &Self, world: &World| {
                protocol.wants.iter().flatten().all(|key| world.running(*key) <= 1)
            }),
            Property::always(COVERED, |_, world: &World| {
                world.calls.iter().all(|call| world.is_covered(&call.grants))
            }),
            Property::always(GENERATIONS, |_, world: &World| !world.generations_went_back),
            Property::always(NOT_STARVED, |protocol: &Self, world: &World| {
                world.guards.iter().all(|guard| match guard {
                    Guard::Waits { overtaken, .. } => *overtaken < protocol.wants.len(),
                    _ => true,
                })
            }),
            Property::always(SERVED, Self::serves_who_waits),
            // That the above is not said of a world in which nothing happens.
            Property::sometimes("a lease is lost to a guard that slept", |_, world: &World| {
                let asks = |guard: &Guard| matches!(guard, Guard::Asking(..));
                world.guards.iter().any(|guard| asks(guard) && !world.is_covered(guard.grants()))
            }),
            Property::sometimes(
                "a call outlives its guard while another waits",
                |_, world: &World| {
                    let waits = |guard: &Guard| matches!(guard, Guard::Waits { .. });
                    world.calls.iter().any(|call| call.guard.is_none())
                        && world.guards.iter().any(waits)
                },
            ),
            Property::sometimes("a call runs until its limit", |protocol: &Self, world: &World| {
                let last = protocol.rules.limit.saturating_sub(TICK);
                world.calls.iter().any(|call| call.at == Whereabouts::Running && call.since == last)
            }),
            Property::sometimes("a lost answer is waited out", |protocol: &Self, world: &World| {
                let over = protocol.rules.settled_after;
                world
                    .guards
                    .iter()
                    .any(|guard| matches!(guard, Guard::Sent(_, since) if *since == over))
            }),
            Property::sometimes("a guard that is silent is passed over", |_, world: &World| {
                let mut noted = world.store.rows.values().flat_map(|row| &row.waiting);
                let passed_over = |guard: &Guard| match guard {
                    Guard::Waits { ticket, .. } => noted.all(|waiting| waiting.ticket != *ticket),
                    _ => false,
                };
                world.guards.iter().any(passed_over)
            }),
        ];
        promises.retain(|promise| self.only.is_none_or(|only| promise.name == only));
        promises
    }
}

impl Protocol {
    fn new(rules: Rules, wants: &[&[&str]]) -> Self {
        let key = |name: &&str| LeaseKey::of("instance", "email", name).unwrap();
        let wants = wants.iter().map(|names| names.iter().map(key).collect()).collect();
        Self { rules, wants, alike: false, loses_rows: false, only: None }
    }

    /// Whether all who wait are served in their order once the longest wait is over, as long
    /// as they give signs of life, though nobody else does anything any more.
    fn serves_who_waits(&self, world: &World) -> bool {
        let mut world = world.clone();
        let mut line = Vec::new();
        for number in 0..self.wants.len() {
            self.look(&mut world, number);
            if let Guard::Waits { ticket, .. } = world.guards[number] {
                line.push((ticket, number));
                let noted = world.store.rows.values_mut().flat_map(|row| &mut row.waiting);
                for waiting in noted.filter(|waiting| waiting.guard == owner(number)) {
                    waiting.until = Duration::MAX;
                }
            }
        }
        line.sort_unstable();
        world.pass_in_store(self.rules.longest_wait());
        line.into_iter().all(|(_, number)| {
            self.look(&mut world, number);
            let served = matches!(world.guards[number], Guard::Granted(_));
            self.release(&mut world, number);
            served
        })
    }
}

/// Looks at every world there is, and says how many. A change of that number is a change of the
/// protocol.
fn worlds(protocol: Protocol) -> usize {
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

#[test]
fn two_guards_never_have_two_calls_of_a_key_at_marketo_whenever_they_sleep_or_die() {
    let protocol = Protocol::new(Rules::as_built(SYNC_LIMIT), &[&["a"], &["a"]]);
    assert_eq!(worlds(protocol), 18_667);
}

#[test]
fn two_guards_whose_calls_share_some_of_their_keys_never_have_two_of_one_key_at_marketo() {
    let protocol = Protocol::new(Rules::as_built(SYNC_LIMIT), &[&["a", "b"], &["b", "c"]]);
    assert_eq!(worlds(protocol), 24_007);
}

/// With a shorter limit: what matters is in which order things end, not how far apart.
#[test]
fn three_guards_never_have_two_calls_of_a_key_at_marketo_and_are_served_in_their_order() {
    let protocol = Protocol::new(Rules::as_built(TICK * 3), &[&["a"], &["a"], &["a"]]);
    assert_eq!(worlds(Protocol { alike: true, ..protocol }), 65_077);
}

/// The store loses all of its rows at any moment, though not again before its quiet is over.
#[test]
fn two_guards_never_have_two_calls_of_a_key_at_marketo_though_their_store_loses_its_rows() {
    let protocol = Protocol::new(Rules::as_built(TICK * 3), &[&["a"], &["a"]]);
    let protocol = Protocol { loses_rows: true, only: Some(ONE_CALL), ..protocol };
    assert_eq!(worlds(protocol), 17_571);
}
