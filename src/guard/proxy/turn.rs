//! Who calls next: above the limits of the instance, which hold for all callers together, the API
//! users take turns. A user that floods waits in its own line, and the others do not notice.
//!
//! Writes that can share a call gather first where calls are scarce: calls that leave one every so
//! often take along what came meanwhile, while the same calls, all at once, would carry a few
//! records each and leave nothing for the rest of the window.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::user::ApiUser;
use crate::marketo::{NoCall, Pacer, Share, Slot};

/// The lines in front of the pacer. Dropping it ends its task.
#[derive(Debug)]
pub(super) struct Turns {
    pacer: Arc<Pacer>,
    lines: Arc<Lines>,
    usher: JoinHandle<()>,
    /// When the last call for which was gathered leaves or left.
    gathered: Mutex<Option<Instant>>,
}

type Ticket = oneshot::Sender<Result<Slot, NoCall>>;

#[derive(Debug, Default)]
struct Lines {
    waiting: Mutex<Waiting>,
    somebody_came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    by_user: BTreeMap<ApiUser, VecDeque<Ticket>>,
    /// The users that have a line, the next one first.
    order: VecDeque<ApiUser>,
}

impl Turns {
    /// Starts the task that gives out the turns. Needs a runtime.
    pub(super) fn new(pacer: Arc<Pacer>) -> Self {
        let lines = Arc::new(Lines::default());
        let usher = tokio::spawn(usher(Arc::clone(&pacer), Arc::clone(&lines)));
        Self { pacer, lines, usher, gathered: Mutex::default() }
    }

    /// Lets a moment pass where calls are scarce. On an idle proxy it is none.
    pub(super) async fn gather(&self) {
        let spacing = self.pacer.spacing();
        if !spacing.is_zero() {
            let until = {
                // One value is whole after every statement.
                let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                let until = gathered.map_or(now, |last| now.max(last + spacing));
                *gathered = Some(until);
                until
            };
            tokio::time::sleep_until(until).await;
        }
    }

    /// Waits for a turn of this user.
    pub(super) async fn next(&self, user: &ApiUser) -> Result<Slot, NoCall> {
        // Where nobody waits there is nobody whose turn it could be instead.
        if self.lines.waiting().is_empty()
            && let Some(turn) = self.pacer.slot_at_once()
        {
            return turn;
        }
        let (ticket, turn) = oneshot::channel();
        self.lines.waiting().enter(user, ticket);
        self.lines.somebody_came.notify_one();
        // The usher never drops a ticket; were it gone, nothing could be sent any more.
        turn.await.unwrap_or(Err(NoCall::Spent { budget: 0 }))
    }

    /// Marketo said that there are too many calls: everybody waits, and goes on more slowly.
    pub(super) fn slow_down(&self, pause: Duration) {
        self.pacer.slow_down(pause);
    }

    /// From now on no more than this part of the limits is used.
    pub(super) fn limit_to(&self, part: Share) {
        self.pacer.limit_to(part);
    }

    /// What is used of the limits at this moment.
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

    /// Calls made so far today, by whoever counts in the same place.
    pub(super) fn made_today(&self) -> u64 {
        self.pacer.made_today()
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.usher.abort();
    }
}

async fn usher(pacer: Arc<Pacer>, lines: Arc<Lines>) {
    loop {
        while lines.waiting().is_empty() {
            lines.somebody_came.notified().await;
        }
        // The right to call comes first and the user second: whoever came meanwhile has its turn
        // too.
        let mut right = pacer.slot().await;
        loop {
            let Some(ticket) = lines.waiting().next() else {
                if let Ok(slot) = right {
                    slot.unused();
                }
                break;
            };
            // Somebody who does not wait any more passes the right on.
            match ticket.send(right) {
                Ok(()) => break,
                Err(back) => right = back,
            }
        }
    }
}

impl Lines {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Lines and order are changed together under the lock, by statements that do not panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn enter(&mut self, user: &ApiUser, ticket: Ticket) {
        let line = self.by_user.entry(user.clone()).or_default();
        if line.is_empty() {
            self.order.push_back(user.clone());
        }
        line.push_back(ticket);
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The first ticket of the user whose turn it is; the user goes to the end of the order.
    fn next(&mut self) -> Option<Ticket> {
        let user = self.order.pop_front()?;
        let line = self.by_user.get_mut(&user)?;
        let ticket = line.pop_front();
        if line.is_empty() {
            self.by_user.remove(&user);
        } else {
            self.order.push_back(user);
        }
        ticket
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Turns;
    use crate::guard::proxy::user::ApiUser;
    use crate::marketo::{OneRun, Pacer};

    #[tokio::test(start_paused = true)]
    async fn a_user_that_floods_does_not_keep_another_waiting() {
        let turns = Arc::new(Turns::new(Arc::new(Pacer::new(
            2,
            Duration::from_secs(1),
            2,
            1_000,
            Arc::new(OneRun::default()),
        ))));
        for _ in 0..100 {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move { drop(turns.next(&ApiUser::named("flood")).await.unwrap()) });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        for _ in 0..3 {
            drop(turns.next(&ApiUser::named("quiet")).await.unwrap());
        }
        assert!(start.elapsed() <= Duration::from_secs(4), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_share_a_call_gathers_where_calls_are_scarce_and_only_there() {
        let window = Duration::from_secs(20);
        let turns =
            Turns::new(Arc::new(Pacer::new(100, window, 10, 10_000, Arc::new(OneRun::default()))));
        let user = ApiUser::named("crm");
        let start = Instant::now();
        let mut left = Vec::new();
        for _ in 0..500 {
            turns.gather().await;
            drop(turns.next(&user).await.unwrap());
            left.push(start.elapsed());
        }
        assert_eq!(left[50], Duration::ZERO, "half a window's calls are free");
        for pair in left[200..].windows(2) {
            assert!(pair[1] >= pair[0] + Duration::from_millis(100), "{pair:?}");
        }
        let windows = (left[499].as_secs_f64() - left[99].as_secs_f64()) / window.as_secs_f64();
        let share = 4.0 / windows;
        assert!(share >= 0.97, "{share} of the limit is used");
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_nobody_waits_for_any_more_is_the_next_ones() {
        let turns = Turns::new(Arc::new(Pacer::new(
            1,
            Duration::from_secs(20),
            1,
            10,
            Arc::new(OneRun::default()),
        )));
        let user = ApiUser::named("crm");
        let held = turns.next(&user).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), turns.next(&user)).await.is_err());
        drop(held);
        let start = Instant::now();
        drop(turns.next(&user).await.unwrap());
        assert_eq!((start.elapsed().as_secs(), turns.made_today()), (20, 2));
    }
}
