//! Who of this process waits for what: callers on one side, the rounds of a shared store on the
//! other.
//!
//! One task, the keeper, speaks with the store, since that makes three things simple. Callers that
//! come together share a transaction. A caller that stops waiting, at whatever instant, finds its
//! answer undeliverable, and the keeper gives the keys or the place back. And a process that waits
//! has one thing to listen to, however many callers it has.
//!
//! A caller of [`SharedLeases::acquire`] may wait while the store is away for [`PATIENCE`];
//! everybody else is told at once. A release that the store did not take is kept, and told again. A
//! round that panics has failed like any other: its callers are refused, and the keeper goes on,
//! since without it nobody could write until the process is started anew.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::table::{Failure, Grant, Results, Round, Table, Ticket, leases};
use super::{Ask, Lease, LeaseError, LeaseKey, Leases, Leaving, Shared, Terms, in_full};

/// How long those who wait anyway put up with a store that is away, as while it is restarted.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts to reach a store that is away.
const PAUSE: Duration = Duration::from_millis(250);

/// Callers of one round. More would only make its transaction long.
const CALLERS: usize = 256;

type Answer<T> = oneshot::Sender<Result<T, LeaseError>>;

enum Command {
    Acquire {
        keys: BTreeSet<LeaseKey>,
        answer: Answer<Vec<Lease>>,
    },
    TryAcquire {
        keys: BTreeSet<LeaseKey>,
        answer: Answer<Vec<Lease>>,
    },
    Renew {
        grants: Vec<Grant>,
        span: Duration,
        answer: Answer<()>,
    },
    Release {
        grants: Vec<Grant>,
        answer: Answer<()>,
    },
    Ready {
        answer: Answer<()>,
    },
    Share {
        ask: Ask,
        answer: Answer<Shared>,
    },
    Leave {
        leaving: Leaving,
        answer: Answer<()>,
    },
    /// A caller has stopped waiting.
    Left,
}

/// Leases in a store that several processes share; see [`SharedLeases::sqlite`] and
/// [`SharedLeases::postgres`].
#[derive(Debug)]
pub struct SharedLeases {
    store: &'static str,
    commands: mpsc::UnboundedSender<Command>,
}

impl SharedLeases {
    /// Starts the task that speaks with the store; it ends with the last of the callers. Needs a
    /// runtime.
    pub(super) fn start<T: Table>(table: T, terms: Terms) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        let keeper = Keeper {
            table,
            terms,
            waiting: BTreeMap::new(),
            leaving: Vec::new(),
            owed: Vec::new(),
            away_since: None,
            look_at: None,
        };
        tokio::spawn(keeper.run(received));
        Self { store: T::NAME, commands }
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, LeaseError> {
        let (answer, answered) = oneshot::channel();
        // A keeper that has ended drops the command, and with it the answer.
        self.commands.send(command(answer)).ok();
        answered.await.unwrap_or_else(|_dropped| {
            Err(LeaseError::Unavailable {
                store: self.store,
                source: Arc::new(std::io::Error::other("the task that speaks with it has ended")),
            })
        })
    }
}

impl Leases for SharedLeases {
    async fn acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut waiter = Waiting { commands: &self.commands, answered: false };
        let result = self.ask(|answer| Command::Acquire { keys: keys.clone(), answer }).await;
        waiter.answered = true;
        result
    }

    async fn try_acquire(&self, keys: &BTreeSet<LeaseKey>) -> Result<Vec<Lease>, LeaseError> {
        self.ask(|answer| Command::TryAcquire { keys: keys.clone(), answer }).await
    }

    async fn renew<'l>(
        &self,
        leases: impl IntoIterator<Item = &'l Lease> + Send,
        span: Duration,
    ) -> Result<(), LeaseError> {
        let grants = leases.into_iter().map(Grant::from).collect();
        self.ask(|answer| Command::Renew { grants, span, answer }).await
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<(), LeaseError> {
        let grants = leases.iter().map(Grant::from).collect();
        self.ask(|answer| Command::Release { grants, answer }).await
    }

    async fn ready(&self) -> Result<(), LeaseError> {
        self.ask(|answer| Command::Ready { answer }).await
    }

    async fn share(&self, ask: Ask) -> Result<Shared, LeaseError> {
        self.ask(|answer| Command::Share { ask, answer }).await
    }

    async fn leave(&self, leaving: Leaving) -> Result<(), LeaseError> {
        self.ask(|answer| Command::Leave { leaving, answer }).await
    }
}

