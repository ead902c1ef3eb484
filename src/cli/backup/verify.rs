//! `mkto-audit backup verify`: whether each backup is whole, and whether it restores.

use clap::Args;
use serde::Serialize;

use super::super::{Context, Exit, Failure, ledgers};
use super::rehearse::{self, Rehearsal};
use crate::ledger::Ledger;
use crate::terminal::counted_of;

/// Check that each backup is whole; with --rehearse also that merged groups restore
///
/// Each backup is read and compared with the digest that was taken with it, each merged record must
/// have one, and the file must be sound. --rehearse loads groups into the built-in sandbox, merges
/// and restores them there, and compares every field. Marketo is not asked.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mkto-audit backup verify\n  mkto-audit backup verify --rehearse 20"
)]
pub(super) struct VerifyArgs {
    /// Merge and restore so many of the groups that were merged last, in the built-in sandbox
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "5")]
    rehearse: Option<usize>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Checked {
    backups: usize,
    /// Whole, and as they were taken.
    intact: usize,
    /// Readable, of an older version that took no digest.
    without_digest: usize,
    erased: usize,
    /// What is wrong, in words.
    faults: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    ok: bool,
    #[serde(flatten)]
    checked: &'a Checked,
    rehearsal: Option<&'a Rehearsal>,
}

pub(super) async fn run(context: &mut Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let ledger = ledgers::open_existing(context)?;
    let checked = check(&ledger)?;
    let rehearsal = match args.rehearse {
        Some(groups) => {
            let loaded = rehearse::last_merged(&ledger, groups)?;
            drop(ledger);
            let rehearsing = Box::pin(rehearse::rehearse(context, &loaded));
            Some(context.or_stop(rehearsing).await??)
        }
        None => None,
    };
    let ok = checked.faults.is_empty() && rehearsal.as_ref().is_none_or(Rehearsal::passed);
    if args.json {
        context.ui.json(&Document {
            schema: "mkto-audit/backup-verify/1",
            ok,
            checked: &checked,
            rehearsal: rehearsal.as_ref(),
        })?;
    } else {
        let mut lines = vec![format!(
            "{}: {} whole, {} of an older version without a digest, {} erased",
            counted_of(checked.backups, "backup"),
            checked.intact,
            checked.without_digest,
            checked.erased
        )];
        lines.extend(checked.faults.iter().map(|fault| format!("FAULT: {fault}")));
        lines.extend(rehearsal.iter().flat_map(Rehearsal::lines));
        lines.push(if ok { "all is well".to_owned() } else { "NOT all is well".to_owned() });
        context.ui.print(&format!("{}\n", lines.join("\n")))?;
    }
    Ok(if ok { Exit::Done } else { Exit::Failed })
}

fn check(ledger: &Ledger) -> Result<Checked, Failure> {
    let mut checked = Checked::default();
    let faults = ledger.faults_of_the_file()?;
    checked.faults.extend(faults.into_iter().map(|fault| format!("the file: {fault}")));
    ledger.each_backup(|backup| {
        checked.backups += 1;
        match backup {
            Err(error) => checked.faults.push(error.to_string()),
            Ok(backup) if backup.erased => checked.erased += 1,
            Ok(backup) => match backup.intact {
                Some(true) => checked.intact += 1,
                None => checked.without_digest += 1,
                Some(false) => checked.faults.push(format!(
                    "backup {} of record {} is not what it was when it was taken",
                    backup.number, backup.lead.id
                )),
            },
        }
        std::ops::ControlFlow::Continue(())
    })?;
    let without = ledger.merged_without_backup()?;
    checked.faults.extend(
        without.into_iter().map(|lead| format!("record {lead} was merged away and has no backup")),
    );
    Ok(checked)
}
