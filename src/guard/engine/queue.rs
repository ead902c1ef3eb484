//! The writes that wait, and which of them may leave next. Pure: no clock, no I/O.
//!
//! `Queued => taken => (put back | finished)`. Each record is in the queue of its API user, and in
//! that of each of its match keys, where it stays until it is finished. It may leave when it is at
//! the head of the queues of all its keys: writes of a key leave in the order in which they came,
//! whoever sent them, and a key that is being written holds up no other.
//!
//! A call takes along whatever else may leave by then and agrees with it (group commit): up to 300
//! records, under 1 MB. Records of one key that follow one another become one record in it where
//! the result is the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::outcome::Reply;
use super::record::RawRecord;
use super::request::{ApiUser, Envelope, Record};
use crate::guard::lease::{Lease, LeaseKey};
use crate::marketo::{BATCH, BODY_BYTES};

/// What a record grows by at most where it is addressed by its id instead.
const ID_BYTES: usize = 30;

/// A write that was submitted, shared by its records.
#[derive(Debug)]
pub(super) struct Submitted<O> {
    pub(super) user: ApiUser,
    pub(super) origin: O,
    pub(super) envelope: Envelope,
    /// What other writes must agree in to leave with it.
    pub(super) agreement: [u8; 32],
    pub(super) since: Instant,
    pub(super) reply: Reply,
    /// Its places among those who may wait.
    pub(super) _admitted: Vec<tokio::sync::OwnedSemaphorePermit>,
}

/// A record's number among all that were submitted.
pub(super) type Number = u64;

/// A record that waits or is on its way.
#[derive(Debug)]
pub(super) struct Item<O> {
    pub(super) request: Arc<Submitted<O>>,
    /// Its place among its writer's records.
    pub(super) place: usize,
    pub(super) record: Record,
    pub(super) number: Number,
    pub(super) sharing: Sharing,
    /// How often a call with it left.
    pub(super) tries: u32,
    /// Where they had to be waited for.
    pub(super) leases: Vec<Lease>,
}

/// With whom a record may share a call, the most sociable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sharing {
    /// With all that agree, and as one record with others of its key.
    Anybody,
    /// With all that agree, but as a record of its own.
    OwnRecord,
    /// With records of its own writer alone: a call with others was refused.
    OwnWriter,
    /// With nobody.
    Alone,
}

/// One record of a call, and those that it stands for, in the order in which they came. There is
/// always one.
#[derive(Debug)]
pub(super) struct Unit<O> {
    pub(super) raw: RawRecord,
    pub(super) first: Item<O>,
    pub(super) others: Vec<Item<O>>,
    pub(super) leases: Vec<Lease>,
}

/// How things stand at a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    /// Records in the queue.
    pub(crate) waiting: usize,
    /// How long the one has waited that has waited longest.
    pub(crate) oldest: Duration,
}

/// All queues.
#[derive(Debug)]
pub(super) struct WriteQueue<O> {
    users: BTreeMap<ApiUser, UserQueue<O>>,
    keys: KeyQueues,
    /// Whatever is not finished.
    open: BTreeMap<Number, Open<O>>,
    last: Number,
    /// How many calls' worth of records are taken together.
    calls: usize,
}

type KeyQueues = BTreeMap<LeaseKey, VecDeque<(Number, ApiUser)>>;

#[derive(Debug)]
struct UserQueue<O> {
    items: VecDeque<Item<O>>,
    /// Whether a turn is on its way for it.
    is_dispatched: bool,
}

/// What is known of a record wherever it is.
#[derive(Debug, Clone)]
pub(super) struct Open<O> {
    pub(super) request: Arc<Submitted<O>>,
    pub(super) place: usize,
    pub(super) keys: Arc<BTreeSet<LeaseKey>>,
}

impl<O> Default for WriteQueue<O> {
    fn default() -> Self {
        Self::taking(1)
    }
}

impl<O> WriteQueue<O> {
    /// Empty queues, of which so many calls' worth of records are taken together.
    pub(super) fn taking(calls: usize) -> Self {
        Self {
            users: BTreeMap::new(),
            keys: BTreeMap::new(),
            open: BTreeMap::new(),
            last: 0,
            calls: calls.max(1),
        }
    }

