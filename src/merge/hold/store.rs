//! [`Leases`] behind a pointer, so that a run need not be generic over them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::leases::{Lease, LeaseError, LeaseKey, Leases};

/// What a run asks of a store of leases.
pub(super) trait Store: Send + Sync + 'static {
    fn acquire<'s>(
        &'s self,
        keys: &'s BTreeSet<LeaseKey>,
    ) -> BoxFuture<'s, Result<Vec<Lease>, LeaseError>>;

    fn try_acquire<'s>(
        &'s self,
        keys: &'s BTreeSet<LeaseKey>,
    ) -> BoxFuture<'s, Result<Vec<Lease>, LeaseError>>;

    fn renew<'s>(
        &'s self,
        leases: &'s [Lease],
        span: Duration,
    ) -> BoxFuture<'s, Result<(), LeaseError>>;

    fn release(&self, leases: Vec<Lease>) -> BoxFuture<'_, Result<(), LeaseError>>;

    fn ready(&self) -> BoxFuture<'_, Result<(), LeaseError>>;
}

impl<L: Leases> Store for L {
    fn acquire<'s>(
        &'s self,
        keys: &'s BTreeSet<LeaseKey>,
    ) -> BoxFuture<'s, Result<Vec<Lease>, LeaseError>> {
        Leases::acquire(self, keys).boxed()
    }

    fn try_acquire<'s>(
        &'s self,
        keys: &'s BTreeSet<LeaseKey>,
    ) -> BoxFuture<'s, Result<Vec<Lease>, LeaseError>> {
        Leases::try_acquire(self, keys).boxed()
    }

    fn renew<'s>(
        &'s self,
        leases: &'s [Lease],
        span: Duration,
    ) -> BoxFuture<'s, Result<(), LeaseError>> {
        Leases::renew(self, leases, span).boxed()
    }

    fn release(&self, leases: Vec<Lease>) -> BoxFuture<'_, Result<(), LeaseError>> {
        Leases::release(self, leases).boxed()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), LeaseError>> {
        Leases::ready(self).boxed()
    }
}
