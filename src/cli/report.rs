//! `mkto-audit report`: what the cache holds of duplicates. Asks nobody, and needs no credentials.

use std::cell::Cell;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::filter::{FilterArgs, at_least_one, tell_missing};
use super::{Context, Exit, Failure};
use crate::cache::{self, Cache, Causes, Groups};
use crate::dedupe::{Group, Key, KeySpec, Policy};
use crate::report::{
    Collector, Filter, Keys, LARGEST, Price, Report, Shown, Source, Take, judged, render,
    write_beside, write_csv, write_html, write_json,
};
use crate::terminal::counted_of;

/// How many groups the table shows where nothing else is asked for; CSV and JSON hold all.
const TABLE_LIMIT: usize = 20;

/// Stands for standard output where a file can be named.
pub(super) const STANDARD_OUTPUT: &str = "-";

/// Show the duplicates that the last scan found
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mkto-audit report\n  \
    mkto-audit report --cause race --since 2026-01-01 --limit 50\n  \
    mkto-audit report --from-file addresses.txt\n  \
    mkto-audit report --csv duplicates.csv\n  \
    mkto-audit report --html duplicates.html --cost-per-record '0.12 EUR'\n  \
    mkto-audit report --json | jq '.group[0]'")]
pub(super) struct ReportArgs {
    /// Of the cache that `scan --file … --as NAME` filled
    #[arg(long = "as", value_name = "NAME", value_parser = super::caches::name)]
    cache_name: Option<String>,
    /// Write every group as CSV, a row a lead, to FILE, or to standard output where no FILE is
    /// named
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = STANDARD_OUTPUT)]
    csv: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Write one page for a browser, or for paper, to FILE; it needs no network, and is readable by
    /// you alone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "json", "limit"])]
    html: Option<PathBuf>,
    /// What one record costs, as the page is to say it, such as `0.12 EUR`; without it the page
    /// names no cost
    #[arg(long, value_name = "PRICE", requires = "html")]
    cost_per_record: Option<Price>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Show at most so many groups, the largest; without it the table shows 20, CSV and JSON all
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit: Option<usize>,
}

pub(super) fn run(context: &mut Context, args: &ReportArgs) -> Result<Exit, Failure> {
    if let Some(name) = &args.cache_name {
        context.config.use_cache_named(name);
    }
    let filter = args.filter.read(context)?;
    if args.csv.is_none() && args.html.is_none() && !args.json {
        return table(context, &filter, args.limit.unwrap_or(TABLE_LIMIT));
    }
    let cache = context.cache()?;
    // Of all groups no more are in memory than the page shows by itself.
    let kept = if args.html.is_some() { LARGEST } else { 0 };
    let report = count(context, &cache, &filter, Some(kept))?;
    tell_missing(&mut context.ui, &filter, &report.named, report.source.leads);
    let exit = tell_unfinished(context, &report.source);
    let policy = filter.policy(context.config.policy(super::now())?);
    let groups = CachedGroups {
        cache: &cache,
        filter: &filter,
        policy: &policy,
        limit: args.limit.unwrap_or(usize::MAX),
        stop: context.interrupt.clone(),
    };
    let written = match (&args.html, &args.csv) {
        (Some(file), _) => to_file(context, file, &groups, |groups, out| {
            write_html(&report, groups, args.cost_per_record.as_ref(), out)
        }),
        (None, Some(file)) if file.as_os_str() != STANDARD_OUTPUT => {
            to_file(context, file, &groups, |groups, out| write_csv(groups, out))
        }
        (None, Some(_)) => context.ui.write(|out| write_csv(&groups, out)),
        (None, None) => context.ui.write(|out| write_json(&report, &groups, out)),
    };
    // Whoever stopped it knows why it is not whole.
    if context.interrupt.is_cancelled() { Err(Failure::Stopped) } else { written.map(|()| exit) }
}

/// Prints the report for a person.
fn table(context: &mut Context, filter: &Filter, limit: usize) -> Result<Exit, Failure> {
    let report = collect(context, filter, Some(limit))?;
    tell_missing(&mut context.ui, filter, &report.named, report.source.leads);
    // The table says itself what is unfinished.
    let exit = exit_of(&report.source);
    let width = context.ui.width();
    context.ui.print(&render(&report, width))?;
    if report.groups > 0 && exit == Exit::Done && !report.source.is_file {
        context.ui.note("next: `mkto-audit merge` says what a merge would do, and changes nothing");
    }
    Ok(exit)
}

/// The groups of a cache, judged one by one as they are read.
pub(super) struct CachedGroups<'a> {
    pub(super) cache: &'a Cache,
    pub(super) filter: &'a Filter,
    pub(super) policy: &'a Policy,
    /// How many are shown at most.
    pub(super) limit: usize,
    pub(super) stop: CancellationToken,
}

