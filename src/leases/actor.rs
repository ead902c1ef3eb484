//! Puts the requests of this process's callers into batches for their store, and answers them.
//!
//! One task, the [`StoreActor`], speaks with the store. Callers that come together share a
//! transaction. When a caller stops waiting, its answer cannot be delivered, and the actor gives
//! its keys or its place back. However many callers wait, the process listens to one thing.
//!
//! While the store is away, a caller of [`SharedLeases::acquire`] waits for up to [`PATIENCE`];
//! everybody else is refused at once. A release that the store did not take is kept and tried
//! again. A batch that panics has failed like any other: its callers are refused, and the actor
//! goes on. Without the actor nobody could write until the process is started anew.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::api::{Grant, Lease, LeaseError, Terms};
use super::backend::{Backend, Batch, BatchResult, Failure, panicked};
use super::key::LeaseKey;
use super::leaving::Leaving;
use super::queue::Queue;
use super::rate_share::{Claim, Shared};
use crate::marketo::in_words;

/// How long callers that wait anyway wait for a store that is away, as while it is restarted.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts to reach a store that is away.
const PAUSE: Duration = Duration::from_millis(250);

/// Most callers of one batch. More would only make its transaction long.
const CALLERS: usize = 256;

type Answer<T> = oneshot::Sender<Result<T, LeaseError>>;

/// What a caller asks for: its entries in the next batch, and where it waits for the answer.
type Command = Box<dyn FnOnce(&mut Batch, &mut Callers) + Send>;

/// A store of leases, shared by all who write to an instance: [`SharedLeases::memory`],
/// [`SharedLeases::sqlite`] or [`SharedLeases::postgres`]. A clone is another handle to it.
#[derive(Debug, Clone)]
pub struct SharedLeases {
    store: &'static str,
    commands: mpsc::UnboundedSender<Command>,
}

impl SharedLeases {
    /// Starts the task that speaks with the store; it ends with the last of the callers. Needs a
    /// runtime.
    pub(super) fn start<B: Backend>(backend: B, terms: Terms) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        let actor = StoreActor {
            backend,
            terms,
            queue: Queue::default(),
            doubtful: BTreeSet::new(),
            owed: Vec::new(),
            seen: 0,
            away_since: None,
            look_at: None,
        };
        tokio::spawn(actor.run(received));
        Self { store: B::NAME, commands }
    }

    /// Waits until all of the keys are the caller's. First come, first served; all keys are taken
    /// at one moment, so that nobody holds one while waiting for another. Dropping the future gives
    /// back what it took, and its place.
    pub async fn acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys = keys.clone();
        self.leased(|batch, callers, answer| {
            batch.arrive.push(keys);
            callers.arrive.push(answer);
        })
        .await
    }

    /// Those of the keys that are free at this moment, and that nobody waits for, in order. Never
    /// waits for an owner.
    pub async fn try_acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        let keys = keys.clone();
        self.leased(|batch, callers, answer| {
            batch.take.push(keys);
            callers.take.push(answer);
        })
        .await
    }

    /// Makes the leases last at least `span` (of the wall's time) from now on, and never shortens
    /// them. A writer renews just before a call leaves, for Marketo's limit of that call and a
    /// margin. While the call is not ready yet, it renews by [`Terms::unsent`]. On
    /// [`LeaseError::Lost`] none was renewed, and nothing may be sent.
    pub async fn renew<'l>(
        &self,
        leases: impl IntoIterator<Item = &'l Lease> + Send,
        span: Duration,
    ) -> Result<(), LeaseError> {
        let grants = leases.into_iter().map(|lease| lease.0).collect();
        self.ask(move |batch, callers, answer| {
            batch.renew.push((grants, span));
            callers.renew.push(answer);
        })
        .await
    }

    /// Gives the keys to the next in line: what came of the call is known, or nothing was sent.
    /// Leases that are over already are passed over. Where the store cannot be reached the release
    /// is tried again in the background, until the leases have ended by themselves.
    pub async fn release(&self, leases: Vec<Lease>) -> Result<(), LeaseError> {
        self.ask(move |batch, callers, answer| {
            batch.release.extend(leases.iter().map(|lease| lease.0));
            callers.told.push(answer);
        })
        .await
    }

    /// Whether leases can be had at all.
    pub async fn ready(&self) -> Result<(), LeaseError> {
        self.ask(|_, callers, answer| callers.told.push(answer)).await
    }

    /// Renews the caller's claim to a part of its instance's limits.
    pub(crate) async fn share(&self, claim: Claim) -> Result<Shared, LeaseError> {
        self.ask(|batch, callers, answer| {
            // A process asks once at a time; were it otherwise, the last one counts.
            batch.claim = Some(claim);
            callers.share = Some(answer);
        })
        .await
    }

    /// Gives up the caller's claim for good, except for calls that still count. The caller makes no
    /// call any more, and renews nothing.
    pub(crate) async fn leave(&self, leaving: Leaving) -> Result<(), LeaseError> {
        self.ask(|batch, callers, answer| {
            batch.left = Some(leaving);
            callers.told.push(answer);
        })
        .await
    }

    fn send(&self, command: impl FnOnce(&mut Batch, &mut Callers) + Send + 'static) {
        // An actor that has ended drops the command, and with it the caller's end.
        self.commands.send(Box::new(command)).ok();
    }

    async fn ask<T: Send + 'static>(
        &self,
        enter: impl FnOnce(&mut Batch, &mut Callers, Answer<T>) + Send + 'static,
    ) -> Result<T, LeaseError> {
        let (answer, answered) = oneshot::channel();
        self.send(|batch, callers| enter(batch, callers, answer));
        answered.await.unwrap_or_else(|_dropped| Err(self.ended()))
    }

    /// Asks for leases, which are given back if the caller is gone when they come.
    async fn leased(
        &self,
        enter: impl FnOnce(&mut Batch, &mut Callers, Waiter) + Send + 'static,
    ) -> Result<Vec<Lease>, LeaseError> {
        let (answer, answered) = oneshot::channel();
        self.send(|batch, callers| enter(batch, callers, answer));
        let mut pending = Pending { store: self, answered, is_done: false };
        let result = (&mut pending.answered).await;
        pending.is_done = true;
        result.unwrap_or_else(|_dropped| Err(self.ended()))
    }

    fn ended(&self) -> LeaseError {
        let source = Arc::new(std::io::Error::other("the task that speaks with it has ended"));
        LeaseError::Unavailable { store: self.store, source }
    }
}

