//! The outcome of each record of a write, and the reply in which its writer waits for them.
//!
//! `Submitted => (NotSent | Sent => outcome)`. When a writer has gone, or has waited for too long,
//! its records that have not left do not leave any more. The others go on without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::lead::LeadId;
use crate::leases::LeaseError;
use crate::marketo::{CallFailure, CertificateFault, NoCall, Refusal};

#[derive(Debug, Clone)]
#[non_exhaustive]
pub(crate) enum Outcome {
    /// Marketo's row for it, and the rest of the answer.
    Row {
        /// `id`, `status`, `reasons`.
        row: Value,
        /// Marketo's id of the call.
        request_id: Arc<str>,
        /// Warnings of the answer.
        warnings: Arc<[Value]>,
        /// Whether it became part of a later record of the same key.
        coalesced: bool,
    },
    /// The lead holds all of it already; nothing was sent.
    Unchanged(LeadId),
    /// A preview: no lead has the key.
    WouldCreate,
    /// A preview: this lead has the key.
    WouldUpdate(LeadId),
    /// Several leads have the key, and which is meant cannot be known; nothing was written.
    Several {
        ids: Vec<LeadId>,
        /// Marketo's id of the look-up.
        request_id: Option<Arc<str>>,
    },
    /// The call that it was in was refused, by Marketo or before it left. Nothing was done.
    Refused(Refused),
    /// It was withdrawn before it left.
    NotSent,
    /// It cannot be known.
    Open,
}

/// Why a call was not accepted. Nothing was done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub(crate) enum Refused {
    /// Marketo said no.
    Marketo(Arc<Refusal>),
    /// There is no call left today, or nobody can count it.
    NoCall(NoCall),
    /// Leases cannot be had, and without them nothing is sent.
    Leases(LeaseError),
    /// Marketo's certificate is not to be trusted.
    Untrusted(CertificateFault),
    /// Marketo is not reached, or does not answer.
    Unavailable,
    /// Time and again the leases of its key had ended before the call could leave.
    Withheld,
    /// A fault of this program ended it before it was sent.
    Fault,
}

/// Refusals that are about the token, the endpoint, the limits or the day. Each record of the call
/// would get the same alone.
const SAME_FOR_ALL: [&str; 11] =
    ["401", "600", "601", "602", "603", "605", "606", "607", "608", "610", "615"];

impl Refused {
    /// The refusal that a failed call is; none where it is in doubt, or where its gate knows why.
    pub(super) fn of(failure: CallFailure) -> Option<Self> {
        match failure {
            CallFailure::Refused(refusal) => Some(Self::Marketo(Arc::from(refusal))),
            CallFailure::NoCall(none) => Some(Self::NoCall(none)),
            CallFailure::Untrusted(why) => Some(Self::Untrusted(why)),
            CallFailure::Unavailable { .. }
            | CallFailure::Unreadable { .. }
            | CallFailure::CannotAsk { .. }
            | CallFailure::NoToken(_) => Some(Self::Unavailable),
            CallFailure::InDoubt { .. } | CallFailure::Withheld(_) => None,
        }
    }

    /// Marketo's code for it, or the one that Marketo would give.
    pub(crate) fn code(&self) -> &str {
        match self {
            // Without a code of Marketo's it is `HTTP` and the status.
            Self::Marketo(refusal) => refusal.code.strip_prefix("HTTP ").unwrap_or(&refusal.code),
            Self::NoCall(NoCall::Spent { .. }) => "607",
            Self::Withheld => "606",
            Self::NoCall(NoCall::Uncounted(_))
            | Self::Leases(_)
            | Self::Untrusted(_)
            | Self::Unavailable
            | Self::Fault => "608",
        }
    }

    /// Whether it is about the one call, so that the next one may fare better.
    pub(crate) fn is_of_the_call(&self) -> bool {
        matches!(self, Self::Marketo(_) | Self::Withheld | Self::Fault)
    }

    /// Whether every record of the call would get the same alone.
    pub(super) fn is_same_for_all(&self) -> bool {
        SAME_FOR_ALL.contains(&self.code())
    }
}