    /// Puts a writer's records at the end of their queues. Whether a turn has to be sent for.
    pub(super) fn enter(&mut self, request: &Arc<Submitted<O>>, records: Vec<Record>) -> bool {
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
                RawRecord::Whole(_) => Sharing::Alone,
            };
            let item = Item {
                request: Arc::clone(request),
                place,
                record,
                number,
                sharing,
                tries: 0,
                leases: Vec::new(),
            };
            self.user(&request.user).items.push_back(item);
        }
        self.dispatch(&request.user)
    }

    /// Puts a record that was taken back to the front of its user's queue; it never left the queues
    /// of its keys. Whether a turn has to be sent for.
    pub(super) fn put_back(&mut self, item: Item<O>) -> bool {
        let user = item.request.user.clone();
        let items = &mut self.user(&user).items;
        let before = items.partition_point(|waiting| waiting.number < item.number);
        items.insert(before, item);
        self.dispatch(&user)
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
                Some(_) if !item.request.reply.may_leave() => given_up.push(item),
                Some(fit) => batch.add(fit, item),
            }
        }
        left.extend(items);
        queue.items = left;
        batch.units
    }

    /// Whether more of a user's records may leave now; where none may, no turn is on its way for
    /// them any more.
    pub(super) fn has_more(&mut self, user: &ApiUser) -> bool {
        let Some(queue) = self.users.get_mut(user) else { return false };
        let batch = Batch::of(self.calls);
        queue.is_dispatched = queue.items.iter().any(|item| batch.fit(item, &self.keys).is_some());
        let has_more = queue.is_dispatched;
        if queue.items.is_empty() {
            self.users.remove(user);
        }
        has_more
    }

    /// Takes records that have their outcome out of the queues of their keys; gives the users for
    /// whom a turn has to be sent for.
    pub(super) fn finish(&mut self, numbers: impl IntoIterator<Item = Number>) -> Vec<ApiUser> {
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
        next.into_iter().filter(|user| self.dispatch(user)).collect()
    }

    /// What is known of a record that is not finished.
    pub(super) fn open(&self, number: Number) -> Option<&Open<O>> {
        self.open.get(&number)
    }

    /// How many of these records would have to wait for another write of their key.
    pub(super) fn behind_others(&self, records: &[Record]) -> usize {
        let waits = |record: &&Record| record.leases.iter().any(|key| self.keys.contains_key(key));
        records.iter().filter(waits).count()
    }

    /// How things stand at this moment.
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

    fn dispatch(&mut self, user: &ApiUser) -> bool {
        self.users.get(user).is_some_and(|queue| !queue.is_dispatched) && self.has_more(user)
    }
}

/// Cuts units of one way of writing into calls, in order. A record that is too large for any call
/// gets one of its own, which Marketo then refuses.
pub(super) fn into_calls<O>(units: Vec<Unit<O>>) -> Vec<Vec<Unit<O>>> {
    let (mut calls, mut bytes): (Vec<Vec<Unit<O>>>, usize) = (Vec::new(), 0);
    for unit in units {
        let room = BODY_BYTES.saturating_sub(unit.first.request.envelope.bytes());
        let size: usize = unit.items().map(|item| item.record.bytes + ID_BYTES).sum();
        match calls.last_mut() {
            Some(call) if call.len() < BATCH && bytes + size <= room => {
                call.push(unit);
                bytes += size;
            }
            _ => {
                calls.push(vec![unit]);
                bytes = size;
            }
        }
    }
    calls
}

/// A batch that is being put together.
struct Batch<O> {
    units: Vec<Unit<O>>,
    /// Which unit has a key, and the number of the last record in it.
    keys: BTreeMap<LeaseKey, (usize, Number)>,
    bytes: usize,
    /// For how many calls it is.
    calls: usize,
}

/// Where a record fits into a call.
#[derive(Clone, Copy)]
enum Fit {
    NewUnit,
    Unit(usize),
}

impl<O> Batch<O> {
    fn of(calls: usize) -> Self {
        Self { units: Vec::new(), keys: BTreeMap::new(), bytes: 0, calls }
    }

