//! What every test of a command needs: a sandbox in this process, the real binary, and a picture of how it ended.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mkto_audit::sandbox::{Options, Sandbox};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How many times as fast Marketo's own time limits pass in tests, in the sandbox and in the binary alike.
pub const CLOCK_SPEED: u32 = 60;

/// A running sandbox, a folder of its own, and the environment that points the binary at both.
pub struct Instance {
    pub sandbox: Sandbox,
    pub folder: TempDir,
    runtime: Runtime,
}

impl Instance {
    /// Starts a sandbox on a free port.
    pub fn start(options: Options) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let sandbox = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            Sandbox::start(listener, options).unwrap()
        });
        Self { sandbox, folder: tempfile::tempdir().unwrap(), runtime }
    }

    /// Runs something that awaits on the sandbox's own runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
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

    /// The binary, pointed at the sandbox, with the right credentials and limits that do not slow a test.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
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

/// Options of a sandbox for tests: nothing limits the rate, Marketo's time limits pass as fast as the binary's.
pub fn quick() -> Options {
    let mut options =
        Options { rate_limit: 1_000_000, concurrency: 1_000, daily_quota: 10_000_000, ..Options::default() };
    options.set_knob(&format!("clock_speed={CLOCK_SPEED}")).unwrap();
    options
}

/// The binary in a bare environment: a home of its own and nothing of this machine's settings.
pub fn binary<S: AsRef<std::ffi::OsStr>>(home: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mkto-audit"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

/// How a run of the binary ended.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Its one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in\n{}\n{}", self.stdout, self.stderr))
    }

    /// Fails with everything that was printed, unless the exit code is this one.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.picture());
        self
    }

    /// Everything a person or a script sees.
    pub fn picture(&self) -> String {
        let code = self.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        format!("exit code: {code}\n----- stdout\n{}----- stderr\n{}", self.stdout, self.stderr)
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }
}

fn regex_literal(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_alphanumeric() || c == '/' { vec![c] } else { vec!['\\', c] }).collect()
}

/// Compares with a snapshot in `snapshots/`, with what differs from run to run replaced.
#[macro_export]
macro_rules! assert_picture {
    ($name:expr, $redactions:expr, $text:expr) => {{
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        for (pattern, shown) in $redactions {
            settings.add_filter(&pattern, shown);
        }
        settings.bind(|| insta::assert_snapshot!($name, $text));
    }};
}
