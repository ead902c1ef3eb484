//! A sandbox in this process, and the real binary pointed at it.

use std::path::PathBuf;
use std::process::Command;

use mkto_sandbox::{Options, Sandbox, SeedCause};
use mkto_testing::wait::{self, LONGEST};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::program::{Run, binary};

/// How many times as fast Marketo's own time limits pass in tests, in the sandbox and in the binary
/// alike.
pub const CLOCK_SPEED: u32 = 60;

/// For a binary whose calls a test holds up: it waits for them as long as it would for Marketo's.
pub const UNHURRIED: (&str, &str) = ("MKTO_AUDIT_CLOCK_SPEED", "1");

/// A running sandbox, a folder of its own, and the environment that points the binary at both.
pub struct Instance {
    pub sandbox: Sandbox,
    pub folder: TempDir,
    runtime: Runtime,
}

impl Instance {
    /// Starts a sandbox on a free port.
    pub fn start(options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let sandbox = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            Sandbox::start(listener, options).unwrap()
        });
        Self { sandbox, folder: tempfile::tempdir().unwrap(), runtime }
    }

    /// Runs something that awaits on the sandbox's own runtime; what does not end fails.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let ended = self.runtime.block_on(async { tokio::time::timeout(LONGEST, future).await });
        ended.unwrap_or_else(|_| panic!("not done after {LONGEST:?}"))
    }

    /// A file in this test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into this test's folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The binary, pointed at the sandbox, with the right credentials and limits that do not slow a
    /// test.
    pub fn command<S: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = binary(self.folder.path(), arguments);
        command
            .env("MARKETO_BASE_URL", self.sandbox.base_url())
            .env("MARKETO_CLIENT_ID", self.sandbox.client_id())
            .env("MARKETO_CLIENT_SECRET", self.sandbox.client_secret())
            .env("MKTO_AUDIT_CLOCK_SPEED", CLOCK_SPEED.to_string())
            .env("MKTO_AUDIT__LIMITS__CALLS", "100000")
            .env("MKTO_AUDIT__LIMITS__DAILY_CALLS", "1000000");
        command
    }

    /// Runs the binary to its end.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// What differs from run to run, and what a snapshot shows in its place.
    pub fn redactions(&self) -> Vec<(String, &'static str)> {
        let address = self.sandbox.base_url();
        let host = address.trim_start_matches("http://").to_owned();
        vec![
            (regex_literal(&self.folder.path().display().to_string()), "[FOLDER]"),
            (regex_literal(&address), "[BASE URL]"),
            (regex_literal(&host), "[INSTANCE]"),
            (regex_literal(&host.replace(':', "_")), "[INSTANCE]"),
            (r"[0-9a-f]{1,6}#[0-9a-f]{11}".to_owned(), "[REQUEST]"),
        ]
    }
}

/// A token of the sandbox's own API user.
pub fn token(instance: &Instance) -> String {
    let url = format!("{}/identity/oauth/token", instance.sandbox.base_url());
    let identity = [
        ("grant_type", "client_credentials"),
        ("client_id", instance.sandbox.client_id()),
        ("client_secret", instance.sandbox.client_secret()),
    ];
    let answer: serde_json::Value = instance.block_on(async {
        wait::client().post(url).form(&identity).send().await.unwrap().json().await.unwrap()
    });
    answer["access_token"].as_str().unwrap().to_owned()
}

/// What the program calls the cause that the sandbox made a group by.
pub fn word_for(cause: SeedCause) -> &'static str {
    match cause {
        SeedCause::Race => "race",
        SeedCause::CreateDuplicate => "create_duplicate",
        SeedCause::Crm => "crm",
        SeedCause::Import => "import",
        SeedCause::Partition => "partition",
        SeedCause::Unknown => "unknown",
    }
}

/// Options of a sandbox for tests: nothing limits the rate, Marketo's time limits pass as fast as
/// the binary's.
pub fn quick() -> Options {
    let mut options = Options {
        rate_limit: 1_000_000,
        concurrency: 1_000,
        daily_quota: 10_000_000,
        ..Options::default()
    };
    options.set_knob(&format!("clock_speed={CLOCK_SPEED}")).unwrap();
    options
}

fn regex_literal(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_alphanumeric() || c == '/' { vec![c] } else { vec!['\\', c] })
        .collect()
}