/// The end at which a writer waits. Dropping it withdraws the write.
#[derive(Debug)]
pub(crate) struct PendingReply {
    state: Arc<State>,
    outcomes: UnboundedReceiver<(usize, Outcome)>,
    so_far: Vec<Option<Outcome>>,
    missing: usize,
}

/// The end at which its outcomes arrive.
#[derive(Debug)]
pub(super) struct Reply {
    state: Arc<State>,
    outcomes: UnboundedSender<(usize, Outcome)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// In a queue, or at its end.
    AtRest,
    /// In a batch.
    UnderWay,
    /// In a call whose answer was lost.
    InDoubt,
}

#[derive(Debug, Default)]
struct State {
    /// Of each record, as a number.
    whereabouts: Vec<AtomicU8>,
    /// Set when nobody waits for the results any more.
    gone: AtomicBool,
    /// Set when a call with one of the records leaves.
    sent: AtomicBool,
    /// Its places in the queue. They are given back with the last outcome; if nobody waits for that
    /// any more, when the engine is done with the write.
    admitted: Mutex<Vec<OwnedSemaphorePermit>>,
}

/// What a writer knows when it stops waiting.
#[derive(Debug)]
pub(crate) enum Waited {
    /// Every record has its outcome; in their order.
    Done(Vec<Outcome>),
    /// Nothing of it was sent, nor will be.
    NothingSent,
    /// Some of it was sent, and its outcome is open.
    Open,
}