    /// Where a record fits into the call; nowhere if it has to wait.
    fn fit(&self, item: &Item<O>, queues: &KeyQueues) -> Option<Fit> {
        let room = self.calls * BODY_BYTES.saturating_sub(item.request.envelope.bytes());
        if !self.agrees(item) || self.bytes + item.record.bytes + ID_BYTES > room {
            // A record that is too large for any call is Marketo's to refuse.
            return (self.units.is_empty() && is_first(item, queues)).then_some(Fit::NewUnit);
        }
        if is_first(item, queues) {
            return Some(Fit::NewUnit);
        }
        if item.sharing != Sharing::Anybody || !item.leases.is_empty() {
            return None;
        }
        // Right behind the last record of one unit, in the queues of all its keys.
        let mut units = item.record.leases.iter().map(|key| {
            let (unit, last) = self.keys.get(key)?;
            let queue = queues.get(key)?;
            let behind = queue.iter().position(|(number, _)| number == last)? + 1;
            (queue.get(behind)?.0 == item.number).then_some(*unit)
        });
        let first = units.next()??;
        let unit = self.units.get(first)?;
        let is_sociable = unit.items().all(|other| other.sharing == Sharing::Anybody);
        let other = &unit.first.record;
        // Leases go by the widest reading of a key; one record is made of two only by the
        // narrowest.
        let is_same = other.key.is_some()
            && other.key == item.record.key
            && other.leases == item.record.leases
            && units.all(|unit| unit == Some(first));
        (is_sociable && is_same).then_some(Fit::Unit(first))
    }

    fn agrees(&self, item: &Item<O>) -> bool {
        let Some(first) = self.units.first().map(|unit| &unit.first) else { return true };
        match first.sharing.max(item.sharing) {
            Sharing::Anybody | Sharing::OwnRecord => {
                first.request.agreement == item.request.agreement
            }
            Sharing::OwnWriter => Arc::ptr_eq(&first.request, &item.request),
            Sharing::Alone => false,
        }
    }

    fn add(&mut self, fit: Fit, item: Item<O>) {
        self.bytes += item.record.bytes + ID_BYTES;
        let place = match fit {
            Fit::NewUnit => self.units.len(),
            Fit::Unit(place) => place,
        };
        for key in item.record.leases.iter() {
            self.keys.insert(*key, (place, item.number));
        }
        match self.units.get_mut(place) {
            Some(unit) => {
                unit.raw = unit.raw.clone().then(&item.record.raw);
                unit.others.push(item);
            }
            None => self.units.push(Unit::of(item)),
        }
    }
}

/// Whether a record is at the head of the queues of all its keys.
fn is_first<O>(item: &Item<O>, queues: &KeyQueues) -> bool {
    let head = |key| queues.get(key).and_then(VecDeque::front);
    item.record.leases.iter().all(|key| head(key).is_some_and(|(number, _)| *number == item.number))
}

impl<O> Item<O> {
    /// The same in no larger company than this.
    pub(super) fn sharing_at_most(self, sharing: Sharing) -> Self {
        Self { sharing: self.sharing.max(sharing), ..self }
    }
}

impl<O> Unit<O> {
    /// A record by itself, with its leases.
    pub(super) fn of(mut item: Item<O>) -> Self {
        Self {
            raw: item.record.raw.clone(),
            leases: std::mem::take(&mut item.leases),
            first: item,
            others: Vec::new(),
        }
    }

    /// The records that it stands for.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item<O>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The same to change them.
    pub(super) fn items_mut(&mut self) -> impl Iterator<Item = &mut Item<O>> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    /// Its records, and its leases apart.
    pub(super) fn into_parts(self) -> (impl Iterator<Item = Item<O>>, Vec<Lease>) {
        (std::iter::once(self.first).chain(self.others), self.leases)
    }

    /// How many records it stands for.
    pub(super) fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// How often a call with one of its records left.
    pub(super) fn tries(&self) -> u32 {
        self.items().map(|item| item.tries).max().unwrap_or_default()
    }

    /// The keys that writing it takes leases on.
    pub(super) fn lease_keys(&self) -> impl Iterator<Item = LeaseKey> + '_ {
        self.first.record.leases.iter().copied()
    }

    /// What is looked up for it; none where it has no key, or one that Marketo cannot be asked for.
    pub(super) fn key(&self) -> Option<&str> {
        self.first.record.searchable_key()
    }
}

#[cfg(test)]
mod tests;
