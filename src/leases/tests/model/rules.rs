//! The rules that are checked: as they are built, and each of them as a value that a test can
//! weaken.

use std::time::Duration;

use super::world::TICK;
use crate::leases::state::QUIET;
use crate::leases::{MARGIN, Terms, to_send, until_over};
use crate::marketo::{Clock, MERGE_LIMIT};

/// What the writers and the store keep to, and what the network does.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule that a test leaves out")]
pub(super) struct Rules {
    /// How long Marketo lets a call run.
    pub(super) limit: Duration,
    /// How long grants and waiting callers last.
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
    /// Whether the store keeps who waits.
    pub(super) notes_who_waits: bool,
    /// Whether a key is not taken by the way that somebody waits for.
    pub(super) tries_stand_back: bool,
    /// For how long nothing is granted by a store that has lost its rows.
    pub(super) quiet: Duration,
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

/// What a lease is known by to the store.
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
            // Signs of life come three times while a waiting process counts, which is one step of
            // this clock: so two steps.
            terms: Terms { place: TICK * 2, ..Terms::default() },
            renews: true,
            renewed_for: to_send(limit, Clock::real()),
            counts_from: CountsFrom::Renewal,
            leaves_within: MARGIN,
            settled_after: until_over(limit, Clock::real()),
            outlives_its_owner: true,
            notes_who_waits: true,
            tries_stand_back: true,
            // As the store's is for the longest limit.
            quiet: limit + QUIET.saturating_sub(MERGE_LIMIT),
            renewal_names: Named::Grant,
            release_names: Named::Grant,
            arrives_within: MARGIN,
        }
    }

    /// The longest that those who are silent may keep others waiting: somebody who waits, then a
    /// lease that was just renewed.
    pub(super) fn longest_wait(&self) -> Duration {
        let built = Self::as_built(self.limit);
        built.terms.place + built.renewed_for
    }
}
