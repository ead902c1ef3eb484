//! A store that fails when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::leases::backend::{Backend, Batch, BatchResult, Failure};
use crate::leases::memory::Memory;
use crate::leases::{SharedLeases, Terms};

/// What is wrong with the store at this moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// It cannot be reached.
    pub(crate) away: Arc<AtomicBool>,
    /// Leases that are renewed for so long are over already.
    pub(crate) loses: Arc<AtomicBool>,
}

struct Faulty {
    memory: Memory,
    faults: Faults,
    /// The span of the renewals that fail.
    lost: Duration,
}

/// Leases in memory, and what goes wrong with them. Those renewed for the span can be lost.
pub(crate) fn faulty(lost: Duration) -> (SharedLeases, Faults) {
    let faults = Faults::default();
    let store = Faulty { memory: Memory::new(), faults: faults.clone(), lost };
    (SharedLeases::start(store, Terms::default()), faults)
}

impl Backend for Faulty {
    const NAME: &'static str = "faulty";

    async fn carry_out(&mut self, batch: &Batch, terms: Terms) -> Result<BatchResult, Failure> {
        if self.faults.away.load(Ordering::Relaxed) {
            return Err(Arc::new(std::io::Error::other("connection refused")));
        }
        let mut result = self.memory.carry_out(batch, terms).await?;
        if self.faults.loses.load(Ordering::Relaxed) {
            for ((grants, span), renewed) in batch.renew.iter().zip(&mut result.renewed) {
                if *span == self.lost {
                    *renewed = Err(grants[0].key);
                }
            }
        }
        Ok(result)
    }

    async fn changed(&mut self) {
        self.memory.changed().await;
    }
}
