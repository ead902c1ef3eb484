//! What a test needs beside Rust and a C compiler. Where it is missing the test is skipped, and one
//! line says what to install; where `CI` is set the test fails.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

/// Says that tests are skipped for want of something, once for each thing, or fails.
#[track_caller]
pub fn missing(what: &str, install: &str) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!is_ci, "this test needs {what}: {install}");
    let is_new = TOLD.lock().is_ok_and(|mut told| told.insert(what.to_owned()));
    if is_new {
        // The handle and not `eprintln!`: of a test that passes the harness shows nothing that is
        // printed.
        let line = format!("\nSKIPPED: the tests that need {what}. To run them: {install}\n");
        drop(std::io::stderr().write_all(line.as_bytes()));
    }
}

/// A program in the path, or in these folders.
pub fn program(name: &str, folders: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = folders
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name))
        .filter(|path| path.is_file())
        .collect();
    // Of several versions the latest, as far as their names tell.
    found.sort();
    found.pop()
}
