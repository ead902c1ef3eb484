//! `mkto-audit decisions`: what people decided that outlives its plan: records that share a key and
//! are not one person.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, Exit, Failure, now};
use crate::ledger::Ledger;
use crate::review::{KeptDecision, forget_not_same, kept_decisions};
use crate::terminal::{counted_of, harmless};

/// List, and take back, what was decided for every later plan
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mkto-audit decisions list\n  mkto-audit decisions forget 3 --by NAME"
)]
pub(super) struct DecisionsArgs {
    #[command(subcommand)]
    command: DecisionsCommand,
}

#[derive(Debug, Subcommand)]
enum DecisionsCommand {
    /// List the groups whose records are not one person, by somebody's word
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Take such a word back: the group is in the next plan again
    Forget {
        /// Its number in the list, or the group's address
        #[arg(value_name = "NUMBER|ADDRESS")]
        which: String,
        /// Who takes it back
        #[arg(long, value_name = "NAME")]
        by: String,
    },
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    decision: &'a [KeptDecision],
}

pub(super) fn run(context: &mut Context, args: &DecisionsArgs) -> Result<Exit, Failure> {
    context.config.addresses()?;
    let (file, instance) = (context.config.ledger_file()?, context.config.instance_name());
    let mut ledger = file.exists().then(|| Ledger::open(&file, &instance)).transpose()?;
    let kept = ledger.as_ref().map(kept_decisions).transpose()?.unwrap_or_default();
    match &args.command {
        DecisionsCommand::List { json: true } => {
            context
                .ui
                .json(&Document { schema: "mkto-audit/decisions-list/1", decision: &kept })?;
        }
        DecisionsCommand::List { json: false } if kept.is_empty() => {
            context.ui.print("nothing is decided that outlives its plan")?;
        }
        DecisionsCommand::List { json: false } => {
            let lines: Vec<String> = kept.iter().map(line).collect();
            context.ui.print(&lines.join("\n"))?;
        }
        DecisionsCommand::Forget { which, by } => {
            let at = now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
            let forgotten = match &mut ledger {
                Some(ledger) => forget_not_same(ledger, which, by, &at)?,
                None => 0,
            };
            if forgotten == 0 {
                return Err(Failure::Usage {
                    what: format!("nothing like `{which}` is decided that outlives its plan"),
                    hint: Some("`mkto-audit decisions list` shows what is".to_owned()),
                });
            }
            context.ui.print(&format!(
                "{} taken back; the group is in the next plan again",
                counted_of(forgotten, "decision")
            ))?;
        }
    }
    Ok(Exit::Done)
}

fn line(kept: &KeptDecision) -> String {
    let leads: Vec<String> = kept.leads.iter().map(ToString::to_string).collect();
    let note = kept.note.as_ref().map(|note| format!(": {}", harmless(note))).unwrap_or_default();
    format!(
        "{}  {}  records {} are not one person; {} on {}{note}",
        kept.number,
        kept.key,
        leads.join(", "),
        kept.by,
        kept.at.get(..10).unwrap_or(&kept.at)
    )
}
