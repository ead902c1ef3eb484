//! A body that leaves by its deadline, or never as a whole.
//!
//! The leases that a call is sent with last long enough if the call leaves soon after they were
//! renewed. In between may lie a slow store, name resolution, a new connection, a slow line, and a
//! machine that sleeps. So after the deadline the body gives no more bytes. Without all of them
//! Marketo can do nothing. Whether and when the last piece was taken tells for certain whether and
//! when the call left.
//!
//! The body is given piece by piece, as the connection takes it. Given at once, all of it would
//! count as gone while most of it waits in this machine, and could arrive minutes later.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::marketo::deadline::LeaveBy;

/// Bytes of a piece.
const PIECE: usize = 8 * 1024;

/// The bytes of a call.
#[derive(Debug)]
pub(super) struct DeadlineBody {
    bytes: Bytes,
    leave_by: LeaveBy,
    left_at: LeftAt,
}

/// When the last of the bytes was taken, if it was.
#[derive(Debug, Clone, Default)]
pub(super) struct LeftAt(Arc<Mutex<Option<Instant>>>);

/// It was too late for the bytes.
#[derive(Debug, thiserror::Error)]
#[error("the call could not leave in time, and was not sent")]
struct TooLate;

impl DeadlineBody {
    pub(super) fn new(bytes: Bytes, leave_by: LeaveBy) -> (Self, LeftAt) {
        let left_at = LeftAt::default();
        (Self { bytes, leave_by, left_at: left_at.clone() }, left_at)
    }
}

impl LeftAt {
    pub(super) fn get(&self) -> Option<Instant> {
        *self.0.lock()
    }
}

impl Body for DeadlineBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        // Decided and noted under one lock: who finds it too late, and nothing noted, knows that it
        // never leaves.
        let left_at = self.left_at.clone();
        let mut left_at = left_at.0.lock();
        if self.leave_by.is_over() {
            return Poll::Ready(Some(Err(TooLate.into())));
        }
        let length = self.bytes.len().min(PIECE);
        let piece = self.bytes.split_to(length);
        if self.bytes.is_empty() {
            *left_at = Some(Instant::now());
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
