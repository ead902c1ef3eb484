//! What is in the book, and what finds it: no question of a rule costs a look at everything that is
//! in it.
//!
//! With some thousand callers in line every one who comes, goes or is served asks whose turn it is.
//! So beside the entries there is, for each question, an order in which its answer comes first. All
//! of that follows from the entries alone, and changes with them in the few methods here; `tests`
//! compares it with a look at every entry.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::guard::lease::LeaseKey;
use crate::guard::lease::share::Claim;
use crate::guard::lease::table::Ticket;

/// Leases, places and processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::guard::lease) struct Entries {
    pub(in crate::guard::lease) leases: BTreeMap<LeaseKey, Held>,
    pub(in crate::guard::lease) places: BTreeMap<Ticket, Place>,
    /// Until when the processes that wait are taken to be alive.
    pub(in crate::guard::lease) owners: BTreeMap<i64, Duration>,
    /// The last number given to a place or a grant.
    pub(in crate::guard::lease) last: u64,
    /// What processes have claimed of the limits of an instance.
    pub(in crate::guard::lease) claims: BTreeMap<(LeaseKey, i64), Claim>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::guard::lease) struct Held {
    pub(in crate::guard::lease) fence: u64,
    pub(in crate::guard::lease) ends_at: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::guard::lease) struct Place {
    pub(in crate::guard::lease) owner: i64,
    pub(in crate::guard::lease) keys: BTreeSet<LeaseKey>,
}

/// The entries, found.
#[derive(Debug, Default)]
pub(super) struct Found {
    entries: Entries,
    /// Leases by their ends.
    ends: BTreeSet<(Duration, LeaseKey)>,
    /// Processes by the ends of their lives.
    lives: BTreeSet<(Duration, i64)>,
    /// The places of each process.
    places_of: BTreeSet<(i64, Ticket)>,
    /// Those who wait for a key, the first one first.
    lines: BTreeSet<(LeaseKey, Ticket)>,
    /// At how many places of a process a key is waited for.
    waits: BTreeMap<(LeaseKey, i64), usize>,
    /// The leases of the keys that a process waits for, by their ends.
    awaited: BTreeSet<(i64, Duration, LeaseKey)>,
    /// For how many of its keys, which nobody holds, a place is the first in line.
    firsts: BTreeMap<Ticket, usize>,
    /// The places that are that for all of their keys.
    turns: BTreeSet<(i64, Ticket)>,
}

const FIRST: Ticket = Ticket(i64::MIN);
const LAST: Ticket = Ticket(i64::MAX);

impl Found {
    #[cfg(test)]
    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    #[cfg(test)]
    pub(super) fn into_entries(self) -> Entries {
        self.entries
    }

    /// A row for each guard, of which there are few.
    pub(super) fn claims(&mut self) -> &mut BTreeMap<(LeaseKey, i64), Claim> {
        &mut self.entries.claims
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.entries.last += 1;
        self.entries.last
    }

    /// A key whose lease is over by now.
    pub(super) fn lease_over(&self, now: Duration) -> Option<LeaseKey> {
        self.ends.first().filter(|(end, _)| *end <= now).map(|(_, key)| *key)
    }

    /// A process whose life is over by now.
    pub(super) fn owner_over(&self, now: Duration) -> Option<i64> {
        self.lives.first().filter(|(end, _)| *end <= now).map(|(_, owner)| *owner)
    }

    /// Whether anybody waits for the key.
    pub(super) fn is_waited_for(&self, key: LeaseKey) -> bool {
        self.first_in_line(key).is_some()
    }

    /// The places of a process, in order.
    pub(super) fn places_of(&self, owner: i64) -> Vec<Ticket> {
        self.places_of.range((owner, FIRST)..=(owner, LAST)).map(|(_, ticket)| *ticket).collect()
    }

    /// The places of a process with nobody before them and no lease in their way, in order. No two
    /// of them share a key.
    pub(super) fn turns_of(&self, owner: i64) -> Vec<Ticket> {
        self.turns.range((owner, FIRST)..=(owner, LAST)).map(|(_, ticket)| *ticket).collect()
    }

    /// When the first lease ends that a process waits for.
    pub(super) fn next_end(&self, owner: i64) -> Option<Duration> {
        let mut later =
            self.awaited.range((owner, Duration::ZERO, LeaseKey::from_bytes([0; 32]))..);
        later.next().filter(|(waits, ..)| *waits == owner).map(|(_, end, _)| *end)
    }

    pub(super) fn held(&self, key: LeaseKey) -> Option<&Held> {
        self.entries.leases.get(&key)
    }

    pub(super) fn place(&self, ticket: Ticket) -> Option<&Place> {
        self.entries.places.get(&ticket)
    }

    /// Notes the lease of a key, instead of the one that there may be.
    pub(super) fn hold(&mut self, key: LeaseKey, held: Held) {
        self.changing_the_first(key, |book| {
            let ends_at = held.ends_at;
            let before = book.entries.leases.insert(key, held);
            book.change_end(key, before.map(|held| held.ends_at), Some(ends_at));
        });
    }