/// Tells the keeper when a caller is dropped before its answer came.
struct Waiting<'a> {
    commands: &'a mpsc::UnboundedSender<Command>,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            // Without a keeper there is no line to leave.
            self.commands.send(Command::Left).ok();
        }
    }
}

/// A caller in line.
type Waiter = Answer<Vec<Lease>>;

/// Those who have asked for a round, in the order of its lists.
#[derive(Default)]
struct Callers {
    enter: Vec<Waiter>,
    take: Vec<Answer<Vec<Lease>>>,
    renew: Vec<Answer<()>>,
    told: Vec<Answer<()>>,
    share: Option<Answer<Shared>>,
}

struct Keeper<T> {
    table: T,
    terms: Terms,
    waiting: BTreeMap<Ticket, Waiter>,
    /// Places to be given up, until the store has taken note.
    leaving: Vec<Ticket>,
    /// Leases to be released, until the store has taken note.
    owed: Vec<Grant>,
    /// Since when rounds fail.
    away_since: Option<Instant>,
    /// When to look without having been asked to.
    look_at: Option<Instant>,
}

impl<T: Table> Keeper<T> {
    async fn run(mut self, mut received: mpsc::UnboundedReceiver<Command>) {
        let mut commands = Vec::new();
        loop {
            let look_at = self.look_at;
            let listens = !self.waiting.is_empty() && self.away_since.is_none();
            tokio::select! {
                count = received.recv_many(&mut commands, CALLERS) => if count == 0 { return },
                () = self.table.changed(), if listens => {}
                () = tokio::time::sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {}
            }
            self.serve(commands.drain(..)).await;
        }
    }

    /// One round of the store for all who asked, and its answers.
    async fn serve(&mut self, commands: impl Iterator<Item = Command>) {
        let (mut round, mut callers) = (Round::default(), Callers::default());
        round.release = self.owed.clone();
        for command in commands {
            take_down(command, &mut round, &mut callers);
        }
        let left: Vec<Ticket> = self
            .waiting
            .iter()
            .filter(|(_, waiter)| waiter.is_closed())
            .map(|(ticket, _)| *ticket)
            .collect();
        self.waiting.retain(|_, waiter| !waiter.is_closed());
        self.leaving.extend(left);
        round.leave = self.leaving.clone();
        round.waiting = self.waiting.keys().copied().collect();
        round.sweep = self.away_since.is_some();
        // What a panic left half done is the table's alone, which begins anew.
        let done = AssertUnwindSafe(self.table.round(&round, self.terms)).catch_unwind().await;
        match done.unwrap_or_else(|panic| Err(panicked(&*panic))) {
            Ok(results) => self.answer(results, callers),
            Err(failure) => self.fail(&failure, round.release, callers),
        }
        let gone_meanwhile = self.waiting.values().any(Waiter::is_closed);
        if self.away_since.is_none() && (gone_meanwhile || !self.owed.is_empty()) {
            self.look_at = Some(Instant::now());
        }
    }

