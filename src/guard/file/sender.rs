//! The engine's calls with this program's own credentials. A failure that the next call would meet
//! too ends the run; so does a stop.
//!
//! Never: begins a call after the run has ended. One that is under way is brought to its end.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::guard::Error;
use crate::guard::engine::{Refused, Sender};
use crate::marketo::{
    self, Auth, CallFailure, Client, Found, LeaveBy, SYNC_LIMIT, SendGate, Turns, Withheld, Written,
};

const LOOK_UP: &str = "GET /rest/v1/leads.json";
const WRITE: &str = "POST /rest/v1/leads.json";

/// Why a run has ended before its time.
#[derive(Debug)]
pub(super) struct RunEnd {
    /// Cancelled when it has.
    pub(super) ended: CancellationToken,
    error: Mutex<Option<Error>>,
}

impl RunEnd {
    pub(super) fn new(ended: CancellationToken) -> Self {
        Self { ended, error: Mutex::default() }
    }

    /// Ends the run; the first error is the one that is told.
    fn with(&self, error: impl Into<Error>) {
        self.error.lock().get_or_insert_with(|| error.into());
        self.ended.cancel();
    }

    pub(super) fn error(&self) -> Option<Error> {
        self.error.lock().take()
    }

    /// Ends the run where something was refused that every record needs.
    pub(super) fn note(&self, client: &Client, refused: &Refused) {
        let failure = match refused {
            // One call's matter.
            Refused::Marketo(_) | Refused::Withheld | Refused::Fault => return,
            Refused::Leases(error) => return self.with(error.clone()),
            Refused::NoCall(none) => CallFailure::NoCall(none.clone()),
            Refused::Untrusted(why) => CallFailure::Untrusted(*why),
            // The sender below has noted why.
            Refused::Unavailable => return self.ended.cancel(),
        };
        self.with(client.error_of(failure, WRITE));
    }
}

/// Talks to Marketo for this program itself.
#[derive(Debug)]
pub(super) struct OwnSender {
    pub(super) client: Client,
    pub(super) end: std::sync::Arc<RunEnd>,
}

impl OwnSender {
    /// The failure for the engine. One that every other record would meet too ends the run, and the
    /// reason is kept.
    fn told(&self, failure: CallFailure, call: &str) -> CallFailure {
        match failure {
            failure @ CallFailure::InDoubt { .. } => failure,
            CallFailure::Refused(refusal) => {
                match self.client.error_of(CallFailure::Refused(refusal.clone()), call) {
                    marketo::Error::Refused { .. } => CallFailure::Refused(refusal),
                    error => self.over(error),
                }
            }
            // Nothing left. The leases are gone, and the engine knows why, or the run is over.
            CallFailure::Withheld(withheld) if !self.end.ended.is_cancelled() => {
                CallFailure::Withheld(withheld)
            }
            CallFailure::Withheld(_) => stopped(),
            failure => {
                let error = self.client.error_of(failure, call);
                self.over(error)
            }
        }
    }

    fn over(&self, error: marketo::Error) -> CallFailure {
        self.end.with(error);
        stopped()
    }

    /// A look-up, unless the run ends: nothing depends on what a read comes to.
    async fn unless_over<T>(
        &self,
        call: impl Future<Output = Result<T, CallFailure>>,
    ) -> Result<T, CallFailure> {
        tokio::select! {
            biased;
            () = self.end.ended.cancelled() => Err(stopped()),
            found = call => found.map_err(|failure| self.told(failure, LOOK_UP)),
        }
    }
}

fn stopped() -> CallFailure {
    CallFailure::Unavailable { what: "the run is over".to_owned(), attempts: 0 }
}

impl Sender for OwnSender {
    type Origin = ();

    async fn look_up(
        &self,
        (): &(),
        field: &str,
        values: &[&str],
        fields: &[&str],
        turns: &impl Turns,
    ) -> Result<Found, CallFailure> {
        let session = self.client.session(Auth::Own, turns);
        self.unless_over(session.look_up(field, values, fields)).await
    }

    async fn lead_fields(
        &self,
        (): &(),
        turns: &impl Turns,
    ) -> Result<BTreeSet<String>, CallFailure> {
        let session = self.client.session(Auth::Own, turns);
        let schema = self.unless_over(session.describe()).await?;
        Ok(schema.fields.into_keys().collect())
    }

    async fn write(
        &self,
        (): &(),
        body: Vec<u8>,
        turns: &impl Turns,
        gate: &impl SendGate,
    ) -> Result<Written, CallFailure> {
        let session = self.client.session(Auth::Own, turns);
        let gate = UnlessOver { gate, over: &self.end.ended };
        let written = session.write_json(&gate, "/rest/v1/leads.json", body, SYNC_LIMIT).await;
        written.map_err(|failure| self.told(failure, WRITE))
    }
}

/// A gate that is closed when the run is over.
struct UnlessOver<'a, G> {
    gate: &'a G,
    over: &'a CancellationToken,
}

impl<G: SendGate> SendGate for UnlessOver<'_, G> {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        let leave_by = self.gate.ask().await?;
        // After the renewal, which may have taken its time.
        if self.over.is_cancelled() { Err(over()) } else { Ok(leave_by) }
    }

    async fn withdrawn(&self) -> Withheld {
        self.over.cancelled().await;
        over()
    }
}

fn over() -> Withheld {
    Withheld("the run was told to stop before it left".to_owned())
}
