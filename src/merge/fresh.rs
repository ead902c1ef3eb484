//! Leave for a call to go only while the look that it rests on is fresh.
//!
//! A call can wait long for its turn: for a token, for the pace, behind 606 and 615. The client
//! asks this gate at the last moment before each attempt. An old look sends the run back to look
//! again. Never: judges the leads; it knows only when they were read.

use std::time::Duration;

use crate::marketo::{Clock, LeaveBy, Moment, SendGate, UntilStopped, Withheld};

/// The age of a look, in Marketo's time, above which nothing that rests on it may leave. A
/// connection that must be made anew adds its own time (at most 8 s), and Marketo's own work comes
/// after it: no client can close that gap.
const AGE: Duration = Duration::from_secs(5);

/// What rests on a look may take so long on this machine, however fast the clock of a sandbox. By
/// the real clock it is never reached.
const LEAST: Duration = Duration::from_secs(2);

/// How old a look may be on this machine's clocks.
pub(super) fn most(clock: Clock) -> Duration {
    clock.wall(AGE).max(LEAST)
}

/// Lets a call leave while its look is fresh and nobody stops the run.
pub(super) struct Fresh {
    looked_at: Moment,
    most: Duration,
    stop: UntilStopped,
}

impl Fresh {
    pub(super) fn new(looked_at: Moment, clock: Clock, stop: UntilStopped) -> Self {
        Self { looked_at, most: most(clock), stop }
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.looked_at.age() <= self.most
    }
}

impl SendGate for Fresh {
    async fn ask(&self) -> Result<Option<LeaveBy>, Withheld> {
        let leave_by = self.stop.ask().await?;
        if self.is_fresh() {
            return Ok(leave_by);
        }
        Err(Withheld("its leads were read too long ago; they are read again first".to_owned()))
    }

    async fn withdrawn(&self) -> Withheld {
        self.stop.withdrawn().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::{AGE, Fresh};
    use crate::marketo::{Clock, Moment, SendGate, UntilStopped};

    fn gate(looked_at: Moment) -> Fresh {
        Fresh::new(looked_at, Clock::real(), UntilStopped::at_once(CancellationToken::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_may_leave_until_its_look_is_five_seconds_old() {
        let gate = gate(Moment::now());
        assert!(gate.ask().await.is_ok());
        tokio::time::advance(AGE + Duration::from_millis(1)).await;
        assert!(gate.ask().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_slept_counts_as_having_waited() {
        let slept = Moment::now().before_a_sleep(Duration::from_secs(280));
        assert!(gate(slept).ask().await.is_err());
    }
}
