//! A record on its way, and the unit of a call that it becomes part of. Pure.

use std::sync::Arc;

use tokio::time::Instant;

use super::outcome::{Reply, Whereabouts};
use super::record::RawRecord;
use super::request::{ApiUser, Envelope, Record};
use crate::leases::{Lease, LeaseKey};

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

    /// Notes where its records are.
    pub(super) fn is_now(&self, whereabouts: Whereabouts) {
        for item in self.items() {
            item.request.reply.is_now(item.place, whereabouts);
        }
    }
}

/// Notes where the records of units are.
pub(super) fn are_now<O>(units: &[Unit<O>], whereabouts: Whereabouts) {
    for unit in units {
        unit.is_now(whereabouts);
    }
}
