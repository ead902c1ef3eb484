//! What is logged on the thread of a test.
//!
//! The subscriber is the process's own and not the thread's: while one thread alone has a
//! subscriber, `tracing` asks whichever thread first comes to a log line whether anybody listens,
//! and remembers a *no* of a test that does not for the one that does.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

thread_local! {
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Keeps from now on what is logged on this thread, at every level.
pub(super) fn keep() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let all = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(|| OfThread);
        tracing::subscriber::set_global_default(all.finish()).unwrap();
    });
    LINES.set(Some(Vec::new()));
}

/// What was logged on this thread since [`keep`]; nothing is kept from now on.
pub(super) fn taken() -> String {
    String::from_utf8(LINES.take().unwrap_or_default()).unwrap()
}

struct OfThread;

impl Write for OfThread {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
