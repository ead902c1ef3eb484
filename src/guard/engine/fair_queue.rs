//! The order of calls. The limits of the instance hold for all writers together; within them the
//! API users take turns (round-robin). A user that floods waits in its own queue, and the others do
//! not notice.
//!
//! Where calls are scarce, writes that can share a call linger. A call that leaves now and then
//! takes along the records that came meanwhile. The same number of calls, all at once, would carry
//! a few records each and leave none for the rest of the window.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::request::ApiUser;
use crate::marketo::{NoCall, Pacer, Slot, Uncounted};

/// The queues in front of the pacer. Dropping it ends its task.
#[derive(Debug)]
pub(crate) struct FairQueue {
    pacer: Arc<Pacer>,
    tickets: UnboundedSender<(ApiUser, Ticket)>,
    /// Tickets that wait for their turn.
    waiting: Arc<AtomicUsize>,
    _scheduler: AbortOnDropHandle<()>,
    /// When the last call that lingered leaves or left.
    lingered: Mutex<Option<Instant>>,
}

type Turn = Result<Slot, NoCall>;
type Ticket = oneshot::Sender<Turn>;

/// The tickets of each user, and whose turn it is.
#[derive(Debug, Default)]
struct Queues {
    by_user: BTreeMap<ApiUser, VecDeque<Ticket>>,
    /// The users that have a ticket, the next one first.
    order: VecDeque<ApiUser>,
}

impl FairQueue {
    /// Starts the task that gives out the turns. Needs a runtime.
    pub(crate) fn new(pacer: Arc<Pacer>) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let (tickets, incoming) = unbounded_channel();
        let scheduler = tokio::spawn(schedule(Arc::clone(&pacer), incoming, Arc::clone(&waiting)));
        Self {
            pacer,
            tickets,
            waiting,
            _scheduler: AbortOnDropHandle::new(scheduler),
            lingered: Mutex::default(),
        }
    }

    /// Waits a moment where calls are scarce; on an idle guard not at all.
    pub(super) async fn linger(&self) {
        let spacing = self.pacer.spacing();
        if !spacing.is_zero() {
            let until = {
                let mut lingered = self.lingered.lock();
                let now = Instant::now();
                let until = lingered.map_or(now, |last| now.max(last + spacing));
                *lingered = Some(until);
                until
            };
            tokio::time::sleep_until(until).await;
        }
    }

    pub(crate) async fn next(&self, user: &ApiUser) -> Turn {
        // If nobody waits, it is nobody else's turn.
        if self.waiting.load(Ordering::SeqCst) == 0
            && let Some(turn) = self.pacer.slot_at_once()
        {
            return turn;
        }
        let (ticket, turn) = oneshot::channel();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // The scheduler lives as long as this, and drops no ticket.
        self.tickets.send((user.clone(), ticket)).ok();
        turn.await.unwrap_or_else(|_dropped| Err(uncounted()))
    }

    /// The limits that all turns are held to.
    pub(crate) fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

async fn schedule(
    pacer: Arc<Pacer>,
    mut incoming: UnboundedReceiver<(ApiUser, Ticket)>,
    waiting: Arc<AtomicUsize>,
) {
    let mut queues = Queues::default();
    loop {
        if queues.order.is_empty() {
            let Some((user, ticket)) = incoming.recv().await else { return };
            queues.enter(user, ticket);
        }
        // First the turn and then the user, so that users that came meanwhile have a chance too. In
        // a task of its own, so that a fault in counting does not end this one.
        let pacer = Arc::clone(&pacer);
        let slot = AbortOnDropHandle::new(tokio::spawn(async move { pacer.slot().await }));
        let mut turn = slot.await.unwrap_or_else(|_fault| Err(uncounted()));
        while let Ok((user, ticket)) = incoming.try_recv() {
            queues.enter(user, ticket);
        }
        loop {
            let Some(ticket) = queues.next() else {
                if let Ok(slot) = turn {
                    slot.unused();
                }
                break;
            };
            waiting.fetch_sub(1, Ordering::SeqCst);
            // A ticket that nobody waits with any more passes the turn on.
            match ticket.send(turn) {
                Ok(()) => break,
                Err(back) => turn = back,
            }
        }
    }
}

fn uncounted() -> NoCall {
    NoCall::Uncounted(Uncounted("the count of calls broke off".to_owned()))
}

impl Queues {
    fn enter(&mut self, user: ApiUser, ticket: Ticket) {
        let queue = self.by_user.entry(user.clone()).or_default();
        if queue.is_empty() {
            self.order.push_back(user);
        }
        queue.push_back(ticket);
    }

    /// The first ticket of the user whose turn it is; the user goes to the end of the order.
    fn next(&mut self) -> Option<Ticket> {
        let user = self.order.pop_front()?;
        let queue = self.by_user.get_mut(&user)?;
        let ticket = queue.pop_front();
        if queue.is_empty() {
            self.by_user.remove(&user);
        } else {
            self.order.push_back(user);
        }
        ticket
    }
}

#[cfg(test)]
mod tests;
