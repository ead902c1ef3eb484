//! Whatever is asked of it in whatever order, the file answers as the book of rules does, which the protocol was checked with.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;

use super::super::MIGRATIONS;
use super::carry_out;
use crate::guard::lease::book::Book;
use crate::guard::lease::machine_clock::Moment;
use crate::guard::lease::table::{Grant, Results, Round, Ticket};
use crate::guard::lease::{LeaseKey, Terms};

const TERMS: Terms = Terms { unsent: Duration::from_millis(300), place: Duration::from_millis(200) };
const PROCESSES: usize = 3;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a process does after a while. Keys are bits; grants and places are counted back from the latest.
#[derive(Debug, Clone)]
struct Turn {
    process: usize,
    millis: u64,
    enter: Vec<u8>,
    take: Option<u8>,
    renew: Option<(BTreeSet<usize>, u64)>,
    release: Option<usize>,
    leave: Option<usize>,
    /// It has forgotten one of its places, and asks for those that nobody waits at to be removed.
    sweep: bool,
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
    )
        .prop_map(|(process, millis, enter, take, renew, release, leave, sweep)| Turn {
            process,
            millis,
            enter,
            take,
            renew,
            release,
            leave,
            sweep,
        })
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
        let waiting = &mut self.waiting[turn.process];
        let leave: Vec<Ticket> =
            turn.leave.and_then(|back| waiting.iter().rev().nth(back).copied()).into_iter().collect();
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
        }
    }

    fn learn(&mut self, process: usize, results: &Results) {
        let waiting = &mut self.waiting[process];
        waiting.extend(&results.entered);
        for (ticket, grants) in &results.granted {
            waiting.remove(ticket);
            self.granted.extend(grants);
        }
        self.granted.extend(results.taken.iter().flatten());
        waiting.retain(|ticket| !results.gone.contains(ticket));
    }
}

proptest! {
    #[test]
    fn a_file_of_leases_answers_every_round_as_the_book_does(turns in prop::collection::vec(turn(), 1..40)) {
        let db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "foreign_keys", true).unwrap();
        db.execute_batch(MIGRATIONS[0]).unwrap();
        let (mut book, mut known, mut now) = (Book::default(), Known::default(), Duration::ZERO);
        for turn in &turns {
            now += Duration::from_millis(turn.millis);
            let round = known.round(turn);
            let owner = i64::try_from(turn.process).unwrap();
            let moment = Moment { boot: "first".to_owned(), millis: i64::try_from(now.as_millis()).unwrap() };
            let of_file = carry_out(&db, owner, &moment, &round, TERMS).unwrap();
            let of_book = book.round(owner, now, &round, TERMS);
            prop_assert_eq!(&of_file, &of_book, "{:?} at {:?}", round, now);
            known.learn(turn.process, &of_book);
        }
    }
}
