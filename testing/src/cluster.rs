//! A Postgres of the tests' own: made in a folder of its own, on a free port of this machine, gone
//! with the test process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{needs, wait};

/// What the server asks of everybody who comes over the network.
pub const PASSWORD: &str = "practice";

/// A running server.
pub struct Cluster {
    folder: tempfile::TempDir,
    port: u16,
    server: Mutex<Child>,
    databases: AtomicU32,
}

impl Cluster {
    /// Makes one and starts it; none where Postgres is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// One that speaks TLS to those who ask for it, by this certificate and key (PEM).
    pub fn start_with_tls(certificate: &str, key: &str) -> Option<Self> {
        Self::start_with(&[("server.crt", certificate), ("server.key", key)])
    }

    fn start_with(files: &[(&str, &str)]) -> Option<Self> {
        if find("initdb").is_none() {
            needs::missing("Postgres", "apt-get install postgresql");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("mkto-audit-postgres-").tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            run(Command::new("chmod").arg("600").arg(path));
        }
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        if is_root() {
            run(Command::new("chown").arg("-R").arg("postgres").arg(folder.path()));
        }
        run(as_owner(&program("initdb"))
            .args([
                "--auth=scram-sha-256",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg("--pwfile")
            .arg(password)
            .arg("-D")
            .arg(folder.path().join("data"))
            .stdout(Stdio::null()));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Mutex::new(serve(folder.path(), port));
        Some(Self { folder, port, server, databases: AtomicU32::new(0) })
    }

    /// The address of a database that nobody else uses.
    pub fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        run(Command::new(program("createdb"))
            .env("PGPASSWORD", PASSWORD)
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p"])
            .args([self.port.to_string(), name.clone()]));
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/{name}", self.port)
    }

    /// Sets up a database, given by its address, as an administrator may have done; it counts for
    /// new connections.
    pub fn set(address: &str, setting: &str) {
        let name = address.rsplit('/').next().unwrap_or_default();
        let sql = format!("ALTER DATABASE {name} SET {setting}");
        run(Command::new(program("psql")).args(["-q", "-d", address, "-c", &sql]));
    }

    /// Stops it as an administrator in a hurry does: connections are cut.
    pub fn stop(&self) {
        self.stop_by("fast");
    }

    /// Ends it as a crash does: nothing is written any more.
    pub fn crash(&self) {
        self.stop_by("immediate");
    }

    fn stop_by(&self, mode: &str) {
        let data = self.folder.path().join("data");
        run(as_owner(&program("pg_ctl"))
            .args(["stop", "-m", mode, "-w", "-D"])
            .arg(data)
            .stdout(Stdio::null()));
        wait::end_of(&mut self.server.lock().unwrap());
    }

    /// Starts it again.
    pub fn start_again(&self) {
        *self.server.lock().unwrap() = serve(self.folder.path(), self.port);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let server = self.server.get_mut().unwrap();
        drop(server.kill());
        drop(server.wait());
    }
}

/// Starts the server, and waits until it takes connections.
fn serve(folder: &Path, port: u16) -> Child {
    let tls = if folder.join("server.key").exists() {
        let file = |name: &str| folder.join(name).display().to_string();
        format!(
            "-c ssl=on -c ssl_cert_file={} -c ssl_key_file={}",
            file("server.crt"),
            file("server.key")
        )
    } else {
        String::new()
    };
    let log =
        std::fs::OpenOptions::new().append(true).create(true).open(folder.join("log")).unwrap();
    let mut server = as_owner(&program("postgres"))
        .arg("-D")
        .arg(folder.join("data"))
        .args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
            "-c",
            "fsync=off",
        ])
        .args(tls.split_whitespace())
        .arg("-p")
        .arg(port.to_string())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let port = port.to_string();
    let args = ["-q", "-h", "127.0.0.1", "-U", "postgres", "-p", &port];
    wait::until("Postgres to take connections", || {
        let ended = server.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "Postgres does not start: {}",
            std::fs::read_to_string(folder.join("log")).unwrap()
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
        Command::new(program("pg_isready")).args(args).status().unwrap().success()
    });
    server
}

/// Postgres refuses to run as root; and it must not outlive a test that is killed.
fn as_owner(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

fn run(command: &mut Command) {
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let status = wait::end_of(&mut child);
    assert!(status.success(), "{command:?}: {status}");
}

fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("`{name}` is not beside Postgres's other programs"))
}

/// A program of Postgres, which Debian keeps out of the path.
fn find(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    needs::program(name, versions.map(|version| version.path().join("bin")))
}
