//! `plan approve`: a name and a time under the digest of a plan with all that is decided.

use clap::Args;
use serde::Serialize;

use crate::cli::{Context, Exit, Failure};
use crate::review::Approval;
use crate::terminal::counted;

/// Approve a plan as it stands; a run uses the approval up, and any later decision voids it
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mkto-audit plan approve november --by \"Ada Lovelace\" --note \"looked at the red ones\""
)]
pub(super) struct ApproveArgs {
    /// Its id or name
    #[arg(value_name = "PLAN")]
    plan: String,
    /// Who approves it
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Only if this is its digest: the one that was looked at
    #[arg(long, value_name = "SHA256")]
    digest: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    plan: &'a str,
    #[serde(flatten)]
    approval: &'a Approval,
}

pub(super) fn run(context: &mut Context, args: &ApproveArgs) -> Result<Exit, Failure> {
    let review = super::open(context, &args.plan)?;
    let head = review.head()?;
    let digest = args.digest.as_deref().unwrap_or(&head.digest);
    let approval = review.approve(digest, &args.by, args.note.as_deref())?;
    if args.json {
        let document = Document {
            schema: "mkto-audit/plan-approval/1",
            plan: &head.plan,
            approval: &approval,
        };
        context.ui.json(&document)?;
        return Ok(Exit::Done);
    }
    let lines = [
        format!(
            "approved by {}: {} will disappear, {} will be dropped, {} lost",
            approval.by,
            counted(head.records, "record"),
            counted(head.dropped_values, "value"),
            counted(head.opt_outs_lost, "opt-out")
        ),
        format!(
            "to carry out exactly this: mkto-audit merge --plan {} --digest {} --confirm",
            head.name.as_ref().unwrap_or(&head.plan),
            approval.digest
        ),
    ];
    context.ui.print(&lines.join("\n"))?;
    Ok(Exit::Done)
}
