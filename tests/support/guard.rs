//! A running `mkto-audit guard`.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mkto_testing::wait;

use super::instance::{Instance, UNHURRIED};
use super::signal::{self, Signal};

/// What a guard does with writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Strict,
    Serialize,
    Shadow,
}

impl Mode {
    /// Those in which no write makes a duplicate.
    pub const GUARDING: [Self; 2] = [Self::Serialize, Self::Strict];
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Serialize => "serialize",
            Self::Shadow => "shadow",
        })
    }
}

/// Where guards keep the leases that they share.
#[derive(Clone, Copy, Debug)]
pub enum Leases<'a> {
    Memory,
    Sqlite,
    /// The address of a database.
    Postgres(&'a str),
}

impl std::fmt::Display for Leases<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres(address) => address,
        })
    }
}

/// A guard that is still to be set up; what is not set is as `Instance::command` has it.
#[must_use]
pub struct GuardBuilder<'a> {
    instance: &'a Instance,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl GuardBuilder<'_> {
    pub fn mode(self, mode: Mode) -> Self {
        self.variable("MKTO_AUDIT__GUARD__MODE", mode)
    }

    pub fn leases(self, leases: Leases<'_>) -> Self {
        self.variable("MKTO_AUDIT__GUARD__LEASES", leases)
    }

    /// How long a caller waits at most.
    pub fn max_wait(self, wait: Duration) -> Self {
        self.variable("MKTO_AUDIT__GUARD__MAX_WAIT", format!("{}ms", wait.as_millis()))
    }

    /// How many records may wait.
    pub fn queue(self, records: usize) -> Self {
        self.variable("MKTO_AUDIT__GUARD__QUEUE", records)
    }

    /// Of several leads with a key the winner is written.
    pub fn write_the_winner(self) -> Self {
        self.variable("MKTO_AUDIT__GUARD__ON_DUPLICATES", "winner")
    }

    /// Nobody may create a duplicate on purpose.
    pub fn forbid_create_duplicate(self) -> Self {
        self.variable("MKTO_AUDIT__GUARD__CREATE_DUPLICATE", "forbid")
    }

    /// How many calls may leave in a window.
    pub fn calls(self, calls: usize) -> Self {
        self.variable("MKTO_AUDIT__LIMITS__CALLS", calls)
    }

    pub fn window(self, window: Duration) -> Self {
        self.variable("MKTO_AUDIT__LIMITS__WINDOW", format!("{}ms", window.as_millis()))
    }

    /// How many calls may be under way at once.
    pub fn concurrency(self, calls: usize) -> Self {
        self.variable("MKTO_AUDIT__LIMITS__CONCURRENCY", calls)
    }

    pub fn daily_calls(self, calls: usize) -> Self {
        self.variable("MKTO_AUDIT__LIMITS__DAILY_CALLS", calls)
    }

    /// It waits for calls that a test holds up as long as it would for Marketo's.
    pub fn unhurried(self) -> Self {
        self.variable(UNHURRIED.0, UNHURRIED.1)
    }

    /// Where it sends what passes, in place of the sandbox.
    pub fn upstream(self, url: &str) -> Self {
        self.variable("MARKETO_BASE_URL", url)
    }

    /// A home of this name of its own, as on another machine.
    pub fn home(self, name: &str) -> Self {
        let home = self.instance.path(name);
        std::fs::create_dir_all(&home).unwrap();
        self.variable("HOME", home.display())
    }

    /// Any variable of its environment.
    #[expect(clippy::needless_pass_by_value, reason = "callers give numbers and names as they are")]
    pub fn variable(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same of several.
    pub fn variables<'v>(self, variables: impl IntoIterator<Item = (&'v str, &'v str)>) -> Self {
        variables.into_iter().fold(self, |builder, (name, value)| builder.variable(name, value))
    }

    /// More arguments of its command line.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Starts it on a free port.
    pub fn start(self) -> Guard {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Self { instance, variables, arguments } = self;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = instance.path(&format!("guard-{number}.log"));
        let listen = ["guard", "--listen", "127.0.0.1:0"];
        let mut child = instance
            .command(listen.into_iter().chain(arguments.iter().map(String::as_str)))
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
        Guard { child, url, client, identity, log }
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
    /// One that is still to be set up.
    pub fn builder(instance: &Instance) -> GuardBuilder<'_> {
        GuardBuilder { instance, variables: Vec::new(), arguments: Vec::new() }
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
        signal::send(self.pid(), Signal::TERM);
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
        wait::end_of(&mut self.child);
    }
}

/// Records that wait, as the metrics say.
pub async fn records_waiting(client: &reqwest::Client, url: &str) -> u64 {
    let page = client.get(format!("{url}/-/metrics")).send().await.unwrap().text().await.unwrap();
    page.lines()
        .find_map(|line| line.strip_prefix("mkto_guard_queue_records "))
        .unwrap()
        .parse()
        .unwrap()
}

/// Whether the guard has neither said anything nor hung up.
pub fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let heard = stream.peek(&mut [0]);
    heard.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}
