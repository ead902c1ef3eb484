//! A Marketo in memory, for the tests of the engine: it races as the real one does, loses answers,
//! and runs on the paused clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::guard::engine::calls::Calls;
use crate::guard::engine::events::{Event, Observer};
use crate::guard::engine::fair_queue::FairQueue;
use crate::guard::engine::outcome::PendingReply;
use crate::guard::engine::queue::WriteQueue;
use crate::guard::engine::request::{ApiUser, Envelope, Record, WriteRequest};
use crate::guard::engine::sender::Sender;
use crate::guard::engine::settings::EngineSettings;
use crate::guard::engine::unit::{Submitted, Unit};
use crate::lead::Lead;
use crate::leases::{Lease, LeaseKey, SharedLeases, Terms};
use crate::marketo::{
    CallFailure, Clock, Found, InFlight, MarketoTime, Moment, OneRun, Pacer, Refusal, SYNC_LIMIT,
    SendGate, Turns, Written,
};

/// What happens to the next write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The answer is lost, and the write is done after so long.
    LostAndDone(Duration),
    /// The answer is lost, and nothing is done.
    LostAndNotDone,
    /// It is refused as a whole with this code.
    Refused(&'static str),
    /// It takes so long.
    Slow(Duration),
    /// The answer has no row for its last record.
    ShortRows,
    /// The sender panics when the write may have left.
    Panic,
    /// This machine sleeps for so long right before the write leaves.
    Sleep(Duration),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FakeMarketo {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    leads: BTreeMap<u64, Map<String, Value>>,
    faults: VecDeque<Fault>,
    /// The body of each write, and when it left.
    writes: Vec<(Instant, Value)>,
    look_ups: usize,
    /// Refused to those who look.
    look_up_refused: Option<&'static str>,
    /// Keys that are being written at this moment.
    writing: BTreeSet<String>,
    /// Keys that were written twice at one moment.
    overlapped: BTreeSet<String>,
}

fn epoch() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// When the test began, by Marketo's clock: tests do not last for days.
fn wall(now: Instant) -> DateTime<Utc> {
    thread_local!(static START: Instant = Instant::now());
    let since = START.with(|start| now.saturating_duration_since(*start));
    epoch() + chrono::Duration::from_std(since).unwrap()
}

impl FakeMarketo {
    pub(crate) fn with(self, fault: Fault) -> Self {
        self.state.lock().faults.push_back(fault);
        self
    }

    /// A lead that was there before.
    pub(crate) fn put(&self, id: u64, fields: &Value) {
        let mut fields = fields.as_object().unwrap().clone();
        fields.insert("createdAt".to_owned(), json!("2020-01-01T00:00:00Z"));
        self.state.lock().leads.insert(id, fields);
    }

    pub(crate) fn refuse_look_ups(&self, code: &'static str) {
        self.state.lock().look_up_refused = Some(code);
    }

    pub(crate) fn fail_next(&self, fault: Fault) {
        self.state.lock().faults.push_back(fault);
    }

    /// The bodies of all writes.
    pub(crate) fn writes(&self) -> Vec<Value> {
        self.state.lock().writes.iter().map(|(_, body)| body.clone()).collect()
    }

    /// When each write left.
    pub(crate) fn left(&self) -> Vec<Instant> {
        self.state.lock().writes.iter().map(|(left, _)| *left).collect()
    }

    pub(crate) fn look_ups(&self) -> usize {
        self.state.lock().look_ups
    }

    pub(crate) fn lead(&self, id: u64) -> Value {
        json!(self.state.lock().leads.get(&id))
    }

    /// How many leads have this email.
    pub(crate) fn with_email(&self, email: &str) -> usize {
        let state = self.state.lock();
        state.leads.values().filter(|fields| fields.get("email") == Some(&json!(email))).count()
    }

    /// No two writes of a key were ever under way at once.
    pub(crate) fn assert_one_at_a_time(&self) {
        assert!(self.state.lock().overlapped.is_empty());
    }

    fn begin(&self, body: &Value) -> Vec<String> {
        let keys = body["input"].as_array().unwrap().iter();
        let keys: Vec<String> =
            keys.filter_map(|record| Some(record.get("email")?.as_str()?.to_owned())).collect();
        let mut state = self.state.lock();
        state.writes.push((Instant::now(), body.clone()));
        for key in &keys {
            if !state.writing.insert(key.clone()) {
                state.overlapped.insert(key.clone());
            }
        }
        keys
    }

    fn end(&self, keys: &[String]) {
        let mut state = self.state.lock();
        for key in keys {
            state.writing.remove(key);
        }
    }

    /// Does what a body asks for, record by record.
    fn apply(&self, body: &Value) -> Vec<Value> {
        let mut state = self.state.lock();
        let action = body["action"].as_str().unwrap_or("createOrUpdate").to_owned();
        let field = body["lookupField"].as_str().unwrap_or("email").to_owned();
        let records = body["input"].as_array().unwrap();
        records.iter().map(|record| state.apply(&action, &field, record)).collect()
    }
}

impl State {
    fn apply(&mut self, action: &str, field: &str, record: &Value) -> Value {
        let skipped =
            |code: &str| json!({"status": "skipped", "reasons": [{"code": code, "message": "no"}]});
        let fields = record.as_object().unwrap().clone();
        if fields.values().any(|value| value == "bad") {
            return skipped("1003");
        }
        let is_meant = |id: &u64, held: &Map<String, Value>| {
            if field == "id" {
                record["id"] == json!(id)
            } else {
                held.get(field) == record.get(field)
            }
        };
        let matches: Vec<u64> =
            self.leads.iter().filter(|(id, held)| is_meant(id, held)).map(|(id, _)| *id).collect();
        match (action, matches.as_slice()) {
            ("createOnly", [_, ..]) => skipped("1005"),
            ("updateOnly", []) => skipped("1004"),
            (_, [_, _, ..]) => skipped("1007"),
            (_, [id]) => {
                let held = self.leads.get_mut(id).unwrap();
                held.extend(fields.into_iter().filter(|(name, _)| name != "id"));
                json!({"id": id, "status": "updated"})
            }
            (_, []) => {
                let id = self.leads.keys().last().copied().unwrap_or(0).max(100) + 1;
                let mut held = fields;
                let now = wall(Instant::now()).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                held.insert("createdAt".to_owned(), json!(now));
                self.leads.insert(id, held);
                json!({"id": id, "status": "created"})
            }
        }
    }
}

fn refusal(code: &str) -> CallFailure {
    CallFailure::Refused(Box::new(Refusal::for_tests(code, "no", Vec::new().into())))
}

impl Sender for FakeMarketo {
    type Origin = ();

    async fn look_up(
        &self,
        _origin: &(),
        field: &str,
        values: &[&str],
        _fields: &[&str],
        turns: &impl Turns,
    ) -> Result<Found, CallFailure> {
        let _slot = turns.next().await.map_err(CallFailure::NoCall)?;
        let asked = Instant::now();
        // Of paused time: a look-up takes some, so that others can come in between.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut state = self.state.lock();
        state.look_ups += 1;
        if let Some(code) = state.look_up_refused {
            return Err(refusal(code));
        }
        let is_meant = |held: &Map<String, Value>| {
            held.get(field).and_then(Value::as_str).is_some_and(|value| values.contains(&value))
        };
        let leads = state.leads.iter().filter(|(_, held)| is_meant(held)).map(|(id, held)| {
            let mut lead = Lead::new(*id);
            for (name, value) in held {
                lead.set(name, value.clone());
            }
            lead
        });
        let heard = Instant::now();
        let clock = Some(MarketoTime { date: wall(heard), asked, heard });
        let request_id = Some("a#1".to_owned());
        Ok(Found { leads: leads.collect(), request_id, clock, since: Moment::now() })
    }

    async fn lead_fields(
        &self,
        _origin: &(),
        turns: &impl Turns,
    ) -> Result<BTreeSet<String>, CallFailure> {
        let _slot = turns.next().await.map_err(CallFailure::NoCall)?;
        Ok(["email", "createdAt", "leadScore"].map(str::to_owned).into())
    }

    async fn write(
        &self,
        _origin: &(),
        body: Vec<u8>,
        turns: &impl Turns,
        gate: &impl SendGate,
    ) -> Result<Written, CallFailure> {
        let slot = turns.next().await.map_err(CallFailure::NoCall)?;
        let fault = self.state.lock().faults.pop_front();
        if let Some(Fault::Sleep(span)) = fault {
            tokio::time::advance(span).await;
        }
        if let Err(withheld) = gate.ask().await {
            slot.unused();
            return Err(CallFailure::Withheld(withheld));
        }
        let body: Value = serde_json::from_slice(&body).unwrap();
        let in_flight = InFlight::left_at(Instant::now(), SYNC_LIMIT, Clock::real());
        let in_doubt =
            CallFailure::InDoubt { what: "lost".into(), code: None, request_id: None, in_flight };
        let keys = self.begin(&body);
        let mut rows = match fault {
            Some(Fault::LostAndDone(after)) => {
                let marketo = self.clone();
                tokio::spawn(async move {
                    // Of paused time: Marketo does it so long after its answer was lost.
                    tokio::time::sleep(after).await;
                    marketo.apply(&body);
                    marketo.end(&keys);
                });
                return Err(in_doubt);
            }
            Some(Fault::LostAndNotDone) => {
                self.end(&keys);
                return Err(in_doubt);
            }
            Some(Fault::Refused(code)) => {
                self.end(&keys);
                return Err(refusal(code));
            }
            Some(Fault::Panic) => panic!("as it was meant to"),
            Some(Fault::Slow(span)) => {
                tokio::time::sleep(span).await;
                self.apply(&body)
            }
            Some(Fault::ShortRows | Fault::Sleep(_)) | None => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                self.apply(&body)
            }
        };
        self.end(&keys);
        if matches!(fault, Some(Fault::ShortRows)) {
            rows.pop();
        }
        let request_id = Some("b#2".to_owned());
        Ok(Written { request_id, rows, warnings: Vec::new(), in_flight })
    }
}

