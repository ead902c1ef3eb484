//! A cache that is loaded on a thread while calls are awaited elsewhere.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::cache::Cache;

/// A cache that a thread can load a file into while calls are awaited elsewhere. Nobody else waits
/// for the lock long.
#[derive(Debug, Clone)]
pub struct SharedCache(Arc<Mutex<Cache>>);

impl SharedCache {
    /// Shares a cache.
    pub fn new(cache: Cache) -> Self {
        Self(Arc::new(Mutex::new(cache)))
    }

    /// The cache, alone again; none where somebody else still has it. A thread that loads a file
    /// which was given up is waited for: it ends within moments.
    pub fn take_back(self) -> Option<Cache> {
        drop(self.0.lock());
        Arc::into_inner(self.0).map(Mutex::into_inner)
    }

    /// Where a panic interrupted a transaction it was undone, so that the cache is whole.
    pub(super) fn lock(&self) -> MutexGuard<'_, Cache> {
        self.0.lock()
    }
}
