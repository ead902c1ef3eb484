//! `mkto-audit merge`: what would be merged, and with `--confirm` the merging of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::confirm::{self, Vanishing};
use super::filter::{FLAGS, FilterArgs, at_least_one, tell_missing};
use super::{Context, Exit, Failure, Progress, Ui, history};
use crate::cache::{Cache, Groups, Row};
use crate::config::Config;
use crate::dedupe::{Group, Key, KeySpec, Plan, Policy, explain};
use crate::lead::{Lead, LeadId};
use crate::ledger::{Finding, FindingId};
use crate::merge::{
    Candidate, Confirmed, GroupReport, Hold, Merge, Outcome, Report, Resumed, Settings, Stopped,
    Watch,
};
use crate::report::Filter;
use crate::terminal::counted_of;

mod findings;
mod kept;
mod ledger;
mod resumed;
mod show;

/// Show what would be merged; merge it with --confirm
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Examples:\n  mkto-audit merge                       show what would be merged, and keep it as a plan\n  \
    mkto-audit merge --plan ID --confirm   carry out exactly that plan\n  \
    mkto-audit merge --confirm --limit 5   plan afresh, and merge the five largest groups\n  \
    mkto-audit merge --from-file a.txt     only the groups of the addresses in a file\n\n\
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
    /// Do not ask on a terminal how many records will vanish
    #[arg(long, requires = "confirm")]
    yes: bool,
    /// Carry out, or show, the plan that an earlier run printed
    #[arg(long, value_name = "ID", conflicts_with_all = NOT_WITH_A_PLAN)]
    plan: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Merge at most so many groups, the largest first [default: `merge.max_groups`]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit: Option<usize>,
    #[command(flatten)]
    allowed: Allowed,
    #[command(flatten)]
    settled: findings::Settled,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A plan has its groups and its rules.
const NOT_WITH_A_PLAN: [&str; 10] = {
    let [cause, min_size, since, domain, email, from_file] = FLAGS;
    [
        cause,
        min_size,
        since,
        domain,
        email,
        from_file,
        "limit",
        "include_shared",
        "merge_in_crm",
        "across_partitions",
    ]
};

/// Groups that are left alone unless asked for.
#[derive(Debug, Args)]
struct Allowed {
    /// Merge groups that look like several people behind one mailbox, too
    #[arg(long)]
    include_shared: bool,
    /// Have Salesforce merge its records, too, where several of a group are there
    #[arg(long)]
    merge_in_crm: bool,
    /// Merge groups that span lead partitions, too
    #[arg(long)]
    across_partitions: bool,
}

pub(super) async fn run(context: &mut Context, args: &MergeArgs) -> Result<Exit, Failure> {
    match findings::acknowledge(context, &args.settled)? {
        Some(exit) => Ok(exit),
        None => plan_or_merge(context, args).await,
    }
}

