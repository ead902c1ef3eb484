//! Whether every quote that a file opens is closed: an odd number of quotes swallows rows without a sound.

use std::io::{self, Read};

/// Counts the quotes of what is read through it.
#[derive(Debug)]
pub(super) struct QuoteCounter<R> {
    inner: R,
    open: bool,
}

impl<R> QuoteCounter<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, open: false }
    }

    /// Whether a quote stands open after what was read so far.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }
}

impl<R: Read> Read for QuoteCounter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let fresh = buffer.get(..read).unwrap_or_default();
        self.open = fresh.iter().fold(self.open, |open, byte| open ^ (*byte == b'"'));
        Ok(read)
    }
}
