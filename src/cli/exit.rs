//! The exit codes that scripts rely on.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, all of it.
    Done = 0,
    /// Failed; nothing more specific applies.
    Failed = 1,
    /// Wrong usage or configuration; nothing was called.
    Usage = 2,
    /// Done, but some records or groups were skipped or failed; the output lists each with its
    /// reason.
    Partial = 3,
    /// Stopped early: a quota or budget is used up, or a signal came. The same command goes on.
    Stopped = 4,
    /// Marketo refused the credentials or the permission.
    Refused = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Prints what clap has to say (help and version to standard output) and gives its exit code. Where
/// standard error is to hold JSON, so it does from the first line on.
pub(super) fn of_clap(error: &clap::Error, in_json: bool) -> ExitCode {
    if in_json && error.use_stderr() {
        super::log::start(super::log::Log { verbose: 1, json: true, serves: false });
        tracing::error!(exit_code = Exit::Usage as u8, "{}", error.render().to_string().trim_end());
        return Exit::Usage.into();
    }
    // A reader of `--help` that closed its pipe has seen enough.
    if error.print().is_err() {
        return Exit::Done.into();
    }
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}
