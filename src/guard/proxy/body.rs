//! Bodies on their way through: streamed, cut when they hardly move, and keeping the place of their
//! call until they have gone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{StreamExt, stream};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::min_rate::MinRate;
use super::response::Body;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[error("the body hardly moved")]
struct Stalled;

/// When a body on its way to Marketo last moved, or when it began to.
#[derive(Debug, Clone)]
pub(super) struct LastMoved(Arc<Mutex<Instant>>);

/// A body that is watched: `poll` asks it for each frame.
struct Through<B, F> {
    body: B,
    poll: F,
}

type Polled = Poll<Option<Result<Frame<Bytes>, Error>>>;

/// The body, which fails when it hardly moves.
pub(super) fn stalling(body: Incoming, stall: Duration) -> Body {
    let mut pace = MinRate::new(stall);
    let poll = move |body: &mut Incoming, context: &mut Context<'_>| {
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            pace.moved(data.map_or(0, Bytes::len));
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        ready!(pace.poll_too_slow(context));
        Poll::Ready(Some(Err(Stalled.into())))
    };
    Through { body, poll }.boxed_unsync()
}

/// The body. `tell` is called with each frame, with none at the end, and with whether it is the
/// last call: a reader that knows the length of a body does not ask for more after its last frame.
pub(super) fn telling(
    body: Body,
    mut tell: impl FnMut(Option<&Result<Frame<Bytes>, Error>>, bool) + Send + Unpin + 'static,
) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let poll = move |body: &mut Body, context: &mut Context<'_>| {
        let frame = ready!(Pin::new(&mut *body).poll_frame(context));
        tell(frame.as_ref(), frame.is_none() || body.is_end_stream());
        Poll::Ready(frame)
    };
    Through { body, poll }.boxed_unsync()
}

pub(super) fn noting(body: Body, moved: LastMoved) -> Body {
    telling(body, move |_, _| *moved.0.lock() = Instant::now())
}

/// The body, with something that is kept until the body has gone.
pub(super) fn holding(body: Body, held: impl Send + Unpin + 'static) -> Body {
    telling(body, move |_, _| {
        let _kept = &held;
    })
}

impl LastMoved {
    pub(super) fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Waits until nothing has moved for so long.
    pub(super) async fn over(&self, limit: Duration) {
        loop {
            let until = *self.0.lock() + limit;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// The beginning of a body, and the rest where it is longer.
pub(super) async fn beginning(mut body: Body, bytes: u64) -> Result<(Bytes, Option<Body>), Error> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
        }
        if read.len() as u64 > bytes {
            return Ok((read.into(), Some(body)));
        }
    }
    Ok((read.into(), None))
}

/// A body as it came, whose beginning was looked at.
pub(super) fn continued(beginning: Bytes, rest: Body) -> Body {
    let read = stream::iter([Ok(Frame::data(beginning))]);
    StreamBody::new(read.chain(BodyStream::new(rest))).boxed_unsync()
}

impl<B, F> HttpBody for Through<B, F>
where
    B: HttpBody + Unpin,
    F: FnMut(&mut B, &mut Context<'_>) -> Polled + Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let Self { body, poll } = &mut *self;
        poll(body, context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn marketos_time_to_answer_counts_from_when_its_caller_has_sent_the_last_of_it() {
        let (start, limit, moved) = (Instant::now(), Duration::from_secs(310), LastMoved::now());
        let slowly = stream::iter(0..3).then(|_| async {
            tokio::time::sleep(Duration::from_secs(300)).await;
            Ok::<_, Error>(Frame::data(Bytes::from_static(b"lead")))
        });
        let body = noting(StreamBody::new(Box::pin(slowly)).boxed_unsync(), moved.clone());
        let sent = tokio::select! {
            sent = body.collect() => sent.unwrap().to_bytes(),
            () = moved.over(limit) => panic!("it was cut after {:?}", start.elapsed()),
        };
        assert_eq!(sent, "leadleadlead");
        moved.over(limit).await;
        assert_eq!(start.elapsed().as_secs(), 900 + 310);
    }
}