    pub(super) fn let_go(&mut self, key: LeaseKey) {
        self.changing_the_first(key, |book| {
            let before = book.entries.leases.remove(&key);
            book.change_end(key, before.map(|held| held.ends_at), None);
        });
    }

    pub(super) fn wait(&mut self, ticket: Ticket, place: Place) {
        let (owner, keys) = (place.owner, place.keys.clone());
        self.places_of.insert((owner, ticket));
        self.entries.places.insert(ticket, place);
        self.firsts.insert(ticket, 0);
        for key in keys {
            self.changing_the_first(key, |book| {
                book.lines.insert((key, ticket));
            });
            *self.waits.entry((key, owner)).or_default() += 1;
            if let Some(held) = self.entries.leases.get(&key) {
                self.awaited.insert((owner, held.ends_at, key));
            }
        }
        self.note_turn(ticket);
    }

    /// Gives up a place, and gives what it was.
    pub(super) fn stop_waiting(&mut self, ticket: Ticket) -> Option<Place> {
        let place = self.entries.places.get(&ticket)?.clone();
        let owner = place.owner;
        for key in place.keys.iter().copied() {
            self.changing_the_first(key, |book| {
                book.lines.remove(&(key, ticket));
            });
            let waits = self.waits.entry((key, owner)).or_default();
            *waits = waits.saturating_sub(1);
            if *waits == 0 {
                self.waits.remove(&(key, owner));
                if let Some(held) = self.entries.leases.get(&key) {
                    self.awaited.remove(&(owner, held.ends_at, key));
                }
            }
        }
        self.entries.places.remove(&ticket);
        self.firsts.remove(&ticket);
        self.places_of.remove(&(owner, ticket));
        self.turns.remove(&(owner, ticket));
        Some(place)
    }

    /// Notes until when a process lives, and gives whether it was known.
    pub(super) fn live(&mut self, owner: i64, until: Duration) -> bool {
        let known = self.entries.owners.insert(owner, until);
        if let Some(before) = known {
            self.lives.remove(&(before, owner));
        }
        self.lives.insert((until, owner));
        known.is_some()
    }

    /// A process is gone, and its places with it.
    pub(super) fn die(&mut self, owner: i64) {
        if let Some(until) = self.entries.owners.remove(&owner) {
            self.lives.remove(&(until, owner));
        }
        for ticket in self.places_of(owner) {
            self.stop_waiting(ticket);
        }
    }

    fn change_end(&mut self, key: LeaseKey, before: Option<Duration>, after: Option<Duration>) {
        let owners = self.owners_in_line(key);
        if let Some(end) = before {
            self.ends.remove(&(end, key));
            for owner in &owners {
                self.awaited.remove(&(*owner, end, key));
            }
        }
        if let Some(end) = after {
            self.ends.insert((end, key));
            self.awaited.extend(owners.iter().map(|owner| (*owner, end, key)));
        }
    }

    fn first_in_line(&self, key: LeaseKey) -> Option<Ticket> {
        self.lines.range((key, FIRST)..=(key, LAST)).next().map(|(_, ticket)| *ticket)
    }

    fn owners_in_line(&self, key: LeaseKey) -> Vec<i64> {
        self.waits.range((key, i64::MIN)..=(key, i64::MAX)).map(|((_, owner), _)| *owner).collect()
    }

    /// Whose turn it is as far as this key goes.
    fn next(&self, key: LeaseKey) -> Option<Ticket> {
        if self.entries.leases.contains_key(&key) { None } else { self.first_in_line(key) }
    }

    /// Changes something about a key, and counts anew for whose place it is the first.
    fn changing_the_first(&mut self, key: LeaseKey, change: impl FnOnce(&mut Self)) {
        let before = self.next(key);
        change(self);
        let after = self.next(key);
        if before == after {
            return;
        }
        for (ticket, is_first) in [(before, false), (after, true)] {
            let Some(ticket) = ticket else { continue };
            let firsts = self.firsts.entry(ticket).or_default();
            *firsts = if is_first { *firsts + 1 } else { firsts.saturating_sub(1) };
            self.note_turn(ticket);
        }
    }

    fn note_turn(&mut self, ticket: Ticket) {
        let Some(place) = self.entries.places.get(&ticket) else { return };
        let turn = (place.owner, ticket);
        if self.firsts.get(&ticket).is_some_and(|firsts| *firsts == place.keys.len()) {
            self.turns.insert(turn);
        } else {
            self.turns.remove(&turn);
        }
    }
}

#[cfg(test)]
impl From<Entries> for Found {
    fn from(entries: Entries) -> Self {
        let (last, claims) = (entries.last, entries.claims);
        let mut found =
            Self { entries: Entries { last, claims, ..Entries::default() }, ..Self::default() };
        for (owner, until) in entries.owners {
            found.live(owner, until);
        }
        for (key, held) in entries.leases {
            found.hold(key, held);
        }
        for (ticket, place) in entries.places {
            found.wait(ticket, place);
        }
        found
    }
}

#[cfg(test)]
mod tests;
