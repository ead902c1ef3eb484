//! What a service manager is told, by systemd's notification protocol: that the guard listens, and
//! that it is stopping.
//!
//! Where none asked (no `NOTIFY_SOCKET`) nothing is said. Never: a reason to stop; a manager that
//! cannot be told learns of the start by its own time limit, and says so.

/// The guard listens.
pub(super) fn ready(status: &str) {
    tell(State::Ready, status);
}

/// It takes no new connections, and brings to its end what is under way.
pub(super) fn stopping() {
    tell(State::Stopping, "bringing calls under way to their end");
}

#[derive(Debug, Clone, Copy)]
enum State {
    Ready,
    Stopping,
}

#[cfg(unix)]
fn tell(state: State, status: &str) {
    use sd_notify::NotifyState;
    let state = match state {
        State::Ready => NotifyState::Ready,
        State::Stopping => NotifyState::Stopping,
    };
    if let Err(error) = sd_notify::notify(&[state, NotifyState::Status(status)]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

#[cfg(not(unix))]
fn tell(state: State, status: &str) {
    tracing::debug!(?state, status, "there is no service manager to tell");
}