    fn answer(&mut self, results: Results, callers: Callers) {
        self.away_since = None;
        self.leaving.clear();
        self.owed.clear();
        let Results { renewed, entered, granted, gone, taken, look_again, shared } = results;
        for (answer, renewed) in callers.renew.into_iter().zip(renewed) {
            answer.send(renewed.map_err(|key| LeaseError::Lost { key })).ok();
        }
        for answer in callers.told {
            answer.send(Ok(())).ok();
        }
        if let (Some(answer), Some(shared)) = (callers.share, shared) {
            answer.send(Ok(shared)).ok();
        }
        self.waiting.extend(entered.into_iter().zip(callers.enter));
        for (ticket, grants) in granted {
            match self.waiting.remove(&ticket) {
                Some(waiter) => self.hand_over(waiter, grants),
                None => self.owed.extend(grants),
            }
        }
        for (answer, grants) in callers.take.into_iter().zip(taken) {
            self.hand_over(answer, grants);
        }
        for ticket in gone {
            if let Some(waiter) = self.waiting.remove(&ticket) {
                waiter.send(Err(unavailable::<T>(&place_lost()))).ok();
            }
        }
        let sign_of_life = self.terms.place / 3;
        self.look_at = (!self.waiting.is_empty())
            .then(|| Instant::now() + look_again.map_or(sign_of_life, |end| end.min(sign_of_life)));
    }

    /// Gives keys to a caller; if it is gone meanwhile, back.
    fn hand_over(&mut self, answer: Answer<Vec<Lease>>, grants: Vec<Grant>) {
        if answer.send(Ok(leases(&grants))).is_err() {
            self.owed.extend(grants);
        }
    }

    fn fail(&mut self, failure: &Failure, owed: Vec<Grant>, callers: Callers) {
        let now = Instant::now();
        if self.away_since.is_none() {
            tracing::warn!(
                store = T::NAME,
                error = in_full(&**failure),
                "the lease store cannot be used; nothing is written"
            );
        }
        let away_since = *self.away_since.get_or_insert(now);
        self.owed = owed;
        let refused = || unavailable::<T>(failure);
        for answer in callers.take.into_iter().chain(callers.enter) {
            answer.send(Err(refused())).ok();
        }
        for answer in callers.renew.into_iter().chain(callers.told) {
            answer.send(Err(refused())).ok();
        }
        if let Some(answer) = callers.share {
            answer.send(Err(refused())).ok();
        }
        if now - away_since >= PATIENCE {
            // The sweep of the next round removes their places.
            for waiter in std::mem::take(&mut self.waiting).into_values() {
                waiter.send(Err(refused())).ok();
            }
        }
        let unsettled =
            !self.waiting.is_empty() || !self.owed.is_empty() || !self.leaving.is_empty();
        self.look_at = unsettled.then(|| now + PAUSE);
    }
}

fn take_down(command: Command, round: &mut Round, callers: &mut Callers) {
    match command {
        Command::Acquire { keys, answer } => {
            round.enter.push(keys);
            callers.enter.push(answer);
        }
        Command::TryAcquire { keys, answer } => {
            round.take.push(keys);
            callers.take.push(answer);
        }
        Command::Renew { grants, span, answer } => {
            round.renew.push((grants, span));
            callers.renew.push(answer);
        }
        Command::Release { grants, answer } => {
            round.release.extend(grants);
            callers.told.push(answer);
        }
        Command::Ready { answer } => callers.told.push(answer),
        Command::Share { ask, answer } => {
            // A process asks once at a time; were it otherwise, the last one counts.
            round.share = Some(ask);
            callers.share = Some(answer);
        }
        Command::Leave { leaving, answer } => {
            round.left = Some(leaving);
            callers.told.push(answer);
        }
        Command::Left => {}
    }
}

fn unavailable<T: Table>(failure: &Failure) -> LeaseError {
    LeaseError::Unavailable { store: T::NAME, source: failure.clone() }
}

fn place_lost() -> Failure {
    Arc::new(std::io::Error::other(
        "this process gave no sign of life for so long that its place in line is lost",
    ))
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let what = panic.downcast_ref::<&str>().copied();
    let what = what
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given");
    Arc::new(std::io::Error::other(format!(
        "a mistake of this program stopped it half-way ({what}); what it did is undone, and the next attempt begins anew"
    )))
}
