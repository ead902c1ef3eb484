//! What a run that is told to stop does with a wait in which nothing is written: it leaves it. What
//! has been sent and may write is never waited for here.

use tokio_util::sync::CancellationToken;

/// Waits for something that only reads or prepares; none where the run is to stop first. A stop
/// that has come already wins over what is ready, so that nothing more is begun.
pub(crate) async fn unless_stopped<T, E>(
    stop: &CancellationToken,
    reading: impl Future<Output = Result<T, E>>,
) -> Result<Option<T>, E> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(None),
        read = reading => read.map(Some),
    }
}
