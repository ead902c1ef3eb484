//! Which leases are held, and for whom. Pure.
//!
//! Two groups of a run can share a key; its lease is kept until neither needs it.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::Wanted;
use crate::lead::LeadId;
use crate::leases::{Lease, LeaseKey};

/// The leases of a run.
#[derive(Debug, Default)]
pub(super) struct Held {
    leases: BTreeMap<LeaseKey, Lease>,
    entries: BTreeMap<LeadId, Entry>,
}

/// Leads whose keys are held together.
#[derive(Debug)]
struct Entry {
    leads: BTreeSet<LeadId>,
    keys: BTreeSet<LeaseKey>,
    /// Calls whose outcome is not known.
    open_calls: usize,
}

impl Held {
    pub(super) fn has(&self, key: LeaseKey) -> bool {
        self.leases.contains_key(&key)
    }

    /// Those of the keys that are not held.
    pub(super) fn missing(&self, keys: &BTreeSet<LeaseKey>) -> BTreeSet<LeaseKey> {
        keys.iter().filter(|key| !self.has(**key)).copied().collect()
    }

    /// Whether all of these keys are held, and for these leads.
    pub(super) fn holds(&self, wanted: &Wanted) -> bool {
        self.entries.get(&wanted.owner).is_some_and(|entry| {
            entry.leads.is_superset(&wanted.leads) && entry.keys.is_superset(&wanted.keys)
        })
    }

    /// Whether the keys of this lead are held, as far as they were known.
    pub(super) fn covers(&self, lead: LeadId) -> bool {
        self.entries.values().any(|entry| entry.leads.contains(&lead))
    }

    /// Takes leases in, for these leads.
    pub(super) fn enter(&mut self, wanted: &Wanted, leases: Vec<Lease>) {
        self.leases.extend(leases.into_iter().map(|lease| (lease.key(), lease)));
        let entry = self.entries.entry(wanted.owner).or_insert_with(|| Entry {
            leads: BTreeSet::new(),
            keys: BTreeSet::new(),
            open_calls: 0,
        });
        entry.leads.extend(&wanted.leads);
        entry.keys.extend(&wanted.keys);
    }

    /// A call with these leads begins, or is known.
    pub(super) fn count(&mut self, leads: impl IntoIterator<Item = LeadId>, begins: bool) {
        for lead in leads {
            for entry in self.entries.values_mut().filter(|entry| entry.leads.contains(&lead)) {
                entry.open_calls =
                    if begins { entry.open_calls + 1 } else { entry.open_calls.saturating_sub(1) };
            }
        }
    }

    /// Whether another entry with an open call has a key of this one.
    pub(super) fn is_in_use(&self, owner: LeadId) -> bool {
        let Some(own) = self.entries.get(&owner) else { return false };
        self.entries.iter().any(|(other, entry)| {
            *other != owner && entry.open_calls > 0 && !entry.keys.is_disjoint(&own.keys)
        })
    }

    pub(super) fn owners(&self) -> Vec<LeadId> {
        self.entries.keys().copied().collect()
    }

    /// Forgets the entries that have no open call; gives the leases that no other needs.
    pub(super) fn release(&mut self, owners: &BTreeSet<LeadId>) -> Vec<Lease> {
        self.entries.retain(|owner, entry| !owners.contains(owner) || entry.open_calls > 0);
        let needed: BTreeSet<LeaseKey> =
            self.entries.values().flat_map(|entry| &entry.keys).copied().collect();
        let (kept, free) = std::mem::take(&mut self.leases)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(key, _)| needed.contains(key));
        self.leases = kept;
        free.into_values().collect()
    }

    /// The leases that a call with these leads takes; none where one of them is not held.
    pub(super) fn leases_of(&self, leads: impl IntoIterator<Item = LeadId>) -> Option<Vec<Lease>> {
        let mut keys = BTreeSet::new();
        for lead in leads {
            let of_lead = self.entries.values().filter(|entry| entry.leads.contains(&lead));
            let before = keys.len();
            keys.extend(of_lead.flat_map(|entry| &entry.keys));
            if keys.len() == before && !self.covers(lead) {
                return None;
            }
        }
        keys.into_iter().map(|key| self.leases.get(key).map(Lease::named_again)).collect()
    }

    /// The leases of each entry.
    pub(super) fn by_owner(&self) -> Vec<Vec<Lease>> {
        let leases = |entry: &Entry| {
            let held = entry.keys.iter().filter_map(|key| self.leases.get(key));
            held.map(Lease::named_again).collect()
        };
        self.entries.values().map(leases).collect()
    }
}
