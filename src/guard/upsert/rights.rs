//! The rights to the keys of a round: taken before anything is looked up, kept while the round goes
//! on, renewed for each call right before it leaves, and given back as soon as it is known what
//! came of it.
//!
//! Never: gives back the right to a key whose call may still be running. That one ends by itself
//! (law 4), also where this process is killed.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;

use super::Guard;
use crate::dedupe::Key;
use crate::guard::Error;
use crate::guard::coalesce::KeyWork;
use crate::guard::lease::{Lease, LeaseError, LeaseKey, Leases, LeaveBy, Terms, to_send};
use crate::marketo::{Clock, ReadLeads, SYNC_LIMIT, SendGate, SyncLeads, UntilStopped, Withheld};

/// The rights of one round.
pub(super) struct Rights<'a, L> {
    store: &'a L,
    held: BTreeMap<Key, Lease>,
    clock: Clock,
    stop: CancellationToken,
}

impl<M: ReadLeads + SyncLeads, L: Leases> Guard<'_, M, L> {
    /// Takes the rights to those of the keys that nobody else is writing; if there is none, waits
    /// for one. Where the run is to stop meanwhile there may be none.
    pub(super) async fn take_rights(&self, open: &[KeyWork]) -> Result<Rights<'_, L>, Error> {
        let wanted: BTreeMap<LeaseKey, &Key> =
            open.iter().map(|work| (work.lease, &work.key)).collect();
        let mut keys: BTreeSet<LeaseKey> = wanted.keys().copied().collect();
        let mut leases = self.leases.try_acquire(&keys).await?;
        if leases.is_empty()
            && let Some(first) = keys.pop_first()
        {
            self.watch.held_up();
            leases = tokio::select! {
                granted = self.acquire(first) => granted?,
                () = self.settings.stop.cancelled() => Vec::new(),
            };
            leases.extend(self.leases.try_acquire(&keys).await?);
        }
        let held = leases.into_iter().filter_map(|lease| {
            let key = wanted.get(&lease.key())?;
            Some(((*key).clone(), lease))
        });
        let (clock, stop) = (self.settings.clock, self.settings.stop.clone());
        Ok(Rights { store: &self.leases, held: held.collect(), clock, stop })
    }

    async fn acquire(&self, key: LeaseKey) -> Result<Vec<Lease>, LeaseError> {
        self.leases.acquire(&BTreeSet::from([key])).await
    }
}

impl<L: Leases> Rights<'_, L> {
    /// Whether the round may look up and write this key.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.held.contains_key(key)
    }

    /// Waits for something, and keeps all rights meanwhile.
    pub(super) async fn keeping<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let unsent = Terms::at(self.clock).unsent;
        loop {
            match tokio::time::timeout(unsent / 3, &mut work).await {
                Ok(done) => return done,
                // What cannot be kept is found lost before anything is sent.
                Err(_elapsed) => drop(self.store.renew(self.held.values(), unsent).await),
            }
        }
    }

    /// What a call with these keys has to ask for before it leaves.
    pub(super) fn gate(&self, keys: &BTreeSet<Key>) -> LeaseGate<'_, L> {
        let leases = self.held.iter().filter(|(key, _)| keys.contains(key)).map(|(_, lease)| lease);
        LeaseGate {
            store: self.store,
            leases: leases.collect(),
            keys: keys.len(),
            clock: self.clock,
            run: UntilStopped::at_once(self.stop.clone()),
        }
    }

    /// What came of the calls with these keys is known: others may write them.
    pub(super) async fn give_back(&mut self, keys: &BTreeSet<Key>) {
        let leases: Vec<Lease> = keys.iter().filter_map(|key| self.held.remove(key)).collect();
        self.release(leases).await;
    }

    /// A call with these keys may still be running when nobody looks any more.
    pub(super) fn leave_to_end(&mut self, keys: &BTreeSet<Key>) {
        self.held.retain(|key, _| !keys.contains(key));
    }

    /// The round is over.
    pub(super) async fn give_all_back(mut self) {
        let leases = std::mem::take(&mut self.held).into_values().collect();
        self.release(leases).await;
    }

    async fn release(&self, leases: Vec<Lease>) {
        if leases.is_empty() {
            return;
        }
        if let Err(error) = self.store.release(leases).await {
            tracing::warn!(%error, "rights to keys end by themselves");
        }
    }
}

/// Lets a call leave whose rights last for as long as it may run, unless the run is to stop.
pub(super) struct LeaseGate<'a, L> {
    store: &'a L,
    leases: Vec<&'a Lease>,
    /// How many rights the call takes.
    keys: usize,
    clock: Clock,
    run: UntilStopped,
}

impl<L: Leases> SendGate for LeaseGate<'_, L> {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        if self.leases.len() < self.keys {
            return Err(Withheld("the right to write one of its keys is not held".to_owned()));
        }
        let leave_by = LeaveBy::from_now(self.clock);
        let span = to_send(SYNC_LIMIT, self.clock);
        let renewed = self.store.renew(self.leases.iter().copied(), span).await;
        renewed.map_err(|error| Withheld(error.to_string()))?;
        if leave_by.is_over() {
            return Err(Withheld("the lease store took too long to answer".to_owned()));
        }
        self.run.ask().await?;
        Ok(Some(leave_by))
    }

    async fn withdrawn(&self) -> Withheld {
        self.run.withdrawn().await
    }
}
