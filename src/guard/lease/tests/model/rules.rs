//! The rules that are checked: as they are built, and each of them as a value that a test can
//! weaken.

use std::time::Duration;

use super::world::TICK;
use crate::guard::lease::{MARGIN, Terms, to_send, until_over};
use crate::marketo::Clock;

/// What the writers and the store keep to, and what the network does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// How long Marketo lets a call run.
    pub(super) limit: Duration,
    /// How long grants and places last.
    pub(super) terms: Terms,
    /// Whether the store is asked right before a call leaves.
    pub(super) renews: bool,
    /// What it is then asked for.
    pub(super) renewed_for: Duration,
    /// From when on that counts.
    pub(super) counts_from: CountsFrom,
    /// A call leaves so soon after its renewal was asked for, or not at all.
    pub(super) leaves_within: Duration,
    /// How long after a call left its writer takes it to be over, though it heard nothing of it.
    pub(super) settled_after: Duration,
    /// Whether a lease outlives its owner.
    pub(super) outlives_its_owner: bool,
    /// What a renewal holds for, and a release.
    pub(super) renewal_names: Named,
    pub(super) release_names: Named,
    /// No rule, but what the network is trusted with.
    pub(super) arrives_within: Duration,
}

/// From when on a renewed lease lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CountsFrom {
    /// From the renewal, by the clock of the store.
    Renewal,
    /// From the asking for it, by the owner's clock, which stands still while the owner sleeps.
    OwnersAsking,
    /// From the grant.
    Grant,
}

/// What a right is known by to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// By its key and the number of its grant.
    Grant,
    /// By its key, whoever has it.
    Key,
}

impl Rules {
    /// The constants of the stores and of the proxy, for calls with this limit.
    pub(super) fn as_built(limit: Duration) -> Self {
        Self {
            limit,
            // Signs of life come three times within the life of a place, which is one step of this
            // clock: so two steps.
            terms: Terms { place: TICK * 2, ..Terms::default() },
            renews: true,
            renewed_for: to_send(limit, Clock::real()),
            counts_from: CountsFrom::Renewal,
            leaves_within: MARGIN,
            settled_after: until_over(limit, Clock::real()),
            outlives_its_owner: true,
            renewal_names: Named::Grant,
            release_names: Named::Grant,
            arrives_within: MARGIN,
        }
    }

    /// The longest that those who are silent may keep others waiting: a place, then a lease that
    /// was just renewed.
    pub(super) fn longest_wait(&self) -> Duration {
        let built = Self::as_built(self.limit);
        built.terms.place + built.renewed_for
    }
}
