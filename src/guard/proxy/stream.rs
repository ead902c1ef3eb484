//! Bodies on their way through: never gathered, cut when they hardly move, and holding on to the right to call until they
//! have gone.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{StreamExt, stream};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};

use super::answer::Body;
use super::pace::Pace;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A body that hardly moved.
#[derive(Debug, thiserror::Error)]
#[error("the body hardly moved")]
struct Stalled;

struct Stalling {
    body: Incoming,
    pace: Pace,
}

struct Holding<T> {
    body: Body,
    _held: T,
}

/// The body, cut when it hardly moves.
pub(super) fn stalling(body: Incoming, stall: Duration) -> Body {
    Stalling { body, pace: Pace::new(stall) }.boxed_unsync()
}

/// The body, with something that is kept until the body has gone.
pub(super) fn holding<T: Send + Unpin + 'static>(body: Body, held: Option<T>) -> Body {
    match held {
        Some(held) if !body.is_end_stream() => Holding { body, _held: held }.boxed_unsync(),
        _ => body,
    }
}

/// The body as far as somebody wants to look at it, and what is left where it is longer.
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

/// A body, of which the beginning was looked at, as it came.
pub(super) fn continued(beginning: Bytes, rest: Body) -> Body {
    let read = stream::iter([Ok(Frame::data(beginning))]);
    StreamBody::new(read.chain(BodyStream::new(rest))).boxed_unsync()
}

impl HttpBody for Stalling {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            self.pace.moved(data.map_or(0, Bytes::len));
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        ready!(self.pace.poll_too_slow(context));
        Poll::Ready(Some(Err(Stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<T: Unpin> HttpBody for Holding<T> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
