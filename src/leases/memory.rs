//! The leases of one process, in its memory. They end with it.

use std::time::Duration;

use tokio::time::Instant;

use super::actor::SharedLeases;
use super::api::Terms;
use super::backend::{Backend, Batch, BatchResult, Failure};
use super::state::{State, Time};

/// The one process whose leases they are.
const GUARD: i64 = 0;

/// Nobody else waits, so that this process need not give signs of life.
const PLACE: Duration = Duration::from_secs(24 * 3600);

/// How many rows there are before the first look for those that are over.
const ROWS: usize = 1_024;

impl SharedLeases {
    /// An empty store of this process's own. Needs a runtime.
    pub fn memory(terms: Terms) -> Self {
        Self::start(Memory::new(), Terms { place: PLACE, ..terms })
    }
}

pub(super) struct Memory {
    /// Times count from here.
    start: Instant,
    state: State,
    /// With more rows than this, those that are over are removed.
    prune_beyond: usize,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), state: State::default(), prune_beyond: ROWS }
    }
}

impl Backend for Memory {
    const NAME: &'static str = "memory";

    async fn carry_out(&mut self, batch: &Batch, terms: Terms) -> Result<BatchResult, Failure> {
        let time = Time { now: self.start.elapsed(), clock: 0 };
        let result = self.state.apply(GUARD, time, batch, terms);
        if self.state.rows.len() > self.prune_beyond {
            self.state.prune(time.now);
            self.prune_beyond = ROWS.max(self.state.rows.len() * 2);
        }
        Ok(result)
    }

    /// Nobody else does.
    async fn changed(&mut self) {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leases::{LeaseError, LeaseKey};

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_nobody_gives_back_ends_by_itself_and_then_nothing_may_be_sent_with_it() {
        let keys = [LeaseKey::of("test", "email", "a").unwrap()].into();
        let store = SharedLeases::memory(Terms::default());
        let start = Instant::now();
        let lost = store.acquire(&keys).await.unwrap();
        store.renew(&lost, Duration::from_secs(100)).await.unwrap();
        let next = store.acquire(&keys).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 100);
        assert!(next[0].generation() > lost[0].generation());
        let renewed = store.renew(&lost, Duration::from_secs(100)).await;
        assert!(matches!(renewed, Err(LeaseError::Lost { .. })));
        store.release(lost).await.unwrap();
        let taken = store.try_acquire(&keys).await.unwrap();
        assert!(taken.is_empty(), "what is another's stays another's");
    }

    #[tokio::test(start_paused = true)]
    async fn leases_that_end_by_themselves_do_not_pile_up() {
        let mut memory =
            Memory { start: Instant::now(), state: State::default(), prune_beyond: ROWS };
        for number in 0..ROWS * 4 {
            let key = LeaseKey::of("test", "email", &number.to_string()).unwrap();
            let batch = Batch { take: vec![[key].into()], ..Batch::default() };
            memory.carry_out(&batch, Terms::default()).await.unwrap();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(memory.state.rows.len() <= ROWS + 1, "{}", memory.state.rows.len());
    }
}
