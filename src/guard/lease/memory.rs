//! The leases of one process, in its memory: nothing of them outlives it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Lease, LeaseError, LeaseKey, Leases, Terms};

/// A store of leases for one process.
#[derive(Debug)]
pub struct MemoryLeases {
    terms: Terms,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<LeaseKey, Held>,
    line: VecDeque<Waiter>,
    fences: u64,
}

#[derive(Debug)]
struct Held {
    fence: u64,
    ends: Instant,
}

#[derive(Debug)]
struct Waiter {
    keys: BTreeSet<LeaseKey>,
    granted: oneshot::Sender<Vec<Lease>>,
}

impl MemoryLeases {
    /// An empty store.
    pub fn new(terms: Terms) -> Self {
        Self { terms, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No statement that holds the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line. Whoever leaves it, at whatever instant, gives back what it was granted meanwhile, and lets those
/// behind it move up.
struct Place<'a> {
    store: &'a MemoryLeases,
    grant: oneshot::Receiver<Vec<Lease>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.grant.close();
        let mut state = self.store.state();
        for lease in self.grant.try_recv().into_iter().flatten() {
            state.end(&lease);
        }
        state.serve(Instant::now(), self.store.terms.unsent);
    }
}

impl Leases for MemoryLeases {
    async fn acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        let (granted, grant) = oneshot::channel();
        let mut place = Place { store: self, grant };
        self.state().line.push_back(Waiter { keys: keys.clone(), granted });
        loop {
            let next_end = {
                let mut state = self.state();
                state.serve(Instant::now(), self.terms.unsent);
                state.held.values().map(|held| held.ends).min()
            };
            // A lease that ends by itself tells nobody.
            let end = next_end.unwrap_or_else(|| Instant::now() + self.terms.unsent);
            match tokio::time::timeout_at(end, &mut place.grant).await {
                Ok(Ok(leases)) => return Ok(leases),
                // The line only drops those that it served.
                Ok(Err(_dropped)) => std::future::pending().await,
                Err(_elapsed) => {}
            }
        }
    }

    async fn try_acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        let now = Instant::now();
        let mut state = self.state();
        state.serve(now, self.terms.unsent);
        let waited_for: BTreeSet<LeaseKey> =
            state.line.iter().flat_map(|waiter| waiter.keys.iter().copied()).collect();
        let free = keys.iter().filter(|key| !waited_for.contains(key) && !state.held.contains_key(key));
        let free: BTreeSet<LeaseKey> = free.copied().collect();
        Ok(state.grant(&free, now + self.terms.unsent))
    }

    async fn renew(&self, leases: &[Lease], span: Duration) -> Result<(), LeaseError> {
        let now = Instant::now();
        let mut state = self.state();
        let lost = leases.iter().find(|lease| {
            state.held.get(&lease.key).is_none_or(|held| held.fence != lease.fence || held.ends <= now)
        });
        if let Some(lease) = lost {
            return Err(LeaseError::Lost { key: lease.key });
        }
        for lease in leases {
            if let Some(held) = state.held.get_mut(&lease.key) {
                held.ends = held.ends.max(now + span);
            }
        }
        Ok(())
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<(), LeaseError> {
        let mut state = self.state();
        for lease in leases {
            state.end(&lease);
        }
        state.serve(Instant::now(), self.terms.unsent);
        Ok(())
    }

    async fn ready(&self) -> Result<(), LeaseError> {
        Ok(())
    }
}

impl State {
    /// Ends the leases whose time is over, and gives those who wait what is theirs by now.
    fn serve(&mut self, now: Instant, unsent: Duration) {
        self.held.retain(|_, held| held.ends > now);
        let mut waited_for: BTreeSet<LeaseKey> = BTreeSet::new();
        for waiter in std::mem::take(&mut self.line) {
            if waiter.granted.is_closed() {
                continue;
            }
            let free = |key: &LeaseKey| !waited_for.contains(key) && !self.held.contains_key(key);
            if waiter.keys.iter().all(free) {
                let leases = self.grant(&waiter.keys, now + unsent);
                // Somebody who stopped waiting this instant: nobody has the keys.
                for lease in waiter.granted.send(leases).err().into_iter().flatten() {
                    self.held.remove(&lease.key);
                }
            } else {
                waited_for.append(&mut waiter.keys.clone());
                self.line.push_back(waiter);
            }
        }
    }

    /// Ends a lease, unless its time was over and the key is another's.
    fn end(&mut self, lease: &Lease) {
        if self.held.get(&lease.key).is_some_and(|held| held.fence == lease.fence) {
            self.held.remove(&lease.key);
        }
    }

    fn grant(&mut self, keys: &BTreeSet<LeaseKey>, ends: Instant) -> Vec<Lease> {
        self.fences += 1;
        let fence = self.fences;
        self.held.extend(keys.iter().map(|key| (*key, Held { fence, ends })));
        keys.iter().map(|key| Lease { key: *key, fence }).collect()
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
        names.iter().map(|name| LeaseKey::new("test", "email", name, None)).collect()
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
        assert_eq!(store.try_acquire(&keys(&["a", "b"])).await.unwrap().len(), 1, "other keys are free");
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
        let waited = tokio::time::timeout(Duration::from_secs(1), store.acquire(&keys(&["a", "b"]))).await;
        assert!(waited.is_err());
        assert_eq!(store.try_acquire(&keys(&["b"])).await.unwrap().len(), 1);
        drop(held);
    }
}
