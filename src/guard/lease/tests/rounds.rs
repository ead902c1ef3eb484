//! Random rounds of several processes, played to a store in SQL and to the book of rules, which the
//! protocol was checked with.
//!
//! Processes ask, take, renew, give back and leave; they forget a place, or name a grant that is
//! over or another's; and the clock moves by as much as it takes for leases to end and for silent
//! processes to be taken for dead. After each round both must have given the same answer, and have
//! the same in them: who holds what until when under which number, who waits for what in which
//! order, who is alive, and who claims how much of the limits.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::guard::lease::book::{Book, Entries};
use crate::guard::lease::table::{Grant, Results, Round, Ticket};
use crate::guard::lease::{Ask, LeaseKey, Leaving, Terms};
use crate::marketo::Share;

pub(in crate::guard::lease) const TERMS: Terms =
    Terms { unsent: Duration::from_millis(300), place: Duration::from_millis(200) };
const PROCESSES: usize = 3;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// A store that is told the time, from its beginning.
pub(in crate::guard::lease) trait Told {
    fn round(&mut self, owner: i64, now: Duration, round: &Round) -> Results;

    /// All that is in it.
    fn content(&mut self) -> Entries;
}

/// What a process does after a while. Keys are bits; grants and places are counted back from the
/// latest.
#[derive(Debug, Clone)]
pub(in crate::guard::lease) struct Turn {
    process: usize,
    millis: u64,
    enter: Vec<u8>,
    take: Option<u8>,
    renew: Option<(BTreeSet<usize>, u64)>,
    release: Option<usize>,
    leave: Option<usize>,
    /// It has forgotten one of its places, and asks for those that nobody waits at to be removed.
    sweep: bool,
    /// What it keeps and wants of the limits, whether that may grow, and how long it lasts.
    share: Option<(Share, Share, bool, u64)>,
    /// It gives up its claim but for these calls, each for so long.
    left: Option<Vec<(Share, u64)>>,
}

pub(in crate::guard::lease) fn turns() -> impl Strategy<Value = Vec<Turn>> {
    prop::collection::vec(turn(), 1..40)
}

fn turn() -> impl Strategy<Value = Turn> {
    let keys = || 1..1_u8 << NAMES.len();
    let grants = prop::collection::btree_set(0..4_usize, 1..3);
    (
        0..PROCESSES,
        prop_oneof![3 => Just(0), 3 => 1..100_u64, 1 => 200..400_u64],
        prop::collection::vec(keys(), 0..3),
        prop::option::of(keys()),
        prop::option::weighted(0.4, (grants, 0..600_u64)),
        prop::option::weighted(0.4, 0..4_usize),
        prop::option::weighted(0.2, 0..3_usize),
        prop::bool::weighted(0.1),
        (
            prop::option::weighted(0.3, (share(), share(), prop::bool::weighted(0.8), 1..600_u64)),
            prop::option::weighted(0.1, prop::collection::vec((share(), 1..600_u64), 0..3)),
        ),
    )
        .prop_map(
            |(process, millis, enter, take, renew, release, leave, sweep, (share, left))| Turn {
                process,
                millis,
                enter,
                take,
                renew,
                release,
                leave,
                sweep,
                share,
                left,
            },
        )
}

fn share() -> impl Strategy<Value = Share> {
    (0..30_usize, 0..5_usize).prop_map(|(calls, at_once)| Share { calls, at_once })
}

/// What the processes know of the store.
#[derive(Default)]
struct Known {
    granted: Vec<Grant>,
    waiting: [BTreeSet<Ticket>; PROCESSES],
}

impl Known {
    fn round(&mut self, turn: &Turn) -> Round {
        let set = |bits: u8| -> BTreeSet<LeaseKey> {
            let names = NAMES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            names.map(|(_, name)| LeaseKey::of("instance", "email", name).unwrap()).collect()
        };
        let grant = |back: usize| self.granted.iter().rev().nth(back).copied();
        let renew = turn.renew.iter().map(|(back, millis)| {
            (back.iter().filter_map(|back| grant(*back)).collect(), Duration::from_millis(*millis))
        });
        let renew = renew.collect();
        let release = turn.release.and_then(grant).into_iter().collect();
        // Another's place, it may be, which stays.
        let places: BTreeSet<Ticket> = self.waiting.iter().flatten().copied().collect();
        let leave: Vec<Ticket> = turn
            .leave
            .and_then(|back| places.iter().rev().nth(back).copied())
            .into_iter()
            .collect();
        let waiting = &mut self.waiting[turn.process];
        waiting.retain(|ticket| !leave.contains(ticket));
        if turn.sweep {
            waiting.pop_first();
        }
        Round {
            renew,
            release,
            leave,
            enter: turn.enter.iter().map(|bits| set(*bits)).collect(),
            take: turn.take.iter().map(|bits| set(*bits)).collect(),
            waiting: waiting.clone(),
            sweep: turn.sweep,
            share: turn.share.map(|(keep, wants, grows, lasts)| Ask {
                instance: LeaseKey::of_limits("instance"),
                limit: Share { calls: 40, at_once: 6 },
                keep,
                wants,
                grows,
                lasts: Duration::from_millis(lasts),
            }),
            left: turn.left.clone().map(|rests| Leaving {
                instance: LeaseKey::of_limits("instance"),
                rests: rests
                    .into_iter()
                    .map(|(rest, millis)| (rest, Duration::from_millis(millis)))
                    .collect(),
            }),
        }
    }

    /// What a round has granted, all of it under higher numbers than before.
    fn learn(&mut self, process: usize, results: &Results) -> TestCaseResult {
        let waiting = &mut self.waiting[process];
        waiting.extend(&results.entered);
        waiting.retain(|ticket| !results.gone.contains(ticket));
        let highest = self.granted.iter().map(|grant| grant.fence).max();
        for (ticket, grants) in &results.granted {
            waiting.remove(ticket);
            self.granted.extend(grants);
        }
        self.granted.extend(results.taken.iter().flatten());
        let new = results
            .granted
            .iter()
            .flat_map(|(_, grants)| grants)
            .chain(results.taken.iter().flatten());
        let fences: Vec<u64> = new.map(|grant| grant.fence).collect();
        prop_assert!(
            fences.iter().all(|fence| Some(*fence) > highest),
            "{:?} after {:?}",
            fences,
            highest
        );
        Ok(())
    }
}

/// Plays the turns to both.
pub(in crate::guard::lease) fn answers_as_the_book_does(
    store: &mut impl Told,
    turns: &[Turn],
) -> TestCaseResult {
    let (mut book, mut known, mut now) = (Book::default(), Known::default(), Duration::ZERO);
    for turn in turns {
        now += Duration::from_millis(turn.millis);
        let round = known.round(turn);
        let owner = i64::try_from(turn.process).unwrap();
        let of_store = store.round(owner, now, &round);
        let of_book = book.round(owner, now, &round, TERMS);
        prop_assert_eq!(&of_store, &of_book, "{:?} at {:?}", &round, now);
        prop_assert_eq!(&store.content(), book.entries(), "after {:?} at {:?}", &round, now);
        known.learn(turn.process, &of_book)?;
    }
    Ok(())
}
