//! `plan create`: reads the groups live, and keeps a plan of them for people to decide about.

use clap::Args;

use super::{show, text};
use crate::cli::filter::{FilterArgs, at_least_one, tell_missing};
use crate::cli::merge::{candidates, refuse_unfinished, settings};
use crate::cli::{Context, Exit, Failure, history, probe};
use crate::dedupe::Risk;
use crate::ledger::{self, Ledger};
use crate::merge::{Merge, Planned, Planning, Settings};
use crate::report::Filter;
use crate::review::{CardFilter, take_over};
use crate::terminal::counted_of;

/// Plan merges for people to decide about; nothing at Marketo is changed
///
/// Every group is in the plan, also those that `merge` would leave alone: these are red, and are
/// merged only where a person decides so.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mkto-audit plan create --name november\n  \
    mkto-audit plan create --safe-first 20          a small first plan of groups that need no decision\n  \
    mkto-audit plan create --risk red --limit 50    the largest groups that need one\n  \
    mkto-audit plan create --explain ada@example.com")]
pub(super) struct CreateArgs {
    /// What people call it, in place of its id
    #[arg(long, value_name = "NAME", value_parser = a_name)]
    name: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only groups of this risk: green, amber or red
    #[arg(long, value_name = "RISK")]
    risk: Option<Risk>,
    /// Plan at most so many groups, the largest first
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit: Option<usize>,
    /// Plan the first N groups that nothing speaks against, and no others
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with_all = ["risk", "limit"])]
    safe_first: Option<usize>,
    /// Plan the group of this address alone, and say why this record stays and what decides each
    /// value
    #[arg(long, value_name = "EMAIL", conflicts_with_all = ["email", "from_file", "safe_first"])]
    explain: Option<String>,
    /// Who has it made, for the record [env: `MKTO_AUDIT_BY`] [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn a_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err("a name is made of letters, digits, `-`, `_` and `.`");
    }
    Ok(name.to_owned())
}

pub(super) async fn run(context: &mut Context, mut args: CreateArgs) -> Result<Exit, Failure> {
    if let Some(email) = &args.explain {
        args.filter.only(email);
    }
    let filter = args.filter.read(context)?;
    let client = context.client()?;
    let mut cache = context.cache()?;
    refuse_unfinished(&cache)?;
    let instance = context.config.instance_name();
    let mut ledger = Ledger::open(&context.config.ledger_file()?, &instance)?;
    history::append_waiting(&mut cache, &mut ledger)?;
    probe::tell_profile(context, &ledger)?;
    // Before anything is read for it.
    if let Some(name) = args.name.clone()
        && ledger.plan_head(&name)?.is_some()
    {
        return Err(ledger::Error::NameTaken { name }.into());
    }
    let by = context.config.by(args.by.as_deref());
    let settings = Settings { by, ..settings(context, &client, false)? };
    let mut merge = context.or_stop(Merge::new(&client, &mut ledger, settings)).await??;
    context.config.key = merge.by_schema(context.config.key.clone());
    let key = &context.config.key;
    cache.ensure_keys(&key.signature(), |lead| key.key_of(lead).map(String::from))?;
    let mut planning = planning(context, &args, &filter)?;
    merge.check_rules(&planning.policy)?;
    let chosen = candidates(&cache, &filter, &planning.policy, &context.interrupt)?;
    tell_missing(&mut context.ui, &filter, &chosen.found, cache.summary()?.leads);
    chosen.tell_named(&mut context.ui, &mut planning.policy);
    let progress = context.ui.progress("reading the records to plan", None).paced_by(&client);
    let planned = merge.make_plan(&chosen.candidates, &planning).await;
    drop(progress);
    let planned = planned?;
    if planned.cut_short {
        context.ui.note(
            "stopped as asked: no plan was kept, since it would have only the groups that were read by then; the same command \
             begins anew",
        );
        return Ok(Exit::Stopped);
    }
    drop(merge);
    if let Some(id) = &planned.id {
        take_over(&mut ledger, &instance, id)?;
    }
    drop(ledger);
    tell(context, &args, &planned)
}

fn planning(context: &Context, args: &CreateArgs, filter: &Filter) -> Result<Planning, Failure> {
    let risks = match (args.risk, args.safe_first) {
        (Some(risk), _) => vec![risk],
        (None, Some(_)) => vec![Risk::Green, Risk::Amber],
        (None, None) => Risk::ALL.to_vec(),
    };
    Ok(Planning {
        policy: filter.policy(context.config.policy(crate::cli::now())?),
        instance: context.config.instance_name(),
        limit: args.safe_first.or(args.limit).unwrap_or(usize::MAX),
        for_review: true,
        risks,
        name: args.name.clone(),
        decided: false,
    })
}

fn tell(context: &mut Context, args: &CreateArgs, planned: &Planned) -> Result<Exit, Failure> {
    if planned.passed_over > 0 {
        let groups = counted_of(planned.passed_over, "group");
        context.ui.note(&format!("{groups} of another risk are not in the plan"));
    }
    let Some(id) = &planned.id else {
        if args.json {
            context.ui.json(&super::document::Nothing::of(&planned.left_out))?;
            return Ok(Exit::Done);
        }
        context.ui.print(&text::nothing(&planned.left_out))?;
        return Ok(Exit::Done);
    };
    let review = super::open(context, id)?;
    if args.json {
        show::print_json(context, &review, CardFilter::default())?;
    } else if args.explain.is_some() {
        show::print_text(context, &review, &CardFilter::default(), true)?;
    } else {
        context.ui.print(&text::summary(&review.head()?).join("\n"))?;
        context.ui.note(&format!("to look at each group: mkto-audit plan show {id}"));
    }
    Ok(Exit::Done)
}
