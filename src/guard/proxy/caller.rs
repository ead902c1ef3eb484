//! A caller that waits for the results of its records, which may come from several calls and in any
//! order.
//!
//! It gets them in the order in which it sent the records. When its patience ends before, it is
//! told the truth as far as it is known: that nothing was sent, or that the outcome is open. The
//! records that have left go on without it, and no other leaves any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::answer::{Answer, skipped};
use super::incoming::Envelope;
use super::user::ApiUser;

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) user: ApiUser,
    pub(super) envelope: Arc<Envelope>,
    /// The headers that its call goes out with, its own Authorization among them.
    pub(super) headers: HeaderMap,
    /// What other callers must agree in to leave with it.
    pub(super) agreement: [u8; 32],
    pub(super) since: Instant,
    state: Mutex<State>,
    /// Set when nobody waits for the results any more.
    gone: AtomicBool,
    /// Set when a call with one of its records leaves.
    sent: AtomicBool,
    /// Its places in the bounded queues.
    _places: [OwnedSemaphorePermit; 2],
}

/// What became of one record.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// Marketo's row for it, with what else the answer said.
    Row { row: Value, request_id: Arc<str>, warnings: Arc<[Value]> },
    /// Marketo refused the call that it was in, or the proxy had to. Nothing was done.
    Refused { answer: Answer, code: Arc<str>, message: Arc<str> },
    /// It cannot be known.
    Unknown,
}

#[derive(Debug)]
struct State {
    outcomes: Vec<Option<Outcome>>,
    open: usize,
    reply: Option<oneshot::Sender<Ending>>,
}

/// The end at which the answer arrives.
#[derive(Debug)]
pub(super) struct Waiting {
    caller: Arc<Caller>,
    answer: oneshot::Receiver<Ending>,
}

/// The caller hung up, or ran out of patience: what has not left is not sent.
impl Drop for Waiting {
    fn drop(&mut self) {
        self.caller.gone.store(true, Ordering::SeqCst);
    }
}

/// What patience ended with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Answered(Answer),
    /// Nothing of it was sent, nor will be.
    NothingSent,
    /// Some of it was sent, and its outcome is open.
    Open,
}

impl Waiting {
    /// Waits, but no longer than this.
    pub(super) async fn within(mut self, patience: Duration) -> Ending {
        match tokio::time::timeout(patience, &mut self.answer).await {
            Ok(Ok(ending)) => ending,
            // All records were given up together with their caller.
            Ok(Err(_dropped)) => Ending::Open,
            Err(_elapsed) => {
                self.caller.gone.store(true, Ordering::SeqCst);
                if self.caller.sent.load(Ordering::SeqCst) {
                    Ending::Open
                } else {
                    Ending::NothingSent
                }
            }
        }
    }
}

impl Caller {
    /// A caller with so many records, and the end at which its answer arrives.
    pub(super) fn new(
        user: ApiUser,
        envelope: Arc<Envelope>,
        headers: HeaderMap,
        records: usize,
        places: [OwnedSemaphorePermit; 2],
    ) -> (Arc<Self>, Waiting) {
        let (reply, answer) = oneshot::channel();
        let agreement = envelope.agreement(&headers);
        let state = State { outcomes: vec![None; records], open: records, reply: Some(reply) };
        let caller = Arc::new(Self {
            user,
            envelope,
            headers,
            agreement,
            since: Instant::now(),
            state: Mutex::new(state),
            gone: AtomicBool::new(false),
            sent: AtomicBool::new(false),
            _places: places,
        });
        (Arc::clone(&caller), Waiting { caller, answer })
    }

    /// Notes that one of its records leaves now; false where its caller is gone and none is to
    /// leave any more. That holds for what was sent before and not written, too: its caller may
    /// have written something newer meanwhile, through whichever guard.
    pub(super) fn may_leave(&self) -> bool {
        // The order matters: whoever runs out of patience sets `gone` first and reads `sent` then.
        let before = self.sent.swap(true, Ordering::SeqCst);
        if self.gone.load(Ordering::SeqCst) {
            if !before {
                self.sent.store(false, Ordering::SeqCst);
            }
            return false;
        }
        true
    }

