//! `mkto-audit report`: what the cache holds of duplicates. Asks nobody, and needs no credentials.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;

use super::filter::{FilterArgs, at_least_one, tell_missing};
use super::{Context, Exit, Failure};
use crate::cache::{Cache, Causes};
use crate::dedupe::{Group, Key};
use crate::plain::counted_of;
use crate::report::{
    Collector, Filter, Price, Report, Source, render, write_beside, write_csv, write_html,
    write_json,
};

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

pub(super) fn run(context: &mut Context, args: ReportArgs) -> Result<Exit, Failure> {
    if let Some(name) = &args.cache_name {
        context.config.use_cache_named(name);
    }
    let to_table = args.csv.is_none() && args.html.is_none() && !args.json;
    let limit = args.limit.or(to_table.then_some(TABLE_LIMIT));
    let filter = args.filter.read(context)?;
    let report = collect(context, &filter, limit)?;
    tell_missing(&mut context.ui, &filter, &report.named, report.source.leads);
    // The table says it itself.
    let exit =
        if to_table { exit_of(&report.source) } else { tell_unfinished(context, &report.source) };
    if let Some(file) = args.html {
        to_file(context, &file, &report, |out| {
            write_html(&report, args.cost_per_record.as_ref(), out)
        })?;
        return Ok(exit);
    }
    match args.csv {
        Some(file) if file.as_os_str() != STANDARD_OUTPUT => {
            to_file(context, &file, &report, |out| write_csv(&report, out))?;
        }
        Some(_) => context.ui.write(|out| write_csv(&report, out))?,
        None if args.json => context.ui.write(|out| write_json(&report, out))?,
        None => {
            let width = context.ui.width();
            context.ui.print(&render(&report, width))?;
            if report.groups > 0 && exit == Exit::Done && !report.source.is_file {
                context.ui.note(
                    "next: `mkto-audit merge` says what a merge would do, and changes nothing",
                );
            }
        }
    }
    Ok(exit)
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
    report: &Report,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    write_beside(file, write).map_err(|source| Failure::File { path: file.to_owned(), source })?;
    let groups = counted_of(report.shown.len(), "group");
    context.ui.note(&format!("{groups} written to {}", file.display()));
    Ok(())
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
    let policy = filter.policy(context.config.policy());
    let mut collector = Collector::new(filter, &policy, limit);
    let stop = context.interrupt.clone();
    cache.for_each_group(|key, leads, births| {
        if stop.is_cancelled() {
            return ControlFlow::Break(());
        }
        if let Some(key) = Key::stored(key.to_owned()) {
            collector.add(Group::new(key, leads).with_births(births));
        }
        ControlFlow::Continue(())
    })?;
    if stop.is_cancelled() {
        return Err(Failure::Stopped);
    }
    cache.births_of_merged_leads()?.iter().for_each(|birth| collector.add_merged(birth));
    Ok(collector.finish(source))
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
