//! `plan diff`: what one plan would do otherwise than another.

use clap::Args;
use serde::Serialize;

use crate::cli::{Context, Exit, Failure};
use crate::review::{Difference, differences};
use crate::terminal::counted;

/// Show what plan B would do otherwise than plan A, with what is decided in each
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit plan diff october november")]
pub(super) struct DiffArgs {
    /// The id or name of one
    #[arg(value_name = "A")]
    a: String,
    /// The id or name of the other
    #[arg(value_name = "B")]
    b: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    a: &'a str,
    b: &'a str,
    same: u64,
    group: &'a [Difference],
}

pub(super) fn run(context: &mut Context, args: &DiffArgs) -> Result<Exit, Failure> {
    let (a, b) = (super::open(context, &args.a)?, super::open(context, &args.b)?);
    let (same, differences) = differences(&a, &b)?;
    if args.json {
        let (a, b) = (a.head()?.plan, b.head()?.plan);
        let document =
            Document { schema: "mkto-audit/plan-diff/1", a: &a, b: &b, same, group: &differences };
        context.ui.json(&document)?;
        return Ok(Exit::Done);
    }
    let mut lines: Vec<String> = Vec::new();
    for difference in &differences {
        lines.push(format!("{} {}", difference.sign(), difference.key));
        lines.extend(difference.what.iter().map(|what| format!("    {what}")));
    }
    lines.push(format!(
        "{} in both alike, {} otherwise",
        counted(same, "group"),
        counted(differences.len() as u64, "group")
    ));
    context.ui.print(&lines.join("\n"))?;
    Ok(Exit::Done)
}
