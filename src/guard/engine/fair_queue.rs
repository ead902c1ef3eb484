//! Who calls next: above the limits of the instance, which hold for all writers together, the API
//! users take turns (round-robin). A user that floods waits in its own queue, and the others do not
//! notice.
//!
//! Writes that can share a call linger where calls are scarce. Calls that leave one every so often
//! take along what came meanwhile; the same calls, all at once, would carry a few records each and
//! leave nothing for the rest of the window.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::request::ApiUser;
use crate::marketo::{NoCall, Pacer, Share, Slot, Uncounted};

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

    /// Lets a moment pass where calls are scarce. On an idle guard it is none.
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

    /// Waits for a turn of this user.
    pub(crate) async fn next(&self, user: &ApiUser) -> Turn {
        // Where nobody waits there is nobody whose turn it could be instead.
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

    /// Marketo said that there are too many calls: everybody waits, and goes on more slowly.
    pub(crate) fn slow_down(&self, pause: Duration) {
        self.pacer.slow_down(pause);
    }

    /// From now on no more than this part of the limits is used.
    pub(super) fn limit_to(&self, part: Share) {
        self.pacer.limit_to(part);
    }

    /// The part of the limits that is used at this moment.
    pub(super) fn used(&self) -> Share {
        self.pacer.used()
    }

    /// Calls in flight, and how long each answered call still counts in the window.
    pub(super) fn still_counts(&self) -> (usize, Vec<Duration>) {
        self.pacer.still_counts()
    }

    /// Most calls in flight at one moment since this was last asked.
    pub(super) fn most_at_once(&self) -> usize {
        self.pacer.most_at_once()
    }

    /// Calls made so far today, by all that count in the same place.
    pub(crate) fn made_today(&self) -> u64 {
        self.pacer.made_today()
    }

    /// Those who wait for a turn.
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
        // The turn comes first and the user second: whoever came meanwhile has a chance too. In a
        // task of its own, so that a fault in counting does not end this one.
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