impl Shown for CachedGroups<'_> {
    fn each(&self, take: &mut Take<'_>) -> io::Result<()> {
        let (mut left, mut ended) = (self.limit, Ok(()));
        let all = Groups::All;
        let read = each_group(self.cache, self.filter, &self.policy.key, all, |group| {
            if self.stop.is_cancelled() {
                ended = Err(io::ErrorKind::Interrupted.into());
                return ControlFlow::Break(());
            }
            if let Some(shown) = judged(group, self.filter, self.policy) {
                ended = take(&shown);
                left -= 1;
            }
            if ended.is_err() || left == 0 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        read.map_err(io::Error::other)?;
        ended
    }
}

/// Hands out the groups of a cache that can pass a filter, the largest first, then by key; `all`
/// says how, where any group can.
pub(super) fn each_group(
    cache: &Cache,
    filter: &Filter,
    key: &KeySpec,
    all: Groups<'_>,
    mut each: impl FnMut(Group) -> ControlFlow<()>,
) -> Result<(), cache::Error> {
    let keys = filter.keys(key);
    let has = |key: &str| keys.has(key);
    let which = match &keys {
        Keys::All => all,
        Keys::Of(keys) => Groups::Of(keys),
        Keys::OfDomain(_) => Groups::Where(&has),
    };
    cache.for_each_group(which, |key, leads, births| match Key::stored(key.to_owned()) {
        Some(key) => each(Group::new(key, leads).with_births(births)),
        None => ControlFlow::Continue(()),
    })
}

/// The exit code of what is shown of a scan that may not have ended.
fn exit_of(source: &Source) -> Exit {
    if source.complete { Exit::Done } else { Exit::Stopped }
}

/// The same; and standard error says it where the output cannot, as in a CSV.
pub(super) fn tell_unfinished(context: &mut Context, source: &Source) -> Exit {
    if let Some(words) = source.unfinished() {
        context.ui.note(&format!("note: {words}"));
    }
    exit_of(source)
}

/// Writes what is shown to a file, and says so.
fn to_file(
    context: &mut Context,
    file: &Path,
    groups: &CachedGroups<'_>,
    write: impl FnOnce(&Counted<'_>, &mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let counted = Counted { groups, count: Cell::new(0) };
    write_beside(file, |out| write(&counted, out))
        .map_err(|source| Failure::File { path: file.to_owned(), source })?;
    let groups = counted_of(counted.count.get(), "group");
    context.ui.note(&format!("{groups} written to {}", file.display()));
    Ok(())
}

/// Groups, and how many were shown.
struct Counted<'a> {
    groups: &'a CachedGroups<'a>,
    count: Cell<usize>,
}

impl Shown for Counted<'_> {
    fn each(&self, take: &mut Take<'_>) -> io::Result<()> {
        self.groups.each(&mut |shown| {
            self.count.set(self.count.get() + 1);
            take(shown)
        })
    }
}

/// Counts the cache's groups, and keeps those that are to be shown.
pub(super) fn collect(
    context: &mut Context,
    filter: &Filter,
    limit: Option<usize>,
) -> Result<Report, Failure> {
    let cache = context.cache()?;
    count(context, &cache, filter, limit)
}

/// The same of a cache that is open.
pub(super) fn count(
    context: &Context,
    cache: &Cache,
    filter: &Filter,
    limit: Option<usize>,
) -> Result<Report, Failure> {
    let source = source(cache)?;
    let policy = filter.policy(context.config.policy(super::now())?);
    let collector = Collector::new(filter, &policy, limit);
    let stop = context.interrupt.clone();
    let mut collector = std::thread::scope(|scope| {
        let (judge, groups) = sync_channel(WAITING);
        let judging = scope.spawn(move || judge_all(collector, &groups));
        let mut part = Vec::with_capacity(PART);
        each_group(cache, filter, &context.config.key, Groups::ByKey, |group| {
            part.push(group);
            if part.len() == PART && judge.send(std::mem::take(&mut part)).is_err()
                || stop.is_cancelled()
            {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        // Where nobody takes them, the thread has panicked, and says so below.
        judge.send(part).ok();
        drop(judge);
        Ok::<_, Failure>(judging.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    if stop.is_cancelled() {
        return Err(Failure::Stopped);
    }
    cache.births_of_merged_leads()?.iter().for_each(|birth| collector.add_merged(birth));
    Ok(collector.finish(source))
}

/// Groups that change hands at once, and how often so many may wait: they are judged on a thread of
/// their own, while the next ones are read.
const PART: usize = 64;
const WAITING: usize = 4;

fn judge_all<'a>(mut collector: Collector<'a>, groups: &Receiver<Vec<Group>>) -> Collector<'a> {
    groups.iter().flatten().for_each(|group| collector.add(group));
    collector
}

/// What the cache holds, and how much of it was read.
pub(super) fn source(cache: &Cache) -> Result<Source, Failure> {
    let summary = cache.summary()?;
    // Looked for only where it matters: in a cache of millions of leads it takes a moment.
    let unread = match summary.causes {
        Causes::Known => 0,
        Causes::Unfinished | Causes::NotAsked | Causes::Denied => {
            cache.leads_without_birth()?.len() as u64
        }
    };
    Ok(Source::of(summary, unread, cache.has_births()?))
}