async fn plan_or_merge(context: &mut Context, args: &MergeArgs) -> Result<Exit, Failure> {
    let instance = context.config.instance_name();
    let filter = args.filter.read(context)?;
    match &args.plan {
        Some(id) if !args.confirm => return kept::show(context, id, args.json),
        _ if args.confirm => context.say_instance(),
        _ => {}
    }
    let client = context.client()?;
    let mut cache = context.cache()?;
    if args.plan.is_none() {
        refuse_unfinished(&cache)?;
    }
    let mut ledger = ledger::open(context, args.confirm, client.clock()).await?;
    history::append_waiting(&mut cache, &mut ledger)?;
    let kept = args.plan.as_ref().map(|id| kept::load(&ledger, id, &instance)).transpose()?;
    let settings = Settings {
        clock: client.clock(),
        now: super::now,
        stop: context.interrupt.clone(),
        stop_after_errors: context.config.merge.stop_after_errors,
        carries_out: args.confirm,
        hold: hold(context, args.confirm)?,
    };
    let mut merge = context.or_stop(Merge::new(&client, &mut ledger, settings)).await??;
    let key = merge.by_schema(context.config.key.clone());
    cache.ensure_keys(&key.signature(), |lead| key_of(&key, lead))?;
    context.config.key = key;
    let wanted = kept.as_ref().map_or_else(
        || policy(&context.config, &filter, &args.allowed),
        |plan| plan.policy.clone(),
    );
    merge.check_rules(&wanted)?;
    let progress = context.ui.progress("reading the records to merge", None).paced_by(&client);
    let mut follow = Follow::new(&mut cache, &context.config.key, progress);
    let open_before = if args.confirm {
        let resumed = merge.settle_open(&mut follow).await?;
        if let Some(exit) = tell_resumed(&mut context.ui, &resumed) {
            return Ok(exit);
        }
        resumed.findings
    } else {
        let open = merge.still_open()?;
        findings::tell(&mut context.ui, &open);
        open
    };
    let plan = if let Some(plan) = kept {
        let past = merge.past_of(&plan)?;
        if past.is_all_merged(&plan) {
            context.ui.note("nothing is left to do of this plan");
            let open = merge.still_open()?;
            kept::print(&mut context.ui, &plan, past, &open, args.json)?;
            return Ok(if open.is_empty() { Exit::Done } else { Exit::Partial });
        }
        kept::tell_begun(&mut context.ui, &past);
        plan
    } else {
        let (candidates, found) = candidates(follow.cache, &filter, &context.interrupt)?;
        tell_missing(&mut context.ui, &filter, &found, follow.cache.summary()?.leads);
        let limit = args.limit.unwrap_or(usize::MAX).min(context.config.merge.max_groups);
        merge.plan(&candidates, wanted, instance, limit).await?
    };
    let in_words = context.config.instance_in_words();
    let ask = || confirm::agrees(&mut context.ui, Vanishing::of(&plan, &in_words));
    if args.confirm && args.plan.is_none() && !args.yes && !follow.progress.aside(ask) {
        return Ok(Exit::Stopped);
    }
    let id = plan.id.clone();
    let nothing = plan.groups.is_empty();
    follow.planned = plan.groups.len();
    let report = if args.confirm {
        merge.carry_out(Confirmed::new(plan), &mut follow).await
    } else {
        Report {
            stopped: context.interrupt.is_cancelled().then_some(Stopped::Interrupted),
            ..dry_run(&plan)
        }
    };
    if follow.unrecorded {
        context.ui.note(
            "the cache could not take over what was merged; run `mkto-audit scan` before the next report",
        );
    }
    drop(follow);
    let open = merge.still_open()?;
    let shown = show::Shown {
        plan: (!nothing).then_some(id.as_str()),
        dry_run: !args.confirm,
        kept: None,
        filtered: !filter.is_of_everything(),
        report: &report,
        open: &open,
        calls: client.calls_made(),
        width: context.ui.terminal_width(),
    };
    shown.print(&mut context.ui, args.json)?;
    Ok(tell_ended(&mut context.ui, report, &open, &open_before, args.confirm))
}

/// A finding that is open, and its number.
type Open = (FindingId, Finding);

/// Says what the run lost, what could not be seen, and how it ended. No run ends well while
/// something that a merge lost is open.
fn tell_ended(ui: &mut Ui, report: Report, open: &[Open], before: &[Open], confirm: bool) -> Exit {
    let new = open.iter().filter(|finding| !before.contains(finding)).cloned();
    findings::tell(ui, &new.collect::<Vec<_>>());
    tell_unwatched(ui, report.unwatched.as_deref());
    match ending(ui, report, confirm) {
        Exit::Done if !open.is_empty() => Exit::Partial,
        exit => exit,
    }
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
fn refuse_unfinished(cache: &Cache) -> Result<(), Failure> {
    super::report::source(cache)?.unfinished().map_or(Ok(()), |words| {
        Err(Failure::Usage {
            what: "nothing was planned: a merge is planned from a whole scan alone".to_owned(),
            hint: Some(words),
        })
    })
}

fn key_of(spec: &KeySpec, lead: &Lead) -> Option<String> {
    spec.key_of(lead).map(|key| key.as_str().to_owned())
}

fn policy(config: &Config, filter: &Filter, allowed: &Allowed) -> Policy {
    let Allowed { include_shared, merge_in_crm, across_partitions } = *allowed;
    filter.policy(Policy { include_shared, merge_in_crm, across_partitions, ..config.policy() })
}

/// The groups of the cache that the flags ask for, the largest first, then by key, as a report
/// shows them; and the addresses of the filter that have a group.
fn candidates(
    cache: &Cache,
    filter: &Filter,
    stop: &CancellationToken,
) -> Result<(Vec<Candidate>, BTreeSet<String>), Failure> {
    let (mut candidates, mut found) = (Vec::new(), BTreeSet::new());
    cache.for_each_group(Groups::All, |key, leads, births| {
        // What is planned of them then is nothing.
        if stop.is_cancelled() {
            return ControlFlow::Break(());
        }
        let Some(key) = Key::stored(key.to_owned()) else { return ControlFlow::Continue(()) };
        let group = Group::new(key, leads).with_births(births);
        if let Some(emails) = &filter.emails {
            found.extend(emails.found_in(&group).map(str::to_owned));
        }
        if filter.passes(&group) {
            let cause = explain(&group.leads, &group.births).cause;
            if filter.cause.is_none_or(|asked| asked == cause) {
                let known = filter.known(cause);
                let leads = group.leads.iter().map(|lead| lead.id).collect();
                candidates.push(Candidate { key: group.key, leads, known });
            }
        }
        ControlFlow::Continue(())
    })?;
    candidates.sort_by(|a, b| b.leads.len().cmp(&a.leads.len()).then_with(|| a.key.cmp(&b.key)));
    Ok((candidates, found))
}

/// A plan as a report of what it would do.
fn dry_run(plan: &Plan) -> Report {
    let mut groups: Vec<GroupReport> = plan.groups.iter().map(GroupReport::planned).collect();
    groups.extend(plan.left_out.iter().map(GroupReport::left_out));
    let size = |group: &GroupReport| group.losers.len() + usize::from(group.winner.is_some());
    groups.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.key.cmp(&b.key)));
    Report { groups, ..Report::default() }
}

