//! Signals to programs that a test has started, without a program that sends them.

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// Sends a signal to a program that runs.
#[track_caller]
pub fn send(id: u32, signal: Signal) {
    assert!(sent(id, signal), "no process {id} runs");
}

/// Sends a signal to a program that may be over; whether it was there.
pub fn sent(id: u32, signal: Signal) -> bool {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}
