//! What is found is what a look at every entry finds.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::{Entries, Found, Held, Place};
use crate::guard::lease::LeaseKey;
use crate::guard::lease::table::Ticket;

const OWNERS: i64 = 3;
const KEYS: u8 = 4;

fn key(number: u8) -> LeaseKey {
    LeaseKey::from_bytes([number; 32])
}

fn keys(bits: u8) -> BTreeSet<LeaseKey> {
    (0..KEYS).filter(|number| bits >> number & 1 == 1).map(key).collect()
}

#[derive(Debug, Clone)]
enum Change {
    Hold(u8, u64),
    LetGo(u8),
    /// No keys at all, it may be.
    Wait(i64, u8),
    /// Counted from the first place.
    StopWaiting(usize),
    Live(i64, u64),
    Die(i64),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..KEYS, 0..20_u64).prop_map(|(key, end)| Change::Hold(key, end)),
        4 => (0..KEYS).prop_map(Change::LetGo),
        6 => (0..OWNERS, 0..1_u8 << KEYS).prop_map(|(owner, keys)| Change::Wait(owner, keys)),
        4 => (0..6_usize).prop_map(Change::StopWaiting),
        2 => (0..OWNERS, 0..20_u64).prop_map(|(owner, end)| Change::Live(owner, end)),
        1 => (0..OWNERS).prop_map(Change::Die),
    ]
}

fn make(found: &mut Found, change: &Change) {
    match change {
        Change::Hold(number, end) => {
            let (fence, ends_at) = (found.next_number(), Duration::from_secs(*end));
            found.hold(key(*number), Held { fence, ends_at });
        }
        Change::LetGo(number) => found.let_go(key(*number)),
        Change::Wait(owner, bits) => {
            let ticket = Ticket(found.next_number().cast_signed());
            found.wait(ticket, Place { owner: *owner, keys: keys(*bits) });
        }
        Change::StopWaiting(nth) => {
            let ticket = found.entries().places.keys().nth(*nth).copied();
            let place = ticket.and_then(|ticket| found.stop_waiting(ticket));
            assert_eq!(place.is_some(), ticket.is_some());
        }
        Change::Live(owner, end) => {
            found.live(*owner, Duration::from_secs(*end));
        }
        Change::Die(owner) => found.die(*owner),
    }
}

/// Whose turn it is, by a look at all who wait, in their order.
fn turns_of(entries: &Entries, owner: i64) -> Vec<Ticket> {
    let mut waited_for: BTreeSet<LeaseKey> = BTreeSet::new();
    let mut turns = Vec::new();
    for (ticket, place) in &entries.places {
        let free = |key: &LeaseKey| !waited_for.contains(key) && !entries.leases.contains_key(key);
        if place.owner == owner && place.keys.iter().all(free) {
            turns.push(*ticket);
        }
        waited_for.extend(&place.keys);
    }
    turns
}

fn finds_what_is_there(found: &Found) -> TestCaseResult {
    let entries = found.entries();
    for owner in 0..OWNERS {
        let places = entries.places.iter().filter(|(_, place)| place.owner == owner);
        let places: Vec<Ticket> = places.map(|(ticket, _)| *ticket).collect();
        prop_assert_eq!(found.places_of(owner), places);
        prop_assert_eq!(found.turns_of(owner), turns_of(entries, owner));
        let waits = |key: &LeaseKey| {
            entries.places.values().any(|place| place.owner == owner && place.keys.contains(key))
        };
        let ends =
            entries.leases.iter().filter(|(key, _)| waits(key)).map(|(_, held)| held.ends_at);
        prop_assert_eq!(found.next_end(owner), ends.min());
    }
    for number in 0..KEYS {
        let waited_for = entries.places.values().any(|place| place.keys.contains(&key(number)));
        prop_assert_eq!(found.is_waited_for(key(number)), waited_for);
    }
    for now in (0..20).map(Duration::from_secs) {
        let over = entries.leases.values().any(|held| held.ends_at <= now);
        let found_over = found.lease_over(now).map(|key| entries.leases[&key].ends_at);
        prop_assert_eq!(found_over.is_some(), over);
        prop_assert!(found_over.is_none_or(|end| end <= now));
        let over = entries.owners.values().any(|end| *end <= now);
        let found_over = found.owner_over(now).map(|owner| entries.owners[&owner]);
        prop_assert_eq!(found_over.is_some(), over);
        prop_assert!(found_over.is_none_or(|end| end <= now));
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_changes_what_is_found_is_what_a_look_at_every_entry_finds(
        changes in prop::collection::vec(change(), 1..60),
    ) {
        let mut found = Found::default();
        for change in &changes {
            make(&mut found, change);
            finds_what_is_there(&found)?;
        }
        let again = Found::from(found.entries().clone());
        prop_assert_eq!(again.entries(), found.entries());
        finds_what_is_there(&again)?;
        // And nothing is left behind of what is not there any more.
        (0..KEYS).for_each(|number| found.let_go(key(number)));
        (0..OWNERS).for_each(|owner| found.die(owner));
        let nothing = Found { entries: Entries { last: found.entries().last, ..Entries::default() }, ..Found::default() };
        prop_assert_eq!(format!("{found:?}"), format!("{nothing:?}"));
    }
}
