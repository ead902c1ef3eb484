//! The programs that a benchmark starts: the optimised `mkto-audit guard`, and nginx to compare it
//! with. Each has a folder of its own, and is killed when it goes.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::instance::Rate;

/// A running program.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    url: String,
    folder: TempDir,
}

impl Program {
    /// A guard in front of this address, configured to this rate, with these variables.
    pub(crate) fn guard(base_url: &str, rate: Rate, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mkto-audit"))
            .args(["guard", "--listen", "127.0.0.1:0"])
            .env_clear()
            .env("HOME", folder.path())
            .env("MARKETO_BASE_URL", base_url)
            .env("MKTO_AUDIT__LIMITS__CALLS", rate.calls.to_string())
            .env("MKTO_AUDIT__LIMITS__WINDOW", format!("{}s", rate.window.as_secs()))
            .env("MKTO_AUDIT__LIMITS__CONCURRENCY", rate.concurrency.to_string())
            .env("MKTO_AUDIT__LIMITS__DAILY_CALLS", "1000000000")
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        assert!(
            url.starts_with("http://"),
            "{}",
            std::fs::read_to_string(folder.path().join("log")).unwrap()
        );
        Self { child, url, folder }
    }

    /// An nginx with so many workers and this in its `http` block, where `PORT` stands for the one
    /// that it listens on, and `FILES` for a folder with these files. None where there is no nginx.
    pub(crate) fn nginx(workers: usize, http: &str, files: &[(&str, &[u8])]) -> Option<Self> {
        if !is_nginx_here() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // Started by root, its workers are somebody else.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let (path, port) = (folder.path().display(), free_port());
        let http = http.replace("PORT", &port.to_string()).replace("FILES", &path.to_string());
        let mut config = format!("worker_processes {workers};\ndaemon off;\npid {path}/pid;\n");
        writeln!(config, "error_log {path}/errors;\nevents {{ worker_connections 1024; }}")
            .unwrap();
        writeln!(config, "http {{\naccess_log off;\nkeepalive_requests 1000000000;").unwrap();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(config, "{kind}_temp_path {path}/{kind};").unwrap();
        }
        writeln!(config, "{http}\n}}").unwrap();
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let errors = std::fs::File::create(folder.path().join("errors")).unwrap();
        let child = nginx()
            .arg("-c")
            .arg(folder.path().join("nginx.conf"))
            .arg("-e")
            .arg(folder.path().join("errors"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .unwrap();
        let program = Self { child, url: format!("http://127.0.0.1:{port}"), folder };
        program.wait_until_it_listens(port);
        Some(program)
    }

    /// Where it is reached.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn wait_until_it_listens(&self, port: u16) {
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "nginx does not listen: {}",
            std::fs::read_to_string(self.folder.path().join("errors")).unwrap()
        );
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // nginx ends its workers when it is asked to stop, and leaves them behind when it is
        // killed.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

fn is_nginx_here() -> bool {
    let version = nginx().arg("-v").stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn nginx() -> Command {
    let mut command = Command::new("nginx");
    // Debian keeps it where only root looks.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"));
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
