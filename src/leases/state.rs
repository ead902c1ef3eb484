//! The rules of leases, once, for every store: rows in, rows out, no clock and no I/O.
//!
//! A key has a [`Row`] while it is leased or waited for. The life of a waiting caller:
//!
//! `Arrived => Waiting => Granted => (Released | Over)`
//!
//! A caller that arrives gets a ticket. In a key's row each process is noted with the ticket of its
//! first waiting caller, for as long as it gives signs of life. A caller is served when for all of
//! its keys no lease is left and nobody is noted with an earlier ticket; then all are granted at
//! one moment. So callers are served in the order of their arrival, whichever process they are in.
//! The caller with the lowest ticket of all has nobody before it: nobody starves, and no two wait
//! for each other.
//!
//! The order within a batch is fixed, and each part counts on it: renewals come before grants, so
//! that a lease that is renewed in time is not given away; releases come before the grants that
//! they make possible; and those who wait come before those who only try.
//!
//! The model check (`tests/model`) walks through these rules in every order of the protocol's
//! steps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::api::{Grant, Terms};
use super::backend::{Batch, BatchResult, Ticket};
use super::key::LeaseKey;
use super::rate_share::{self, ClaimRow};
use crate::marketo::MERGE_LIMIT;

/// How long nothing is granted after a store lost leases. By then every call that left with one of
/// them is over.
pub(super) const QUIET: Duration = MERGE_LIMIT.saturating_add(Duration::from_secs(30));

#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    /// By the clock that leases end by.
    pub(super) now: Duration,
    /// Milliseconds since 1970: no generation is lower, so that a store which lost its rows does
    /// not give a number a second time.
    pub(super) clock: u64,
}

/// A key that is leased or waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Row {
    /// The number of the last grant.
    pub(super) generation: u64,
    /// When the lease ends, or ended.
    pub(super) ends_at: Duration,
    /// The processes that wait, the earliest ticket first.
    pub(super) waiting: Vec<Waiting>,
}

/// A process that waits for a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Waiting {
    /// Of its first waiting caller.
    pub(super) ticket: Ticket,
    pub(super) guard: i64,
    /// Without a sign of life it is passed over from then on.
    pub(super) until: Duration,
}

impl Row {
    fn is_leased(&self, now: Duration) -> bool {
        self.ends_at > now
    }

    fn others(&self, guard: i64, now: Duration) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter().filter(move |waiting| waiting.guard != guard && waiting.until > now)
    }

    fn own(&self, guard: i64, now: Duration) -> Option<&Waiting> {
        self.waiting.iter().find(|waiting| waiting.guard == guard && waiting.until > now)
    }

    /// When the last thing in it ends.
    pub(super) fn over_at(&self) -> Duration {
        self.waiting.iter().map(|waiting| waiting.until).fold(self.ends_at, Duration::max)
    }
}

/// What a store holds, or the part of it that a batch concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) rows: BTreeMap<LeaseKey, Row>,
    /// What processes have claimed of the limits of an instance.
    pub(super) claims: BTreeMap<(LeaseKey, i64), ClaimRow>,
    /// The last number given to a caller or a grant.
    pub(super) last: u64,
    /// How often it has been saved.
    pub(super) saves: u64,
    /// Nothing is granted before.
    pub(super) quiet_until: Duration,
}

/// One pass over a process's waiting callers.
struct Pass<'a> {
    guard: i64,
    now: Duration,
    complete: &'a BTreeSet<LeaseKey>,
    /// The first caller that was not served, by its keys.
    first: BTreeMap<LeaseKey, Ticket>,
}

impl State {
    /// Carries out a process's batch at this moment.
    pub(super) fn apply(
        &mut self,
        guard: i64,
        time: Time,
        batch: &Batch,
        terms: Terms,
    ) -> BatchResult {
        let now = time.now;
        if self.saves < batch.seen {
            // An older state of the store is back: leases that were granted since are unknown.
            tracing::error!(
                quiet_s = QUIET.as_secs(),
                "the lease store has lost its latest changes; nothing is written until every call that left before is over"
            );
            self.keep_quiet(now);
            self.saves = batch.seen;
        }
        let mut result = BatchResult::default();
        for (grants, span) in &batch.renew {
            result.renewed.push(self.renew(now, grants, *span));
        }
        for grant in &batch.release {
            result.wakes |= self.release(guard, now, grant);
        }
        self.serve(guard, time, batch, terms, &mut result);
        for keys in &batch.take {
            let taken = self.take(time, keys, terms);
            result.taken.push(taken);
        }
        if let Some(claim) = &batch.claim {
            result.shared = Some(rate_share::renew(&mut self.claims, guard, now, claim));
        }
        if let Some(leaving) = &batch.left {
            leaving.leave(&mut self.claims, guard, now);
        }
        result.saves = self.saves;
        result
    }

    /// Grants nothing until every call that left before is over.
    pub(super) fn keep_quiet(&mut self, now: Duration) {
        self.quiet_until = self.quiet_until.max(now.saturating_add(QUIET));
    }

    pub(super) fn prune(&mut self, now: Duration) {
        self.rows.retain(|_, row| row.over_at() > now);
    }

    fn is_held(&self, now: Duration, grant: &Grant) -> bool {
        let row = self.rows.get(&grant.key);
        row.is_some_and(|row| row.generation == grant.generation && row.is_leased(now))
    }

    fn renew(&mut self, now: Duration, grants: &[Grant], span: Duration) -> Result<(), LeaseKey> {
        if let Some(lost) = grants.iter().find(|grant| !self.is_held(now, grant)) {
            return Err(lost.key);
        }
        for grant in grants {
            if let Some(row) = self.rows.get_mut(&grant.key) {
                row.ends_at = row.ends_at.max(now.saturating_add(span));
            }
        }
        Ok(())
    }

