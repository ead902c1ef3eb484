//! `mkto-audit decisions`: what people decided that outlives its plan: groups on hold, records that
//! are not one person, records that are left out.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::wrap::fitted;
use super::{Context, Exit, Failure, now};
use crate::dedupe::{Choice, records};
use crate::ledger::Ledger;
use crate::review::{KeptDecision, forget_words, kept_decisions};
use crate::terminal::{counted_of, harmless};

/// List, and take back, what was decided for later plans too
///
/// Three decisions outlive their plan: that a group is on hold, that its records are not one person,
/// and that a record is left out. They hold for the same records until somebody takes them back
/// here, decides otherwise in a later plan, or a record gets another name or address.
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
    /// List them: the group, who decided it, when, in which plan
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Take one back: the next plan proposes these records again
    ///
    /// An approval of a plan that has the group counts no longer.
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
            let lines: Vec<String> = kept.iter().flat_map(lines).collect();
            let width = context.ui.terminal_width().unwrap_or(usize::MAX);
            context.ui.print(&fitted(&lines.join("\n"), width))?;
            context.ui.note("to take one back: mkto-audit decisions forget NUMBER --by NAME");
        }
        DecisionsCommand::Forget { which, by } => {
            let at = now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
            let forgotten = match &mut ledger {
                Some(ledger) => forget_words(ledger, which, by, &at)?,
                None => 0,
            };
            if forgotten == 0 {
                return Err(Failure::Usage {
                    what: format!("nothing like `{which}` is decided that outlives its plan"),
                    hint: Some("`mkto-audit decisions list` shows what is".to_owned()),
                });
            }
            context.ui.print(&format!(
                "{} taken back; the next plan proposes these records again",
                counted_of(forgotten, "decision")
            ))?;
        }
    }
    Ok(Exit::Done)
}

/// The group and what is decided, then who, when and why.
fn lines(kept: &KeptDecision) -> [String; 2] {
    let all = records(&kept.leads.iter().copied().collect());
    let out = records(&kept.left_out);
    let what = match kept.decision {
        Some(Choice::NotSame) => format!("{all} are not one person"),
        Some(_hold) if kept.left_out.is_empty() => format!("{all} are on hold"),
        Some(_hold) => format!("{all} are on hold, and {out} left out"),
        None => format!("{out} left out of {all}"),
    };
    let note = kept.note.as_ref().map(|note| format!(": {}", harmless(note))).unwrap_or_default();
    let day = kept.at.get(..10).unwrap_or(&kept.at);
    let who = format!("{} on {day} in plan {}{note}", harmless(&kept.by), kept.plan_name);
    [format!("{}  {}  {what}", kept.number, kept.key), format!("    {who}")]
}
