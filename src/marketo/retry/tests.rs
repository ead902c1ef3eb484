use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use hyper::StatusCode;
use tokio::time::Instant;

use super::*;
use crate::marketo::call::{Body, Call};
use crate::marketo::failure::judge;
use crate::marketo::transport::{NoAnswer, Whole};
use crate::marketo::{InFlight, Moment, OneRun, SYNC_LIMIT};

/// What an attempt meets.
#[derive(Clone, Copy)]
enum Met {
    Success,
    Code(&'static str),
    NotSent,
    Cut,
}

struct Fake {
    pacer: Arc<Pacer>,
    renewable: bool,
    renewed: AtomicU32,
    pauses: Mutex<Vec<Duration>>,
    script: Mutex<VecDeque<Met>>,
    attempts: AtomicU32,
}

impl Fake {
    fn new(script: impl IntoIterator<Item = Met>) -> Self {
        let window = Duration::from_secs(20);
        Self {
            pacer: Arc::new(Pacer::new(1_000, window, 1, 1_000, Arc::new(OneRun::default()))),
            renewable: true,
            renewed: AtomicU32::new(0),
            pauses: Mutex::default(),
            script: Mutex::new(script.into_iter().collect()),
            attempts: AtomicU32::new(0),
        }
    }

    /// What came of a call that is tried at most five times in passing, in how many attempts.
    async fn outcome(&self, call: &Call) -> (Result<(), CallFailure>, u32) {
        let outcome = until_settled((5, Clock::real()), self, self, |_headers, slot| async move {
            drop(slot);
            self.attempts.fetch_add(1, Ordering::Relaxed);
            let met = self.script.lock().unwrap().pop_front().unwrap_or(Met::Success);
            let in_flight = InFlight::left_at(Instant::now(), SYNC_LIMIT, Clock::real());
            judge(call, (Moment::now(), in_flight), met.reply()).map(drop)
        });
        (outcome.await, self.attempts.load(Ordering::Relaxed))
    }
}

impl Met {
    fn reply(self) -> Result<Whole, NoAnswer> {
        let body = match self {
            Self::Success => r#"{"requestId":"a#1","success":true,"result":[]}"#.to_owned(),
            Self::Code(code) => format!(r#"{{"success":false,"errors":[{{"code":"{code}"}}]}}"#),
            Self::NotSent => return Err(NoAnswer::NotSent("refused".to_owned())),
            Self::Cut => return Err(NoAnswer::Lost("cut".to_owned())),
        };
        Ok(Whole { status: StatusCode::OK, headers: HeaderMap::new(), body: body.into() })
    }
}

impl Credentials for Fake {
    async fn headers(&self) -> Result<HeaderMap, CallFailure> {
        Ok(HeaderMap::new())
    }

    async fn renew(&self, _refused: &HeaderMap) -> bool {
        self.renewed.fetch_add(1, Ordering::Relaxed);
        self.renewable
    }
}

impl Turns for Fake {
    async fn next(&self) -> Result<Slot, NoCall> {
        self.pacer.slot().await
    }

    fn slow_down(&self, pause: Duration) {
        self.pauses.lock().unwrap().push(pause);
    }
}

fn read() -> Call {
    Call::get("/rest/v1/leads.json")
}

fn write() -> Call {
    Call::post("/rest/v1/leads.json", Body::Empty, SYNC_LIMIT)
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_in_passing_is_tried_so_often_with_pauses_that_double() {
    let start = Instant::now();
    let (outcome, attempts) = Fake::new([Met::Cut; 9]).outcome(&read()).await;
    assert!(matches!(outcome, Err(CallFailure::Unavailable { attempts: 5, .. })), "{outcome:?}");
    assert_eq!(attempts, 5);
    // 1, 2, 4 and 8 seconds, each between half and one and a half times as long.
    let waited = start.elapsed().as_secs_f64();
    assert!((7.5..=22.5).contains(&waited), "{waited}");

    let (outcome, attempts) = Fake::new([Met::Code("608"), Met::Cut]).outcome(&read()).await;
    assert!(outcome.is_ok() && attempts == 3, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_left_is_never_tried_again_and_one_that_did_not_is() {
    for met in [Met::Cut, Met::Code("604"), Met::Code("611"), Met::Code("699")] {
        let (outcome, attempts) = Fake::new([met]).outcome(&write()).await;
        assert!(matches!(outcome, Err(CallFailure::InDoubt { .. })), "{outcome:?}");
        assert_eq!(attempts, 1);
    }
    let (outcome, attempts) = Fake::new([Met::NotSent, Met::NotSent]).outcome(&write()).await;
    assert!(outcome.is_ok() && attempts == 3, "{outcome:?}");
    let (outcome, attempts) = Fake::new([Met::NotSent; 9]).outcome(&write()).await;
    assert!(matches!(outcome, Err(CallFailure::Unavailable { .. })) && attempts == 5);
}

#[tokio::test(start_paused = true)]
async fn too_many_calls_slow_everybody_down_and_are_no_attempts() {
    let fake = Fake::new([Met::Code("606"); 12]);
    let (outcome, attempts) = fake.outcome(&write()).await;
    assert!(outcome.is_ok() && attempts == 13, "{outcome:?}");
    let pauses = fake.pauses.lock().unwrap().clone();
    assert_eq!(pauses.len(), 12);
    for (place, pause) in pauses.iter().enumerate() {
        let second = f64::from(u32::try_from(place + 1).unwrap().min(5));
        let pause = pause.as_secs_f64();
        assert!((second * 0.5..=second * 1.5).contains(&pause), "{place}: {pause}");
    }

    let fake = Fake::new([Met::Code("615"); 99]);
    let (outcome, attempts) = fake.outcome(&write()).await;
    let Err(CallFailure::Refused(refusal)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((refusal.code.as_str(), attempts), ("615", CROWDED_ATTEMPTS + 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_where_it_can_be_and_is_the_answer_where_not() {
    let (outcome, attempts) = Fake::new([Met::Code("601")]).outcome(&write()).await;
    assert!(outcome.is_ok() && attempts == 2, "{outcome:?}");
    let fake = Fake::new([Met::Code("602"); 9]);
    let (outcome, attempts) = fake.outcome(&write()).await;
    assert!(matches!(outcome, Err(CallFailure::Refused(_))), "{outcome:?}");
    assert_eq!((attempts, fake.renewed.load(Ordering::Relaxed)), (6, RENEWALS));
    let (outcome, attempts) =
        Fake { renewable: false, ..Fake::new([Met::Code("601"); 9]) }.outcome(&write()).await;
    assert!(matches!(outcome, Err(CallFailure::Refused(_))) && attempts == 1, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_a_used_up_budget_end_it_at_once() {
    for code in ["603", "607", "610", "1003"] {
        let (outcome, attempts) = Fake::new([Met::Code(code)]).outcome(&write()).await;
        assert!(matches!(outcome, Err(CallFailure::Refused(_))) && attempts == 1, "{outcome:?}");
    }
    let spent = Arc::new(Pacer::new(9, Duration::from_secs(20), 1, 0, Arc::new(OneRun::default())));
    let (outcome, attempts) = Fake { pacer: spent, ..Fake::new([]) }.outcome(&read()).await;
    assert!(matches!(outcome, Err(CallFailure::NoCall(NoCall::Spent { budget: 0 }))));
    assert_eq!(attempts, 0);
}
