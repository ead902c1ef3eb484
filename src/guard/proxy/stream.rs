//! Bodies on their way through: never gathered, cut when they do not move, and holding on to the right to call until they
//! have gone.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::answer::Body;

/// A body that does not move for so long is cut.
pub(super) const STALL: Duration = Duration::from_secs(60);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A body that did not move.
#[derive(Debug, thiserror::Error)]
#[error("the body did not move for {} s", STALL.as_secs())]
struct Stalled;

struct Stalling {
    body: Incoming,
    since: Option<Pin<Box<Sleep>>>,
}

struct Holding<T> {
    body: Body,
    _held: T,
}

/// The body, cut when it does not move.
pub(super) fn stalling(body: Incoming) -> Body {
    Stalling { body, since: None }.boxed_unsync()
}

/// The body, with something that is kept until the body has gone.
pub(super) fn holding<T: Send + Unpin + 'static>(body: Body, held: Option<T>) -> Body {
    match held {
        Some(held) if !body.is_end_stream() => Holding { body, _held: held }.boxed_unsync(),
        _ => body,
    }
}

impl HttpBody for Stalling {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.since = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        let since = self.since.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        ready!(since.as_mut().poll(context));
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
