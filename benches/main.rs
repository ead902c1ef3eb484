//! What the program promises in calls, seconds and shares of a limit, measured against the sandbox.
//!
//! `cargo bench` measures everything, `cargo bench -- merging` what has this in its name. Each
//! figure is printed beside its goal, and the process fails where one is missed. Tests never run
//! this: a busy machine must not fail them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark may panic, prints its figures, and is nobody's library"
)]

use std::process::ExitCode;

use goal::Goal;

mod at_once;
mod connection;
mod goal;
mod grouping;
mod guarding;
mod instance;
mod latency;
mod merging;
mod paging;
mod passing;
mod program;
mod waiting;
mod writing;

type Measure = fn() -> Vec<Goal>;

/// The timed one comes last: the others keep sandboxes busy.
const BENCHES: [(&str, Measure); 9] = [
    ("waiting", waiting::measure),
    ("merging", merging::measure),
    ("at_once", at_once::measure),
    ("writing", writing::measure),
    ("paging", paging::measure),
    ("guarding", guarding::measure),
    ("passing", passing::measure),
    ("latency", latency::measure),
    ("grouping", grouping::measure),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` says so; `cargo test --all-targets` starts the same program, only to see
    // whether it starts.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let mut goals = Vec::new();
    for (_, measure) in BENCHES.iter().filter(|(name, _)| is_wanted(name)) {
        let measured = measure();
        for goal in &measured {
            println!("{goal}");
        }
        goals.extend(measured);
    }
    if goals.iter().all(Goal::is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
