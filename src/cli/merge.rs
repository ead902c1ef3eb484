//! `mkto-audit merge`: what would be merged, and with `--confirm` the merging of it.

use clap::Args;

pub(super) use self::chosen::candidates;
use self::follow::{Follow, key_of};
use self::steps::{Asked, Steps};
use super::filter::{FLAGS, FilterArgs, at_least_one};
use super::{Context, Exit, Failure, Ui, history};
use crate::cache::Cache;
use crate::config::Config;
use crate::dedupe::{Policy, ReviewPolicy, Risk};
use crate::marketo::Client;
use crate::merge::{Hold, LateRows, Merge, Settings};
use crate::report::Filter;

mod chosen;
mod ending;
mod findings;
mod first;
mod follow;
mod kept;
mod ledger;
mod resumed;
mod show;
mod sources;
mod steps;

/// Show what would be merged; merge it with --confirm
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Examples:\n  mkto-audit merge                       show what would be merged, and keep it as a plan\n  \
    mkto-audit merge --plan ID --confirm   carry out exactly that plan\n  \
    mkto-audit merge --confirm --limit 5   plan afresh, and merge the five largest groups\n  \
    mkto-audit merge --from-file a.txt     only the groups of the addresses in a file\n  \
    mkto-audit merge --look-after --confirm   merge nothing; do all that a run does for earlier merges\n\n\
    A merge cannot be undone. Before each one the losing leads are kept whole in the ledger. On a terminal, --confirm \
    without --plan asks for the number of records that will vanish; in a script or a pipe it does not ask."
)]
pub(super) struct MergeArgs {
    /// Merge. Without it nothing at Marketo is changed
    #[arg(long)]
    confirm: bool,
    /// Change nothing at Marketo; the same as leaving --confirm out
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    /// Merge nothing; do all that a run does for earlier merges: settle open calls, give values
    /// back, set opt-outs, and move rows of custom objects that came late
    #[arg(long, requires = "confirm", conflicts_with_all = NOT_LOOKING_AFTER)]
    look_after: bool,
    /// Do not ask on a terminal how many records will vanish
    #[arg(long, requires = "confirm")]
    yes: bool,
    /// Carry out, or show, a plan that is kept, by its id or name
    #[arg(long, value_name = "PLAN", conflicts_with_all = NOT_WITH_A_PLAN)]
    plan: Option<String>,
    /// Carry it out only if this is the digest of the plan with what is decided
    #[arg(long, value_name = "SHA256", requires = "plan")]
    digest: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only groups of this risk: green, amber or red; red ones are merged from a decided plan alone
    #[arg(long, value_name = "RISK")]
    risk: Option<Risk>,
    /// Merge at most so many groups, the largest first [default: `merge.max_groups`]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit: Option<usize>,
    #[command(flatten)]
    allowed: Allowed,
    #[command(flatten)]
    settled: findings::Settled,
    /// Who runs it, for the ledger [env: `MKTO_AUDIT_BY`] [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A plan has its groups and its rules.
const NOT_WITH_A_PLAN: [&str; 11] = {
    let [cause, min_size, since, domain, email, from_file] = FLAGS;
    [
        cause,
        min_size,
        since,
        domain,
        email,
        from_file,
        "risk",
        "limit",
        "include_shared",
        "merge_in_crm",
        "across_partitions",
    ]
};

/// Where nothing is merged there is nothing to choose.
const NOT_LOOKING_AFTER: [&str; 12] = {
    let [cause, min_size, since, domain, email, from_file] = FLAGS;
    [
        cause,
        min_size,
        since,
        domain,
        email,
        from_file,
        "risk",
        "limit",
        "plan",
        "include_shared",
        "merge_in_crm",
        "across_partitions",
    ]
};

/// Groups that are in no plan unless asked for. None of these merges one: that takes a person's
/// decision.
#[derive(Debug, Args)]
struct Allowed {
    /// Have groups that look like several people behind one mailbox in the plan, for a person to
    /// decide about
    #[arg(long)]
    include_shared: bool,
    /// Have groups with several CRM records in the plan, for a person to decide about; Salesforce
    /// then merges its records, too
    #[arg(long)]
    merge_in_crm: bool,
    /// Have groups that span lead partitions in the plan, for a person to decide about
    #[arg(long)]
    across_partitions: bool,
}

pub(super) async fn run(context: &mut Context, args: &MergeArgs) -> Result<Exit, Failure> {
    match findings::acknowledge(context, &args.settled)? {
        Some(exit) => Ok(exit),
        // Its state is large, and would be part of every command's.
        None => Box::pin(plan_or_merge(context, args)).await,
    }
}

async fn plan_or_merge(context: &mut Context, args: &MergeArgs) -> Result<Exit, Failure> {
    let filter = args.filter.read(context)?;
    match &args.plan {
        Some(id) if !args.confirm => return kept::show(context, id, args.json),
        None if args.confirm && !args.look_after => refuse_unreviewed(context)?,
        _ => {}
    }
    if args.confirm {
        context.say_instance();
    }
    let instance = context.config.instance_name();
    let client = context.client()?;
    let mut cache = context.cache()?;
    if args.plan.is_none() && !args.look_after {
        refuse_unfinished(&cache)?;
    }
    let mut ledger = ledger::open(context, args.confirm, client.clock()).await?;
    history::append_waiting(&mut cache, &mut ledger)?;
    let mut kept = args.plan.as_ref().map(|id| kept::load(&ledger, id, &instance)).transpose()?;
    if let Some(kept) = &mut kept {
        kept.policy.skip_rules.in_file = context.config.do_not_touch()?;
    }
    let settings = settings(context, &client, args.confirm)?;
    let settings = Settings { by: context.config.by(args.by.as_deref()), ..settings };
    let merge = context.or_stop(Merge::new(&client, &mut ledger, settings)).await??;
    let key = merge.by_schema(context.config.key.clone());
    cache.ensure_keys(&key.signature(), |lead| key_of(&key, lead))?;
    context.config.key = key.clone();
    let wanted = match &kept {
        Some(kept) => kept.policy.clone(),
        None => policy(&context.config, &filter, &args.allowed)?,
    };
    merge.check_rules(&wanted)?;
    let progress = context.ui.progress("reading the records to merge", None).paced_by(&client);
    let follow = Follow::new(&mut cache, &key, progress);
    let most = context.config.merge.max_groups;
    let asked = Asked {
        carries_out: args.confirm,
        asks: args.confirm && args.plan.is_none() && !args.yes,
        filter,
        risk: args.risk,
        most_groups: args.limit.unwrap_or(usize::MAX).min(most),
        digest: args.digest.clone(),
        json: args.json,
    };
    let (digest, looks_after, late_rows) = (None, args.look_after, LateRows::default());
    let client = &client;
    let steps = Steps {
        context,
        asked,
        client,
        merge,
        follow,
        digest,
        looks_after,
        is_put_off: false,
        late_rows,
    };
    Box::pin(steps.run(kept, wanted)).await
}

/// With `review.policy = "always"` nothing is merged that nobody approved.
fn refuse_unreviewed(context: &Context) -> Result<(), Failure> {
    if context.config.review.policy != ReviewPolicy::Always {
        return Ok(());
    }
    Err(Failure::Usage {
        what: "nothing was merged: `review.policy` is `always`, so that only an approved plan is carried out"
            .to_owned(),
        hint: Some(
            "make a plan with `mkto-audit plan create`, have it approved with `mkto-audit plan approve PLAN --by NAME`, then \
             `mkto-audit merge --plan PLAN --confirm`"
                .to_owned(),
        ),
    })
}

/// How a run goes about it.
pub(super) fn settings(
    context: &Context,
    client: &Client,
    confirmed: bool,
) -> Result<Settings, Failure> {
    Ok(Settings {
        clock: client.clock(),
        now: super::now,
        stop: context.interrupt.clone(),
        stop_after_errors: context.config.merge.stop_after_errors,
        concurrency: context.config.merge.at_once(&context.config.limits),
        brakes: context.config.merge.brakes(&context.config.limits),
        carries_out: confirmed,
        hold: hold(context, confirmed)?,
        by: context.config.by(None),
    })
}

/// The keys of what is merged are leased where the guards of the instance lease theirs. A dry run
/// sends nothing that others would have to wait for.
fn hold(context: &Context, confirmed: bool) -> Result<Hold, Failure> {
    if !confirmed {
        return Ok(Hold::none());
    }
    let leases = super::leases::open_shared(context)?;
    Ok(Hold::new(leases, context.config.instance_name()))
}

/// Nothing is planned from half a scan: the records that it has not read may belong to its groups.
/// A plan that was made before needs no cache.
pub(super) fn refuse_unfinished(cache: &Cache) -> Result<(), Failure> {
    super::report::source(cache)?.unfinished().map_or(Ok(()), |words| {
        Err(Failure::Usage {
            what: "nothing was planned: a merge is planned from a whole scan alone".to_owned(),
            hint: Some(words),
        })
    })
}

fn policy(config: &Config, filter: &Filter, allowed: &Allowed) -> Result<Policy, Failure> {
    let Allowed { include_shared, merge_in_crm, across_partitions } = *allowed;
    let configured = config.policy(super::now())?;
    Ok(filter.policy(Policy { include_shared, merge_in_crm, across_partitions, ..configured }))
}
