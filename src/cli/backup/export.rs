//! `mkto-audit backup export`: every backup into a file that another place can keep.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::super::{Context, Exit, Failure, ledgers};
use super::{Only, Whole, kept};
use crate::report::write_beside;
use crate::terminal::counted_of;

/// Write the backups to a file, one JSON object a line
///
/// The file is full of people's data, and readable by its owner alone.
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit backup export backups.jsonl")]
pub(super) struct ExportArgs {
    /// The file; - for standard output
    file: PathBuf,
    #[command(flatten)]
    only: Only,
}

pub(super) fn run(context: &mut Context, args: &ExportArgs) -> Result<Exit, Failure> {
    let ledger = ledgers::open_existing(context)?;
    let backups = kept(&ledger, |backup| args.only.takes(backup))?;
    let count = backups.len();
    let write = |out: &mut dyn Write| {
        for backup in backups {
            serde_json::to_writer(&mut *out, &Whole::from(backup))?;
            out.write_all(b"\n")?;
        }
        Ok(())
    };
    if args.file.as_os_str() == "-" {
        context.ui.write(write)?;
        return Ok(Exit::Done);
    }
    write_beside(&args.file, write)
        .map_err(|source| Failure::File { path: args.file.clone(), source })?;
    context.ui.note(&format!("{} written to {}", counted_of(count, "backup"), args.file.display()));
    Ok(Exit::Done)
}