/// Says what an earlier run had left open. An exit code means that nothing more may be done now.
fn tell_resumed(ui: &mut Ui, resumed: &Resumed) -> Option<Exit> {
    let (said, exit) = resumed::in_words(resumed);
    for words in said {
        ui.note(&words);
    }
    exit
}

/// Says that opt-outs of the last seconds may be missing.
fn tell_unwatched(ui: &mut Ui, why: Option<&str>) {
    if let Some(why) = why {
        ui.note(&resumed::unwatched(why));
    }
}

/// Says why the run stopped, and gives its exit code.
fn ending(ui: &mut Ui, report: Report, confirmed: bool) -> Exit {
    let all_merged = report.groups.iter().all(|group| group.outcome == Outcome::Merged);
    match report.stopped {
        None if !confirmed || all_merged => Exit::Done,
        None => Exit::Partial,
        Some(Stopped::Interrupted) => {
            ui.note("stopped as asked; the same command goes on");
            Exit::Stopped
        }
        Some(Stopped::Errors(count)) => {
            ui.note(&format!(
                "stopped since {} failed, one after the other; the reasons are in the output",
                counted_of(count, "group")
            ));
            Exit::Partial
        }
        Some(Stopped::Alarm(what)) => {
            ui.note(&format!("STOPPED, nothing more was sent: {what}"));
            Exit::Failed
        }
        Some(Stopped::Failed(error)) => {
            let failure = Failure::from(error);
            ui.failure(&failure);
            failure.exit()
        }
    }
}

/// Keeps the cache and the progress bar up to date.
struct Follow<'a> {
    cache: &'a mut Cache,
    key: &'a KeySpec,
    progress: Progress,
    planned: usize,
    /// How many groups ended so.
    ended: BTreeMap<Outcome, usize>,
    unrecorded: bool,
}

impl<'a> Follow<'a> {
    fn new(cache: &'a mut Cache, key: &'a KeySpec, progress: Progress) -> Self {
        Self { cache, key, progress, planned: 0, ended: BTreeMap::new(), unrecorded: false }
    }
}

impl Watch for Follow<'_> {
    fn group(&mut self, report: &GroupReport) {
        *self.ended.entry(report.outcome).or_default() += 1;
        let ended = |outcome| self.ended.get(&outcome).copied().unwrap_or_default();
        let failed = ended(Outcome::Failed) + ended(Outcome::Unknown);
        let mut told = format!("{} of {} merged", ended(Outcome::Merged), self.planned);
        for (number, what) in [(ended(Outcome::Skipped), "left alone"), (failed, "failed")] {
            if number > 0 {
                told = format!("{told}, {number} {what}");
            }
        }
        let done: usize = self.ended.values().sum();
        self.progress.counting(done as u64, self.planned as u64, told);
    }

    fn merged(&mut self, survivor: &Lead, gone: &[LeadId]) {
        let row = Row { lead: survivor.clone(), key: key_of(self.key, survivor) };
        if self.cache.record_merge(&row, gone).is_err() {
            self.unrecorded = true;
        }
    }

    fn waiting(&mut self, calls: usize) {
        self.progress
            .say(&format!("waiting for {} whose outcome is not clear", counted_of(calls, "call")));
    }
}
