//! The gate that a call passes at the last moment before it leaves: what its caller knew when it
//! made the call may be over by the time that the limits let it go. A call that waits can be
//! withdrawn.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::LeaveBy;

/// Whether a call may leave now, after all the waiting that came before.
pub trait SendGate: Sync {
    /// Asked when the call is ready, and once for each time that it leaves. Where it names a
    /// moment, the call's body leaves by then or never as a whole; else within
    /// [`MARGIN`](super::MARGIN).
    fn ask(&self) -> impl Future<Output = Result<Option<LeaveBy>, Withheld>> + Send;

    /// Comes when the call is not wanted any more: that ends its waiting. One that is under way is
    /// brought to its end.
    fn withdrawn(&self) -> impl Future<Output = Withheld> + Send {
        std::future::pending()
    }
}

/// Why a call may not leave.
#[derive(Debug)]
pub struct Withheld(pub String);

/// Lets every call leave.
#[derive(Debug)]
pub(crate) struct AtAnyTime;

impl SendGate for AtAnyTime {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        Ok(None)
    }
}

/// Lets calls leave until the run is told to stop, and those that wait then for some time more.
#[derive(Debug, Clone)]
pub struct UntilStopped {
    stop: CancellationToken,
    grace: Duration,
}

impl UntilStopped {
    /// For calls that begin something: a stop takes them back at once.
    pub fn at_once(stop: CancellationToken) -> Self {
        Self { stop, grace: Duration::ZERO }
    }

    /// For calls that bring something to its end: they may wait for their turn for so long after a
    /// stop.
    pub fn after(stop: CancellationToken, grace: Duration) -> Self {
        Self { stop, grace }
    }
}

impl SendGate for UntilStopped {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        if self.grace.is_zero() && self.stop.is_cancelled() { Err(stopped()) } else { Ok(None) }
    }

    async fn withdrawn(&self) -> Withheld {
        self.stop.cancelled().await;
        tokio::time::sleep(self.grace).await;
        stopped()
    }
}

fn stopped() -> Withheld {
    Withheld("the run was told to stop before it left".to_owned())
}
