//! The guard as a service: the unit file, its drop-in for TLS and the image's command are started
//! as they stand there, with what systemd or Docker would put into the environment and nothing
//! else.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::signal::{self, Signal};
use crate::support::wait;
use crate::support::{CLOCK_SPEED, Instance, bare, quick, token};

const UNIT: &str = include_str!("../../contrib/systemd/mkto-audit-guard.service");
const TLS: &str = include_str!("../../contrib/systemd/tls.conf");
const DOCKERFILE: &str = include_str!("../../Dockerfile");

/// The values of a directive, in order.
fn directives<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

/// The arguments of the command that a unit starts, which must be the installed program.
fn command_of(unit: &str) -> Vec<&str> {
    let mut words = directives(unit, "ExecStart").last().unwrap().split(' ');
    assert_eq!(words.next(), Some("/usr/local/bin/mkto-audit"));
    words.collect()
}

/// The program with exactly this environment, and arguments in which the port is any free one.
fn program(
    instance: &Instance,
    arguments: &[&str],
    environment: &BTreeMap<&str, String>,
) -> Command {
    let mut command = bare(env!("CARGO_BIN_EXE_mkto-audit"), instance.folder.path());
    command
        .args(arguments.iter().map(|argument| argument.replace(":8700", ":0")))
        .env_clear()
        .envs(environment)
        // Marketo's address, which the unit takes from /etc/mkto-audit/guard.env.
        .env("MARKETO_BASE_URL", instance.sandbox.base_url())
        .env("MKTO_AUDIT_CLOCK_SPEED", CLOCK_SPEED.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// The next message to a service manager, line by line.
fn told(manager: &UnixDatagram) -> Vec<String> {
    let mut message = [0; 1024];
    let length = manager.recv(&mut message).expect("a message within ten seconds");
    String::from_utf8(message[..length].to_vec()).unwrap().lines().map(str::to_owned).collect()
}

fn write_through(instance: &Instance, url: &str) -> serde_json::Value {
    let token = token(instance);
    let call = wait::blocking_client().post(format!("{url}/rest/v1/leads.json")).bearer_auth(token);
    call.json(&json!({"input": [{"email": "ada@example.com"}]})).send().unwrap().json().unwrap()
}

/// How the check of a guard's health ends. The port here is any, and not that of the image.
fn health(instance: &Instance, check: &[&str], url: &str) -> Option<i32> {
    let address = url.split_once("://").unwrap().1;
    let check = [check, &["--listen", address]].concat();
    wait::run(&mut program(instance, &check, &BTreeMap::new())).status.code()
}

/// Asks a program to stop, as a service manager does, and waits for its end.
fn stop(mut child: std::process::Child) -> Option<i32> {
    signal::send(child.id(), Signal::TERM);
    wait::end_of(&mut child).code()
}

#[test]
fn the_unit_starts_a_guard_that_tells_systemd_and_keeps_to_its_state_directory() {
    let instance = Instance::start(quick());
    let (etc, state) = (instance.path("etc"), instance.path("state"));
    std::fs::create_dir_all(etc.join("mkto-audit")).unwrap();
    std::fs::write(etc.join("mkto-audit/config.toml"), "[guard]\nmode = \"serialize\"\n").unwrap();
    std::fs::create_dir_all(state.join("mkto-audit")).unwrap();
    let socket = instance.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();

    let mut environment = BTreeMap::from([("NOTIFY_SOCKET", socket.display().to_string())]);
    for assignment in directives(UNIT, "Environment").iter().flat_map(|line| line.split(' ')) {
        let (name, value) = assignment.split_once('=').unwrap();
        let value =
            value.replace("%E", etc.to_str().unwrap()).replace("%S", state.to_str().unwrap());
        environment.insert(name, value);
    }
    assert_eq!(directives(UNIT, "Type"), ["notify"]);
    assert_eq!(directives(UNIT, "StateDirectory"), ["mkto-audit"]);
    let mut child = program(&instance, &command_of(UNIT), &environment).spawn().unwrap();
    let url = wait::first_line(&mut child);
    let ready = told(&manager);
    assert_eq!(ready[0], "READY=1");
    assert!(ready[1].starts_with("STATUS=guarding writes to "), "{ready:?}");
    assert_eq!(write_through(&instance, &url)["result"][0]["status"], "created");
    let look_ups = instance.sandbox.calls().contains_key("GET /rest/v1/leads");
    assert!(!look_ups, "the config file below /etc was read, and asks for no look-ups");
    assert_eq!(stop(child), Some(0));
    assert_eq!(told(&manager)[0], "STOPPING=1");

    let files = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    assert!(files(&state.join("mkto-audit")) >= 2, "leases, and the day's calls");
    assert_eq!((files(&state), files(&etc.join("mkto-audit"))), (1, 1));
    let mut elsewhere: Vec<String> = std::fs::read_dir(instance.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    elsewhere.sort();
    assert_eq!(elsewhere, ["etc", "notify", "state"], "and nothing anywhere else");
}

#[test]
fn the_drop_in_for_tls_starts_a_guard_with_the_credentials_that_it_loads() {
    let instance = Instance::start(quick());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let credentials = directives(TLS, "LoadCredential");
    let names: Vec<&str> =
        credentials.iter().map(|credential| credential.split(':').next().unwrap()).collect();
    assert_eq!(names, ["tls.crt", "tls.key"]);
    instance.file("tls.crt", made.cert.pem());
    instance.file("tls.key", made.signing_key.serialize_pem());
    let folder = instance.folder.path().to_str().unwrap();
    let command: Vec<String> = command_of(TLS)
        .iter()
        .map(|word| {
            word.replace("${CREDENTIALS_DIRECTORY}", folder).replace("0.0.0.0", "127.0.0.1")
        })
        .collect();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let environment = BTreeMap::from([("XDG_DATA_HOME", folder.to_owned())]);
    let mut child = program(&instance, &command, &environment).spawn().unwrap();
    let url = wait::first_line(&mut child);
    assert!(url.starts_with("https://"), "{url}");
    assert_eq!(write_through(&instance, &url)["result"][0]["status"], "created");
    assert_eq!(health(&instance, &["guard", "check", "--ready"], &url), Some(0));
    assert_eq!(stop(child), Some(0));
}

#[test]
fn the_images_command_is_refused_without_tls_and_runs_where_something_in_front_has_it() {
    let instance = Instance::start(quick());
    let value = |name: &str| DOCKERFILE.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let list = |name: &str| serde_json::from_str::<Vec<String>>(value(name)).unwrap();
    assert_eq!(list("ENTRYPOINT "), ["mkto-audit"]);
    assert_eq!(value("STOPSIGNAL "), "SIGTERM");
    let volume = list("VOLUME ").remove(0);
    let folder = instance.folder.path().to_str().unwrap();
    let environment: BTreeMap<&str, String> = value("ENV ")
        .split(' ')
        .map(|assignment| assignment.split_once('=').unwrap())
        .map(|(name, value)| (name, value.replace("/var/lib", folder)))
        .collect();
    assert_eq!(volume, "/var/lib/mkto-audit");
    let command = list("CMD ");
    let mut command: Vec<&str> = command.iter().map(String::as_str).collect();
    let refused = wait::run(&mut program(&instance, &command, &environment));
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--insecure-listen"));

    command.push("--insecure-listen");
    let command: Vec<String> =
        command.iter().map(|word| word.replace("0.0.0.0", "127.0.0.1")).collect();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let mut child = program(&instance, &command, &environment).spawn().unwrap();
    let url = wait::first_line(&mut child);
    assert_eq!(write_through(&instance, &url)["result"][0]["status"], "created");
    // The check of its health is a command of the program itself, as there is nothing else in the
    // image to ask with.
    let (_, check) = value("HEALTHCHECK ").split_once(" CMD ").unwrap();
    let check: Vec<String> = serde_json::from_str(check).unwrap();
    assert_eq!(check[0], "mkto-audit");
    let check: Vec<&str> = check[1..].iter().map(String::as_str).collect();
    assert_eq!(health(&instance, &check, &url), Some(0));
    assert_eq!(stop(child), Some(0));
    assert_eq!(health(&instance, &check, &url), Some(1));
    assert!(instance.path("mkto-audit").is_dir(), "its files are in the volume");
}

/// Fills a pipe that nobody reads; once nothing goes into it any more, as far as one can tell.
fn fill(mut pipe: std::io::PipeWriter) {
    let (moved, movement) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while std::io::Write::write_all(&mut pipe, &[b'.'; 512]).is_ok() && moved.send(()).is_ok() {
        }
    });
    while movement.recv_timeout(Duration::from_millis(500)).is_ok() {}
}

#[test]
fn a_log_that_nobody_reads_any_more_stops_nobody_and_loses_nothing_that_there_is_room_for() {
    let instance = Instance::start(quick());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command =
        program(&instance, &["guard", "--listen", "127.0.0.1:8700"], &BTreeMap::new());
    let home = instance.folder.path().display().to_string();
    let mut child = command.env("HOME", home).stderr(writer.try_clone().unwrap()).spawn().unwrap();
    drop(command);
    let url = wait::first_line(&mut child);
    assert_eq!(write_through(&instance, &url)["result"][0]["status"], "created");

    fill(writer);
    assert_eq!(write_through(&instance, &url)["result"][0]["status"], "updated");
    let health = wait::blocking_client().get(format!("{url}/-/healthz")).send().unwrap();
    assert_eq!(health.status(), 200);

    // Somebody reads again: the lines that waited are all there, and the last ones too.
    let reading = std::thread::spawn(move || {
        let mut log = Vec::new();
        // The pipe stays open as long as the thread that fills it; it ends with the guard's last
        // word.
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&log).contains("stopping: ") {
            let read = std::io::Read::read(&mut reader, &mut piece).unwrap();
            assert!(read > 0, "the pipe ended");
            log.extend_from_slice(&piece[..read]);
        }
        String::from_utf8_lossy(&log).into_owned()
    });
    assert_eq!(stop(child), Some(0));
    let log = wait::joined(reading);
    assert_eq!(log.matches("written user=").count(), 2, "{}", log.replace('.', ""));
}
