//! Fills a sandbox with a believable instance, the same for the same seed on any machine and any
//! day.
//!
//! What is in it: people of many scripts with values that break careless readers, records without
//! an address, shared mailboxes, duplicates of every cause with exactly the traces that such a
//! cause leaves, merges and deletions of long ago. Who is in it is decided by pure code below this
//! file (`population`, `causes`, `people`); only `fill` touches the sandbox's world. It never reads
//! a clock: an instance's present is a constant.

mod births;
mod causes;
mod dice;
mod fill;
mod history;
mod names;
mod people;
mod population;
mod profile;

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

use self::births::Fate;
use self::dice::Dice;
pub(super) use self::fill::fill;
use self::history::time;
use self::population::{Group, Population};
use self::profile::Membership;
use super::activities::log::Activity;
use super::options::Options;
use super::world::record::SfdcType;

/// How to fill a sandbox.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seed {
    /// How many leads live in it.
    pub leads: u32,
    /// The share of them, from 0 to 1, that have the same address as another one.
    pub duplicates: f64,
    /// The number that everything is drawn from.
    pub number: u64,
}

impl Seed {
    /// What a sandbox's options say of its filling.
    pub(super) fn of(options: &Options) -> Self {
        Self { leads: options.leads, duplicates: options.duplicates, number: options.seed }
    }

    /// How many leads belong to a group, by the share that was asked for.
    fn leads_in_groups(&self) -> u32 {
        let grouped = (f64::from(self.leads) * self.duplicates.clamp(0.0, 1.0)).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a 32-bit number that is neither negative nor larger than it"
        )]
        {
            grouped as u32
        }
    }
}

/// The true cause of a duplicate group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeedCause {
    /// Upserts of one address overlapped.
    Race,
    /// An integration asked for `createDuplicate`.
    CreateDuplicate,
    /// The CRM's sync brought a person whom Marketo, or the CRM itself, had already.
    Crm,
    /// Files were imported at one time, or over records in the making.
    Import,
    /// The person is in several partitions.
    Partition,
    /// The address was changed later to one that another record had.
    Unknown,
}

impl SeedCause {
    /// Every cause.
    pub const ALL: [Self; 6] = [
        Self::Race,
        Self::CreateDuplicate,
        Self::Crm,
        Self::Import,
        Self::Partition,
        Self::Unknown,
    ];
}

/// The truth about one group of a filled sandbox, for tests to hold an audit against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedLabel {
    /// The address that the group's leads have, without capitals or blanks.
    pub key: String,
    /// How the group came about.
    pub cause: SeedCause,
    /// Whether these are different people behind one address, not duplicates.
    pub shared: bool,
    /// The leads' ids, lowest first.
    pub leads: Vec<u64>,
}

/// A filled instance, before it is put into the sandbox's world.
#[derive(Debug)]
pub(super) struct Instance {
    population: Population,
    dice: Dice,
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
        Self { population: population::populate(seed), dice: Dice::new(!seed.number) }
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
        let dice = &mut self.dice;
        let living = births
            .iter()
            .zip(ids)
            .zip(memberships)
            .filter(|((birth, _), _)| birth.fate == Fate::Lives);
        living.map(move |((birth, id), of)| {
            let created_at = time(births::whole_second(birth.born));
            // The one is at times a second before the other on fresh records, as recorded answers
            // show.
            let updated_at = match dice.below(10) {
                0 => created_at - Duration::seconds(1),
                1..=5 => created_at,
                _ => time(births::whole_second(dice.between(birth.born, births::PRESENT))),
            };
            SeededLead {
                id: *id,
                created_at,
                updated_at,
                partition: u64::from(birth.partition),
                fields: profile::fields(birth, *id, of, dice),
                sfdc: profile::crm(birth, *id),
                lists: profile::lists(dice),
                programs: profile::programs(dice),
                custom_objects: if dice.percent(2) { 1 + dice.below(3) } else { 0 },
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
        history::activities(&self.population, &mut self.dice)
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
