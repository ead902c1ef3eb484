//! One write of a key at a time, whoever asks for it.
//!
//! A face (the HTTP proxy, a file) submits a [`WriteRequest`] and gets a [`PendingReply`]; a
//! [`Sender`] talks to Marketo; a store of leases keeps other guards away. Records wait in `queue`,
//! and API users take turns in `fair_queue`. A batch goes through the steps of `execute` and, where
//! an answer was lost, of `reconcile`. `decide`, which is pure, says what to do with each record.
//! The `supervisor` owns the queue and all tasks, and alone acts on their results. Guards that
//! share a store share the limits of their instance too (`quota`).
//!
//! `Queued => Held => Looked up => Sent => (Done | InDoubt => (Done | Queued | Open))`
//!
//! Never: two writes of one key in flight; a write without the lease of its key, whatever the store
//! says; a second try of what may be under way; a person or a token in a log line. It knows no
//! HTTP.

use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::leases::SharedLeases;

pub(crate) mod admission;
mod batching;
mod calls;
mod decide;
mod events;
mod evidence;
mod execute;
mod fair_queue;
mod hold;
mod outcome;
mod queue;
pub(crate) mod quota;
mod reconcile;
mod record;
mod request;
pub(crate) mod sender;
mod settings;
mod settle;
mod supervisor;
mod unit;

pub(crate) use events::{Event, Observer};
pub(crate) use fair_queue::FairQueue;
pub(crate) use outcome::{Outcome, PendingReply, Refused, Waited};
pub(crate) use queue::Standing;
pub(crate) use record::{Endpoint, Members, raw};
#[cfg(test)]
pub(crate) use request::WriteMode;
pub(crate) use request::{Action, ApiUser, Envelope, Goal, Record, WriteRequest, digest};
pub(crate) use sender::Sender;
pub(crate) use settings::EngineSettings;
pub use settings::OnDuplicates;

use calls::Calls;
use supervisor::{Command, Supervisor};
use unit::Submitted;

/// A running engine. Its sender needs an `O` to act for a writer.
#[derive(Debug)]
pub(crate) struct Engine<O> {
    commands: UnboundedSender<Command<O>>,
    ended: CancellationToken,
}

impl<O: Send + Sync + 'static> Engine<O> {
    /// Starts one. Needs a runtime.
    pub(crate) fn start<S: Sender<Origin = O>>(
        sender: S,
        leases: SharedLeases,
        turns: Arc<FairQueue>,
        settings: EngineSettings,
    ) -> Self {
        let (commands, incoming) = unbounded_channel();
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let supervisor = Supervisor::new(Calls::new(sender, leases, turns, settings));
        tokio::spawn(async move {
            supervisor.run(incoming).await;
            drop(guard);
        });
        Self { commands, ended }
    }

    /// Submits a write.
    pub(crate) fn submit(&self, write: WriteRequest<O>) -> PendingReply {
        let (request, records, pending) = Submitted::of(write);
        // If the engine has ended, the reply says that the outcome is open.
        self.commands.send(Command::Submit(request, records)).ok();
        pending
    }

    /// How things stand.
    pub(crate) async fn standing(&self) -> Standing {
        let (reply, standing) = oneshot::channel();
        self.commands.send(Command::Standing(reply)).ok();
        standing.await.unwrap_or_default()
    }

    /// Waits until every write has its end that was submitted. Later ones are not looked at.
    pub(crate) async fn drain(&self) {
        self.commands.send(Command::Drain).ok();
        self.ended().await;
    }

    /// Waits until the engine has ended. Without [`Engine::drain`] that is a fault of this program,
    /// and nothing is written any more.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

#[cfg(test)]
mod tests;
