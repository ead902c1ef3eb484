//! Many callers, few keys, and callers that vanish at any instant.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{SOON, Store, keys};
use crate::leases::{Lease, LeaseKey};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const CALLERS: u64 = 300;

/// Who owns what, by the callers' own account, and the last generation of each key.
#[derive(Default)]
struct Owned(Mutex<BTreeMap<LeaseKey, (bool, u64)>>);

impl Owned {
    fn take(&self, leases: &[Lease]) {
        let mut owned = self.0.lock().unwrap();
        for lease in leases {
            let (held, generation) = owned.entry(lease.key()).or_default();
            assert!(!*held, "{} has two owners", lease.key());
            assert!(*generation < lease.generation(), "the generations of {} go back", lease.key());
            (*held, *generation) = (true, lease.generation());
        }
    }

    fn give_back(&self, leases: &[Lease]) {
        let mut owned = self.0.lock().unwrap();
        for lease in leases {
            owned.get_mut(&lease.key()).unwrap().0 = false;
        }
    }
}

pub(super) async fn storm(store: Store) {
    let owned = Arc::new(Owned::default());
    let mut callers = JoinSet::new();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..CALLERS {
        let leases = if random.random() { store.here.clone() } else { store.there.clone() };
        let (owned, mut random) = (owned.clone(), ChaCha8Rng::seed_from_u64(random.next_u64()));
        callers.spawn(async move {
            let wanted: Vec<&str> =
                NAMES.into_iter().filter(|_| random.random_ratio(2, 5)).collect();
            let wanted = keys(&wanted);
            let held = match random.random_range(0..4) {
                0 => leases.try_acquire(&wanted).await.unwrap(),
                1 => {
                    // Vanishes at some instant between getting in line and being served.
                    let patience = std::time::Duration::from_micros(random.random_range(0..20_000));
                    match timeout(patience, leases.acquire(&wanted)).await {
                        Ok(held) => held.unwrap(),
                        Err(_vanished) => return,
                    }
                }
                _ => leases.acquire(&wanted).await.unwrap(),
            };
            owned.take(&held);
            leases.renew(&held, SOON * 10).await.unwrap();
            tokio::task::yield_now().await;
            owned.give_back(&held);
            leases.release(held).await.unwrap();
        });
    }
    let start = Instant::now();
    while let Some(caller) = timeout(SOON, callers.join_next()).await.unwrap() {
        caller.unwrap();
    }
    let all = timeout(SOON, store.here.acquire(&keys(&NAMES))).await.unwrap().unwrap();
    owned.take(&all);
    assert!(start.elapsed() < SOON, "nothing had to end by itself");
}
