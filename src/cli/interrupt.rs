//! Ctrl-C and SIGTERM: the first asks a command to finish the call in flight and stop, the second ends it at once.

use tokio_util::sync::CancellationToken;

use super::{Exit, Ui};

/// A token that the first signal sets. A second signal ends the process: what was in flight is then settled by the
/// next run, which asks Marketo.
pub(super) fn watch(mut ui: Ui) -> CancellationToken {
    let token = CancellationToken::new();
    let set = token.clone();
    tokio::spawn(async move {
        signal().await;
        set.cancel();
        ui.note("stopping after the call in flight; a second Ctrl-C stops at once");
        signal().await;
        #[expect(clippy::exit, reason = "the second signal asks for exactly this")]
        std::process::exit(Exit::Stopped as i32);
    });
    token
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    // Without a handler the default action, to end the process, stays in force; there is nothing better to do.
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
