//! Random batches of several processes, played to a store in SQL and to the rules alone.
//!
//! Processes come, try, renew, give back and stop waiting; they forget a caller, or name a grant
//! that is over or another's; and the clock moves by as much as it takes for leases to end and for
//! silent processes to be passed over. After each batch both must have given the same answer, and
//! have the same in them. So what a store loads for a batch is all that the rules need, and what it
//! saves is all that they changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::leases::api::Grant;
use crate::leases::backend::{Batch, BatchResult, Ticket};
use crate::leases::rate_share::Claim;
use crate::leases::state::{State, Time};
use crate::leases::{LeaseKey, Leaving, Terms};
use crate::marketo::Share;

pub(in crate::leases) const TERMS: Terms =
    Terms { unsent: Duration::from_millis(300), place: Duration::from_millis(200) };
const PROCESSES: usize = 3;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// A store that is told the time, from its beginning.
pub(in crate::leases) trait Told {
    fn batch(&mut self, guard: i64, now: Duration, batch: &Batch) -> BatchResult;

    /// All that is in it.
    fn content(&mut self) -> State;
}

/// What a process does after a while. Keys are bits; grants and places are counted back from the
/// latest.
#[derive(Debug, Clone)]
pub(in crate::leases) struct Turn {
    process: usize,
    millis: u64,
    arrive: Vec<u8>,
    take: Option<u8>,
    renew: Option<(BTreeSet<usize>, u64)>,
    release: Option<usize>,
    leave: Option<usize>,
    /// It looks at all of its waiting callers, of whom it may have forgotten one.
    looks: bool,
    forgets: bool,
    /// What it keeps and wants of the limits, whether that may grow, and how long it lasts.
    share: Option<(Share, Share, bool, u64)>,
    /// It gives up its claim but for these calls, each for so long.
    left: Option<Vec<(Share, u64)>>,
}

pub(in crate::leases) fn turns() -> impl Strategy<Value = Vec<Turn>> {
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
        (prop::bool::weighted(0.5), prop::bool::weighted(0.1)),
        (
            prop::option::weighted(0.3, (share(), share(), prop::bool::weighted(0.8), 1..600_u64)),
            prop::option::weighted(0.1, prop::collection::vec((share(), 1..600_u64), 0..3)),
        ),
    )
        .prop_map(
            |(
                process,
                millis,
                arrive,
                take,
                renew,
                release,
                leave,
                (looks, forgets),
                (share, left),
            )| Turn {
                process,
                millis,
                arrive,
                take,
                renew,
                release,
                leave,
                looks,
                forgets,
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
    waiting: [BTreeMap<Ticket, BTreeSet<LeaseKey>>; PROCESSES],
}

impl Known {
    fn batch(&mut self, turn: &Turn) -> Batch {
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
        let waiting = &mut self.waiting[turn.process];
        let mut complete = BTreeSet::new();
        let gone = turn.leave.and_then(|back| waiting.keys().rev().nth(back).copied());
        if let Some(keys) = gone.and_then(|ticket| waiting.remove(&ticket)) {
            complete.extend(keys);
        }
        if turn.forgets {
            waiting.pop_first();
        }
        if turn.looks {
            complete.extend(waiting.values().flatten());
        }
        // All whose keys these are, and all whose keys those are.
        while let Some(keys) =
            waiting.values().find(|keys| !keys.is_disjoint(&complete) && !keys.is_subset(&complete))
        {
            complete.extend(keys);
        }
        let concerned = waiting.iter().filter(|(_, keys)| keys.is_subset(&complete));
        Batch {
            renew,
            release,
            arrive: turn.arrive.iter().map(|bits| set(*bits)).collect(),
            waiting: concerned.map(|(ticket, keys)| (*ticket, keys.clone())).collect(),
            complete,
            take: turn.take.iter().map(|bits| set(*bits)).collect(),
            claim: turn.share.map(|(keep, wants, grows, lasts)| Claim {
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
            seen: 0,
        }
    }

    /// What a batch has granted, all of it under higher numbers than before.
    fn learn(&mut self, process: usize, batch: Batch, result: &BatchResult) -> TestCaseResult {
        let waiting = &mut self.waiting[process];
        waiting.extend(result.arrived.iter().copied().zip(batch.arrive));
        let highest = self.granted.iter().map(|grant| grant.generation).max();
        for (ticket, _) in &result.granted {
            waiting.remove(ticket);
        }
        let granted = result.granted.iter().flat_map(|(_, grants)| grants);
        let new: Vec<Grant> = granted.chain(result.taken.iter().flatten()).copied().collect();
        let grow = new.iter().all(|grant| Some(grant.generation) > highest);
        prop_assert!(grow, "{new:?} after {highest:?}");
        self.granted.extend(new);
        Ok(())
    }
}

/// Plays the turns to both.
pub(in crate::leases) fn answers_as_the_rules_do(
    store: &mut impl Told,
    turns: &[Turn],
) -> TestCaseResult {
    let (mut rules, mut known, mut now) = (State::default(), Known::default(), Duration::ZERO);
    for turn in turns {
        now += Duration::from_millis(turn.millis);
        let batch = known.batch(turn);
        // As stores do before they load.
        rules.prune(now);
        let guard = i64::try_from(turn.process).unwrap();
        let of_store = store.batch(guard, now, &batch);
        let time = Time { now, clock: 0 };
        let of_rules = rules.apply(guard, time, &batch, TERMS);
        let saves = of_store.saves;
        prop_assert_eq!(&of_store, &BatchResult { saves, ..of_rules }, "{:?} at {:?}", &batch, now);
        // A row that is over may be there or not.
        let mut content = State { saves: 0, ..store.content() };
        content.prune(now);
        rules.prune(now);
        rules.claims.retain(|_, claim| claim.ends_at > now);
        content.claims.retain(|_, claim| claim.ends_at > now);
        prop_assert_eq!(&content, &rules, "after {:?} at {:?}", &batch, now);
        known.learn(turn.process, batch, &of_store)?;
    }
    Ok(())
}
