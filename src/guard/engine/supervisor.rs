//! The one task that owns the queue and all other tasks of the engine, and acts on their results.
//!
//! ```text
//! submit => queue => turn => prepare => send => reconcile
//!             ^                 |         |         |
//!             '--- put back <---+---------+---------+---> settled, leases released, finished
//! ```
//!
//! It does no I/O, and waits for its tasks and commands alone. A task that panics loses its units.
//! The supervisor knows their records, tells the writers that the outcome is open, and goes on. The
//! leases of the records are not released: they end by themselves, when Marketo cannot be writing
//! the keys any more (law 4).

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::batching::into_calls;
use super::calls::{Calls, no_leases, told};
use super::events;
use super::execute::{self, InDoubt, Next, Results};
use super::hold::KeepEnded;
use super::outcome::{Outcome, Refused, Whereabouts};
use super::queue::{Standing, WriteQueue};
use super::reconcile;
use super::request::{ApiUser, Record, WriteMode};
use super::sender::Sender;
use super::settle::settle;
use super::unit::{Item, Keeper, Number, Submitted, Unit, are_now};
use crate::leases::{Lease, LeaseError};
use crate::marketo::{NoCall, Slot};

#[derive(Debug)]
pub(super) enum Command<O> {
    Submit(Arc<Submitted<O>>, Vec<Record>),
    /// Somebody asks how things stand.
    Standing(oneshot::Sender<Standing>),
    /// Nothing comes any more: end when all is brought to its end.
    Drain,
}

enum Event<O> {
    /// A turn has come, or there is none.
    Turn(ApiUser, Result<Slot, NoCall>),
    /// A step is done, and the turn that it did not use.
    Step(Results<O>, Option<Slot>),
    /// Leases were released. The numbers are of records that are finished; the items are sent anew.
    Released(Vec<Number>, Vec<Item<O>>),
    /// A record has waited for its leases, and has them or not.
    Granted(Item<O>, Result<Vec<Lease>, LeaseError>),
    /// The leases of a record in the queue are not kept any more.
    NotKept(Number, KeepEnded),
    /// The task with this charge panicked.
    BrokenOff(Charge),
}

/// Whose task it is, for the case that it panics.
enum Charge {
    Turn(ApiUser),
    Records(Vec<Number>),
    Keeping(Number),
}

pub(super) struct Supervisor<S: Sender> {
    calls: Arc<Calls<S>>,
    queue: WriteQueue<S::Origin>,
    tasks: JoinSet<Event<S::Origin>>,
}

impl<S: Sender> Supervisor<S> {
    pub(super) fn new(calls: Calls<S>) -> Self {
        let queue = WriteQueue::taking(calls.settings.calls_in_a_batch);
        Self { calls: Arc::new(calls), queue, tasks: JoinSet::new() }
    }

    /// Works until no command can come any more and every write has its end.
    pub(super) async fn run(mut self, mut commands: UnboundedReceiver<Command<S::Origin>>) {
        let mut is_open = true;
        while is_open || !self.tasks.is_empty() {
            tokio::select! {
                command = commands.recv(), if is_open => match command {
                    Some(Command::Submit(request, records)) => self.enter(&request, records),
                    // Whoever asked may have gone.
                    Some(Command::Standing(reply)) => {
                        reply.send(self.queue.standing(Instant::now())).ok();
                    }
                    Some(Command::Drain) | None => is_open = false,
                },
                // A task that was aborted has nothing to tell.
                Some(ended) = self.tasks.join_next() => ended.into_iter().for_each(|event| self.act(event)),
            }
            for user in self.queue.due() {
                self.send_for_turn(user);
            }
        }
    }

    fn enter(&mut self, request: &Arc<Submitted<S::Origin>>, records: Vec<Record>) {
        let behind = self.queue.behind_others(&records);
        self.tell(&events::Event::Waiting(behind));
        let call = request.envelope.endpoint.name();
        tracing::debug!(user = %request.user, call, behind, "a write came in");
        self.queue.enter(request, records);
    }

    fn act(&mut self, event: Event<S::Origin>) {
        match event {
            Event::Turn(user, Ok(slot)) => {
                let units = self.take(&user);
                if units.is_empty() {
                    slot.unused();
                } else {
                    self.step(units, |calls, units| async move {
                        let (results, slot) = execute::prepare(&calls, units, slot).await;
                        Event::Step(results, slot)
                    });
                }
            }
            Event::Turn(user, Err(none)) => {
                told(&none);
                self.refuse_next(&user, &Refused::NoCall(none));
            }
            Event::Step(results, slot) => self.follow(results, slot),
            Event::Released(finished, again) => self.finish(finished, again),
            Event::Granted(item, granted) => self.granted(item, granted),
            Event::NotKept(number, why) => self.not_kept(number, why),
            Event::BrokenOff(charge) => self.broke_off(charge),
        }
    }

