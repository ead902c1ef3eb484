//! `mkto-audit completions`: what a shell needs to complete our flags.

use clap::Args;
use clap_complete::Shell;

use super::{Exit, Failure, Ui};

/// Print a completion script for a shell
///
/// Example: mkto-audit completions bash > ~/.local/share/bash-completion/completions/mkto-audit
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(
    args: &CompletionsArgs,
    ui: &mut Ui,
    command: &mut clap::Command,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "mkto-audit", &mut script);
    ui.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