/// Both ends of a reply, for so many records that were let in with these places.
pub(super) fn reply(records: usize, admitted: Vec<OwnedSemaphorePermit>) -> (Reply, PendingReply) {
    let (sender, outcomes) = unbounded_channel();
    let whereabouts = (0..records).map(|_| AtomicU8::new(Whereabouts::AtRest as u8)).collect();
    let state = Arc::new(State { whereabouts, admitted: Mutex::new(admitted), ..State::default() });
    let so_far = vec![None; records];
    let pending = PendingReply { state: Arc::clone(&state), outcomes, so_far, missing: records };
    (Reply { state, outcomes: sender }, pending)
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl PendingReply {
    pub(crate) async fn within(mut self, patience: Duration) -> Waited {
        let all = async { while self.next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_ok() {
            let outcomes: Option<Vec<Outcome>> = self.so_far.iter_mut().map(Option::take).collect();
            // If the engine ended in between, nobody knows of the rest.
            return outcomes.map_or(Waited::Open, Waited::Done);
        }
        // The order matters: see `Reply::may_leave`.
        self.withdraw();
        if self.state.sent.load(Ordering::SeqCst) { Waited::Open } else { Waited::NothingSent }
    }

    /// The next record that has an outcome, by its place among the records; none when all have.
    pub(crate) async fn next(&mut self) -> Option<(usize, Outcome)> {
        while self.missing > 0 {
            let (place, outcome) = self.outcomes.recv().await?;
            if let Some(none @ None) = self.so_far.get_mut(place) {
                *none = Some(outcome.clone());
                self.missing -= 1;
                if self.missing == 0 {
                    // The engine may hold the write for longer, while it releases its leases.
                    self.state.admitted.lock().clear();
                }
                return Some((place, outcome));
            }
        }
        None
    }

    /// Whether a record is in a batch, and not in doubt.
    pub(crate) fn is_under_way(&self) -> bool {
        self.those(Whereabouts::UnderWay).next().is_some()
    }

    /// The places of the records whose call may have been done, or be running still.
    pub(crate) fn in_doubt(&self) -> Vec<usize> {
        self.those(Whereabouts::InDoubt).collect()
    }

    fn those(&self, wanted: Whereabouts) -> impl Iterator<Item = usize> + '_ {
        let all = self.state.whereabouts.iter().enumerate();
        all.filter(move |(_, now)| now.load(Ordering::SeqCst) == wanted as u8)
            .map(|(place, _)| place)
    }

    /// From now on none of the records leaves.
    pub(crate) fn withdraw(&self) {
        self.state.gone.store(true, Ordering::SeqCst);
    }
}

impl Reply {
    /// Notes that one of the records leaves now; false where the writer has gone, and none is to
    /// leave any more. That holds also for what was sent before and not written: the writer may
    /// have written something newer meanwhile, through any guard.
    pub(super) fn may_leave(&self) -> bool {
        // The order matters: whoever runs out of patience sets `gone` first and reads `sent` then.
        let before = self.state.sent.swap(true, Ordering::SeqCst);
        if self.has_gone() {
            if !before {
                self.state.sent.store(false, Ordering::SeqCst);
            }
            return false;
        }
        true
    }

    /// Whether nobody waits for the results any more.
    pub(super) fn has_gone(&self) -> bool {
        self.state.gone.load(Ordering::SeqCst)
    }

    /// Gives one record its outcome; the first that it is given counts.
    pub(super) fn settle(&self, place: usize, outcome: Outcome) {
        // The writer may have gone.
        self.outcomes.send((place, outcome)).ok();
        // The order matters: a record that is at rest has its outcome, if it has one.
        self.is_now(place, Whereabouts::AtRest);
    }

    pub(super) fn is_now(&self, place: usize, whereabouts: Whereabouts) {
        if let Some(now) = self.state.whereabouts.get(place) {
            now.store(whereabouts as u8, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Outcome, Waited, Whereabouts, reply};

    #[test]
    fn nothing_leaves_for_a_writer_that_has_gone_not_even_the_rest_of_what_it_sent() {
        let (reply, pending) = reply(2, Vec::new());
        assert!(reply.may_leave() && reply.may_leave());
        drop(pending);
        assert!(!reply.may_leave());
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_without_patience_is_told_whether_anything_was_sent() {
        let second = Duration::from_secs(1);
        let (_kept, pending) = reply(1, Vec::new());
        assert!(matches!(pending.within(second).await, Waited::NothingSent));
        let (kept, pending) = reply(1, Vec::new());
        assert!(kept.may_leave());
        assert!(matches!(pending.within(second).await, Waited::Open));
        assert!(!kept.may_leave());
    }

    #[tokio::test(start_paused = true)]
    async fn outcomes_come_in_the_order_of_the_records_and_the_first_of_each_counts() {
        let (kept, pending) = reply(2, Vec::new());
        kept.settle(1, Outcome::Unchanged(7));
        kept.settle(1, Outcome::Open);
        kept.settle(0, Outcome::NotSent);
        let Waited::Done(outcomes) = pending.within(Duration::from_secs(1)).await else { panic!() };
        assert!(matches!(outcomes[..], [Outcome::NotSent, Outcome::Unchanged(7)]), "{outcomes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_engine_never_said_is_open() {
        let (kept, pending) = reply(2, Vec::new());
        kept.settle(1, Outcome::NotSent);
        drop(kept);
        assert!(matches!(pending.within(Duration::from_secs(1)).await, Waited::Open));
    }

    #[tokio::test]
    async fn a_writer_that_stops_knows_what_is_in_doubt_and_what_is_still_under_way() {
        let (kept, pending) = reply(3, Vec::new());
        assert!(!pending.is_under_way());
        kept.is_now(0, Whereabouts::UnderWay);
        kept.is_now(1, Whereabouts::UnderWay);
        kept.is_now(1, Whereabouts::InDoubt);
        assert!(pending.is_under_way());
        kept.settle(0, Outcome::NotSent);
        assert!(!pending.is_under_way());
        assert_eq!(pending.in_doubt(), [1]);
        kept.settle(1, Outcome::Unchanged(7));
        assert_eq!(pending.in_doubt(), [0_usize; 0]);
    }

    #[tokio::test]
    async fn a_place_is_free_with_the_last_outcome_though_the_engine_still_has_the_write() {
        let places = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let place = std::sync::Arc::clone(&places).try_acquire_owned().unwrap();
        let (kept, mut pending) = reply(2, vec![place]);
        kept.settle(0, Outcome::NotSent);
        assert!(pending.next().await.is_some());
        assert_eq!(places.available_permits(), 0, "one record has no outcome yet");
        kept.settle(1, Outcome::NotSent);
        assert!(pending.next().await.is_some());
        assert_eq!(places.available_permits(), 1);
        drop(kept);
    }
}