    /// Whether nobody waits for the results any more.
    pub(super) fn has_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Gives one record its outcome; the last one answers the caller.
    pub(super) fn settle(&self, record: usize, outcome: Outcome) {
        let mut state = self.state();
        let Some(place @ None) = state.outcomes.get_mut(record) else { return };
        *place = Some(outcome);
        state.open -= 1;
        if state.open > 0 {
            return;
        }
        let outcomes = std::mem::take(&mut state.outcomes);
        if let Some(reply) = state.reply.take() {
            // Nobody waits any more: the outcome is Marketo's all the same.
            drop(reply.send(together(outcomes.into_iter().flatten().collect())));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic between its statements is not possible.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one answer of all outcomes. Where a record's is open, so is the call's: a caller that sends
/// it again is safe here.
fn together(outcomes: Vec<Outcome>) -> Ending {
    if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Unknown)) {
        return Ending::Open;
    }
    let all_refused = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Refused { .. }));
    let mut rows = Vec::with_capacity(outcomes.len());
    let mut last_id: Arc<str> = "".into();
    let mut warnings: Vec<Value> = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Refused { answer, .. } if all_refused => return Ending::Answered(answer),
            Outcome::Refused { code, message, .. } => rows.push(skipped(&code, &message)),
            Outcome::Row { row, request_id, warnings: said } => {
                rows.push(row);
                last_id = request_id;
                let new: Vec<Value> =
                    said.iter().filter(|one| !warnings.contains(one)).cloned().collect();
                warnings.extend(new);
            }
            Outcome::Unknown => {}
        }
    }
    Ending::Answered(Answer::rows(&last_id, &rows, &warnings))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use hyper::{HeaderMap, Method, StatusCode};
    use serde_json::json;
    use tokio::sync::Semaphore;

    use super::{Answer, Caller, Ending, Outcome, Waiting, together};
    use crate::guard::proxy::incoming;
    use crate::guard::proxy::route::Verb;
    use crate::guard::proxy::user::ApiUser;

    fn row(id: u64) -> Outcome {
        Outcome::Row {
            row: json!({"id": id, "status": "updated"}),
            request_id: format!("a#{id}").into(),
            warnings: Arc::new([json!("careful")]),
        }
    }

    fn refused() -> Outcome {
        let answer = Answer::refused("a#1", "603", "Access denied");
        Outcome::Refused { answer, code: "603".into(), message: "Access denied".into() }
    }

    fn text(ending: Ending) -> String {
        let Ending::Answered(answer) = ending else { panic!("{ending:?}") };
        assert_eq!(answer.status, StatusCode::OK);
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    fn caller() -> (Arc<Caller>, Waiting) {
        let body = br#"{"input": [{"email": "a@example.com"}, {"email": "b@example.com"}]}"#;
        let write =
            incoming::read(Verb::Sync, &Method::POST, "/rest/v1/leads.json", body, "x").unwrap();
        let places = Arc::new(Semaphore::new(2));
        let places =
            [places.clone().try_acquire_owned().unwrap(), places.try_acquire_owned().unwrap()];
        Caller::new(ApiUser::named("crm"), write.envelope, HeaderMap::new(), 2, places)
    }

    #[test]
    fn nothing_leaves_for_a_caller_that_has_gone_not_even_the_rest_of_what_it_sent() {
        let (caller, waiting) = caller();
        assert!(caller.may_leave() && caller.may_leave());
        drop(waiting);
        assert!(!caller.may_leave());
    }

    #[tokio::test]
    async fn a_caller_without_patience_is_told_whether_anything_was_sent() {
        let (_caller, waiting) = caller();
        assert_eq!(waiting.within(Duration::ZERO).await, Ending::NothingSent);
        let (caller, waiting) = self::caller();
        assert!(caller.may_leave());
        assert_eq!(waiting.within(Duration::ZERO).await, Ending::Open);
        assert!(!caller.may_leave());
    }

    #[test]
    fn rows_come_in_the_order_of_the_records_under_the_last_calls_id() {
        assert_eq!(
            text(together(vec![row(7), row(3)])),
            r#"{"requestId":"a#3","result":[{"id":7,"status":"updated"},{"id":3,"status":"updated"}],"success":true,"warnings":["careful"]}"#
        );
    }

    #[test]
    fn a_refusal_of_everything_is_passed_on_and_one_of_a_part_is_told_record_by_record() {
        assert!(text(together(vec![refused(), refused()])).contains("\"success\":false"));
        let mixed = text(together(vec![row(7), refused()]));
        assert!(mixed.contains("\"success\":true") && mixed.contains("\"603\""), "{mixed}");
    }

    #[test]
    fn what_is_open_for_one_record_is_open_for_the_call() {
        assert_eq!(together(vec![row(7), Outcome::Unknown]), Ending::Open);
    }
}
