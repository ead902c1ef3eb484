//! What a store that several processes share has to do: one round, all of it at one moment.
//!
//! Everything that a process wants of the table since it last looked goes in one [`Round`]: a store
//! that syncs to disk does so once for many callers. The order within a round is fixed, and each
//! part counts on it: what is over is removed first, so that every row that is left counts;
//! renewals come before grants, so that what is renewed in time is not given away; what is given
//! back comes before the grants that it makes possible; and those who wait come before those who
//! only try.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::{Ask, Lease, LeaseKey, Leaving, Shared, Terms};

/// A place in the lines of one caller's keys. The lower one came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(pub(super) i64);

/// A lease as it is named to the store, where its owner keeps the [`Lease`] itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Grant {
    pub(super) key: LeaseKey,
    pub(super) fence: u64,
}

impl From<&Lease> for Grant {
    fn from(lease: &Lease) -> Self {
        Self { key: lease.key, fence: lease.fence }
    }
}

/// The rights themselves, for the one who is granted them.
pub(super) fn leases(grants: &[Grant]) -> Vec<Lease> {
    grants.iter().map(|grant| Lease { key: grant.key, fence: grant.fence }).collect()
}

/// What a process wants of the table.
#[derive(Debug, Default, Clone)]
pub(super) struct Round {
    /// Leases that are to last at least so long from now on; each list as a whole or not at all.
    pub(super) renew: Vec<(Vec<Grant>, Duration)>,
    /// Leases that are over. One that is not in the table any more is passed over.
    pub(super) release: Vec<Grant>,
    /// Places whose callers have gone.
    pub(super) leave: Vec<Ticket>,
    /// Keys that a caller gets in line for, in the order of arrival.
    pub(super) enter: Vec<BTreeSet<LeaseKey>>,
    /// Keys that a caller takes as far as they are free, with nobody in line.
    pub(super) take: Vec<BTreeSet<LeaseKey>>,
    /// The places that are waited at already.
    pub(super) waiting: BTreeSet<Ticket>,
    /// The last round failed, and nobody knows whether it was carried out: places that nobody waits
    /// at are to go.
    pub(super) sweep: bool,
    /// The claim to a part of the limits that is renewed.
    pub(super) share: Option<Ask>,
    /// The claim is given up, after whatever renewal of it came in the same round.
    pub(super) left: Option<Leaving>,
}

/// What came of a round.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Results {
    /// For each renewal the first lease that was not there any more.
    pub(super) renewed: Vec<Result<(), LeaseKey>>,
    /// The place of each who got in line, also where it was granted at once.
    pub(super) entered: Vec<Ticket>,
    /// Whose turn it is, of those who waited and those who entered: all of its keys.
    pub(super) granted: Vec<(Ticket, Vec<Grant>)>,
    /// Places that were waited at, and that are over: this process gave no sign of life for too
    /// long.
    pub(super) gone: Vec<Ticket>,
    /// What each who tried has got.
    pub(super) taken: Vec<Vec<Grant>>,
    /// After how long a lease ends that somebody here waits for, if it is not released before.
    pub(super) look_again: Option<Duration>,
    /// What may be used of the limits, for whoever asked.
    pub(super) shared: Option<Shared>,
}

/// Why a round was not carried out, or may not have been.
pub(super) type Failure = Arc<dyn Error + Send + Sync>;

/// The table of leases and places in one store.
pub(super) trait Table: Send + 'static {
    /// What the store is called.
    const NAME: &'static str;

    /// Carries out a round, all of it or nothing. After one that failed, or panicked, the next
    /// begins with a new connection: what the last one left of the old one nobody knows.
    fn round(
        &mut self,
        round: &Round,
        terms: Terms,
    ) -> impl Future<Output = Result<Results, Failure>> + Send;

    /// Waits until another process may have changed the table. May be dropped at any time.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}
