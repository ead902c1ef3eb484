//! What a sandbox is filled from, and the truth about what it is filled with.

use crate::options::Options;

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
    pub(crate) fn of(options: &Options) -> Self {
        Self { leads: options.leads, duplicates: options.duplicates, number: options.seed }
    }

    /// How many leads belong to a group, by the share that was asked for.
    pub(super) fn leads_in_groups(&self) -> u32 {
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
