//! The right to write a key: one owner at a time, first come first served, and longer than its
//! owner lives.
//!
//! Marketo's upsert looks up and then inserts, so two of them with one key that overlap both
//! insert. Whoever holds the lease of a key may have one call with it in flight; everybody else
//! waits. A lock that dies with its process would not do: the process is gone, and its call may be
//! running at Marketo for a while yet. So a lease ends in one of two ways, and in no third one:
//!
//! 1. its owner releases it, since it knows what came of the call, or knows that nothing was sent;
//! 2. its time is over. A lease that was only granted lasts [`Terms::unsent`]. Just before a call
//!    leaves, its owner renews it for the longest that Marketo lets that call run, and a margin; so
//!    the time counts from the last moment at which the call may have left, by the clock of the
//!    store and not of the owner.
//!
//! An owner that slept through its time (a suspended machine) learns of it from [`Leases::renew`],
//! which then says [`LeaseError::Lost`]: nothing may be sent. What remains is the way from the
//! renewal to Marketo, for which there are two margins ([`MARGIN`]): a call that has not left by
//! [`LeaveBy`] does not leave, and the network is trusted with the other. Each grant has a number,
//! [`Lease::fence`], that only grows: an owner whose lease went to another can neither renew nor
//! release the other's.
//!
//! Three stores keep the leases: `memory` for one process, `sqlite` for those of one machine,
//! `postgres` for those of several. The last two are a `table`; who of a process waits for what in
//! it is kept in `line`. The rules that all three keep to are in `book`, which the protocol is
//! checked with in every order of its steps (`tests/model`). The guards of a store also share the
//! limits of their instance there (`share`).
//!
//! Never: a key's own value in a store, a log or an error, only its hash; a write without a lease
//! because the store cannot be reached ([`LeaseError::Unavailable`]).

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::dedupe::{widest, widest_text};
use crate::marketo::Clock;

mod any;
mod book;
mod leaving;
mod line;
mod memory;
mod postgres;
mod share;
mod sqlite;
mod table;

pub(crate) use crate::marketo::in_words as in_full;
pub use crate::marketo::{LeaveBy, MARGIN, to_send, until_over};
pub use any::AnyLeases;
pub use leaving::Leaving;
pub use line::SharedLeases;
pub use memory::MemoryLeases;
pub use postgres::{AddressError, PostgresAddress};
pub use share::{Ask, Part, Shared, Spans};
pub use sqlite::FileError;

/// What is leased: the hash of an instance's key, so that no address is in a store or a log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseKey([u8; 32]);

impl LeaseKey {
    /// The key of the leads whose `field` holds `value`, however either is spelled; none where the
    /// value is empty, which matches nothing. Which values Marketo takes for equal is not
    /// documented for all fields, and a lease that covers two keys does no harm: so they are taken
    /// for equal in the widest reading ([`widest`]).
    pub fn of(instance: &str, field: &str, value: &str) -> Option<Self> {
        Some(Self::of_widest(instance, field, &widest_text(value)?))
    }

    /// The same of a value of any type.
    pub fn of_value(instance: &str, field: &str, value: &Value) -> Option<Self> {
        Some(Self::of_widest(instance, field, &widest(value)?))
    }

    fn of_widest(instance: &str, field: &str, widest: &str) -> Self {
        Self::hash(&[instance, &field.to_ascii_lowercase(), widest])
    }

    /// What the limits of an instance are shared under.
    pub fn of_limits(instance: &str) -> Self {
        Self::hash(&[instance])
    }

    fn hash(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Lengths first, so that no two lists of parts run together into the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// A key that a store kept.
    fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for LeaseKey {
    /// Eight hexadecimal digits: enough to tell the keys of a log apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseKey({self})")
    }
}

/// The right to one key. Dropping it gives nothing back: it then ends when its time is over.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "a lease that is dropped keeps everybody else waiting until its time is over"]
pub struct Lease {
    key: LeaseKey,
    fence: u64,
}

impl Lease {
    /// What is leased.
    pub fn key(&self) -> LeaseKey {
        self.key
    }