/// A caller that waits for leases. Dropped before they came, or before it took them, it gives back
/// its place or the leases.
struct Pending<'a> {
    store: &'a SharedLeases,
    answered: oneshot::Receiver<Result<Vec<Lease>, LeaseError>>,
    is_done: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        self.answered.close();
        match self.answered.try_recv() {
            Ok(Ok(leases)) => self.store.send(move |batch, _| {
                batch.release.extend(leases.iter().map(|lease| lease.0));
            }),
            Ok(Err(_)) | Err(_) => self.store.send(|_, callers| callers.some_left = true),
        }
    }
}

type Waiter = Answer<Vec<Lease>>;

/// The callers of a batch, in the order of its lists.
#[derive(Default)]
struct Callers {
    arrive: Vec<Waiter>,
    take: Vec<Waiter>,
    renew: Vec<Answer<()>>,
    told: Vec<Answer<()>>,
    share: Option<Answer<Shared>>,
    /// Some have stopped waiting.
    some_left: bool,
}

struct StoreActor<B> {
    backend: B,
    terms: Terms,
    queue: Queue<Waiter>,
    /// Keys of batches that failed. They may have been carried out all the same, so the next batch
    /// puts their rows right.
    doubtful: BTreeSet<LeaseKey>,
    /// Leases to be released, until the store has taken note.
    owed: Vec<Grant>,
    /// [`BatchResult::saves`] of the last batch.
    seen: u64,
    /// Since when batches fail.
    away_since: Option<Instant>,
    /// When to look at all who wait without having been asked to.
    look_at: Option<Instant>,
}

impl<B: Backend> StoreActor<B> {
    async fn run(mut self, mut received: mpsc::UnboundedReceiver<Command>) {
        let mut commands = Vec::new();
        loop {
            let look_at = self.look_at;
            let listens = !self.queue.is_empty() && self.away_since.is_none();
            let all = tokio::select! {
                count = received.recv_many(&mut commands, CALLERS) => {
                    if count == 0 {
                        return;
                    }
                    look_at.is_some_and(|at| at <= Instant::now())
                }
                () = self.backend.changed(), if listens => true,
                () = tokio::time::sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => true,
            };
            self.serve(commands.drain(..), all).await;
        }
    }

