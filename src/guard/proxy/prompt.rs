//! A body that leaves in time, or not at all.
//!
//! The right that a call is sent with lasts long enough if the call leaves soon after the right was renewed. In between may
//! lie a slow store, a name to be resolved, a connection to be made, and a machine that sleeps. So the body, without
//! which nothing can be done at the other end, is not to be had any more once it is too late; and whether and when it was
//! had tells for certain whether and when the call left.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::Instant;

use crate::guard::lease::LeaveBy;

/// The bytes of a call that is guarded.
#[derive(Debug)]
pub(super) struct Prompt {
    bytes: Bytes,
    leave_by: LeaveBy,
    left_at: LeftAt,
}

/// When the bytes were had, if they were.
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
        // Decided and noted under one lock: who finds it too late, and nothing noted, knows that it never leaves.
        let left_at = self.left_at.clone();
        let mut left_at = left_at.lock();
        if self.leave_by.is_over() {
            return Poll::Ready(Some(Err(TooLate.into())));
        }
        *left_at = Some(Instant::now());
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
