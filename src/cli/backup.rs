//! `mkto-audit backup`: the merged records as they were, listed, shown, exported, verified, erased.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};

use super::runs::shown;
use super::{Context, Exit, Failure, ledgers};
use crate::ledger::{Error, KeptBackup, Ledger, Role};
use crate::terminal::{counted_of, moment, one_line};

mod erase;
mod export;
mod rehearse;
mod verify;

/// Look at the backups of merged records, and verify, export or erase them
///
/// Before each merge every record of the group is kept whole in the ledger, with its lists and
/// programs. `restore` makes good from there.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mkto-audit backup list                          what is kept\n  \
    mkto-audit backup show 1286861                  a record as it was\n  \
    mkto-audit backup export backups.jsonl          all of it, for another place\n  \
    mkto-audit backup verify                        whether each backup is whole\n  \
    mkto-audit backup erase --email a@example.com   what of a person would be erased"
)]
pub(super) struct BackupArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(ListArgs),
    Show(ShowArgs),
    Export(export::ExportArgs),
    Verify(verify::VerifyArgs),
    Erase(erase::EraseArgs),
}

/// List the backups
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit backup list --email ada@example.com")]
struct ListArgs {
    #[command(flatten)]
    only: Only,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Which backups.
#[derive(Debug, Args)]
struct Only {
    /// Only those of records with this address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Only those of this plan
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
}

impl Only {
    fn takes(&self, backup: &KeptBackup) -> bool {
        let is_it = |text: &str| {
            self.email.as_ref().is_none_or(|email| text.trim().eq_ignore_ascii_case(email.trim()))
        };
        (is_it(&backup.key) || backup.lead.email().is_some_and(is_it))
            && self.plan.as_ref().is_none_or(|plan| *plan == backup.plan)
    }
}

/// Show a record as it was before each of its merges
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit backup show 1286861")]
struct ShowArgs {
    /// The record's id
    #[arg(value_name = "ID")]
    id: u64,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A backup in a list.
#[derive(Debug, Serialize)]
struct Listed {
    backup: u64,
    lead: u64,
    email: Option<String>,
    role: &'static str,
    plan: String,
    taken_at: chrono::DateTime<chrono::Utc>,
    values: usize,
    lists: Option<usize>,
    programs: Option<usize>,
    erased: bool,
}

#[derive(Debug, Serialize)]
struct ListDocument {
    schema: &'static str,
    backups: usize,
    erased: usize,
    backup: Vec<Listed>,
}

/// A backup with all that it holds.
#[derive(Debug, Serialize)]
struct Whole {
    backup: u64,
    lead: u64,
    key: String,
    role: &'static str,
    plan: String,
    taken_at: chrono::DateTime<chrono::Utc>,
    erased: bool,
    /// Of what it held when it was taken.
    sha256: Option<String>,
    fields: std::collections::BTreeMap<String, Value>,
    lists: Option<Vec<Map<String, Value>>>,
    programs: Option<Vec<Map<String, Value>>>,
}

impl From<KeptBackup> for Whole {
    fn from(backup: KeptBackup) -> Self {
        Self {
            backup: backup.number,
            lead: backup.lead.id,
            key: backup.key,
            role: role(backup.role),
            plan: backup.plan,
            taken_at: backup.taken_at,
            erased: backup.erased,
            sha256: backup.sha256,
            fields: backup.lead.fields,
            lists: backup.lists,
            programs: backup.programs,
        }
    }
}

#[derive(Debug, Serialize)]
struct ShowDocument {
    schema: &'static str,
    backup: Vec<Whole>,
}

pub(super) async fn run(context: &mut Context, args: &BackupArgs) -> Result<Exit, Failure> {
    match &args.what {
        What::List(args) => list(context, args),
        What::Show(args) => show(context, args),
        What::Export(args) => export::run(context, args),
        What::Verify(args) => verify::run(context, args).await,
        What::Erase(args) => erase::run(context, args),
    }
}

/// The backups that are asked for, the oldest first. One that cannot be read is an error.
fn kept(ledger: &Ledger, takes: impl Fn(&KeptBackup) -> bool) -> Result<Vec<KeptBackup>, Error> {
    let (mut found, mut failed) = (Vec::new(), None);
    ledger.each_backup(|backup| match backup {
        Ok(backup) => {
            if takes(&backup) {
                found.push(backup);
            }
            std::ops::ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            std::ops::ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(found), Err)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Winner => "winner",
        Role::Loser => "loser",
    }
}

fn list(context: &mut Context, args: &ListArgs) -> Result<Exit, Failure> {
    let ledger = ledgers::open_existing(context)?;
    let mut listed = Vec::new();
    for backup in kept(&ledger, |backup| args.only.takes(backup))? {
        listed.push(Listed {
            backup: backup.number,
            lead: backup.lead.id,
            email: backup.lead.email().map(str::to_owned),
            role: role(backup.role),
            plan: backup.plan,
            taken_at: backup.taken_at,
            values: backup.lead.fields.len(),
            lists: backup.lists.map(|rows| rows.len()),
            programs: backup.programs.map(|rows| rows.len()),
            erased: backup.erased,
        });
    }
    let erased = listed.iter().filter(|backup| backup.erased).count();
    if args.json {
        let document = ListDocument {
            schema: "mkto-audit/backup-list/1",
            backups: listed.len(),
            erased,
            backup: listed,
        };
        context.ui.json(&document)?;
        return Ok(Exit::Done);
    }
    let number = |of: Option<usize>| of.map_or_else(|| "?".to_owned(), |of| of.to_string());
    let line = |one: &Listed| {
        let held = if one.erased {
            "erased".to_owned()
        } else {
            format!(
                "{} values, {} lists, {} programs",
                one.values,
                number(one.lists),
                number(one.programs)
            )
        };
        let email = one.email.as_deref().map(one_line).unwrap_or_default();
        format!("{}  {}  {} {email}  {held}", one.backup, moment(one.taken_at), one.lead)
    };
    let lines: Vec<String> = listed.iter().map(line).collect();
    let total = format!("{}, of which {erased} erased", counted_of(listed.len(), "backup"));
    let text = if lines.is_empty() { total } else { format!("{}\n\n{total}", lines.join("\n")) };
    context.ui.print(&format!("{text}\n"))?;
    Ok(Exit::Done)
}

fn show(context: &mut Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let ledger = ledgers::open_existing(context)?;
    let found = kept(&ledger, |backup| backup.lead.id == args.id)?;
    if found.is_empty() {
        return Err(Failure::Usage {
            what: format!(
                "the ledger {} has no backup of record {}",
                ledger.path().display(),
                args.id
            ),
            hint: Some("`mkto-audit backup list` lists those that there are".to_owned()),
        });
    }
    if args.json {
        let backup = found.into_iter().map(Whole::from).collect();
        context.ui.json(&ShowDocument { schema: "mkto-audit/backup-show/1", backup })?;
        return Ok(Exit::Done);
    }
    let lines: Vec<String> = found.iter().flat_map(lines).collect();
    context.ui.print(&format!("{}\n", lines.join("\n")))?;
    Ok(Exit::Done)
}

fn lines(backup: &KeptBackup) -> Vec<String> {
    let mut lines = vec![format!(
        "backup {}: record {}, {} of plan {}, {}",
        backup.number,
        backup.lead.id,
        role(backup.role),
        backup.plan,
        moment(backup.taken_at)
    )];
    if backup.erased {
        let digest = backup.sha256.as_deref().unwrap_or_default();
        lines.push(format!("    its values were erased; the SHA-256 of what it held is {digest}"));
        return lines;
    }
    lines.extend(
        backup.lead.fields.iter().map(|(name, value)| format!("    {name}: {}", shown(value))),
    );
    for (rows, what) in [(&backup.lists, "list"), (&backup.programs, "program")] {
        let Some(rows) = rows else {
            lines.push(format!("    {what}s were not read"));
            continue;
        };
        for row in rows {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
            let id = row.get("id").map(ToString::to_string).unwrap_or_default();
            let status = text("progressionStatus");
            let status =
                if status.is_empty() { String::new() } else { format!(": {}", one_line(status)) };
            lines.push(format!("    {what} {} ({id}){status}", one_line(text("name"))));
        }
    }
    lines
}
