//! The face of a store: it loads rows, applies the rules to them, and saves them, in one
//! transaction.
//!
//! All requests since the last transaction go in one [`Batch`] (group commit), so that a store that
//! syncs to disk does so once for many callers.

use std::any::Any;
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::api::{Grant, Terms};
use super::key::LeaseKey;
use super::leaving::Leaving;
use super::rate_share::{Claim, Shared};

/// A waiting caller's place in the order of arrival, over all processes. The lower one came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(pub(super) u64);

#[derive(Debug, Default, Clone)]
pub(super) struct Batch {
    /// Leases that are to last at least so long from now on; each list as a whole or not at all.
    pub(super) renew: Vec<(Vec<Grant>, Duration)>,
    /// Leases that are over. One that is another's by now is passed over.
    pub(super) release: Vec<Grant>,
    /// The keys of callers that begin to wait, in the order of their arrival.
    pub(super) arrive: Vec<BTreeSet<LeaseKey>>,
    /// Callers of this process that wait already and may be served now, the earliest first.
    pub(super) waiting: Vec<(Ticket, BTreeSet<LeaseKey>)>,
    /// `waiting` has every caller of this process that waits for one of these keys.
    pub(super) complete: BTreeSet<LeaseKey>,
    /// Keys that callers try for. A caller gets those that are free and that nobody waits for.
    pub(super) take: Vec<BTreeSet<LeaseKey>>,
    /// This process's claim to a part of the limits, renewed.
    pub(super) claim: Option<Claim>,
    /// The claim is given up. A renewal of it in the same batch comes first.
    pub(super) left: Option<Leaving>,
    /// [`BatchResult::saves`] of the last batch.
    pub(super) seen: u64,
}

impl Batch {
    /// The rows that the rules look at.
    pub(super) fn keys(&self) -> BTreeSet<LeaseKey> {
        let grants = self.renew.iter().flat_map(|(grants, _)| grants).chain(&self.release);
        let wanted = self.arrive.iter().chain(&self.take);
        let wanted = wanted.chain(self.waiting.iter().map(|(_, keys)| keys)).flatten();
        grants.map(|grant| &grant.key).chain(wanted).chain(&self.complete).copied().collect()
    }

    /// Whose claims the rules look at.
    pub(super) fn instance(&self) -> Option<LeaseKey> {
        let left = self.left.as_ref().map(|leaving| leaving.instance);
        self.claim.as_ref().map(|claim| claim.instance).or(left)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BatchResult {
    /// For each renewal the first lease that was not there any more.
    pub(super) renewed: Vec<Result<(), LeaseKey>>,
    /// The ticket of each caller that arrived, also where it was served at once.
    pub(super) arrived: Vec<Ticket>,
    /// Who is served, of those who waited and those who arrived: all of its keys.
    pub(super) granted: Vec<(Ticket, Vec<Grant>)>,
    /// What each who tried has got.
    pub(super) taken: Vec<Vec<Grant>>,
    /// When to look again: something that a waiting caller of the batch waits for ends by then.
    pub(super) look_again: Option<Duration>,
    /// What may be used of the limits, for whoever asked.
    pub(super) shared: Option<Shared>,
    /// Whether somebody in another process may be served now.
    pub(super) wakes: bool,
    /// How often the store has been saved since it was made.
    pub(super) saves: u64,
}

/// Why a batch was not carried out, or may not have been.
pub(super) type Failure = Arc<dyn Error + Send + Sync>;

pub(super) trait Backend: Send + 'static {
    const NAME: &'static str;

    /// Carries out a batch, all of it or nothing. After one that failed, or panicked, the next
    /// begins with a new connection: nobody knows what state the old one is in.
    fn carry_out(
        &mut self,
        batch: &Batch,
        terms: Terms,
    ) -> impl Future<Output = Result<BatchResult, Failure>> + Send;

    /// Waits until another process may have changed the store. May be dropped at any time.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

/// A number for this process that no other process has: 62 random bits are not met twice.
pub(super) fn new_guard() -> i64 {
    i64::from_ne_bytes(rand::random::<[u8; 8]>()) >> 1
}

/// Why a batch that panicked was not carried out.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let what = panic.downcast_ref::<&str>().copied();
    let what = what
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given");
    Arc::new(std::io::Error::other(format!(
        "a mistake of this program stopped it half-way ({what}); what it did is undone, and the next attempt begins anew"
    )))
}
