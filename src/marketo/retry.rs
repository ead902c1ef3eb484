//! The one retry loop: what is tried again, how often, and after which pause.
//!
//! Never: tries a write again of which it is not certain that nothing was done.

use std::time::Duration;

use hyper::HeaderMap;

use super::failure::CallFailure;
use super::meaning::{Kind, Verdict};
use super::pacer::{Pacer, Slot};
use super::{Clock, NoCall};

/// How often a call is repeated for being one too many; others share the limit, so it can take a
/// while.
const CROWDED_ATTEMPTS: u32 = 60;

/// How often a token is renewed for one call.
const RENEWALS: u32 = 5;

/// How a call gets its turn among the limits.
pub(crate) trait Turns: Sync {
    /// Waits for the right to one attempt.
    fn next(&self) -> impl Future<Output = Result<Slot, NoCall>> + Send;

    /// Marketo said that there are too many calls: everybody waits for so long of the wall's time,
    /// and goes on more slowly.
    fn slow_down(&self, pause: Duration);

    /// An attempt is over, after so long.
    fn answered(&self, _kind: Kind, _took: Duration) {}
}

impl Turns for std::sync::Arc<Pacer> {
    async fn next(&self) -> Result<Slot, NoCall> {
        self.slot().await
    }

    fn slow_down(&self, pause: Duration) {
        Pacer::slow_down(self, pause);
    }
}

/// By what a call is let in.
pub(super) trait Credentials: Sync {
    /// The headers that it leaves with.
    fn headers(&self) -> impl Future<Output = Result<HeaderMap, CallFailure>> + Send;

    /// Marketo refused these. Whether others may be had.
    fn renew(&self, refused: &HeaderMap) -> impl Future<Output = bool> + Send;
}

/// Makes attempts until there is a result, or the verdict on what went wrong ends it. Each attempt
/// is handed headers and the right to one call, which it gives back when the call is over. What
/// failed in passing, or could not be sent, is tried at most `most` times.
pub(super) async fn until_settled<T, F: Future<Output = Result<T, CallFailure>>>(
    (most, clock): (u32, Clock),
    credentials: &impl Credentials,
    turns: &impl Turns,
    attempt: impl Fn(HeaderMap, Slot) -> F,
) -> Result<T, CallFailure> {
    let (mut attempts, mut renewals, mut crowded) = (0, 0, 0);
    loop {
        attempts += 1;
        let headers = credentials.headers().await?;
        let slot = turns.next().await.map_err(CallFailure::NoCall)?;
        let failure = match attempt(headers.clone(), slot).await {
            Ok(result) => return Ok(result),
            Err(failure) => failure,
        };
        match failure.verdict() {
            Verdict::RenewToken if renewals < RENEWALS => {
                if !credentials.renew(&headers).await {
                    return Err(failure);
                }
                renewals += 1;
                attempts -= 1;
                clock.sleep(Duration::from_secs(u64::from(renewals - 1))).await;
            }
            Verdict::SlowDown if crowded < CROWDED_ATTEMPTS => {
                crowded += 1;
                attempts -= 1;
                turns.slow_down(clock.wall(crowded_pause(crowded)));
            }
            Verdict::TryAgain if attempts < most => {
                // Twice as long each time: what is overloaded is not to be kept so.
                let pause = Duration::from_secs(1 << (attempts - 1).min(5));
                clock.sleep(pause.mul_f64(jitter())).await;
            }
            _ => return Err(failure.after(attempts)),
        }
    }
}

/// How long everybody waits, in Marketo's time, after a call was one too many for the so-many-th
/// time.
pub(crate) fn crowded_pause(times: u32) -> Duration {
    Duration::from_secs(u64::from(times.min(5))).mul_f64(jitter())
}

/// Between half and one and a half, so that those who were turned away together do not come back
/// together.
fn jitter() -> f64 {
    0.5 + rand::random::<f64>()
}

#[cfg(test)]
mod tests;
