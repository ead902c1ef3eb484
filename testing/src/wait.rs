//! Waits that end: each has a deadline, and fails with what it waited for.

use std::io::{BufRead as _, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a test waits for something that usually takes a fraction of a second: long enough for a
/// machine that is busy with other work.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// How long a program, a thread or a whole scenario may take.
pub const LONGEST: Duration = Duration::from_secs(30 * 60);

/// The machine's own clock; a test may have paused that of its runtime.
#[expect(clippy::disallowed_methods, reason = "a deadline has to pass while tokio's clock stands")]
fn deadline(patience: Duration) -> impl Fn() -> bool {
    let end = std::time::Instant::now() + patience;
    move || std::time::Instant::now() >= end
}

/// Looks until it is so.
#[track_caller]
pub fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(PATIENCE, what, is_so);
}

#[track_caller]
fn until_within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let is_over = deadline(patience);
    while !is_so() {
        assert!(!is_over(), "waited {patience:?} in vain for: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Looks until it is so, and lets other tasks of the runtime go on meanwhile.
pub async fn until_async(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let is_over = deadline(PATIENCE);
    while !is_so().await {
        assert!(!is_over(), "waited {PATIENCE:?} in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits for the end of a program; one that does not end is killed.
#[track_caller]
pub fn end_of(child: &mut Child) -> ExitStatus {
    let is_over = deadline(LONGEST);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if is_over() {
            child.kill().unwrap();
            panic!("process {} has not ended after {LONGEST:?}", child.id());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits for the end of a program, and gives what it wrote where that goes into a pipe.
#[track_caller]
pub fn output_of(mut child: Child) -> Output {
    drop(child.stdin.take());
    let stdout = child.stdout.take().map(reading);
    let stderr = child.stderr.take().map(reading);
    let status = end_of(&mut child);
    // A program that it left behind may hold the pipe open.
    let all = |bytes: Option<mpsc::Receiver<Vec<u8>>>| {
        bytes.map(|bytes| bytes.recv_timeout(PATIENCE).expect("the end of its output"))
    };
    Output {
        status,
        stdout: all(stdout).unwrap_or_default(),
        stderr: all(stderr).unwrap_or_default(),
    }
}

/// Runs a program to its end, and gives what it wrote.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    output_of(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
}

/// The first line that a program prints. What it prints later is read and forgotten.
#[track_caller]
pub fn first_line(child: &mut Child) -> String {
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = stdout.read_line(&mut line).map(|_| line);
        // Whoever asked has given up.
        drop(tell.send(read));
        drop(std::io::copy(&mut stdout, &mut std::io::sink()));
    });
    let line = told.recv_timeout(PATIENCE);
    line.unwrap_or_else(|_| panic!("no line within {PATIENCE:?}")).unwrap().trim().to_owned()
}

/// Waits for the end of a thread.
#[track_caller]
pub fn joined<T>(thread: JoinHandle<T>) -> T {
    until_within(LONGEST, "the end of a thread", || thread.is_finished());
    thread.join().unwrap()
}

/// A client whose calls end.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(PATIENCE).build().unwrap()
}

/// The same for a thread that blocks. It takes any certificate.
pub fn blocking_client() -> reqwest::blocking::Client {
    let builder = reqwest::blocking::Client::builder().danger_accept_invalid_certs(true);
    builder.timeout(PATIENCE).build().unwrap()
}

/// Reads something to its end in a thread of its own, and gives what was read then.
pub fn reading(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        drop(tell.send(bytes));
    });
    told
}
