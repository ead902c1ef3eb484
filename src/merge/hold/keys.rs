//! Which keys a group or a lead takes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::dedupe::{KeySpec, PlannedGroup};
use crate::lead::{Lead, LeadId};
use crate::leases::LeaseKey;

/// Fields by which leads can be looked up and whose values many leads share. A guarded write that
/// is addressed by one of them is not kept from a lead that is being merged.
const SHARED: [&str; 4] = ["sfdcAccountId", "sfdcLeadOwnerId", "sfdcOpptyId", "leadPartitionId"];

/// Whose keys, and which they are.
#[derive(Debug, Clone)]
pub(in crate::merge) struct Wanted {
    /// The name of the entry: a group's winner, or a lead that is written to by itself.
    pub(in crate::merge) owner: LeadId,
    pub(in crate::merge) leads: BTreeSet<LeadId>,
    pub(in crate::merge) keys: BTreeSet<LeaseKey>,
}

/// The keys of what was read, as the guards of the instance compute them.
#[derive(Debug)]
pub(in crate::merge) struct Keys {
    instance: String,
    /// The fields whose values address a lead.
    fields: BTreeSet<String>,
    /// What was read of leads: the keys of their values.
    known: BTreeMap<LeadId, BTreeSet<LeaseKey>>,
}

impl Keys {
    pub(super) fn new(instance: String, searchable: &[String]) -> Self {
        let mut keys = Self { instance, fields: BTreeSet::new(), known: BTreeMap::new() };
        keys.describe(searchable);
        keys
    }

    /// Notes by which fields leads can be looked up.
    pub(in crate::merge) fn describe(&mut self, searchable: &[String]) {
        let own = searchable.iter().filter(|field| !SHARED.contains(&field.as_str())).cloned();
        self.fields = own.chain(["email".to_owned()]).filter(|field| field != "id").collect();
    }

    /// Notes what was read of leads.
    pub(in crate::merge) fn learn<'l>(&mut self, leads: impl IntoIterator<Item = &'l Lead>) {
        for lead in leads {
            let keys = self.of_values(lead);
            self.known.entry(lead.id).or_default().extend(keys);
        }
    }

    /// Whether anything was read of all of these leads.
    pub(in crate::merge) fn knows(&self, mut leads: impl Iterator<Item = LeadId>) -> bool {
        leads.all(|lead| self.known.contains_key(&lead))
    }

    pub(super) fn of_values(&self, lead: &Lead) -> Vec<LeaseKey> {
        let key = |field: &String| LeaseKey::of_value(&self.instance, field, lead.value(field)?);
        self.fields.iter().filter_map(key).collect()
    }

    /// The keys of a lead, as far as they are known.
    pub(super) fn of_lead(&self, lead: LeadId) -> impl Iterator<Item = LeaseKey> {
        let id = LeaseKey::of(&self.instance, "id", &lead.to_string());
        id.into_iter().chain(self.known.get(&lead).into_iter().flatten().copied())
    }

    /// What a group of these leads takes.
    pub(in crate::merge) fn of_group(
        &self,
        group: &PlannedGroup,
        leads: impl Iterator<Item = LeadId>,
        spec: &KeySpec,
    ) -> Wanted {
        let leads: BTreeSet<LeadId> = leads.collect();
        let mut keys: BTreeSet<LeaseKey> =
            leads.iter().flat_map(|lead| self.of_lead(*lead)).collect();
        // A key of several parts is no value that anybody looks up.
        if let ([field], false) = (spec.fields.as_slice(), spec.within_partition) {
            keys.extend(LeaseKey::of(&self.instance, field, group.key.as_str()));
        }
        Wanted { owner: group.winner, leads, keys }
    }
}
