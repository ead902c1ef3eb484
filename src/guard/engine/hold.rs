//! The leases of a batch: taken where they are free, waited for where another guard has them, kept
//! while a record waits for its turn, renewed right before a call leaves, and released.
//!
//! `Free => Held => Renewed for a call => (Released | over by itself)`. A record may stand in the
//! queue for longer than an unrenewed lease lasts. It would lose its turn to another guard then. So
//! a lease that was waited for is renewed until a call takes its record along.
//!
//! Never: a release of what Marketo may be writing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::unit::{Submitted, Unit};
use crate::leases::{Lease, LeaseError, LeaseKey, LeaveBy, SharedLeases, Terms};
use crate::marketo::{Clock, SYNC_LIMIT, longest};

/// The store of leases, and how long leases last.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) leases: SharedLeases,
    /// How long a lease lasts that was not renewed.
    unsent: Duration,
    clock: Clock,
}

/// Units whose leases are held, and units that have to wait for theirs.
pub(super) type Held<O> = (Vec<Unit<O>>, Vec<Unit<O>>);

/// Why leases are not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeepEnded {
    /// They may be another's by now.
    Lost,
    /// Nobody waits for the record any more.
    WriterGone,
}

impl Hold {
    pub(super) fn new(leases: SharedLeases, clock: Clock) -> Self {
        Self { leases, unsent: Terms::at(clock).unsent, clock }
    }

    /// Takes the leases on the keys that are free.
    pub(super) async fn take<O>(
        &self,
        units: Vec<Unit<O>>,
    ) -> Result<Held<O>, (Vec<Unit<O>>, LeaseError)> {
        let lacking = units.iter().filter(|unit| unit.leases.is_empty());
        let wanted: BTreeSet<LeaseKey> = lacking.flat_map(Unit::lease_keys).collect();
        if wanted.is_empty() {
            return Ok((units, Vec::new()));
        }
        let mut taken: BTreeMap<LeaseKey, Lease> = match self.leases.try_acquire(&wanted).await {
            Ok(leases) => leases.into_iter().map(|lease| (lease.key(), lease)).collect(),
            Err(error) => return Err((units, error)),
        };
        let (mut ready, mut waiting, mut back) = (Vec::new(), Vec::new(), Vec::new());
        for mut unit in units {
            if unit.leases.is_empty() {
                let got: Vec<Lease> =
                    unit.lease_keys().filter_map(|key| taken.remove(&key)).collect();
                if got.len() < unit.lease_keys().count() {
                    back.extend(got);
                    waiting.push(unit);
                    continue;
                }
                unit.leases = got;
            }
            ready.push(unit);
        }
        self.release(back).await;
        Ok((ready, waiting))
    }

    /// Renews leases until they are lost, or their writer has gone.
    pub(super) async fn keep<O>(&self, leases: &[Lease], request: &Submitted<O>) -> KeepEnded {
        loop {
            // Two renewals may fail before a lease ends.
            tokio::time::sleep(self.unsent / 3).await;
            if request.reply.has_gone() {
                return KeepEnded::WriterGone;
            }
            // A store that is away may be back before the leases have ended.
            if let Err(LeaseError::Lost { .. }) = self.leases.renew(leases, self.unsent).await {
                return KeepEnded::Lost;
            }
        }
    }

    /// Renews leases while something is waited for.
    pub(super) async fn keep_during<T>(
        &self,
        leases: &[&Lease],
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        loop {
            match tokio::time::timeout(self.unsent / 3, &mut work).await {
                Ok(done) => return done,
                Err(_elapsed) if leases.is_empty() => {}
                // A lease that could not be kept is found lost before anything is sent.
                Err(_elapsed) => drop(self.leases.renew(leases.iter().copied(), self.unsent).await),
            }
        }
    }

    /// Renews leases for a write, for as long as Marketo lets it run. Gives the moment by which it
    /// has to leave.
    pub(super) async fn renew_to_send(&self, leases: &[&Lease]) -> Result<LeaveBy, LeaseError> {
        // Counted from before the renewal, so that the deadline is never too late.
        let leave_by = LeaveBy::from_now(self.clock);
        if !leases.is_empty() {
            let span = longest(SYNC_LIMIT, self.clock);
            self.leases.renew(leases.iter().copied(), span).await?;
        }
        Ok(leave_by)
    }

    /// Releases leases: the outcome of the call is known, or nothing was sent.
    pub(super) async fn release(&self, mut leases: Vec<Lease>) {
        if leases.is_empty() {
            return;
        }
        leases.sort_unstable();
        if let Err(error) = self.leases.release(leases).await {
            tracing::warn!(%error, "leases end by themselves");
        }
    }
}
