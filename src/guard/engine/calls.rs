//! One call for a batch. It takes its turn among the users, keeps its leases while it waits, and
//! renews them right before it leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::events::Event;
use super::evidence::Evidence;
use super::fair_queue::FairQueue;
use super::hold::Hold;
use super::outcome::Refused;
use super::request::{ApiUser, WriteMode};
use super::sender::Sender;
use super::settings::EngineSettings;
use super::unit::{Submitted, Unit, may_leave};
use crate::leases::{Lease, LeaseError, LeaveBy, SharedLeases};
use crate::marketo::{
    CallFailure, InFlight, Kind, Meaning, NoCall, SendGate, Slot, Turns, Withheld, Written,
    in_words,
};

/// All that the steps of a batch work with.
#[derive(Debug)]
pub(super) struct Calls<S> {
    pub(super) sender: S,
    pub(super) hold: Hold,
    pub(super) turns: Arc<FairQueue>,
    pub(super) settings: EngineSettings,
    /// The fields of this instance that decide about a winner; read once.
    pub(super) winner_fields: OnceCell<BTreeSet<String>>,
}

/// Why a write has no rows.
#[derive(Debug)]
pub(super) enum NotWritten {
    /// Nothing was done.
    Refused(Refused),
    /// Its leases had ended before it left, or one of its writers had gone: nothing was sent.
    Withheld,
    /// It may have been done (law 4).
    InDoubt(InFlight),
}

impl<S: Sender> Calls<S> {
    pub(super) fn new(
        sender: S,
        leases: SharedLeases,
        turns: Arc<FairQueue>,
        settings: EngineSettings,
    ) -> Self {
        let hold = Hold::new(leases, settings.clock);
        Self { sender, hold, turns, settings, winner_fields: OnceCell::new() }
    }

    pub(super) fn tell(&self, event: &Event<'_>) {
        self.settings.observer.event(event);
    }

    /// The leads that have the keys of these units, by key. Their leases are kept meanwhile.
    pub(super) async fn look_up(
        &self,
        request: &Submitted<S::Origin>,
        units: &[Unit<S::Origin>],
        fields: &BTreeSet<String>,
        slot: Option<Slot>,
    ) -> Result<Evidence, Refused> {
        let keys: BTreeSet<&str> = units.iter().filter_map(Unit::key).collect();
        let keys: Vec<&str> = keys.into_iter().collect();
        let field = &request.envelope.lookup;
        let fields: BTreeSet<&str> =
            fields.iter().map(String::as_str).chain(["id", field]).collect();
        let fields: Vec<&str> = fields.into_iter().collect();
        let leases = leases_of(units);
        let turn = self.turn(&request.user, &[], slot);
        let look_up = self.sender.look_up(&request.origin, field, &keys, &fields, &turn);
        let found = self.hold.keep_during(&leases, look_up).await;
        turn.end();
        found
            .map(|found| Evidence::of(&request.envelope, found))
            .map_err(|failure| self.refused(request, failure))
    }

    /// The fields that leads can be asked for. The leases of these units are kept meanwhile.
    pub(super) async fn lead_fields(
        &self,
        request: &Submitted<S::Origin>,
        units: &[Unit<S::Origin>],
    ) -> Result<BTreeSet<String>, Refused> {
        let leases = leases_of(units);
        let turn = self.turn(&request.user, &[], None);
        let fields = self.sender.lead_fields(&request.origin, &turn);
        let fields = self.hold.keep_during(&leases, fields).await;
        fields.map_err(|failure| self.refused(request, failure))
    }

