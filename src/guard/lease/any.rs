//! The store that was configured, whichever it is.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{
    Ask, Lease, LeaseError, LeaseKey, Leases, Leaving, MemoryLeases, Shared, SharedLeases,
};

/// One of the stores of leases.
#[derive(Debug)]
pub enum AnyLeases {
    /// Of one process.
    Memory(MemoryLeases),
    /// Of several.
    Shared(SharedLeases),
}

impl Leases for AnyLeases {
    async fn acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        match self {
            Self::Memory(store) => store.acquire(keys).await,
            Self::Shared(store) => store.acquire(keys).await,
        }
    }

    async fn try_acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        match self {
            Self::Memory(store) => store.try_acquire(keys).await,
            Self::Shared(store) => store.try_acquire(keys).await,
        }
    }

    async fn renew<'l>(
        &self,
        leases: impl IntoIterator<Item = &'l Lease> + Send,
        span: Duration,
    ) -> Result<(), LeaseError> {
        match self {
            Self::Memory(store) => store.renew(leases, span).await,
            Self::Shared(store) => store.renew(leases, span).await,
        }
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<(), LeaseError> {
        match self {
            Self::Memory(store) => store.release(leases).await,
            Self::Shared(store) => store.release(leases).await,
        }
    }

    async fn ready(&self) -> Result<(), LeaseError> {
        match self {
            Self::Memory(store) => store.ready().await,
            Self::Shared(store) => store.ready().await,
        }
    }

    async fn share(&self, ask: Ask) -> Result<Shared, LeaseError> {
        match self {
            Self::Memory(store) => store.share(ask).await,
            Self::Shared(store) => store.share(ask).await,
        }
    }

    async fn leave(&self, leaving: Leaving) -> Result<(), LeaseError> {
        match self {
            Self::Memory(store) => store.leave(leaving).await,
            Self::Shared(store) => store.leave(leaving).await,
        }
    }
}
