//! Leave for a call to go only while the keys of its leads are held for as long as it may run.

use std::sync::Arc;
use std::time::Duration;

use super::store::Store;
use crate::leases::{Lease, LeaveBy, to_send};
use crate::marketo::{Clock, SendGate, Withheld};

/// A gate that asks another one as well.
pub(in crate::merge) struct HoldGate<'g, G> {
    gate: &'g G,
    store: Option<Arc<dyn Store>>,
    /// None where a key is not held.
    leases: Option<Vec<Lease>>,
    limit: Duration,
    clock: Clock,
}

impl<'g, G> HoldGate<'g, G> {
    pub(super) fn new(
        gate: &'g G,
        store: Option<Arc<dyn Store>>,
        leases: Option<Vec<Lease>>,
        limit: Duration,
        clock: Clock,
    ) -> Self {
        Self { gate, store, leases, limit, clock }
    }
}

impl<G: SendGate> SendGate for HoldGate<'_, G> {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        let (Some(store), Some(leases)) = (&self.store, &self.leases) else {
            return Err(Withheld("the keys of its leads are not held".to_owned()));
        };
        let leave_by = LeaveBy::from_now(self.clock);
        let renewed = store.renew(leases, to_send(self.limit, self.clock)).await;
        renewed.map_err(|error| Withheld(error.to_string()))?;
        if leave_by.is_over() {
            return Err(Withheld("the lease store took too long to answer".to_owned()));
        }
        // Last, since the store may have taken its time.
        let also_by = self.gate.ask().await?;
        Ok(also_by.into_iter().chain([leave_by]).min_by_key(|by| by.remaining()))
    }

    async fn withdrawn(&self) -> Withheld {
        self.gate.withdrawn().await
    }
}