    fn broke_off(&mut self, charge: Charge) {
        match charge {
            Charge::Turn(user) => self.refuse_next(&user, &Refused::Fault),
            Charge::Keeping(number) => self.not_kept(number, KeepEnded::Lost),
            Charge::Records(numbers) => {
                for number in &numbers {
                    self.leave_open(*number);
                }
                self.finish(numbers, Vec::new());
            }
        }
    }

    /// Tells a record's writer that its outcome is open: the task that panicked may have sent it.
    fn leave_open(&self, number: Number) {
        let Some(open) = self.queue.open(number) else { return };
        self.tell(&events::Event::BrokenOff);
        tracing::error!(
            user = %open.request.user,
            call = open.request.envelope.endpoint.name(),
            key = open.keys.first().map(tracing::field::display),
            "a fault of the guard broke off a write: its caller is told that its outcome is open, and its key stays \
             protected until Marketo cannot be writing it any more"
        );
        open.request.reply.settle(open.place, Outcome::Open);
    }

    /// The records of a user's next call.
    fn take(&mut self, user: &ApiUser) -> Vec<Unit<S::Origin>> {
        let mut given_up = Vec::new();
        let units = self.queue.take(user, &mut given_up);
        self.give_up(given_up);
        are_now(&units, Whereabouts::UnderWay);
        units
    }

    fn refuse_next(&mut self, user: &ApiUser, refused: &Refused) {
        let units = self.take(user);
        let refuse = |_: &Unit<_>| Next::Done(Outcome::Refused(refused.clone()));
        self.follow(execute::all(units, refuse), None);
    }