    /// The number of this grant: larger than that of any earlier grant of the key in this store.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// The same grant once more, for whoever renews it while it is elsewhere. When it has ended, by
    /// whichever of the two, neither can renew or release what is another's by then: their number
    /// is the same.
    pub(super) fn named_again(&self) -> Self {
        Self { key: self.key, fence: self.fence }
    }
}

/// Why a key could not be leased, or a lease not renewed. In every case nothing may be sent.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The time of a lease was over before the call left, and the key may be somebody else's by
    /// now.
    #[error(
        "the right to write the key {key} ended before its call left; nothing was sent, and the record has to be looked up again"
    )]
    Lost {
        /// The first key whose lease is over.
        key: LeaseKey,
    },
    /// The store cannot be reached, or does not do what it is asked for.
    #[error("the lease store ({store}) cannot be used; without it nothing is written to Marketo")]
    Unavailable {
        /// Which one.
        store: &'static str,
        /// Its reason.
        source: Arc<dyn Error + Send + Sync>,
    },
}

/// A store of leases, shared by all who write to an instance.
pub trait Leases: Send + Sync + 'static {
    /// Waits until all of the keys are the caller's. First come, first served, key by key; all keys
    /// are taken at one moment, so that nobody holds one while waiting for another. Dropping the
    /// future gives back what it took, and its place.
    fn acquire(
        &self,
        keys: &BTreeSet<LeaseKey>,
    ) -> impl Future<Output = Result<Vec<Lease>, LeaseError>> + Send;

    /// Those of the keys that are free at this moment, and that nobody waits for, in order. Never
    /// waits for an owner.
    fn try_acquire(
        &self,
        keys: &BTreeSet<LeaseKey>,
    ) -> impl Future<Output = Result<Vec<Lease>, LeaseError>> + Send;

    /// Makes the leases last at least `span` (of the wall's time) from now on; it never shortens
    /// them. Asked for just before a call leaves, with Marketo's limit of that call and a margin;
    /// and, with [`Terms::unsent`], every now and then while the call is not ready to leave yet. On
    /// [`LeaseError::Lost`] none was renewed, and nothing may be sent.
    fn renew<'l>(
        &self,
        leases: impl IntoIterator<Item = &'l Lease> + Send,
        span: Duration,
    ) -> impl Future<Output = Result<(), LeaseError>> + Send;

    /// Gives the keys to the next in line: what came of the call is known, or nothing was sent.
    /// Leases that are over already are passed over. Where the store cannot be reached the release
    /// is tried again in the background, until the leases have ended by themselves.
    fn release(&self, leases: Vec<Lease>) -> impl Future<Output = Result<(), LeaseError>> + Send;

    /// Whether leases can be had at all.
    fn ready(&self) -> impl Future<Output = Result<(), LeaseError>> + Send;

    /// Renews the caller's claim to a part of its instance's limits.
    fn share(&self, ask: Ask) -> impl Future<Output = Result<Shared, LeaseError>> + Send;

    /// Gives up the caller's claim for good, but for what still counts. The caller makes no call
    /// any more, nor renews.
    fn leave(&self, leaving: Leaving) -> impl Future<Output = Result<(), LeaseError>> + Send;
}

/// How long a store keeps what nobody speaks for any more, in the wall's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The life of a lease that was granted and not renewed yet: its owner looks up, or waits for
    /// its place among the limits. An owner that may take longer renews it in time.
    pub unsent: Duration,
    /// How long a process keeps its places in the lines of a shared store without a sign of life.
    pub place: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { unsent: Duration::from_secs(30), place: Duration::from_secs(10) }
    }
}

impl Terms {
    /// The terms where Marketo's time passes faster, for practising: a tenth of the usual at most,
    /// since a process on a busy machine may be slow, however fast the clock.
    pub fn at(clock: Clock) -> Self {
        let usual = Self::default();
        let hurried = |span: Duration| clock.wall(span).max(span / 10);
        Self { unsent: hurried(usual.unsent), place: hurried(usual.place) }
    }
}

#[cfg(test)]
mod tests;
