//! The writes that wait, and which of them may leave next. Pure: no clock, no I/O.
//!
//! `Queued => taken => (put back | finished)`. Each record is in the queue of its API user, and in
//! the queue of each of its match keys until it is finished. It may leave when it is at the head of
//! the queues of all its keys. So writes of a key leave in the order in which they came, whoever
//! sent them, and a key that is being written holds up no other.
//!
//! A call takes along all other records that may leave and agree with it (group commit): up to 300
//! records, under 1 MB. Consecutive records of one key become one record in it where the result is
//! the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batching::{Batch, Fit, KeyQueues};
use super::record::RawRecord;
use super::request::{ApiUser, Record};
use super::unit::{Item, Number, Sharing, Submitted, Unit};
use crate::leases::LeaseKey;
use crate::marketo::BATCH;

/// How many records wait at a moment, and since when.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    pub(crate) waiting: usize,
    /// How long the one has waited that has waited longest.
    pub(crate) oldest: Duration,
}

#[derive(Debug)]
pub(super) struct WriteQueue<O> {
    users: BTreeMap<ApiUser, UserQueue<O>>,
    keys: KeyQueues,
    /// All records that are not finished.
    open: BTreeMap<Number, Open<O>>,
    last: Number,
    /// For how many calls records are taken together.
    calls: usize,
    /// Users for whom a turn is to be sent for.
    due: Vec<ApiUser>,
}

#[derive(Debug)]
struct UserQueue<O> {
    items: VecDeque<Item<O>>,
    /// Whether a turn is on its way for it.
    is_dispatched: bool,
}

/// A record that is not finished, wherever it is.
#[derive(Debug, Clone)]
pub(super) struct Open<O> {
    pub(super) request: Arc<Submitted<O>>,
    pub(super) place: usize,
    pub(super) keys: Arc<BTreeSet<LeaseKey>>,
}

impl<O> WriteQueue<O> {
    /// Empty queues. Records for so many calls are taken together.
    pub(super) fn taking(calls: usize) -> Self {
        Self {
            users: BTreeMap::new(),
            keys: BTreeMap::new(),
            open: BTreeMap::new(),
            last: 0,
            calls: calls.max(1),
            due: Vec::new(),
        }
    }

    /// The users for whom a turn is to be sent for, each once.
    pub(super) fn due(&mut self) -> Vec<ApiUser> {
        std::mem::take(&mut self.due)
    }

    /// Puts a writer's records at the end of their queues.
    pub(super) fn enter(&mut self, request: &Arc<Submitted<O>>, records: Vec<Record>) {
        for (place, record) in records.into_iter().enumerate() {
            self.last += 1;
            let number = self.last;
            for key in record.leases.iter() {
                self.keys.entry(*key).or_default().push_back((number, request.user.clone()));
            }
            let open =
                Open { request: Arc::clone(request), place, keys: Arc::clone(&record.leases) };
            self.open.insert(number, open);
            let sharing = match record.raw {
                RawRecord::Fields(_) if request.envelope.coalesces() => Sharing::Anybody,
                RawRecord::Fields(_) => Sharing::OwnRecord,
                RawRecord::Form { .. } | RawRecord::Other(_) => Sharing::Alone,
            };
            let item = Item {
                request: Arc::clone(request),
                place,
                record,
                number,
                sharing,
                tries: 0,
                withheld: 0,
                leases: Vec::new(),
                keeper: None,
            };
            self.user(&request.user).items.push_back(item);
        }
        self.dispatch(&request.user);
    }

    /// Puts a record that was taken back to the front of its user's queue; it never left the queues
    /// of its keys.
    pub(super) fn put_back(&mut self, item: Item<O>) {
        let user = item.request.user.clone();
        let items = &mut self.user(&user).items;
        let before = items.partition_point(|waiting| waiting.number < item.number);
        items.insert(before, item);
        self.dispatch(&user);
    }

    /// Takes a record out of its user's queue, if it is still there; in those of its keys it keeps
    /// its place.
    pub(super) fn withdraw(&mut self, number: Number) -> Option<Item<O>> {
        let user = &self.open.get(&number)?.request.user;
        let items = &mut self.users.get_mut(user)?.items;
        items.remove(items.iter().position(|item| item.number == number)?)
    }

    /// The records of the next batch of this user; none where none may leave now. `given_up` gets
    /// those whose writer is gone.
    pub(super) fn take(&mut self, user: &ApiUser, given_up: &mut Vec<Item<O>>) -> Vec<Unit<O>> {
        let Some(queue) = self.users.get_mut(user) else { return Vec::new() };
        let mut batch = Batch::of(self.calls);
        let mut left = VecDeque::with_capacity(queue.items.len());
        let mut items = std::mem::take(&mut queue.items).into_iter();
        for item in items.by_ref() {
            match batch.fit(&item, &self.keys) {
                None => left.push_back(item),
                Some(Fit::NewUnit) if batch.units.len() >= self.calls * BATCH => {
                    left.push_back(item);
                    break;
                }
                Some(_) if item.request.reply.has_gone() => given_up.push(item),
                Some(fit) => batch.add(fit, item),
            }
        }
        left.extend(items);
        queue.items = left;
        // The turn that was on its way for the user is used.
        queue.is_dispatched = false;
        self.dispatch(user);
        batch.units
    }

    /// Takes records that have their outcome out of the queues of their keys.
    pub(super) fn finish(&mut self, numbers: impl IntoIterator<Item = Number>) {
        let mut next = BTreeSet::new();
        for number in numbers {
            let Some(open) = self.open.remove(&number) else { continue };
            for key in open.keys.iter() {
                let Some(queue) = self.keys.get_mut(key) else { continue };
                queue.retain(|(waiting, _)| *waiting != number);
                match queue.front() {
                    Some((_, user)) => drop(next.insert(user.clone())),
                    None => drop(self.keys.remove(key)),
                }
            }
        }
        for user in &next {
            self.dispatch(user);
        }
    }

    pub(super) fn open(&self, number: Number) -> Option<&Open<O>> {
        self.open.get(&number)
    }

    /// How many of these records would have to wait for another write of their key.
    pub(super) fn behind_others(&self, records: &[Record]) -> usize {
        let waits = |record: &&Record| record.leases.iter().any(|key| self.keys.contains_key(key));
        records.iter().filter(waits).count()
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        let firsts = self.users.values().filter_map(|queue| queue.items.front());
        let oldest = firsts.min_by_key(|item| item.number).map(|item| now - item.request.since);
        let waiting = self.users.values().map(|queue| queue.items.len()).sum();
        Standing { waiting, oldest: oldest.unwrap_or_default() }
    }

    fn user(&mut self, user: &ApiUser) -> &mut UserQueue<O> {
        let empty = || UserQueue { items: VecDeque::new(), is_dispatched: false };
        self.users.entry(user.clone()).or_insert_with(empty)
    }

    /// Has a turn sent for, unless one is on its way or none of the user's records may leave now.
    fn dispatch(&mut self, user: &ApiUser) {
        let Some(queue) = self.users.get_mut(user).filter(|queue| !queue.is_dispatched) else {
            return;
        };
        let batch = Batch::of(self.calls);
        queue.is_dispatched = queue.items.iter().any(|item| batch.fit(item, &self.keys).is_some());
        if queue.is_dispatched {
            self.due.push(user.clone());
        } else if queue.items.is_empty() {
            self.users.remove(user);
        }
    }
}

#[cfg(test)]
mod tests;
