//! `guard.*`: how the proxy guards writes.

use std::time::Duration;

use super::value::RawValue;
use crate::guard::{CreateDuplicate, Mode, OnDuplicates};
use crate::leases::{AddressError, PostgresAddress};

/// Where a guard keeps the leases of its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LeaseStore {
    /// In the memory of its process: one guard alone writes to the instance.
    Memory,
    /// In a file that all guards of this user on this machine share, and that outlives them.
    #[default]
    Sqlite,
    /// In a Postgres that guards on several machines share.
    Postgres(PostgresAddress),
}

/// The settings of `mkto-audit guard`.
#[derive(Debug, Clone)]
pub struct GuardConfig {
    /// How writes are guarded.
    pub mode: Mode,
    /// What is done with `createDuplicate`.
    pub create_duplicate: CreateDuplicate,
    /// What is done with a write to a key that several leads have.
    pub on_duplicates: OnDuplicates,
    /// Where the leases are kept.
    pub leases: LeaseStore,
    /// Most calls of one API user that wait.
    pub queue: usize,
    /// How long a caller is kept waiting at most.
    pub max_wait: Duration,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            create_duplicate: CreateDuplicate::default(),
            on_duplicates: OnDuplicates::default(),
            leases: LeaseStore::default(),
            queue: 1_000,
            // As long as Marketo itself lets a write run, and a look-up more.
            max_wait: Duration::from_secs(120),
        }
    }
}

pub(super) fn mode(value: &RawValue) -> Result<Mode, String> {
    match value.text()? {
        "serialize" => Ok(Mode::Serialize),
        "strict" => Ok(Mode::Strict),
        "shadow" => Ok(Mode::Shadow),
        other => Err(format!("takes strict, serialize or shadow, not `{other}`")),
    }
}

pub(super) fn create_duplicate(value: &RawValue) -> Result<CreateDuplicate, String> {
    match value.text()? {
        "pass" => Ok(CreateDuplicate::Pass),
        "forbid" => Ok(CreateDuplicate::Forbid),
        other => Err(format!("takes pass or forbid, not `{other}`")),
    }
}

pub(super) fn leases(value: &RawValue) -> Result<LeaseStore, String> {
    match value.text()? {
        "memory" => Ok(LeaseStore::Memory),
        "sqlite" => Ok(LeaseStore::Sqlite),
        address if is_address(address) => {
            // The address may hold a password, and is not repeated.
            address
                .parse()
                .map(LeaseStore::Postgres)
                .map_err(|error: AddressError| error.to_string())
        }
        word if word.chars().all(char::is_alphanumeric) => {
            Err(format!("takes sqlite, memory or postgres://…, not `{word}`"))
        }
        // A misspelt address may hold a password too.
        _ => Err("takes sqlite, memory or postgres://…, and this is none of them".to_owned()),
    }
}

fn is_address(value: &str) -> bool {
    value.contains("://") || value.contains('=')
}

impl GuardConfig {
    /// Whether the address of the lease store holds its password.
    pub(super) fn has_password(&self) -> bool {
        matches!(&self.leases, LeaseStore::Postgres(address) if address.has_password())
    }

    /// Takes the password from where Postgres's own programs take it, if the address has none.
    pub(super) fn set_password(&mut self, password: &str) {
        if let LeaseStore::Postgres(address) = &mut self.leases
            && !address.has_password()
        {
            *address = address.clone().with_password(password);
        }
    }
}

pub(super) fn on_duplicates(value: &RawValue) -> Result<OnDuplicates, String> {
    match value.text()? {
        "error" => Ok(OnDuplicates::Error),
        "winner" => Ok(OnDuplicates::Winner),
        other => Err(format!("takes error or winner, not `{other}`")),
    }
}
