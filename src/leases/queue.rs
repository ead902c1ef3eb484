//! This process's waiting callers, by their tickets and by the keys that they wait for.

use std::collections::{BTreeMap, BTreeSet};

use super::backend::Ticket;
use super::key::LeaseKey;

#[derive(Debug)]
pub(super) struct Queue<C> {
    callers: BTreeMap<Ticket, (BTreeSet<LeaseKey>, C)>,
    by_key: BTreeSet<(LeaseKey, Ticket)>,
}

impl<C> Default for Queue<C> {
    fn default() -> Self {
        Self { callers: BTreeMap::new(), by_key: BTreeSet::new() }
    }
}

impl<C> Queue<C> {
    pub(super) fn is_empty(&self) -> bool {
        self.callers.is_empty()
    }

    pub(super) fn insert(&mut self, ticket: Ticket, keys: BTreeSet<LeaseKey>, caller: C) {
        self.by_key.extend(keys.iter().map(|key| (*key, ticket)));
        self.callers.insert(ticket, (keys, caller));
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<C> {
        let (keys, caller) = self.callers.remove(&ticket)?;
        for key in keys {
            self.by_key.remove(&(key, ticket));
        }
        Some(caller)
    }

    /// Removes the callers that are gone, and gives their keys.
    pub(super) fn remove_if(&mut self, is_gone: impl Fn(&C) -> bool) -> BTreeSet<LeaseKey> {
        let gone = self.callers.iter().filter(|(_, (_, caller))| is_gone(caller));
        let gone: Vec<Ticket> = gone.map(|(ticket, _)| *ticket).collect();
        let keys = gone.iter().filter_map(|ticket| self.callers.get(ticket));
        let keys = keys.flat_map(|(keys, _)| keys).copied().collect();
        for ticket in gone {
            self.remove(ticket);
        }
        keys
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = C> + use<C> {
        self.by_key.clear();
        std::mem::take(&mut self.callers).into_values().map(|(_, caller)| caller)
    }

    /// Every key that is waited for.
    pub(super) fn keys(&self) -> BTreeSet<LeaseKey> {
        self.by_key.iter().map(|(key, _)| *key).collect()
    }

    /// The callers that wait for one of the keys, or for a key that such a caller waits for, and so
    /// on; and all of these keys.
    pub(super) fn concerned(
        &self,
        keys: BTreeSet<LeaseKey>,
    ) -> (Vec<(Ticket, BTreeSet<LeaseKey>)>, BTreeSet<LeaseKey>) {
        let mut open: Vec<LeaseKey> = keys.iter().copied().collect();
        let (mut complete, mut callers) = (keys, BTreeMap::new());
        while let Some(key) = open.pop() {
            let all = (key, Ticket(0))..=(key, Ticket(u64::MAX));
            for (_, ticket) in self.by_key.range(all) {
                if callers.contains_key(ticket) {
                    continue;
                }
                if let Some((keys, _)) = self.callers.get(ticket) {
                    open.extend(keys.iter().filter(|key| complete.insert(**key)));
                    callers.insert(*ticket, keys.clone());
                }
            }
        }
        (callers.into_iter().collect(), complete)
    }
}
