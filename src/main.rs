//! The binary `mkto-audit`: parse, run, exit code. All else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    mkto_audit::cli::main(std::env::args_os(), &environment)
}