    fn follow(&mut self, results: Results<S::Origin>, slot: Option<Slot>) {
        let mut to_send: BTreeMap<WriteMode, Vec<Unit<S::Origin>>> = BTreeMap::new();
        let mut without_winner = Vec::new();
        // Those units of a step that are in doubt were in one call.
        let mut doubt: Option<(InDoubt, Vec<Unit<S::Origin>>)> = None;
        let (mut leases, mut finished, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for (unit, next) in results {
            match next {
                Next::Done(outcome) => {
                    settle(&unit, &outcome, &*self.calls.settings.observer);
                    let (items, held) = unit.into_parts();
                    leases.extend(held);
                    finished.extend(items.map(|item| item.number));
                }
                Next::Again(sharing) => {
                    unit.is_now(Whereabouts::AtRest);
                    let (items, held) = unit.into_parts();
                    leases.extend(held);
                    again.extend(items.map(|item| item.sharing_at_most(sharing)));
                }
                Next::WaitForLeases => {
                    unit.is_now(Whereabouts::AtRest);
                    self.tell(&events::Event::HeldElsewhere);
                    self.wait_for_leases(unit);
                }
                Next::Send(mode) => to_send.entry(mode).or_default().push(unit),
                Next::FindWinner => without_winner.push(unit),
                Next::InDoubt(in_doubt) => {
                    doubt.get_or_insert_with(|| (in_doubt, Vec::new())).1.push(unit);
                }
            }
        }
        self.release(leases, finished, again);
        self.send(to_send, slot);
        if !without_winner.is_empty() {
            self.step(without_winner, |calls, units| async move {
                let results = execute::find_winners(&calls, units).await;
                Event::Step(results, None)
            });
        }
        if let Some((in_doubt, units)) = doubt {
            are_now(&units, Whereabouts::InDoubt);
            self.step(units, move |calls, units| async move {
                Event::Step(reconcile::look(&calls, units, in_doubt).await, None)
            });
        }
    }

    fn send(&mut self, to_send: BTreeMap<WriteMode, Vec<Unit<S::Origin>>>, mut slot: Option<Slot>) {
        let calls = to_send.into_iter().flat_map(|(mode, units)| {
            into_calls(units).into_iter().map(move |units| (mode, units))
        });
        for (mode, units) in calls {
            let slot = slot.take();
            self.step(units, move |calls, units| async move {
                let sent = execute::send(&calls, units, mode, slot);
                Event::Step(sent.await, None)
            });
        }
        if let Some(slot) = slot {
            slot.unused();
        }
    }

    /// Releases leases, and then finishes records and puts others back.
    fn release(&mut self, leases: Vec<Lease>, finished: Vec<Number>, again: Vec<Item<S::Origin>>) {
        if leases.is_empty() {
            return self.finish(finished, again);
        }
        let numbers = again.iter().map(|item| item.number).chain(finished.iter().copied());
        let (charge, calls) = (Charge::Records(numbers.collect()), Arc::clone(&self.calls));
        self.spawn(charge, async move {
            calls.hold.release(leases).await;
            Event::Released(finished, again)
        });
    }

    fn finish(&mut self, finished: Vec<Number>, again: Vec<Item<S::Origin>>) {
        self.queue.finish(finished);
        for item in again {
            self.queue.put_back(item);
        }
    }

    /// Finishes records whose writers have gone.
    fn give_up(&mut self, items: Vec<Item<S::Origin>>) {
        let (mut leases, mut finished) = (Vec::new(), Vec::new());
        for item in items {
            item.request.reply.settle(item.place, Outcome::NotSent);
            leases.extend(item.leases);
            finished.push(item.number);
        }
        if !finished.is_empty() {
            self.release(leases, finished, Vec::new());
        }
    }

    /// Another guard is writing the key: the first record waits for the lease, and the others wait
    /// behind it in the queue.
    fn wait_for_leases(&mut self, unit: Unit<S::Origin>) {
        let Unit { first, others, leases, .. } = unit;
        for item in others {
            self.queue.put_back(item);
        }
        self.wait(first, leases);
    }

    fn wait(&mut self, item: Item<S::Origin>, ended: Vec<Lease>) {
        let calls = Arc::clone(&self.calls);
        self.spawn(Charge::Records(vec![item.number]), async move {
            calls.hold.release(ended).await;
            let granted = calls.hold.leases.acquire(&item.record.leases).await;
            Event::Granted(item, granted)
        });
    }

    /// A record that has its leases goes back into the queue. The leases are kept until a call
    /// takes it along.
    fn granted(&mut self, mut item: Item<S::Origin>, granted: Result<Vec<Lease>, LeaseError>) {
        match granted {
            Ok(leases) => {
                let kept: Vec<Lease> = leases.iter().map(Lease::named_again).collect();
                let (calls, request) = (Arc::clone(&self.calls), Arc::clone(&item.request));
                let number = item.number;
                let keeper = self.spawn(Charge::Keeping(number), async move {
                    Event::NotKept(number, calls.hold.keep(&kept, &request).await)
                });
                (item.leases, item.keeper) = (leases, Some(Keeper(keeper)));
                self.queue.put_back(item);
            }
            Err(error) => {
                let refused = Next::Done(Outcome::Refused(no_leases(error)));
                self.follow(vec![(Unit::of(item), refused)], None);
            }
        }
    }

    fn not_kept(&mut self, number: Number, why: KeepEnded) {
        // A call may have taken it along meanwhile.
        let Some(mut item) = self.queue.withdraw(number) else { return };
        match why {
            KeepEnded::WriterGone => self.give_up(vec![item]),
            KeepEnded::Lost => {
                let user = &item.request.user;
                tracing::debug!(%user, "a lease that was waited for is lost, and is asked for anew");
                let ended = std::mem::take(&mut item.leases);
                self.wait(item, ended);
            }
        }
    }

    fn send_for_turn(&mut self, user: ApiUser) {
        let turns = Arc::clone(&self.calls.turns);
        self.spawn(Charge::Turn(user.clone()), async move {
            turns.linger().await;
            let turn = turns.next(&user).await;
            Event::Turn(user, turn)
        });
    }

    fn step<F>(
        &mut self,
        units: Vec<Unit<S::Origin>>,
        step: impl FnOnce(Arc<Calls<S>>, Vec<Unit<S::Origin>>) -> F,
    ) where
        F: Future<Output = Event<S::Origin>> + Send + 'static,
    {
        let numbers = units.iter().flat_map(Unit::items).map(|item| item.number).collect();
        let step = step(Arc::clone(&self.calls), units);
        self.spawn(Charge::Records(numbers), step);
    }

    /// Starts a task. A panic in it ends the task alone, and comes back as an event.
    fn spawn(
        &mut self,
        charge: Charge,
        task: impl Future<Output = Event<S::Origin>> + Send + 'static,
    ) -> AbortHandle {
        // Whatever a panic left half done goes with the task.
        let task = AssertUnwindSafe(task).catch_unwind();
        let task = task.map(|ended| ended.unwrap_or_else(|_panic| Event::BrokenOff(charge)));
        self.tasks.spawn(task)
    }

    fn tell(&self, event: &events::Event<'_>) {
        self.calls.tell(event);
    }
}
