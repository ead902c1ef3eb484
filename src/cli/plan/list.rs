//! `plan list`: the plans of the ledger, the newest first.

use clap::Args;
use serde::Serialize;

use crate::cli::{Context, Exit, Failure};
use crate::ledger::Ledger;
use crate::review::{CarriedState, ListedPlan, listed};
use crate::terminal::counted;

/// List the plans that are kept, the newest first
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit plan list")]
pub(super) struct ListArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    plan: &'a [ListedPlan],
}

pub(super) fn run(context: &mut Context, args: &ListArgs) -> Result<Exit, Failure> {
    context.config.addresses()?;
    let (file, instance) = (context.config.ledger_file()?, context.config.instance_name());
    let plans = if file.exists() {
        listed(&Ledger::open(&file, &instance)?, &instance)?
    } else {
        Vec::new()
    };
    if args.json {
        context.ui.json(&Document { schema: "mkto-audit/plan-list/1", plan: &plans })?;
    } else if plans.is_empty() {
        context.ui.print("no plan is kept yet; `mkto-audit plan create` makes one")?;
    } else {
        let lines: Vec<String> = plans.iter().map(line).collect();
        context.ui.print(&lines.join("\n"))?;
    }
    Ok(Exit::Done)
}

fn line(plan: &ListedPlan) -> String {
    let name = plan.name.as_ref().map(|name| format!("  {name}")).unwrap_or_default();
    let made = plan.made_at.get(..16).unwrap_or(&plan.made_at).replace('T', " ");
    if plan.digest.is_none() {
        return format!(
            "{}{name}  made {made}  by an older version; it cannot be carried out",
            plan.plan
        );
    }
    let approved = plan.approved_by.as_ref().map(|by| format!(", approved by {by}"));
    let run = plan.run.as_ref().map(|at| {
        let at = at.get(..16).unwrap_or(at).replace('T', " ");
        let what = match plan.state {
            Some(CarriedState::CarriedOut) => "carried out",
            _ => "begun, last run",
        };
        format!(", {what} {at}: {} merged, {} left alone", plan.merged, plan.left_alone)
    });
    format!(
        "{}{name}  made {made}  {}, {} decided{}{}",
        plan.plan,
        counted(plan.groups, "group"),
        plan.decided,
        approved.unwrap_or_default(),
        run.unwrap_or_default()
    )
}
