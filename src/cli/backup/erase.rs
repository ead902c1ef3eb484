//! `mkto-audit backup erase`: what the ledger holds of a person, or what is old, is erased.

use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;
use serde::Serialize;

use super::super::{Context, Exit, Failure, ledgers, now};
use crate::ledger::{Erase, ErasedValues};
use crate::terminal::{counted_of, one_line};

/// Erase what the ledger holds of a person, or backups that are old; without --confirm only count
///
/// Ids, times and digests stay, and a row that says who erased what and when. What is erased cannot
/// be restored any more.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true),
    after_help = "Examples:\n  mkto-audit backup erase --email ada@example.com --confirm\n  \
    mkto-audit backup erase --older-than 90d              count what is older"
)]
pub(super) struct EraseArgs {
    /// Everything of the person with this address
    #[arg(long, value_name = "ADDRESS", group = "what")]
    email: Option<String>,
    /// Backups and plans that are older than this, such as 90d
    #[arg(long, value_name = "TIME", group = "what", value_parser = age)]
    older_than: Option<Duration>,
    /// Erase. Without it nothing is changed
    #[arg(long)]
    confirm: bool,
    /// Who erases, for the ledger [env: `MKTO_AUDIT_BY`] [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn age(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_no_time| "it takes a time such as 90d or 1y".to_owned())
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    dry_run: bool,
    backups: usize,
    leads: &'a std::collections::BTreeSet<u64>,
    plans: &'a std::collections::BTreeSet<String>,
    left_alone: usize,
}

pub(super) fn run(context: &mut Context, args: &EraseArgs) -> Result<Exit, Failure> {
    let mut ledger = ledgers::open_existing(context)?;
    let what = match (&args.email, args.older_than) {
        (Some(email), _) => Erase::Person(email.clone()),
        (None, Some(age)) => {
            let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
            Erase::OlderThan(now().checked_sub_signed(age).unwrap_or_default())
        }
        // One of them is required.
        (None, None) => return Ok(Exit::Done),
    };
    let erased = if args.confirm {
        let by = context.config.by(args.by.as_deref());
        ledger.erase(&what, by.as_deref(), &now().to_rfc3339())?
    } else {
        ledger.would_erase(&what)?
    };
    let ErasedValues { backups, leads, plans, left_alone } = &erased;
    if args.json {
        context.ui.json(&Document {
            schema: "mkto-audit/backup-erase/1",
            dry_run: !args.confirm,
            backups: *backups,
            leads,
            plans,
            left_alone: *left_alone,
        })?;
        return Ok(Exit::Done);
    }
    let done = if args.confirm { "erased" } else { "would be erased" };
    context.ui.print(&format!(
        "{} of {} {done}, and the key and reason of {} that runs left alone; {} cannot be carried out any more\n",
        counted_of(*backups, "backup"),
        counted_of(leads.len(), "record"),
        counted_of(*left_alone, "group"),
        counted_of(plans.len(), "plan"),
    ))?;
    if !args.confirm {
        context.ui.note("nothing was erased: add --confirm");
    } else if let Some(email) = &args.email {
        context.ui.note(&format!(
            "the cache and files that were exported may hold {} still; Marketo does until somebody deletes it there",
            one_line(email)
        ));
    }
    Ok(Exit::Done)
}
