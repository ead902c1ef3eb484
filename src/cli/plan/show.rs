//! `plan show`: the groups of a plan as they would be merged with what is decided.

use clap::Args;

use super::document::{AT_ONCE, Document};
use super::text::{group_lines, summary};
use crate::cli::wrap::fitted;
use crate::cli::{Context, Exit, Failure};
use crate::review::PlanReview;

/// Show a plan: what changes, group by group; the sums and the digest at the end
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit plan show november")]
pub(super) struct ShowArgs {
    /// Its id or name
    #[arg(value_name = "PLAN")]
    plan: String,
    /// Show every field, also those that all records agree on
    #[arg(long)]
    all: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &mut Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let review = super::open(context, &args.plan)?;
    if args.json {
        print_json(context, &review)?;
    } else {
        print_text(context, &review, args.all)?;
    }
    Ok(Exit::Done)
}

pub(super) fn print_json(context: &mut Context, review: &PlanReview) -> Result<(), Failure> {
    let document = Document::of(review)?;
    context.ui.json(&document)
}

/// Prints groups as they are read, so that a long plan is not held as a whole.
pub(super) fn print_text(
    context: &mut Context,
    review: &PlanReview,
    all: bool,
) -> Result<(), Failure> {
    let width = context.ui.terminal_width().unwrap_or(usize::MAX);
    let mut after = None;
    loop {
        let shown = review.shown(after, AT_ONCE, all)?;
        let Some(last) = shown.last() else { break };
        after = Some(last.card.place);
        let lines: Vec<String> = shown.iter().flat_map(group_lines).collect();
        context.ui.write(|out| writeln!(out, "{}", fitted(&lines.join("\n"), width)))?;
    }
    let mut from = 0;
    loop {
        let blocked = review.blocked(from, AT_ONCE)?;
        if blocked.is_empty() {
            break;
        }
        from += blocked.len() as u64;
        let lines: Vec<String> = blocked.iter().flat_map(super::text::blocked_lines).collect();
        context.ui.write(|out| writeln!(out, "{}", fitted(&lines.join("\n"), width)))?;
    }
    let mut end = vec![String::new()];
    end.extend(summary(&review.head()?));
    context.ui.print(&end.join("\n"))
}
