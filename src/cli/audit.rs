//! `mkto-audit audit`: what was done on the instance before, and not by this program.

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure};

mod merges;

/// Look back at what others did: merges of the past, and what they look to have lost
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit audit merges --since 2026-06-01")]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Merges(merges::MergesArgs),
}

pub(super) async fn run(context: &mut Context, args: &AuditArgs) -> Result<Exit, Failure> {
    match &args.what {
        What::Merges(args) => merges::run(context, args).await,
    }
}
