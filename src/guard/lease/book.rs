//! The rules of a store of leases, without a store: who owns what until when, and who is in line.
//!
//! It is what `memory` keeps, what the check of the protocol (`tests/model`) walks through in every
//! order, and what the random rounds that are played to the other stores must come out as. It has
//! no clock: each round is told the time, from whatever moment on the store counts it. What is in
//! it, and how it is found without a look at all of it, is in `entries`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::leaving::owner_of_rest;
use super::share::{Claim, shared};
use super::table::{Grant, Results, Round, Ticket};
use super::{Ask, LeaseKey, Leaving, Shared, Terms};

use crate::marketo::Share;

mod entries;

#[cfg(test)]
pub(super) use entries::Entries;
use entries::Found;
pub(super) use entries::{Held, Place};

/// Leases, places and processes. Rounds are carried out in the order that [`super::table`] sets
/// out.
#[derive(Debug, Default)]
pub(super) struct Book(Found);

impl Book {
    /// Does what a process asks for, all of it at this moment.
    pub(super) fn round(
        &mut self,
        owner: i64,
        now: Duration,
        round: &Round,
        terms: Terms,
    ) -> Results {
        self.remove_what_is_over(now);
        let renewed =
            round.renew.iter().map(|(grants, span)| self.renew(now, grants, *span)).collect();
        for grant in &round.release {
            if self.is_held(grant) {
                self.0.let_go(grant.key);
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
        if let Some(leaving) = &round.left {
            self.leave_limits(owner, now, leaving);
        }
        let look_again = self.0.next_end(owner).map(|end| end.saturating_sub(now));
        Results { renewed, entered, granted, gone, taken, look_again, shared }
    }

    pub(super) fn remove_what_is_over(&mut self, now: Duration) {
        while let Some(key) = self.0.lease_over(now) {
            self.0.let_go(key);
        }
        while let Some(owner) = self.0.owner_over(now) {
            self.0.die(owner);
        }
    }

    fn renew(&mut self, now: Duration, grants: &[Grant], span: Duration) -> Result<(), LeaseKey> {
        if let Some(lost) = grants.iter().find(|grant| !self.is_held(grant)) {
            return Err(lost.key);
        }
        for grant in grants {
            if let Some(held) = self.0.held(grant.key) {
                let ends_at = held.ends_at.max(now.saturating_add(span));
                self.0.hold(grant.key, Held { fence: grant.fence, ends_at });
            }
        }
        Ok(())
    }

    fn is_held(&self, grant: &Grant) -> bool {
        self.0.held(grant.key).is_some_and(|held| held.fence == grant.fence)
    }

    fn leave(&mut self, owner: i64, ticket: Ticket) {
        if self.0.place(ticket).is_some_and(|place| place.owner == owner) {
            self.0.stop_waiting(ticket);
        }
    }

    /// Notes the sign of life, and finds the places that are lost for want of one. What nobody
    /// waits at is removed.
    fn keep_places(
        &mut self,
        owner: i64,
        now: Duration,
        round: &Round,
        terms: Terms,
    ) -> Vec<Ticket> {
        if round.waiting.is_empty() && round.enter.is_empty() && !round.sweep {
            return Vec::new();
        }
        let known = self.0.live(owner, now.saturating_add(terms.place));
        if known && !round.sweep {
            return Vec::new();
        }
        for ticket in self.0.places_of(owner) {
            if !round.waiting.contains(&ticket) {
                self.0.stop_waiting(ticket);
            }
        }
        round.waiting.iter().filter(|ticket| self.0.place(**ticket).is_none()).copied().collect()
    }

    fn enter(&mut self, owner: i64, keys: &BTreeSet<LeaseKey>) -> Ticket {
        let ticket = Ticket(i64::try_from(self.0.next_number()).unwrap_or(i64::MAX));
        self.0.wait(ticket, Place { owner, keys: keys.clone() });
        ticket
    }

    /// Grants the owner's places that have nobody before them and no lease in their way.
    fn grant_turns(
        &mut self,
        owner: i64,
        now: Duration,
        terms: Terms,
    ) -> Vec<(Ticket, Vec<Grant>)> {
        let mut granted = Vec::new();
        for ticket in self.0.turns_of(owner) {
            if let Some(place) = self.0.stop_waiting(ticket) {
                granted.push((ticket, self.grant(now, &place.keys, terms)));
            }
        }
        granted
    }

    fn take(&mut self, now: Duration, keys: &BTreeSet<LeaseKey>, terms: Terms) -> Vec<Grant> {
        let free = |key: &&LeaseKey| self.0.held(**key).is_none() && !self.0.is_waited_for(**key);
        let free = keys.iter().filter(free).copied().collect();
        self.grant(now, &free, terms)
    }

    fn grant(&mut self, now: Duration, keys: &BTreeSet<LeaseKey>, terms: Terms) -> Vec<Grant> {
        if keys.is_empty() {
            return Vec::new();
        }
        let (fence, ends_at) = (self.0.next_number(), now.saturating_add(terms.unsent));
        for key in keys {
            self.0.hold(*key, Held { fence, ends_at });
        }
        keys.iter().map(|key| Grant { key: *key, fence }).collect()
    }

    /// Renews the owner's claim, by what those of the others leave.
    fn share(&mut self, owner: i64, now: Duration, ask: &Ask) -> Shared {
        let claims = self.0.claims();
        claims.retain(|_, claim| claim.ends_at > now);
        let all = claims.range((ask.instance, i64::MIN)..=(ask.instance, i64::MAX));
        let others =
            all.map(|((_, other), claim)| (*other, claim)).filter(|(other, _)| *other != owner);
        let told = shared(owner, now, ask, others);
        let ends_at = now.saturating_add(ask.lasts);
        claims
            .insert((ask.instance, owner), Claim { share: told.claim, wants: ask.wants, ends_at });
        told
    }

    /// The owner's claim goes, and what still counts of it stays as rows that nobody renews.
    fn leave_limits(&mut self, owner: i64, now: Duration, leaving: &Leaving) {
        let claims = self.0.claims();
        claims.remove(&(leaving.instance, owner));
        for (number, (share, lasts)) in leaving.rests.iter().enumerate() {
            let rest = Claim {
                share: *share,
                wants: Share::default(),
                ends_at: now.saturating_add(*lasts),
            };
            claims.insert((leaving.instance, owner_of_rest(owner, number)), rest);
        }
    }
}

#[cfg(test)]
impl Book {
    pub(super) fn entries(&self) -> &Entries {
        self.0.entries()
    }

    pub(super) fn into_entries(self) -> Entries {
        self.0.into_entries()
    }
}

#[cfg(test)]
impl From<Entries> for Book {
    fn from(entries: Entries) -> Self {
        Self(entries.into())
    }
}
