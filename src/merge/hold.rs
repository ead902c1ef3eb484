//! The keys of the leads that a run changes, held so that no guarded write comes in between
//! (law 10).
//!
//! A guarded write leases the value that it looks its lead up by, and the email that it sets. So
//! nobody else may have a lease of these while a group is merged:
//!
//! - the value by which the plan found the group, also where a lead has another one by now;
//! - the id of each lead;
//! - what each lead holds in `email` and in the other fields by which this instance looks leads up.
//!   Fields that are shared by nature (`keys::SHARED`) are left out: a write that is addressed by
//!   an account would otherwise wait for every merge of the account's people.
//!
//! The keys are taken before the look that a write or a merge rests on. A group takes all of its
//! keys at one moment, and holds none while it waits for another, so no two groups wait for each
//! other. A group whose keys are not free waits in the queue of the store, and the run goes on with
//! the others. The group is left alone when that takes longer than any guarded write does.
//!
//! Leases are renewed while the run works on their group. A call renews the leases of its leads for
//! Marketo's limit of such calls right before it leaves, and does not leave without them. They are
//! given back once a look has shown the outcome of the call. Where the run ends before that, they
//! end by themselves, when the call must be over (law 4).
//!
//! Never: decides what is merged; knows which store it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::held::Held;
use self::keys::Keys;
use crate::lead::{Lead, LeadId};
use crate::leases::{Lease, LeaseError, LeaseKey, SharedLeases, Terms, to_send};
use crate::marketo::{Clock, MERGE_LIMIT, SYNC_LIMIT};

mod gate;
mod held;
mod keys;

pub(super) use gate::CallKeys;
pub(super) use keys::Wanted;

/// Where a run leases the keys of what it merges: in the store that the guards of the instance use.
#[derive(Clone)]
pub struct Hold {
    store: Option<SharedLeases>,
    instance: String,
}

impl Hold {
    /// In this store, as the guards of the instance name it.
    pub fn new(leases: SharedLeases, instance: String) -> Self {
        Self { store: Some(leases), instance }
    }

    /// Nowhere: for runs that only read. Nothing can be sent with it.
    pub fn none() -> Self {
        Self { store: None, instance: String::new() }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// How far the keys of a group are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Held,
    /// Somebody else is writing one of them.
    Waits,
    /// That has taken longer than any guarded write does.
    TooLong,
}

/// Why a group is left alone whose keys were not free for so long.
pub(super) const BUSY: &str = "a guarded write of this address or of one of its records is under way, and went on for longer than such writes take; run it again";

/// A group that waits for its keys.
struct Waiting {
    task: AbortOnDropHandle<Result<Vec<Lease>, LeaseError>>,
}

/// What a run holds, and what it waits for.
pub(super) struct Holds {
    store: Option<SharedLeases>,
    /// Which keys there are to hold.
    pub(super) keys: Keys,
    clock: Clock,
    held: Arc<Mutex<Held>>,
    waiting: BTreeMap<LeadId, Waiting>,
    /// Since when a group's keys are not to be had.
    busy_since: BTreeMap<LeadId, Instant>,
    granted: Arc<Notify>,
    _keeper: Option<AbortOnDropHandle<()>>,
}

impl Holds {
    /// Holds nothing yet. Needs a runtime.
    pub(super) fn new(place: Hold, searchable: &[String], clock: Clock) -> Self {
        let Hold { store, instance } = place;
        let leases = Arc::new(Mutex::new(Held::default()));
        let keeper = store.clone().map(|store| {
            let (kept, span) = (Arc::clone(&leases), Terms::at(clock).unsent);
            AbortOnDropHandle::new(tokio::spawn(async move { keep(&store, &kept, span).await }))
        });
        Self {
            store,
            keys: Keys::new(instance, searchable),
            clock,
            held: leases,
            waiting: BTreeMap::new(),
            busy_since: BTreeMap::new(),
            granted: Arc::new(Notify::new()),
            _keeper: keeper,
        }
    }

    /// Whether leases can be had at all; an error is a reason to send nothing.
    pub(super) async fn ready(&self) -> Result<(), LeaseError> {
        if let Some(store) = &self.store {
            return store.ready().await;
        }
        let why = "it was made for a run that only reads";
        let source = Arc::new(std::io::Error::other(why));
        Err(LeaseError::Unavailable { store: "none", source })
    }

    /// Whether a group waits for its keys.
    pub(super) fn waits(&self, owner: LeadId) -> bool {
        self.waiting.contains_key(&owner)
    }

