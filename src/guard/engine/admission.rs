//! Admission control: so many calls of each API user may wait, and so many bytes of all together.
//! Further calls are turned away at once, rather than after they have waited in vain.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::request::ApiUser;

/// Bytes of all bodies that wait.
const BYTES: usize = 256 * 1024 * 1024;

/// Users with nobody waiting are forgotten when there are more than so many.
const REMEMBERED: usize = 10_000;

/// The places of those who wait.
#[derive(Debug)]
pub(crate) struct Admission {
    each: usize,
    users: Mutex<BTreeMap<ApiUser, Arc<Semaphore>>>,
    bytes: Arc<Semaphore>,
}

impl Admission {
    /// So many calls of each user.
    pub(crate) fn new(each: usize) -> Self {
        Self {
            each: each.min(Semaphore::MAX_PERMITS),
            users: Mutex::default(),
            bytes: Arc::new(Semaphore::new(BYTES)),
        }
    }

    pub(crate) fn enter(&self, user: &ApiUser) -> Option<OwnedSemaphorePermit> {
        let mut users = self.users.lock();
        if users.len() > REMEMBERED {
            users.retain(|_, places| places.available_permits() < self.each);
        }
        let places =
            users.entry(user.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        Arc::clone(places).try_acquire_owned().ok()
    }

    /// The part of its room that a body turned out not to need.
    pub(crate) fn shrink(
        room: &mut OwnedSemaphorePermit,
        bytes: usize,
    ) -> Option<OwnedSemaphorePermit> {
        room.split(room.num_permits().saturating_sub(bytes))
    }

    pub(crate) fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.bytes).try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, BYTES};
    use crate::guard::engine::request::ApiUser;

    #[test]
    fn each_user_has_its_own_places_and_a_place_that_is_left_is_free_again() {
        let places = Admission::new(2);
        let (crm, web) = (ApiUser::named("crm"), ApiUser::named("web"));
        let held = [places.enter(&crm).unwrap(), places.enter(&crm).unwrap()];
        assert!(places.enter(&crm).is_none());
        assert!(places.enter(&web).is_some());
        drop(held);
        assert!(places.enter(&crm).is_some());
    }

    #[test]
    fn room_that_was_taken_for_the_worst_case_is_given_back() {
        let places = Admission::new(1);
        let mut held = places.room(BYTES).unwrap();
        drop(Admission::shrink(&mut held, 10));
        assert!(places.room(BYTES).is_none());
        assert!(places.room(BYTES - 10).is_some());
    }

    #[test]
    fn the_bytes_that_wait_are_bounded() {
        let places = Admission::new(1);
        let held = places.room(BYTES).unwrap();
        assert!(places.room(1).is_none());
        drop(held);
        assert!(places.room(1).is_some());
    }
}
