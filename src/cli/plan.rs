//! `mkto-audit plan`: plans that people look at, decide about and approve, before anything is
//! merged.
//!
//! Only `create` asks Marketo; all else is in the ledger. Never: merges.

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure, now};
use crate::review::PlanReview;

mod approve;
mod create;
mod decide;
mod diff;
mod document;
mod export;
mod import;
mod list;
mod show;
mod text;

/// Make plans of merges, look at them, decide, approve
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mkto-audit plan create --name november       plan every group, for people to decide\n  \
    mkto-audit plan show november                what changes, group by group; the digest at the end\n  \
    mkto-audit plan export november.xlsx         a workbook for people to decide in\n  \
    mkto-audit plan import november.xlsx --by NAME\n  \
    mkto-audit plan decide november --email ada@example.com --merge --by NAME\n  \
    mkto-audit plan approve november --by NAME\n  \
    mkto-audit merge --plan november --confirm   carry out what was approved")]
pub(super) struct PlanArgs {
    #[command(subcommand)]
    command: PlanCommand,
}

#[derive(Debug, Subcommand)]
enum PlanCommand {
    Create(create::CreateArgs),
    Show(show::ShowArgs),
    List(list::ListArgs),
    Diff(diff::DiffArgs),
    Decide(decide::DecideArgs),
    Approve(approve::ApproveArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
}

pub(super) async fn run(context: &mut Context, args: PlanArgs) -> Result<Exit, Failure> {
    match args.command {
        PlanCommand::Create(args) => create::run(context, args).await,
        PlanCommand::Show(args) => show::run(context, &args),
        PlanCommand::List(args) => list::run(context, &args),
        PlanCommand::Diff(args) => diff::run(context, &args),
        PlanCommand::Decide(args) => decide::run(context, &args),
        PlanCommand::Approve(args) => approve::run(context, &args),
        PlanCommand::Export(args) => export::run(context, &args),
        PlanCommand::Import(args) => import::run(context, &args),
    }
}

/// A plan of the configured instance's ledger, by id or name. Needs no credentials.
pub(super) fn open(context: &mut Context, plan: &str) -> Result<PlanReview, Failure> {
    // Whose ledger it is must be known.
    context.config.addresses()?;
    let (file, instance) = (context.config.ledger_file()?, context.config.instance_name());
    if !file.exists() {
        return Err(none_kept(plan, &file));
    }
    let review = PlanReview::open(&file, &instance, plan, now)?;
    let review = review.two_people(context.config.review.two_people);
    Ok(match context.config.instance.app_url.clone() {
        Some(app_url) => review.linked_by(Box::new(move |lead| app_url.link_to(lead))),
        None => review,
    })
}

/// That there is no plan at all.
fn none_kept(plan: &str, ledger: &std::path::Path) -> Failure {
    Failure::Usage {
        what: format!("the ledger {} has no plan {plan}", ledger.display()),
        hint: Some("no plan is kept yet; `mkto-audit plan create` makes one".to_owned()),
    }
}