    /// Whether the keys of what these leads hold are held, with those of their ids.
    pub(super) fn covers<'l>(&self, leads: impl IntoIterator<Item = &'l Lead>) -> bool {
        let held = self.held();
        leads.into_iter().all(|lead| {
            held.covers(lead.id) && self.keys.of_values(lead).iter().all(|key| held.has(*key))
        })
    }

    /// Takes the keys of groups, as far as nobody else has them, and waits in the background for
    /// the others.
    pub(super) async fn take(
        &mut self,
        groups: Vec<Wanted>,
    ) -> Result<BTreeMap<LeadId, Taken>, LeaseError> {
        let Some(store) = self.store.clone() else { return Ok(BTreeMap::new()) };
        let mut taken = BTreeMap::new();
        let (mut asked, mut missing) = (Vec::new(), BTreeSet::new());
        for wanted in groups {
            let owner = wanted.owner;
            if let Some(how) = self.arrived(&wanted).await? {
                taken.insert(owner, how);
            } else {
                missing.extend(self.held().missing(&wanted.keys));
                asked.push(wanted);
            }
        }
        let mut got: BTreeMap<LeaseKey, Lease> = if missing.is_empty() {
            BTreeMap::new()
        } else {
            let leases = store.try_acquire(&missing).await?;
            leases.into_iter().map(|lease| (lease.key(), lease)).collect()
        };
        for wanted in asked {
            let missing = self.held().missing(&wanted.keys);
            if missing.iter().all(|key| got.contains_key(key)) {
                let leases = missing.iter().filter_map(|key| got.remove(key)).collect();
                self.held().enter(&wanted, leases);
                self.busy_since.remove(&wanted.owner);
                taken.insert(wanted.owner, Taken::Held);
            } else {
                taken.insert(wanted.owner, self.wait_for(&store, &wanted, missing));
            }
        }
        self.give_back(got.into_values().collect()).await;
        Ok(taken)
    }

    /// What is known of a group's keys without asking for them.
    async fn arrived(&mut self, wanted: &Wanted) -> Result<Option<Taken>, LeaseError> {
        if self.held().holds(wanted) {
            return Ok(Some(Taken::Held));
        }
        let leases = match self.waiting.remove(&wanted.owner) {
            None => return Ok(None),
            Some(waiting) if !waiting.task.is_finished() => {
                if self.is_too_long(wanted.owner) {
                    return Ok(Some(Taken::TooLong));
                }
                self.waiting.insert(wanted.owner, waiting);
                return Ok(Some(Taken::Waits));
            }
            // A task that was ended has taken nothing.
            Some(waiting) => waiting.task.await.unwrap_or_else(|_ended| Ok(Vec::new()))?,
        };
        let Some(leases) = self.still_there(leases).await? else { return Ok(None) };
        let got: BTreeSet<LeaseKey> = leases.iter().map(Lease::key).collect();
        if self.held().missing(&wanted.keys).is_subset(&got) {
            self.held().enter(wanted, leases);
            self.busy_since.remove(&wanted.owner);
            return Ok(Some(Taken::Held));
        }
        // Its leads hold something else by now: nothing is held while it waits for that.
        self.give_back(leases).await;
        Ok(None)
    }

