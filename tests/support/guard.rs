//! A running `mkto-audit guard`.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mkto_testing::wait;

use super::instance::Instance;

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