/// Events, as they are written in a test.
#[derive(Debug, Default)]
pub(crate) struct Events(pub(crate) Mutex<Vec<String>>);

impl Observer for Events {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().push(format!("{event:?}"));
    }
}

pub(crate) fn pacer(at_once: usize) -> Arc<Pacer> {
    let second = Duration::from_secs(1);
    Arc::new(Pacer::new(1_000, second, at_once, 1_000_000, Arc::new(OneRun::default())))
}

/// What the steps of a batch work with.
pub(crate) fn calls(marketo: &FakeMarketo, leases: &SharedLeases) -> Calls<FakeMarketo> {
    let turns = Arc::new(FairQueue::new(pacer(10)));
    Calls::new(marketo.clone(), leases.clone(), turns, EngineSettings::default())
}

pub(crate) fn memory() -> SharedLeases {
    SharedLeases::memory(Terms::default())
}

/// A write of these records by this user.
pub(crate) fn request(user: &str, envelope: Envelope, records: &[Value]) -> WriteRequest<()> {
    let read = |record: &Value| Record::of_fields(record.as_object().unwrap(), &envelope, "test");
    WriteRequest {
        user: ApiUser::named(user),
        origin: (),
        fingerprint: [0; 32],
        records: records.iter().map(read).collect(),
        envelope,
        admitted: Vec::new(),
    }
}

/// The units of one call with these writes, and their writers.
pub(crate) fn units(writes: Vec<WriteRequest<()>>) -> (Vec<Unit<()>>, Vec<PendingReply>) {
    let (mut queue, mut pending) = (WriteQueue::taking(1), Vec::new());
    let user = writes[0].user.clone();
    for write in writes {
        let (request, records, waiting) = Submitted::of(write);
        queue.enter(&request, records);
        pending.push(waiting);
    }
    (queue.take(&user, &mut Vec::new()), pending)
}

pub(crate) fn key(email: &str) -> BTreeSet<LeaseKey> {
    LeaseKey::of("test", "email", email).into_iter().collect()
}

/// Whether nobody holds the lease of an email, which another guard may take then.
pub(crate) async fn is_free(leases: &SharedLeases, email: &str) -> bool {
    let got: Vec<Lease> = leases.try_acquire(&key(email)).await.unwrap();
    let is_free = !got.is_empty();
    leases.release(got).await.unwrap();
    is_free
}
