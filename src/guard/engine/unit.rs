//! A record on its way, and the unit of a call that it becomes part of.

use std::sync::Arc;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::outcome::{PendingReply, Reply, Whereabouts, reply};
use super::record::RawRecord;
use super::request::{ApiUser, Envelope, Record, WriteRequest};
use crate::leases::{Lease, LeaseKey};

/// A write that was submitted, shared by its records.
#[derive(Debug)]
pub(super) struct Submitted<O> {
    pub(super) user: ApiUser,
    pub(super) origin: O,
    pub(super) envelope: Envelope,
    /// Writes with the same may leave with it.
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
    /// How often a call with it was ready and did not leave.
    pub(super) withheld: u32,
    /// Those that it had to wait for.
    pub(super) leases: Vec<Lease>,
    /// Keeps these leases while the record stands in the queue.
    pub(super) keeper: Option<Keeper>,
}

/// A task that keeps leases, and ends with this.
#[derive(Debug)]
pub(super) struct Keeper(pub(super) AbortHandle);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Which other records a record may share a call with, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sharing {
    /// All that agree; and it may become one record with others of its key.
    Anybody,
    /// All that agree, but it stays a record of its own.
    OwnRecord,
    /// Those of its own writer: a call with others was refused or withheld.
    OwnWriter,
    /// None.
    Alone,
}

/// One record of a call, and the records that became it, in the order in which they came.
#[derive(Debug)]
pub(super) struct Unit<O> {
    pub(super) raw: RawRecord,
    pub(super) first: Item<O>,
    pub(super) others: Vec<Item<O>>,
    pub(super) leases: Vec<Lease>,
}

impl<O> Submitted<O> {
    /// A write that comes in now, its records, and the end at which its writer waits.
    pub(super) fn of(write: WriteRequest<O>) -> (Arc<Self>, Vec<Record>, PendingReply) {
        let WriteRequest { user, origin, fingerprint, envelope, records, admitted } = write;
        let (reply, pending) = reply(records.len(), admitted);
        let agreement = envelope.agreement(&fingerprint);
        let since = Instant::now();
        (Arc::new(Self { user, origin, envelope, agreement, since, reply }), records, pending)
    }
}

impl<O> Item<O> {
    /// The same, sharing its call at most so.
    pub(super) fn sharing_at_most(self, sharing: Sharing) -> Self {
        Self { sharing: self.sharing.max(sharing), ..self }
    }
}

impl<O> Unit<O> {
    pub(super) fn of(mut item: Item<O>) -> Self {
        item.keeper = None;
        Self {
            raw: item.record.raw.clone(),
            leases: std::mem::take(&mut item.leases),
            first: item,
            others: Vec::new(),
        }
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item<O>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    pub(super) fn items_mut(&mut self) -> impl Iterator<Item = &mut Item<O>> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    /// Its records, and its leases apart.
    pub(super) fn into_parts(self) -> (impl Iterator<Item = Item<O>>, Vec<Lease>) {
        (std::iter::once(self.first).chain(self.others), self.leases)
    }

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

    /// The key that is looked up; none where it has none, or one that Marketo cannot be asked for.
    pub(super) fn key(&self) -> Option<&str> {
        self.first.record.searchable_key()
    }

    pub(super) fn is_now(&self, whereabouts: Whereabouts) {
        for item in self.items() {
            item.request.reply.is_now(item.place, whereabouts);
        }
    }
}

/// Notes that the records of units leave now; false where a writer of one of them has gone, and
/// none is to leave.
pub(super) fn may_leave<O>(units: &[Unit<O>]) -> bool {
    let replies = || units.iter().flat_map(Unit::items).map(|item| &item.request.reply);
    // All are asked before the first is told that it leaves.
    !replies().any(Reply::has_gone) && replies().all(Reply::may_leave)
}

pub(super) fn are_now<O>(units: &[Unit<O>], whereabouts: Whereabouts) {
    for unit in units {
        unit.is_now(whereabouts);
    }
}
