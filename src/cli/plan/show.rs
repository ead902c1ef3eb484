//! `plan show`: the groups of a plan as they would be merged with what is decided.

use clap::Args;

use super::document::{AT_ONCE, Document};
use super::text::{group_lines, summary};
use crate::cli::wrap::fitted;
use crate::cli::{Context, Exit, Failure};
use crate::dedupe::Risk;
use crate::review::{CardFilter, PlanReview};
use crate::terminal::{count, counted};

/// Show a plan: what changes, group by group; the sums and the digest at the end
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit plan show november")]
pub(super) struct ShowArgs {
    /// Its id or name
    #[arg(value_name = "PLAN")]
    plan: String,
    /// Only groups of this risk, as they were planned: green, amber or red
    #[arg(long, value_name = "RISK")]
    risk: Option<Risk>,
    /// Show every field, also those that all records agree on
    #[arg(long)]
    all: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &mut Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let review = super::open(context, &args.plan)?;
    let filter = CardFilter { risk: args.risk, ..CardFilter::default() };
    if args.json {
        print_json(context, &review, filter)?;
    } else {
        print_text(context, &review, &filter, args.all)?;
    }
    Ok(Exit::Done)
}

pub(super) fn print_json(
    context: &mut Context,
    review: &PlanReview,
    filter: CardFilter,
) -> Result<(), Failure> {
    let document = Document::of(review, filter)?;
    context.ui.json(&document)
}

/// Prints groups as they are read, so that a long plan is not held as a whole.
pub(super) fn print_text(
    context: &mut Context,
    review: &PlanReview,
    filter: &CardFilter,
    all: bool,
) -> Result<(), Failure> {
    let width = context.ui.terminal_width().unwrap_or(usize::MAX);
    let (mut after, mut groups) = (None, 0);
    loop {
        let shown = review.shown(filter, after, AT_ONCE, all)?;
        let Some(last) = shown.last() else { break };
        after = Some(last.card.place);
        groups += shown.len() as u64;
        let lines: Vec<String> = shown.iter().flat_map(group_lines).collect();
        context.ui.write(|out| writeln!(out, "{}", fitted(&lines.join("\n"), width)))?;
    }
    // Groups that nobody can decide about have no risk.
    let mut from = 0;
    while filter.risk.is_none() {
        let blocked = review.blocked(from, AT_ONCE)?;
        if blocked.is_empty() {
            break;
        }
        from += blocked.len() as u64;
        let lines: Vec<String> = blocked.iter().flat_map(super::text::blocked_lines).collect();
        context.ui.write(|out| writeln!(out, "{}", fitted(&lines.join("\n"), width)))?;
    }
    let (mut end, head) = (vec![String::new()], review.head()?);
    if let Some(risk) = filter.risk {
        end.push(format!("shown: {} {risk} of {}", count(groups), counted(head.groups, "group")));
    }
    end.extend(summary(&head));
    context.ui.print(&end.join("\n"))
}
