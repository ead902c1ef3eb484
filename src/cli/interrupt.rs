//! Ctrl-C and SIGTERM: the first asks a command to stop, the second ends it at once.
//!
//! What changes nothing is dropped where it stands ([`or_stop`]); a call that changes something is
//! brought to its end, or written down as open. Never: a command that goes on as if nobody had
//! asked.

use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, Ui};

/// A token that the first signal sets. A second signal ends the process: what was in flight is then
/// settled by the next run, which asks Marketo.
pub(super) fn watch(mut ui: Ui) -> CancellationToken {
    let token = CancellationToken::new();
    let set = token.clone();
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        signals.next().await;
        set.cancel();
        ui.note(
            "stopping; a call that is writing is brought to its end first, and a second Ctrl-C stops at once",
        );
        signals.next().await;
        #[expect(clippy::exit, reason = "the second signal asks for exactly this")]
        std::process::exit(Exit::Stopped as i32);
    });
    token
}

/// Waits for work that changes nothing, and drops it where it stands when a signal comes.
pub(super) async fn or_stop<T>(
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Failure::Stopped),
        done = work => Ok(done),
    }
}

/// The signals that ask for a stop, listened for from the moment that this is made.
#[cfg(unix)]
struct Signals {
    // Without a handler the default action, to end the process, stays in force; there is nothing
    // better to do.
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    async fn next(&mut self) {
        async fn of(signal: Option<&mut tokio::signal::unix::Signal>) {
            match signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            () = of(self.interrupt.as_mut()) => {}
            () = of(self.terminate.as_mut()) => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
