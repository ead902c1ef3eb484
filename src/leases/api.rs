//! A lease, why there is none, and how long it lasts.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::key::LeaseKey;
use crate::marketo::Clock;

/// One grant of a key, as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Grant {
    pub(super) key: LeaseKey,
    /// Larger than that of any earlier grant of the key in this store.
    pub(super) generation: u64,
}

/// The lease of one key, which its owner alone has. Dropping it gives nothing back: it then ends
/// when its time is over.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "a lease that is dropped keeps everybody else waiting until its time is over"]
pub struct Lease(pub(super) Grant);

impl Lease {
    /// What is leased.
    pub fn key(&self) -> LeaseKey {
        self.0.key
    }

    /// The number of this grant: larger than that of any earlier grant of the key in this store.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// The same grant once more, for a task that renews it while the lease itself is elsewhere.
    /// Both have one number: when the grant has ended, neither can renew or release a later one.
    pub(crate) fn named_again(&self) -> Self {
        Self(self.0)
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
