//! A body that leaves in time, or never as a whole.
//!
//! The right that a call is sent with lasts long enough if the call leaves soon after the right was
//! renewed. In between may lie a slow store, a name to be resolved, a connection to be made, a line
//! that crawls, and a machine that sleeps. So the body, without all of which nothing can be done at
//! the other end, is not to be had any more once it is too late; and whether and when the last of
//! it was had tells for certain whether and when the call left.
//!
//! It is had piece by piece, as the connection takes it: taken at once, all of it would count as
//! gone while most of it waits in this machine, and it could arrive minutes later.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::Instant;

use crate::guard::lease::LeaveBy;

/// What is had of a body at once.
const PIECE: usize = 8 * 1024;

/// The bytes of a call that is guarded.
#[derive(Debug)]
pub(super) struct Prompt {
    bytes: Bytes,
    leave_by: LeaveBy,
    left_at: LeftAt,
}

/// When the last of the bytes was had, if it was.
#[derive(Debug, Clone, Default)]
pub(super) struct LeftAt(Arc<Mutex<Option<Instant>>>);

/// It was too late for the bytes.
#[derive(Debug, thiserror::Error)]
#[error("the call could not leave in time, and was not sent")]
struct TooLate;

impl Prompt {
    pub(super) fn new(bytes: Bytes, leave_by: LeaveBy) -> (Self, LeftAt) {
        let left_at = LeftAt::default();
        (Self { bytes, leave_by, left_at: left_at.clone() }, left_at)
    }
}

impl LeftAt {
    pub(super) fn get(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Prompt {
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
        let mut left_at = left_at.lock();
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
