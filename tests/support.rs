//! What every test of a command needs: a sandbox in this process, the real binary, and a picture of
//! how it ended.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mkto_sandbox::{Options, Sandbox, SeedCause};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub use mkto_testing::{cluster, needs, wait};

use wait::LONGEST;

pub mod caller;
pub mod schema;
pub mod stub;

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

/// A running `mkto-audit guard` in front of an instance's sandbox. It is killed when it goes.
pub struct Guard {
    child: std::process::Child,
    url: String,
    client: reqwest::blocking::Client,
    identity: [(&'static str, String); 3],
    log: PathBuf,
}

impl Guard {
    /// Starts one on a free port, with these variables.
    pub fn start<'a>(
        instance: &Instance,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        Self::start_with(instance, variables, &[])
    }

    /// The same, with more arguments.
    pub fn start_with<'a>(
        instance: &Instance,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
        arguments: &[&str],
    ) -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = instance.path(&format!("guard-{number}.log"));
        let listen = ["guard", "--listen", "127.0.0.1:0"];
        let mut child = instance
            .command(listen.iter().chain(arguments))
            // A guard has no credentials of its own.
            .env_remove("MARKETO_CLIENT_ID")
            .env_remove("MARKETO_CLIENT_SECRET")
            .env("MKTO_AUDIT__LIMITS__CONCURRENCY", "10")
            .envs(variables)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let url = wait::first_line(&mut child);
        assert!(url.starts_with("http"), "{}", std::fs::read_to_string(&log).unwrap());
        let client = wait::blocking_client();
        let identity = [
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", instance.sandbox.client_id().to_owned()),
            ("client_secret", instance.sandbox.client_secret().to_owned()),
        ];
        Self { child, url, client, identity, log }
    }

    /// Where integrations reach it.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, as a service manager does.
    pub fn stop(&self) {
        let killed =
            Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        wait::end_of(&mut self.child);
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Option<i32> {
        wait::end_of(&mut self.child).code()
    }

    /// A token, fetched through it.
    pub fn token(&self) -> String {
        self.fetch_token(&self.identity)
    }

    /// A token of another API user, likewise.
    pub fn token_of(&self, user: &str) -> String {
        let mut identity = self.identity.clone();
        identity[1].1 = format!("{}.{user}", identity[1].1);
        self.fetch_token(&identity)
    }

    fn fetch_token(&self, identity: &[(&'static str, String); 3]) -> String {
        let answer =
            self.client.post(format!("{}/identity/oauth/token", self.url)).form(identity).send();
        let answer: serde_json::Value = answer.unwrap().json().unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// A write through it, and its answer.
    pub fn sync(&self, body: &serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
        self.post("/rest/v1/leads.json", body)
    }

    /// Any JSON call through it, and its answer.
    pub fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> serde_json::Map<String, serde_json::Value> {
        let call =
            self.client.post(format!("{}{path}", self.url)).bearer_auth(self.token()).json(body);
        call.send().unwrap().json().unwrap()
    }

    /// A GET through it: status and body.
    pub fn get(&self, path: &str, token: &str) -> (u16, serde_json::Value) {
        let answer =
            self.client.get(format!("{}{path}", self.url)).bearer_auth(token).send().unwrap();
        (answer.status().as_u16(), answer.json().unwrap_or_default())
    }

    /// One of its own pages.
    pub fn page(&self, path: &str) -> (u16, String) {
        let answer = self.client.get(format!("{}{path}", self.url)).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    }

    /// A figure of its metrics, by name and labels as they are shown; nothing counted is 0.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.page("/-/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Everything that it logged so far. Its log is written by a thread of its own, a little after
    /// what it tells of: whole it is once the guard has ended.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The first line of the log with these words, once it is there.
    pub fn logged(&self, words: &str) -> String {
        for _ in 0..12_000 {
            let log = self.log();
            let mut whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(line) = whole.find(|line| line.contains(words)) {
                return line.to_owned();
            }
            // The thread that writes the log is to have its turn.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("no `{words}` within a minute in\n{}", self.log());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
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

/// The binary in a bare environment.
pub fn binary<S: AsRef<std::ffi::OsStr>>(
    home: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = bare(env!("CARGO_BIN_EXE_mkto-audit"), home);
    command.args(arguments);
    command
}

/// A program in a bare environment: a home of its own and nothing of this machine's settings.
pub fn bare(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
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
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        Self::from(wait::run(command))
    }

    /// Its one JSON document, which is as its schema says.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let document = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in\n{}\n{}", self.stdout, self.stderr));
        schema::check(&document);
        document
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
    text.chars()
        .flat_map(|c| if c.is_alphanumeric() || c == '/' { vec![c] } else { vec!['\\', c] })
        .collect()
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
