//! A seed's instance, as it is before it is put into the sandbox's world: its records, those that
//! are gone, what happened to them, and the truth about the groups.

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

use super::births::{self, Fate};
use super::history::{self, time};
use super::population::{self, Group, Population};
use super::profile::{self, Membership};
use super::rng::SeededRng;
use super::spec::{Seed, SeedLabel};
use crate::world::log::Activity;
use crate::world::record::SfdcType;

/// A filled instance, before it is put into the sandbox's world.
#[derive(Debug)]
pub(super) struct Instance {
    population: Population,
    rng: SeededRng,
}

/// A living record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeededLead {
    pub(super) id: u64,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) partition: u64,
    /// Fields by their REST names; what is not there is null.
    pub(super) fields: Vec<(&'static str, Value)>,
    /// What it is in Salesforce, and its id there.
    pub(super) sfdc: Option<(SfdcType, String)>,
    /// The static lists that it is on.
    pub(super) lists: Vec<u64>,
    /// The programs that it is a member of, with its status in each.
    pub(super) programs: Vec<(u64, &'static str)>,
    /// How many custom objects are linked to it.
    pub(super) custom_objects: u32,
}

/// A record that is no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) id: u64,
    /// When it was created.
    pub(super) created_at: DateTime<Utc>,
    /// The record that took it in; none if it was deleted.
    pub(super) merged_into: Option<u64>,
}

impl Instance {
    /// Draws the instance of a seed.
    pub(super) fn of(seed: &Seed) -> Self {
        // The details have a stream of their own: a change in how people are drawn does not change
        // whether they are opted out.
        Self { population: population::populate(seed), rng: SeededRng::new(!seed.number) }
    }

    /// The end of the instance's history, which is when it was drawn up.
    pub(super) fn present() -> DateTime<Utc> {
        time(births::PRESENT)
    }

    /// The living records by id, one at a time, since a large instance is kept more compactly where
    /// it goes.
    pub(super) fn leads(&mut self) -> impl Iterator<Item = SeededLead> {
        let Population { births, ids, groups } = &self.population;
        let memberships = memberships(groups, births.len());
        let rng = &mut self.rng;
        let living = births
            .iter()
            .zip(ids)
            .zip(memberships)
            .filter(|((birth, _), _)| birth.fate == Fate::Lives);
        living.map(move |((birth, id), of)| {
            let created_at = time(births::whole_second(birth.born));
            // The one is at times a second before the other on fresh records, as recorded answers
            // show.
            let updated_at = match rng.below(10) {
                0 => created_at - Duration::seconds(1),
                1..=5 => created_at,
                _ => time(births::whole_second(rng.between(birth.born, births::PRESENT))),
            };
            SeededLead {
                id: *id,
                created_at,
                updated_at,
                partition: u64::from(birth.partition),
                fields: profile::fields(birth, *id, of, rng),
                sfdc: profile::crm(birth, *id),
                lists: profile::lists(rng),
                programs: profile::programs(rng),
                custom_objects: if rng.percent(2) { 1 + rng.below(3) } else { 0 },
            }
        })
    }

    /// The records that were merged away or deleted.
    pub(super) fn gone(&self) -> impl Iterator<Item = Gone> {
        let Population { births, ids, .. } = &self.population;
        births.iter().zip(ids).filter_map(|(birth, id)| {
            let merged_into = match birth.fate {
                Fate::Lives => return None,
                Fate::Merged { into, .. } => ids.get(into).copied(),
                Fate::Deleted { .. } => None,
            };
            Some(Gone { id: *id, created_at: time(births::whole_second(birth.born)), merged_into })
        })
    }

    /// What happened, oldest first.
    pub(super) fn activities(&mut self) -> Vec<Activity> {
        history::activities(&self.population, &mut self.rng)
    }

    /// The truth about each group.
    pub(super) fn labels(&self) -> Vec<SeedLabel> {
        let label = |group: &Group| SeedLabel {
            key: group.key.clone(),
            cause: group.cause,
            shared: group.shared,
            leads: group
                .members
                .iter()
                .filter_map(|member| self.population.ids.get(*member).copied())
                .collect(),
        };
        self.population.groups.iter().map(label).collect()
    }
}

/// For each birth, its place in a group.
fn memberships(groups: &[Group], births: usize) -> Vec<Option<Membership>> {
    let mut memberships = vec![None; births];
    for (number, group) in groups.iter().enumerate() {
        for (place, member) in group.members.iter().enumerate() {
            if let Some(membership) = memberships.get_mut(*member) {
                *membership = Some(Membership { group: number, place });
            }
        }
    }
    memberships
}

#[cfg(test)]
mod tests;