    /// Ends a lease, and gives whether another process waits for the key.
    fn release(&mut self, guard: i64, now: Duration, grant: &Grant) -> bool {
        if !self.is_held(now, grant) {
            return false;
        }
        let Some(row) = self.rows.get_mut(&grant.key) else { return false };
        row.ends_at = Duration::ZERO;
        let wakes = row.others(guard, now).next().is_some();
        if row.over_at() <= now {
            self.rows.remove(&grant.key);
        }
        wakes
    }

    /// Serves the process's callers that have nobody before them and no lease in their way, and
    /// notes the first of the others.
    fn serve(
        &mut self,
        guard: i64,
        time: Time,
        batch: &Batch,
        terms: Terms,
        result: &mut BatchResult,
    ) {
        let now = time.now;
        result.arrived = batch.arrive.iter().map(|_| Ticket(self.next_number(time))).collect();
        let arrived = result.arrived.iter().copied().zip(&batch.arrive);
        let waiting = batch.waiting.iter().map(|(ticket, keys)| (*ticket, keys)).chain(arrived);
        let mut pass = Pass { guard, now, complete: &batch.complete, first: BTreeMap::new() };
        let mut look_at: Option<Duration> = None;
        for (ticket, keys) in waiting {
            if let Some(ends_at) = self.in_the_way(&pass, ticket, keys) {
                look_at = Some(look_at.map_or(ends_at, |look_at| look_at.min(ends_at)));
                for key in keys {
                    pass.first.entry(*key).or_insert(ticket);
                }
            } else {
                result.granted.push((ticket, self.grant(time, keys, terms)));
            }
        }
        let concerned: BTreeSet<LeaseKey> =
            pass.first.keys().chain(&batch.complete).copied().collect();
        for key in concerned {
            result.wakes |= self.note_waiting(&pass, key, terms);
        }
        result.look_again =
            look_at.filter(|at| *at < Duration::MAX).map(|at| at.saturating_sub(now));
    }

    /// When the first obstacle of a caller ends by itself; none where it has no obstacle.
    fn in_the_way(
        &self,
        pass: &Pass<'_>,
        ticket: Ticket,
        keys: &BTreeSet<LeaseKey>,
    ) -> Option<Duration> {
        let now = pass.now;
        let quiet = Some(self.quiet_until).filter(|until| *until > now);
        let of_key = |key: &LeaseKey| {
            let behind = pass.first.get(key).map(|_| Duration::MAX);
            let row = self.rows.get(key);
            let leased = row.filter(|row| row.is_leased(now)).map(|row| row.ends_at);
            let earlier = row.into_iter().flat_map(|row| &row.waiting).filter(|waiting| {
                // Its own process's callers are all in this pass, where the keys are complete.
                let counts = waiting.guard != pass.guard || !pass.complete.contains(key);
                counts && waiting.until > now && waiting.ticket < ticket
            });
            behind.into_iter().chain(leased).chain(earlier.map(|waiting| waiting.until)).min()
        };
        keys.iter().filter_map(of_key).chain(quiet).min()
    }

    /// Notes in a key's row which caller of the process waits first. Gives whether another
    /// process's caller may have become the first.
    fn note_waiting(&mut self, pass: &Pass<'_>, key: LeaseKey, terms: Terms) -> bool {
        let now = pass.now;
        let first = pass.first.get(&key).copied();
        let row = self.rows.entry(key).or_default();
        let noted = row.own(pass.guard, now).cloned();
        let known = noted.as_ref().map(|waiting| waiting.ticket);
        let first = match known {
            Some(known) if !pass.complete.contains(&key) => {
                Some(first.map_or(known, |first| first.min(known)))
            }
            _ => first,
        };
        row.waiting.retain(|waiting| waiting.guard != pass.guard && waiting.until > now);
        let others_wait = !row.waiting.is_empty() && !row.is_leased(now);
        if let Some(ticket) = first {
            // A sign of life is a write, and wakes others. So it is given when a third of its time
            // is over, and not before.
            let fresh = noted.filter(|noted| {
                noted.ticket == ticket && noted.until.saturating_sub(now) > terms.place / 3 * 2
            });
            let until = fresh.map_or(now.saturating_add(terms.place), |noted| noted.until);
            row.waiting.push(Waiting { ticket, guard: pass.guard, until });
            row.waiting.sort_unstable();
        }
        if row.over_at() <= now {
            self.rows.remove(&key);
        }
        others_wait && known.is_some_and(|known| first.is_none_or(|first| first > known))
    }

    /// Takes those of the keys that are free and that nobody waits for.
    fn take(&mut self, time: Time, keys: &BTreeSet<LeaseKey>, terms: Terms) -> Vec<Grant> {
        let is_free = |key: &&LeaseKey| {
            self.rows.get(key).is_none_or(|row| row.over_at() <= time.now)
                && self.quiet_until <= time.now
        };
        let free: BTreeSet<LeaseKey> = keys.iter().filter(is_free).copied().collect();
        self.grant(time, &free, terms)
    }

    fn grant(&mut self, time: Time, keys: &BTreeSet<LeaseKey>, terms: Terms) -> Vec<Grant> {
        if keys.is_empty() {
            return Vec::new();
        }
        let generation = self.next_number(time);
        for key in keys {
            let row = self.rows.entry(*key).or_default();
            (row.generation, row.ends_at) = (generation, time.now.saturating_add(terms.unsent));
        }
        keys.iter().map(|key| Grant { key: *key, generation }).collect()
    }

    fn next_number(&mut self, time: Time) -> u64 {
        self.last = time.clock.max(self.last + 1);
        self.last
    }
}

#[cfg(test)]
mod tests;
