//! Puts batches together, and cuts them into calls: up to 300 records under 1 MB that agree, and
//! each key once. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::request::ApiUser;
use super::unit::{Item, Number, Sharing, Unit};
use crate::leases::LeaseKey;
use crate::marketo::{BATCH, BODY_BYTES};

/// Most bytes that a record grows by when it is addressed by its id instead.
const ID_BYTES: usize = 30;

/// The records of each key that wait or are on their way, in the order in which they came.
pub(super) type KeyQueues = BTreeMap<LeaseKey, VecDeque<(Number, ApiUser)>>;

/// Cuts units of one write mode into calls, in order. A record that is too large for any call gets
/// one of its own, which Marketo then refuses.
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

pub(super) struct Batch<O> {
    pub(super) units: Vec<Unit<O>>,
    /// Which unit has a key, and the number of the last record in it.
    keys: BTreeMap<LeaseKey, (usize, Number)>,
    bytes: usize,
    /// For how many calls it is.
    calls: usize,
}

#[derive(Clone, Copy)]
pub(super) enum Fit {
    NewUnit,
    Unit(usize),
}

impl<O> Batch<O> {
    pub(super) fn of(calls: usize) -> Self {
        Self { units: Vec::new(), keys: BTreeMap::new(), bytes: 0, calls }
    }

    /// Where a record fits into the call; nowhere if it has to wait.
    pub(super) fn fit(&self, item: &Item<O>, queues: &KeyQueues) -> Option<Fit> {
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
        // Leases go by the widest reading of a key. Two records become one only by the narrowest.
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

    pub(super) fn add(&mut self, fit: Fit, item: Item<O>) {
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
