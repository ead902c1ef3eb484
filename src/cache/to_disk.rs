//! A file that is on the disk almost as soon as it is written.
//!
//! For: a file is safe only when the disk has it. Where the system is asked for that at the end
//! alone, everybody waits for all of it; here a thread asks for each part while the next one is
//! written. Never: has the writer wait before the end.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// What asks for the parts, and what it came to.
type Asking = (SyncSender<()>, JoinHandle<io::Result<()>>);

/// So many bytes are a part: fewer would have the disk write down its own notes too often.
const PART: usize = 32 << 20;

/// Asks for the parts of a file.
#[derive(Debug)]
pub(super) struct ToDisk {
    file: File,
    /// Bytes since the last part.
    since: usize,
    /// None once the file is finished, or where there is no thread.
    asking: Option<Asking>,
}

impl ToDisk {
    /// Of a file that is there.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let of_thread = file.try_clone()?;
        let (sender, parts) = sync_channel(1);
        let thread = std::thread::Builder::new().name("to-disk".to_owned()).spawn(move || {
            // The system tells of a failure once, and would not tell of it at the end.
            parts.iter().try_for_each(|()| of_thread.sync_data())
        });
        Ok(Self { file, since: 0, asking: thread.ok().map(|thread| (sender, thread)) })
    }

    /// So many bytes more were written.
    pub(super) fn written(&mut self, bytes: usize) {
        self.since += bytes;
        if self.since < PART {
            return;
        }
        self.since = 0;
        if let Some((sender, _)) = &self.asking {
            // Where the thread is still at the part before, it takes this one along with the next.
            sender.try_send(()).ok();
        }
    }

    /// Waits until the disk has all of it; fails where it could not take any part.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.stop()?;
        self.file.sync_all()
    }

    fn stop(&mut self) -> io::Result<()> {
        let Some((sender, thread)) = self.asking.take() else { return Ok(()) };
        drop(sender);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs it panicked")))
    }
}

impl Drop for ToDisk {
    fn drop(&mut self) {
        // Whoever did not finish it throws the file away.
        self.stop().ok();
    }
}