    /// Makes one batch of the commands and answers it. With `all` it looks at every waiting caller,
    /// not only at those whose keys the commands concern.
    async fn serve(&mut self, commands: impl Iterator<Item = Command>, all: bool) {
        let (mut batch, mut callers) = (Batch::default(), Callers::default());
        batch.release = self.owed.clone();
        for command in commands {
            command(&mut batch, &mut callers);
        }
        let all = all || self.away_since.is_some();
        let mut concerned = if all { self.queue.keys() } else { BTreeSet::new() };
        concerned.extend(&self.doubtful);
        concerned.extend(batch.release.iter().map(|grant| grant.key));
        if callers.some_left {
            concerned.extend(self.queue.remove_if(Waiter::is_closed));
        }
        (batch.waiting, batch.complete) = self.queue.concerned(concerned);
        batch.seen = self.seen;
        // Only the backend can be half done after a panic, and it begins anew.
        let done = AssertUnwindSafe(self.backend.carry_out(&batch, self.terms)).catch_unwind();
        match done.await.unwrap_or_else(|panic| Err(panicked(&*panic))) {
            Ok(result) => self.answer(result, batch.arrive, callers, all),
            Err(failure) => self.fail(&failure, &batch, callers),
        }
    }

    fn answer(
        &mut self,
        result: BatchResult,
        arrive: Vec<BTreeSet<LeaseKey>>,
        callers: Callers,
        all: bool,
    ) {
        self.away_since = None;
        self.doubtful.clear();
        self.owed.clear();
        self.seen = result.saves;
        for (answer, renewed) in callers.renew.into_iter().zip(result.renewed) {
            answer.send(renewed.map_err(|key| LeaseError::Lost { key })).ok();
        }
        for answer in callers.told {
            answer.send(Ok(())).ok();
        }
        if let (Some(answer), Some(shared)) = (callers.share, result.shared) {
            answer.send(Ok(shared)).ok();
        }
        for ((ticket, keys), caller) in result.arrived.into_iter().zip(arrive).zip(callers.arrive) {
            self.queue.insert(ticket, keys, caller);
        }
        for (ticket, grants) in result.granted {
            match self.queue.remove(ticket) {
                Some(waiter) => self.hand_over(waiter, grants),
                None => self.owed.extend(grants),
            }
        }
        for (answer, grants) in callers.take.into_iter().zip(result.taken) {
            self.hand_over(answer, grants);
        }
        self.set_look(result.look_again, all);
    }

    /// Looks again when something ends, and often enough to give a sign of life.
    fn set_look(&mut self, ends_in: Option<Duration>, all: bool) {
        let now = Instant::now();
        if !self.owed.is_empty() {
            self.look_at = Some(now);
        } else if self.queue.is_empty() {
            self.look_at = None;
        } else {
            let sign_of_life = self.terms.place / 3;
            let next = now + ends_in.map_or(sign_of_life, |end| end.min(sign_of_life));
            // Those who were not looked at may have something to wait for that ends sooner.
            let sooner = self.look_at.filter(|at| !all && *at < next);
            self.look_at = Some(sooner.unwrap_or(next));
        }
    }

    /// Gives keys to a caller; if it is gone meanwhile, back.
    fn hand_over(&mut self, answer: Waiter, grants: Vec<Grant>) {
        let leases = grants.iter().copied().map(Lease).collect();
        if answer.send(Ok(leases)).is_err() {
            self.owed.extend(grants);
        }
    }

    fn fail(&mut self, failure: &Failure, batch: &Batch, callers: Callers) {
        let now = Instant::now();
        if self.away_since.is_none() {
            tracing::warn!(
                store = B::NAME,
                error = in_words(&**failure),
                "the lease store cannot be used; nothing is written"
            );
        }
        let away_since = *self.away_since.get_or_insert(now);
        self.doubtful.extend(batch.keys());
        self.owed.clone_from(&batch.release);
        let refused = || unavailable::<B>(failure);
        for answer in callers.take.into_iter().chain(callers.arrive) {
            answer.send(Err(refused())).ok();
        }
        for answer in callers.renew.into_iter().chain(callers.told) {
            answer.send(Err(refused())).ok();
        }
        if let Some(answer) = callers.share {
            answer.send(Err(refused())).ok();
        }
        if now - away_since >= PATIENCE {
            for waiter in self.queue.drain() {
                waiter.send(Err(refused())).ok();
            }
        }
        let unsettled = !self.queue.is_empty() || !self.doubtful.is_empty();
        self.look_at = unsettled.then(|| now + PAUSE);
    }
}

fn unavailable<B: Backend>(failure: &Failure) -> LeaseError {
    LeaseError::Unavailable { store: B::NAME, source: failure.clone() }
}