    /// Leases that came a while ago, unless their time is over meanwhile.
    async fn still_there(&self, leases: Vec<Lease>) -> Result<Option<Vec<Lease>>, LeaseError> {
        let Some(store) = &self.store else { return Ok(None) };
        match store.renew(&leases, Terms::at(self.clock).unsent).await {
            Ok(()) => Ok(Some(leases)),
            Err(LeaseError::Lost { .. }) => {
                self.give_back(leases).await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn is_too_long(&self, owner: LeadId) -> bool {
        self.busy_since.get(&owner).is_some_and(|since| since.elapsed() >= patience(self.clock))
    }

    fn wait_for(
        &mut self,
        store: &SharedLeases,
        wanted: &Wanted,
        missing: BTreeSet<LeaseKey>,
    ) -> Taken {
        self.busy_since.entry(wanted.owner).or_insert_with(Instant::now);
        if self.is_too_long(wanted.owner) {
            return Taken::TooLong;
        }
        tracing::info!(winner = wanted.owner, "somebody else is writing a key of the group");
        let (store, granted) = (store.clone(), Arc::clone(&self.granted));
        let task = tokio::spawn(async move {
            let leases = store.acquire(&missing).await;
            granted.notify_one();
            leases
        });
        self.waiting.insert(wanted.owner, Waiting { task: AbortOnDropHandle::new(task) });
        Taken::Waits
    }

    /// Comes when keys have come that a group waits for.
    pub(super) async fn granted(&self) {
        self.granted.notified().await;
    }

    /// Takes the keys of leads that are written to by themselves, except those that are held
    /// already. Gives the entries to be released; none where the keys did not come in time. While
    /// it waits it holds only what open calls need, since the owner of these keys may itself wait
    /// for keys of this run.
    pub(super) async fn take_leads(
        &self,
        leads: impl IntoIterator<Item = LeadId>,
    ) -> Result<Option<Vec<LeadId>>, LeaseError> {
        let Some(store) = self.store.clone() else { return Ok(None) };
        let leads: Vec<LeadId> = leads.into_iter().collect();
        let (mut entries, mut missing) = self.not_held(&leads);
        let mut leases =
            if missing.is_empty() { Vec::new() } else { store.try_acquire(&missing).await? };
        if leases.len() < missing.len() {
            self.give_back(leases).await;
            self.release_all().await;
            (entries, missing) = self.not_held(&leads);
            let acquiring = store.acquire(&missing);
            let Ok(taken) = tokio::time::timeout(patience(self.clock), acquiring).await else {
                return Ok(None);
            };
            leases = taken?;
        }
        let owners = entries.iter().map(|wanted| wanted.owner).collect();
        for wanted in entries {
            self.held().enter(&wanted, std::mem::take(&mut leases));
        }
        Ok(Some(owners))
    }

    /// What these leads take that is not held, and the keys of it that are not.
    fn not_held(&self, leads: &[LeadId]) -> (Vec<Wanted>, BTreeSet<LeaseKey>) {
        let (mut entries, mut missing) = (Vec::new(), BTreeSet::new());
        for lead in leads.iter().copied() {
            let keys: BTreeSet<LeaseKey> = self.keys.of_lead(lead).collect();
            let not_held = self.held().missing(&keys);
            if !not_held.is_empty() || !self.held().covers(lead) {
                missing.extend(not_held);
                entries.push(Wanted { owner: lead, leads: BTreeSet::from([lead]), keys });
            }
        }
        (entries, missing)
    }

    /// A call with these leads is about to leave. From now on their keys are given back only once
    /// its outcome is known.
    pub(super) fn begun(&self, leads: impl IntoIterator<Item = LeadId>) {
        self.held().count(leads, true);
    }

    /// The outcome of a call with these leads is known, or it did not leave.
    pub(super) fn known(&self, leads: impl IntoIterator<Item = LeadId>) {
        self.held().count(leads, false);
    }

    /// Gives the keys of these entries back, except those of calls that are not settled.
    pub(super) async fn release(&self, owners: impl IntoIterator<Item = LeadId>) {
        let leases = self.held().release(&owners.into_iter().collect());
        self.give_back(leases).await;
    }

    /// The same of everything that is held.
    pub(super) async fn release_all(&self) {
        let owners = self.held().owners();
        self.release(owners).await;
    }

    /// Nothing is waited for any more, and nothing held but for calls that are not settled.
    pub(super) async fn end(&mut self) {
        for waiting in std::mem::take(&mut self.waiting).into_values() {
            // Ended before its keys came, it gives up its place.
            if waiting.task.is_finished()
                && let Ok(Ok(leases)) = waiting.task.await
            {
                self.give_back(leases).await;
            }
        }
        self.release_all().await;
    }

    async fn give_back(&self, leases: Vec<Lease>) {
        let Some(store) = self.store.as_ref().filter(|_| !leases.is_empty()) else { return };
        if let Err(error) = store.release(leases).await {
            tracing::warn!(%error, "the leases of merged keys end by themselves");
        }
    }

    /// What lets a call leave that changes these leads, and that may run for so long at Marketo:
    /// only while their keys are held.
    pub(super) fn keys_of_call(
        &self,
        leads: impl IntoIterator<Item = LeadId>,
        limit: Duration,
    ) -> CallKeys {
        let leases = self.held().leases_of(leads);
        CallKeys { store: self.store.clone(), leases, limit, clock: self.clock }
    }

    /// Whether a call in doubt of another group needs a key of this entry: two groups can have one
    /// in common.
    pub(super) fn is_in_use(&self, owner: LeadId) -> bool {
        self.held().is_in_use(owner)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }
}

/// How long a group may wait for its keys: longer than a guarded write or the merge of a run that
/// was killed can take.
fn patience(clock: Clock) -> Duration {
    to_send(MERGE_LIMIT, clock) + to_send(SYNC_LIMIT, clock)
}

/// Renews what is held, each group by itself, as long as the run lives.
async fn keep(store: &SharedLeases, held: &Mutex<Held>, span: Duration) {
    loop {
        tokio::time::sleep(span / 3).await;
        let groups = held.lock().by_owner();
        let renewals = groups.iter().map(|leases| store.renew(leases, span));
        // What is lost is found so by the gate, before anything is sent.
        drop(futures::future::join_all(renewals).await);
    }
}
