//! The leases of one process, in its memory: nothing of them outlives it.
//!
//! Whoever comes, goes or waits carries out a round of the book, and hands to everybody what it
//! granted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::book::Book;
use super::table::{Grant, Results, Round, Ticket, leases};
use super::{Ask, Lease, LeaseError, LeaseKey, Leases, Leaving, Shared, Terms};

/// The one process that is in the book.
const OWNER: i64 = 0;

/// A store of leases for one process.
#[derive(Debug)]
pub struct MemoryLeases {
    terms: Terms,
    /// Times in the book count from here.
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    book: Box<Book>,
    waiting: BTreeMap<Ticket, Waiter>,
}

type Waiter = oneshot::Sender<Vec<Lease>>;

impl MemoryLeases {
    /// An empty store.
    pub fn new(terms: Terms) -> Self {
        // Those who wait live as long as the book does.
        let terms = Terms { place: Duration::MAX, ..terms };
        Self { terms, start: Instant::now(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No statement that holds the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn round(&self, round: &Round) -> Results {
        self.state().round(self.start.elapsed(), round, self.terms, None)
    }
}

impl State {
    /// A round, with one who gets in line or nobody.
    fn round(
        &mut self,
        now: Duration,
        round: &Round,
        terms: Terms,
        enters: Option<Waiter>,
    ) -> Results {
        let results = self.book.round(OWNER, now, round, terms);
        self.waiting.extend(results.entered.iter().copied().zip(enters));
        for (ticket, grants) in &results.granted {
            if let Some(waiter) = self.waiting.remove(ticket) {
                // Whoever stops waiting leaves the line first, under the same lock.
                waiter.send(leases(grants)).ok();
            }
        }
        results
    }
}

/// A place in the line. Whoever leaves it, at whatever instant, gives back what it was granted
/// meanwhile, and lets those behind it move up.
struct Place<'a> {
    store: &'a MemoryLeases,
    tickets: Vec<Ticket>,
    grant: oneshot::Receiver<Vec<Lease>>,
}

impl<'a> Place<'a> {
    fn enter(store: &'a MemoryLeases, keys: &BTreeSet<LeaseKey>) -> Self {
        let (granted, grant) = oneshot::channel();
        let round = Round { enter: vec![keys.clone()], ..Round::default() };
        let results =
            store.state().round(store.start.elapsed(), &round, store.terms, Some(granted));
        Self { store, tickets: results.entered, grant }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.store.state();
        for ticket in &self.tickets {
            state.waiting.remove(ticket);
        }
        let granted = self.grant.try_recv().unwrap_or_default();
        let release = granted.iter().map(Grant::from).collect();
        let round = Round { release, leave: std::mem::take(&mut self.tickets), ..Round::default() };
        state.round(self.store.start.elapsed(), &round, self.store.terms, None);
    }
}

impl Leases for MemoryLeases {
    async fn acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        let mut place = Place::enter(self, keys);
        loop {
            // A lease that ends by itself tells nobody.
            let look_again = self.round(&Round::default()).look_again.unwrap_or(self.terms.unsent);
            match tokio::time::timeout(look_again, &mut place.grant).await {
                Ok(Ok(leases)) => return Ok(leases),
                // The line only drops those that it served.
                Ok(Err(_dropped)) => std::future::pending().await,
                Err(_elapsed) => {}
            }
        }
    }

    async fn try_acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        let results = self.round(&Round { take: vec![keys.clone()], ..Round::default() });
        Ok(results.taken.iter().flat_map(|grants| leases(grants)).collect())
    }

    async fn renew<'l>(
        &self,
        leases: impl IntoIterator<Item = &'l Lease> + Send,
        span: Duration,
    ) -> Result<(), LeaseError> {
        let grants = leases.into_iter().map(Grant::from).collect();
        let results = self.round(&Round { renew: vec![(grants, span)], ..Round::default() });
        results
            .renewed
            .into_iter()
            .collect::<Result<(), _>>()
            .map_err(|key| LeaseError::Lost { key })
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<(), LeaseError> {
        self.round(&Round {
            release: leases.iter().map(Grant::from).collect(),
            ..Round::default()
        });
        Ok(())
    }

    async fn ready(&self) -> Result<(), LeaseError> {
        Ok(())
    }

    async fn share(&self, ask: Ask) -> Result<Shared, LeaseError> {
        let round = Round { share: Some(ask), ..Round::default() };
        Ok(self.round(&round).shared.unwrap_or_default())
    }

    async fn leave(&self, leaving: Leaving) -> Result<(), LeaseError> {
        self.round(&Round { left: Some(leaving), ..Round::default() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{MemoryLeases, Terms};
    use crate::guard::lease::{LeaseError, LeaseKey, Leases};

    fn keys(names: &[&str]) -> BTreeSet<LeaseKey> {
        names.iter().map(|name| LeaseKey::of("test", "email", name).unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_has_one_owner_and_the_first_who_waits_is_the_next() {
        let store = std::sync::Arc::new(MemoryLeases::new(Terms::default()));
        let held = store.acquire(&keys(&["a"])).await.unwrap();
        let (served, mut order) = tokio::sync::mpsc::unbounded_channel();
        for name in 0..3 {
            let (store, served) = (store.clone(), served.clone());
            tokio::spawn(async move {
                let leases = store.acquire(&keys(&["a"])).await.unwrap();
                served.send(name).unwrap();
                store.release(leases).await.unwrap();
            });
            tokio::task::yield_now().await;
        }
        assert!(store.try_acquire(&keys(&["a"])).await.unwrap().is_empty());
        assert_eq!(
            store.try_acquire(&keys(&["a", "b"])).await.unwrap().len(),
            1,
            "other keys are free"
        );
        store.release(held).await.unwrap();
        for name in 0..3 {
            assert_eq!(order.recv().await, Some(name));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_nobody_gives_back_ends_by_itself_and_then_nothing_may_be_sent_with_it() {
        let store = MemoryLeases::new(Terms::default());
        let start = Instant::now();
        let lost = store.acquire(&keys(&["a"])).await.unwrap();
        store.renew(&lost, Duration::from_secs(100)).await.unwrap();
        let next = store.acquire(&keys(&["a"])).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 100);
        assert!(next[0].fence() > lost[0].fence());
        let renewed = store.renew(&lost, Duration::from_secs(100)).await;
        assert!(matches!(renewed, Err(LeaseError::Lost { .. })));
        store.release(lost).await.unwrap();
        assert!(
            store.try_acquire(&keys(&["a"])).await.unwrap().is_empty(),
            "what is another's stays another's"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stops_waiting_leaves_the_line() {
        let store = MemoryLeases::new(Terms::default());
        let held = store.acquire(&keys(&["a"])).await.unwrap();
        let waited =
            tokio::time::timeout(Duration::from_secs(1), store.acquire(&keys(&["a", "b"]))).await;
        assert!(waited.is_err());
        assert_eq!(store.try_acquire(&keys(&["b"])).await.unwrap().len(), 1);
        drop(held);
    }
}
