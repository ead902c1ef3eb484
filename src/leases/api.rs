//! The face of leases to writers.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::key::LeaseKey;
use super::leaving::Leaving;
use super::rate_share::{Claim, Shared};
use crate::marketo::Clock;

/// The lease of one key. Dropping it gives nothing back: it then ends when its time is over.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "a lease that is dropped keeps everybody else waiting until its time is over"]
pub struct Lease {
    key: LeaseKey,
    generation: u64,
}

impl Lease {
    /// The lease that a store granted under this number.
    pub(super) fn granted(key: LeaseKey, generation: u64) -> Self {
        Self { key, generation }
    }

    /// What is leased.
    pub fn key(&self) -> LeaseKey {
        self.key
    }

    /// The number of this grant: larger than that of any earlier grant of the key in this store.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The same grant once more, for a task that renews it while the lease itself is elsewhere.
    /// Both have one number: when the grant has ended, neither can renew or release a later one.
    pub(crate) fn named_again(&self) -> Self {
        Self { key: self.key, generation: self.generation }
    }
}

/// Why a key could not be leased, or a lease not renewed. In every case nothing may be sent.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The time of a lease was over before the call left, and the key may be somebody else's by
    /// now.
    #[error(
        "the lease of the key {key} ended before its call left; nothing was sent, and the record has to be looked up again"
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
    /// Waits until all of the keys are the caller's. First come, first served; all keys are taken
    /// at one moment, so that nobody holds one while waiting for another. Dropping the future gives
    /// back what it took, and its place.
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

    /// Makes the leases last at least `span` (of the wall's time) from now on, and never shortens
    /// them. A writer renews just before a call leaves, for Marketo's limit of that call and a
    /// margin. While the call is not ready yet, it renews by [`Terms::unsent`]. On
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
    fn share(&self, claim: Claim) -> impl Future<Output = Result<Shared, LeaseError>> + Send;

    /// Gives up the caller's claim for good, except for calls that still count. The caller makes no
    /// call any more, and renews nothing.
    fn leave(&self, leaving: Leaving) -> impl Future<Output = Result<(), LeaseError>> + Send;
}

/// How long a store keeps leases and places without a sign of life, in the wall's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The life of a lease that was granted and not renewed yet: its owner looks up, or waits for
    /// its place among the limits. An owner that may take longer renews it in time.
    pub unsent: Duration,
    /// How long a process that waits is counted without a sign of life.
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
