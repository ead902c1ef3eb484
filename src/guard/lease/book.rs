//! The rules of a store of leases, without a store: who owns what until when, and who is in line.
//!
//! It is what `memory` keeps, what the check of the protocol (`tests/model`) walks through in every order, and what the
//! random rounds that are played to the other stores must come out as. It has no clock: each round is told the time, from whatever moment on
//! the store counts it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::share::{Claim, shared};
use super::table::{Grant, Results, Round, Ticket};
use super::{Ask, LeaseKey, Shared, Terms};

/// Leases, places and processes. Rounds are carried out in the order that [`super::table`] sets out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Book {
    pub(super) leases: BTreeMap<LeaseKey, Held>,
    pub(super) places: BTreeMap<Ticket, Place>,
    /// Until when the processes that wait are taken to be alive.
    pub(super) owners: BTreeMap<i64, Duration>,
    /// The last number given to a place or a grant.
    pub(super) last: u64,
    /// What processes have claimed of the limits of an instance.
    pub(super) claims: BTreeMap<(LeaseKey, i64), Claim>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) fence: u64,
    pub(super) ends_at: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) owner: i64,
    pub(super) keys: BTreeSet<LeaseKey>,
}

impl Book {
    /// Does what a process asks for, all of it at this moment.
    pub(super) fn round(&mut self, owner: i64, now: Duration, round: &Round, terms: Terms) -> Results {
        self.remove_what_is_over(now);
        let renewed = round.renew.iter().map(|(grants, span)| self.renew(now, grants, *span)).collect();
        for grant in &round.release {
            if self.is_held(grant) {
                self.leases.remove(&grant.key);
            }
        }
        for ticket in &round.leave {
            self.leave(owner, *ticket);
        }
        let gone = self.keep_places(owner, now, round, terms);
        let entered = round.enter.iter().map(|keys| self.enter(owner, keys)).collect();
        let granted = self.grant_turns(owner, now, terms);
        let taken = round.take.iter().map(|keys| self.take(now, keys, terms)).collect();
        let shared = round.share.as_ref().map(|ask| self.share(owner, now, ask));
        Results { renewed, entered, granted, gone, taken, look_again: self.next_end(owner, now), shared }
    }

    pub(super) fn remove_what_is_over(&mut self, now: Duration) {
        self.leases.retain(|_, held| held.ends_at > now);
        self.owners.retain(|_, alive_until| *alive_until > now);
        self.places.retain(|_, place| self.owners.contains_key(&place.owner));
    }

    fn renew(&mut self, now: Duration, grants: &[Grant], span: Duration) -> Result<(), LeaseKey> {
        if let Some(lost) = grants.iter().find(|grant| !self.is_held(grant)) {
            return Err(lost.key);
        }
        for grant in grants {
            if let Some(held) = self.leases.get_mut(&grant.key) {
                held.ends_at = held.ends_at.max(now.saturating_add(span));
            }
        }
        Ok(())
    }

    fn is_held(&self, grant: &Grant) -> bool {
        self.leases.get(&grant.key).is_some_and(|held| held.fence == grant.fence)
    }

    fn leave(&mut self, owner: i64, ticket: Ticket) {
        if self.places.get(&ticket).is_some_and(|place| place.owner == owner) {
            self.places.remove(&ticket);
        }
    }

    /// Notes the sign of life, and finds the places that are lost for want of one. What nobody waits at is removed.
    fn keep_places(&mut self, owner: i64, now: Duration, round: &Round, terms: Terms) -> Vec<Ticket> {
        if round.waiting.is_empty() && round.enter.is_empty() && !round.sweep {
            return Vec::new();
        }
        let known = self.owners.insert(owner, now.saturating_add(terms.place)).is_some();
        if known && !round.sweep {
            return Vec::new();
        }
        self.places.retain(|ticket, place| place.owner != owner || round.waiting.contains(ticket));
        round.waiting.iter().filter(|ticket| !self.places.contains_key(ticket)).copied().collect()
    }

    fn enter(&mut self, owner: i64, keys: &BTreeSet<LeaseKey>) -> Ticket {
        let ticket = Ticket(i64::try_from(self.next_number()).unwrap_or(i64::MAX));
        self.places.insert(ticket, Place { owner, keys: keys.clone() });
        ticket
    }

    /// Grants the owner's places that have nobody before them and no lease in their way.
    fn grant_turns(&mut self, owner: i64, now: Duration, terms: Terms) -> Vec<(Ticket, Vec<Grant>)> {
        let mut waited_for: BTreeSet<LeaseKey> = BTreeSet::new();
        let mut turns = Vec::new();
        for (ticket, place) in &self.places {
            let free = |key: &LeaseKey| !waited_for.contains(key) && !self.leases.contains_key(key);
            if place.owner == owner && place.keys.iter().all(free) {
                turns.push((*ticket, place.keys.clone()));
            }
            waited_for.extend(&place.keys);
        }
        turns
            .into_iter()
            .map(|(ticket, keys)| {
                self.places.remove(&ticket);
                (ticket, self.grant(now, &keys, terms))
            })
            .collect()
    }

    fn take(&mut self, now: Duration, keys: &BTreeSet<LeaseKey>, terms: Terms) -> Vec<Grant> {
        let free = |key: &&LeaseKey| {
            !self.leases.contains_key(key) && !self.places.values().any(|place| place.keys.contains(key))
        };
        let free = keys.iter().filter(free).copied().collect();
        self.grant(now, &free, terms)
    }

    fn grant(&mut self, now: Duration, keys: &BTreeSet<LeaseKey>, terms: Terms) -> Vec<Grant> {
        if keys.is_empty() {
            return Vec::new();
        }
        let (fence, ends_at) = (self.next_number(), now.saturating_add(terms.unsent));
        self.leases.extend(keys.iter().map(|key| (*key, Held { fence, ends_at })));
        keys.iter().map(|key| Grant { key: *key, fence }).collect()
    }

    /// After how long a lease ends that this owner waits for.
    fn next_end(&self, owner: i64, now: Duration) -> Option<Duration> {
        let waits = |key: &LeaseKey| {
            self.places.values().any(|place| place.owner == owner && place.keys.contains(key))
        };
        let ends = self.leases.iter().filter(|(key, _)| waits(key)).map(|(_, held)| held.ends_at);
        ends.min().map(|end| end.saturating_sub(now))
    }

    /// Renews the owner's claim, by what those of the others leave.
    fn share(&mut self, owner: i64, now: Duration, ask: &Ask) -> Shared {
        self.claims.retain(|_, claim| claim.ends_at > now);
        let all = self.claims.range((ask.instance, i64::MIN)..=(ask.instance, i64::MAX));
        let others = all.map(|((_, other), claim)| (*other, claim)).filter(|(other, _)| *other != owner);
        let told = shared(owner, ask, others);
        let ends_at = now.saturating_add(ask.lasts);
        self.claims.insert((ask.instance, owner), Claim { share: told.claim, wants: ask.wants, ends_at });
        told
    }

    fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