    /// Writes units that agree and whose leases are held.
    pub(super) async fn write(
        &self,
        request: &Submitted<S::Origin>,
        units: &[Unit<S::Origin>],
        mode: WriteMode,
        slot: Option<Slot>,
    ) -> Result<Written, NotWritten> {
        let body = request.envelope.body(mode, units.iter().map(|unit| &unit.raw));
        let leases = leases_of(units);
        let turn = self.turn(&request.user, &leases, slot);
        let gate = Gate { hold: &self.hold, leases: &leases, units, closed: Mutex::default() };
        let written = self.sender.write(&request.origin, body, &turn, &gate).await;
        turn.end();
        written.map_err(|failure| match failure {
            CallFailure::InDoubt { what, code, request_id, in_flight } => {
                // Marketo's own words may quote a person's value, so the log has the code alone.
                let what = code.map_or(what, |code| format!("Marketo said {code}").into());
                tracing::warn!(
                    user = %request.user, %what, request_id, records = units.len(),
                    "an outcome is unclear, and is settled by looking"
                );
                NotWritten::InDoubt(in_flight)
            }
            CallFailure::Withheld(_) => match gate.closed.into_inner() {
                Some(error @ LeaseError::Unavailable { .. }) => {
                    NotWritten::Refused(no_leases(error))
                }
                _ => NotWritten::Withheld,
            },
            failure => NotWritten::Refused(self.refused(request, failure)),
        })
    }

    fn turn<'a>(
        &'a self,
        user: &'a ApiUser,
        kept: &'a [&'a Lease],
        first: Option<Slot>,
    ) -> Turn<'a, S> {
        Turn { calls: self, user, kept, first: Mutex::new(first) }
    }

    /// Why nothing was done. A read is never in doubt, and has no gate.
    fn refused(&self, request: &Submitted<S::Origin>, failure: CallFailure) -> Refused {
        let refused = Refused::of(failure).unwrap_or(Refused::Unavailable);
        match &refused {
            Refused::Marketo(refusal) if refusal.meaning == Meaning::TokenRefused => {
                let (user, code) = (&request.user, refused.code());
                self.tell(&Event::TokenRefused { user, code });
            }
            Refused::NoCall(none) => told(none),
            _ => {}
        }
        refused
    }
}

/// There is no call for a batch. The log says so where that is a fault.
pub(super) fn told(none: &NoCall) {
    if let NoCall::Uncounted(error) = none {
        tracing::error!(%error, "a call is refused");
    }
}

/// The lease store does not answer: nothing is sent.
pub(super) fn no_leases(error: LeaseError) -> Refused {
    tracing::error!(error = in_words(&error), "a write is refused");
    Refused::Leases(error)
}

fn leases_of<O>(units: &[Unit<O>]) -> Vec<&Lease> {
    units.iter().flat_map(|unit| &unit.leases).collect()
}

/// The turns of one call: the first may be there already.
struct Turn<'a, S> {
    calls: &'a Calls<S>,
    user: &'a ApiUser,
    /// Renewed while it waits.
    kept: &'a [&'a Lease],
    first: Mutex<Option<Slot>>,
}

impl<S> Turn<'_, S> {
    /// Gives a turn back that was not needed.
    fn end(self) {
        if let Some(slot) = self.first.into_inner() {
            slot.unused();
        }
    }
}

impl<S: Sender> Turns for Turn<'_, S> {
    async fn next(&self) -> Result<Slot, NoCall> {
        let first = self.first.lock().take();
        match first {
            Some(slot) => Ok(slot),
            None => self.calls.hold.keep_during(self.kept, self.calls.turns.next(self.user)).await,
        }
    }

    fn slow_down(&self, pause: Duration) {
        self.calls.tell(&Event::TooMany);
        self.calls.turns.pacer().slow_down(pause);
    }

    fn answered(&self, kind: Kind, took: Duration) {
        self.calls.tell(&Event::Answered { kind, took });
    }
}

/// Lets a write leave whose leases last for as long as it may run, and whose writers still wait.
struct Gate<'a, O> {
    hold: &'a Hold,
    leases: &'a [&'a Lease],
    units: &'a [Unit<O>],
    /// Why the leases could not be renewed.
    closed: Mutex<Option<LeaseError>>,
}

impl<O: Send + Sync> SendGate for Gate<'_, O> {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        let leave_by = self.hold.renew_to_send(self.leases).await.map_err(|error| {
            let why = Withheld(error.to_string());
            *self.closed.lock() = Some(error);
            why
        })?;
        // After the renewal, which may have taken its time.
        if may_leave(self.units) {
            Ok(Some(leave_by))
        } else {
            Err(Withheld("a writer of the call has gone".to_owned()))
        }
    }
}
