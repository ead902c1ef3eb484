//! Leave for a call to go only while the keys of its leads are held for as long as it may run.

use std::time::Duration;

use crate::leases::{Lease, LeaveBy, SharedLeases, to_send};
use crate::marketo::{Clock, SendGate, Withheld};

/// The keys that a call needs, and for how long it needs them. Borrows nothing of the run, so that
/// several calls can be under way.
pub(in crate::merge) struct CallKeys {
    pub(super) store: Option<SharedLeases>,
    /// None where a key is not held.
    pub(super) leases: Option<Vec<Lease>>,
    pub(super) limit: Duration,
    pub(super) clock: Clock,
}

impl CallKeys {
    /// A gate that asks another one as well.
    pub(in crate::merge) fn gate<G>(self, gate: &G) -> HoldGate<'_, G> {
        HoldGate { gate, keys: self }
    }
}

/// Lets a call leave while its keys are held, and another gate lets it.
pub(in crate::merge) struct HoldGate<'g, G> {
    gate: &'g G,
    keys: CallKeys,
}

impl<G: SendGate> SendGate for HoldGate<'_, G> {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        let CallKeys { store, leases, limit, clock } = &self.keys;
        let (Some(store), Some(leases)) = (store, leases) else {
            return Err(Withheld("the keys of its leads are not held".to_owned()));
        };
        let leave_by = LeaveBy::from_now(*clock);
        let renewed = store.renew(leases, to_send(*limit, *clock)).await;
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
