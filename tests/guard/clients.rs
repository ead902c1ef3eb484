//! Clients of other languages, as their registries publish them, through the guard: what a library
//! gives its caller for a call that goes straight to Marketo it gives for the same call through the
//! guard.
//!
//! `tests/clients/install` installs the libraries as their lock files pin them. A script for each
//! (`tests/clients/python`, `tests/clients/node`) writes, reads, merges, imports and exports with
//! the library unchanged and notes all that it returns and raises. The script is run against one
//! fresh sandbox directly, against others through a guard, and the notes are compared.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::counts::leads_with;
use crate::support::needs;
use crate::support::{Guard, Instance, Mode, Run, bare, quick};

/// What a script of a client noted.
struct Notes {
    /// Name, and what came back.
    steps: Vec<(String, Value)>,
    /// The ids that the writers of one new email were told.
    race: Vec<u64>,
    /// How many leads have that email afterwards.
    raced: usize,
}

#[test]
fn a_client_in_python_cannot_tell_the_guard_from_marketo() {
    if is_installed("python", "python3", "requirements.txt", "requirements.txt") {
        cannot_tell(python);
    }
}

#[test]
fn a_client_in_javascript_cannot_tell_the_guard_from_marketo() {
    if is_installed("node", "node", "package-lock.json", "installed") {
        cannot_tell(|url, instance| node("node-marketo-rest", url, instance));
    }
}

#[test]
fn its_fork_with_another_http_layer_cannot_either() {
    if is_installed("node", "node", "package-lock.json", "installed") {
        cannot_tell(|url, instance| node("@grouparoo/node-marketo-rest", url, instance));
    }
}

/// Runs a script directly and through guards, all at once, and compares.
fn cannot_tell(script: impl Fn(&str, &Instance) -> Command + Sync) {
    let run = |mode: Option<Mode>| notes(mode, &script);
    let (direct, guarded) = std::thread::scope(|scope| {
        let direct = scope.spawn(move || run(None));
        let guarded = Mode::GUARDING.map(|mode| (mode, scope.spawn(move || run(Some(mode)))));
        (direct.join().unwrap(), guarded.map(|(mode, notes)| (mode, notes.join().unwrap())))
    });
    assert!(direct.steps.len() > 30, "the script stopped after {} steps", direct.steps.len());
    assert!(direct.raced > 1, "directly, writers of one email make duplicates of it");
    for (mode, notes) in guarded {
        for ((name, expected), (_, seen)) in direct.steps.iter().zip(&notes.steps) {
            assert_eq!(seen, expected, "{mode}: {name}");
        }
        assert_eq!(notes.steps.len(), direct.steps.len(), "{mode}");
        assert_eq!(notes.raced, 1, "{mode}");
        assert!(notes.race.iter().all(|id| *id == notes.race[0]), "{mode}: {:?}", notes.race);
    }
}

fn notes(mode: Option<Mode>, script: impl Fn(&str, &Instance) -> Command) -> Notes {
    let instance = Instance::start(quick());
    instance.sandbox.put_list(7, "Newsletter", &[]);
    instance.sandbox.put_program(40, "Webinar", &["Invited", "Attended"], &[]);
    let guard = mode.map(|mode| Guard::builder(&instance).mode(mode).start());
    let url = guard.as_ref().map_or_else(|| instance.sandbox.base_url(), Guard::url);
    let mut document = Run::of(&mut script(&url, &instance)).expect_code(0).json();
    let race = serde_json::from_value(document["race"].take()).unwrap();
    let mut steps: Vec<(String, Value)> = serde_json::from_value(document["steps"].take()).unwrap();
    for (_, value) in &mut steps {
        hide_what_differs(value);
    }
    Notes { steps, race, raced: leads_with(&instance, "race@example.com") }
}

/// Takes out what differs from run to run: request ids, tokens, times, and the numbers of
/// activities.
fn hide_what_differs(value: &mut Value) {
    const DIFFERS: &[&str] = &[
        "requestId",
        "nextPageToken",
        "createdAt",
        "updatedAt",
        "activityDate",
        "queuedAt",
        "startedAt",
        "finishedAt",
        "marketoGUID",
    ];
    match value {
        Value::Array(values) => {
            values.iter_mut().for_each(hide_what_differs);
            // What is new and what is known leaves in two calls in strict mode: the log has them in
            // another order.
            if values.iter().any(|value| value.get("marketoGUID").is_some()) {
                values.sort_by_key(Value::to_string);
            }
        }
        Value::Object(members) => {
            let is_activity = members.contains_key("marketoGUID");
            let is_request_id = members
                .get("name")
                .and_then(Value::as_str)
                .is_some_and(|name| name == "request id");
            for (name, value) in members {
                if DIFFERS.contains(&name.as_str())
                    || is_request_id && name == "value"
                    || is_activity && name == "id"
                {
                    *value = "…".into();
                } else {
                    hide_what_differs(value);
                }
            }
        }
        _ => {}
    }
}

fn python(url: &str, instance: &Instance) -> Command {
    let mut command = script(instance, "python3", "python/marketo.py");
    command.env("PYTHONPATH", folder("python"));
    with_credentials(command, url, instance)
}

fn node(library: &str, url: &str, instance: &Instance) -> Command {
    let mut command = script(instance, "node", "node/marketo.js");
    command.env("NODE_PATH", folder("node").join("node_modules")).arg(library);
    with_credentials(command, url, instance)
}

fn script(instance: &Instance, interpreter: &str, name: &str) -> Command {
    let mut command = bare(interpreter, instance.folder.path());
    command.arg(scripts().join(name));
    command
}

fn with_credentials(mut command: Command, url: &str, instance: &Instance) -> Command {
    command.args([url, instance.sandbox.client_id(), instance.sandbox.client_secret()]);
    command
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// The folder with a language's libraries.
fn folder(language: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients").join(language)
}

/// Whether a language and its libraries are installed, these as the lock file pins them today.
fn is_installed(language: &str, interpreter: &str, lock: &str, installed_lock: &str) -> bool {
    let wanted = std::fs::read(scripts().join(language).join(lock)).unwrap();
    let is_installed = needs::program(interpreter, []).is_some()
        && std::fs::read(folder(language).join(installed_lock)).is_ok_and(|lock| lock == wanted);
    if !is_installed {
        needs::missing(
            "the Marketo clients in Python and JavaScript",
            "apt-get install python3-pip nodejs npm && tests/clients/install",
        );
    }
    is_installed
}
