//! The log on standard error: what is in it, in which form, and who waits for it to be written.
//!
//! A server's is written by a thread of its own, line by line from a queue that is bounded. Whoever
//! reads it may stop doing so, as a collector that hangs, and a pipe that is full would stop every
//! thread that has something to say, and with them all callers. Lines that there is no room for are
//! counted instead, and the count is told when there is room again. A command that somebody waits
//! for writes its log at once, in order with what else it says.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// Lines that wait to be written: some two megabytes.
const LINES: usize = 10_000;

/// What the last lines get at the end.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// What is logged: nothing, each call (1), or everything of ours (2); in words, or as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) verbose: u8,
    pub(super) json: bool,
    /// Whether it is a server's, that goes on where nobody reads it.
    pub(super) serves: bool,
}

/// A log that was started.
#[derive(Debug)]
pub(super) struct Started(Option<Queue>);

/// The way to the thread that writes.
#[derive(Debug, Clone)]
struct Queue {
    lines: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Everything of before is to be written when this is answered.
    End(SyncSender<()>),
}

/// Starts the log.
pub(super) fn start(log: Log) -> Started {
    let level = match log.verbose {
        0 => return Started(None),
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let queue = if log.serves { Queue::start() } else { None };
    let writer = match queue.clone() {
        Some(queue) => BoxMakeWriter::new(move || queue.clone()),
        None => BoxMakeWriter::new(io::stderr),
    };
    let filter = Targets::new().with_target("mkto_audit", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let lines = if log.json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
    if log.json {
        // A defect is a line of the log too. What it says may hold anything; where it is does not.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(place, "a defect of this program: it panicked");
        }));
    }
    // A second start in one process keeps the first log.
    drop(tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(lines).with(filter),
    ));
    Started(queue)
}

impl Started {
    /// Gives the last lines a moment to be written.
    pub(super) fn end(self) {
        let Some(queue) = self.0 else { return };
        let (written, all_written) = sync_channel(1);
        // Where there is no room, or nobody reads, there is nothing to wait for.
        if queue.lines.try_send(Message::End(written)).is_ok() {
            all_written.recv_timeout(LAST_MOMENT).ok();
        }
    }
}

impl Queue {
    /// None where the system has no thread left; then everybody writes for himself.
    fn start() -> Option<Self> {
        let (lines, received) = sync_channel(LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || write_all(&received, &counted)).ok()?;
        Some(Self { lines, lost })
    }
}

fn write_all(received: &Receiver<Message>, lost: &AtomicU64) {
    for message in received {
        match message {
            // A disk that is full, or a reader that is gone, concerns the log alone.
            Message::Line(line) => drop(io::stderr().lock().write_all(&line)),
            Message::End(written) => drop(written.send(()).ok()),
        }
        let lines = lost.swap(0, Ordering::Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "lines of the log are missing here, since nobody took them");
        }
    }
}

impl Write for Queue {
    /// Takes a line, which comes whole. Never waits.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Message::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
