//! `mkto-audit scan`: the whole instance into the cache.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::{Context, Exit, Failure, Ui};
use crate::cache::{Cache, Causes};
use crate::config::Config;
use crate::dedupe::OPT_OUTS;
use crate::lead::{AUDIT_FIELDS, LeadId};
use crate::marketo::{self, Client, ReadLeads, ReadUsage};
use crate::report::{Log, Source, WhyUnread};
use crate::scan::{self, ActivityLog, Ended, PageScan, Way};
use crate::terminal::{about, count, counted};

mod births;

mod bulk;

use bulk::Chosen;

mod closing;

mod estimate;

pub(super) mod file;

mod refresh;

mod watcher;

use watcher::{Watcher, left_today};

/// Read every lead of the instance into the cache, and later only what changed
///
/// The leads come by bulk extract, a file for each month of creation, or by pages of 300 ids;
/// `scan.strategy` says which, and by default the one that is cheaper here. What has arrived is
/// kept: interrupted at any point, or stopped by the end of a daily budget, the same command goes
/// on where it stopped, with the export jobs that it has ordered. What is in the cache stays until
/// the scan is complete.
///
/// A second scan is a refresh: Marketo's activities name the leads that were created, changed in a
/// cached field, merged or deleted since a day before the last scan began, and those alone are read
/// again. It is a full scan, and says why, where the last one is more than 13 days old (Marketo
/// keeps deletions for 14), where other fields are to be cached, or where a file was read. A
/// refresh does not notice what Marketo writes no activity for: updatedAt by itself, formula
/// fields, company fields that change with the company, leads that Adobe purged. A --full scan from
/// time to time does.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Example: mkto-audit scan\n         mkto-audit scan --full\n         mkto-audit scan --estimate\n         mkto-audit scan --file leads.csv\n         mkto-audit scan --file export.xlsx --as acme --dates us --zone America/Chicago"
)]
pub(super) struct ScanArgs {
    /// Read a file instead: a bulk extract, or an export of a smart list, as Marketo or a
    /// spreadsheet saved it (CSV, text, .xlsx, .gz, .zip); - for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) reading: file::ReadingArgs,
    /// Only say what a scan would cost: calls, megabytes, time
    #[arg(long, conflicts_with = "file")]
    pub(super) estimate: bool,
    /// Read everything, whatever is in the cache; one that was interrupted goes on
    #[arg(long, conflicts_with = "file")]
    pub(super) full: bool,
    /// Leave out how the duplicates arose, which takes a walk through the activity log; a later
    /// scan without this finds it
    #[arg(long, conflicts_with = "file")]
    pub(super) no_causes: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

/// The parts of a scan, as its progress names them.
const PEOPLE: &str = "1/3 people";
const HISTORY: &str = "2/3 history";
const GROUPING: &str = "3/3 grouping";

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    instance: &'a str,
    strategy: &'static str,
    full: bool,
    leads: u64,
    new: u64,
    changed: u64,
    removed: u64,
    calls: u64,
    bytes: u64,
    seconds: f64,
    complete: bool,
    /// How far the activity log was read for the leads in groups.
    activity_log: Log,
    /// Of a file alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<file::UnreadColumn>,
    /// Of a file alone: rows with the id of a later one, which counts.
    #[serde(skip_serializing_if = "is_zero")]
    repeated_rows: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a way of scanning came to.
struct Run {
    strategy: &'static str,
    /// Whether everything was read.
    full: bool,
    ended: Result<Ended, scan::Error>,
    /// Those of the removed leads that a merge took, as far as a refresh knows.
    merged: u64,
    calls: u64,
    bytes: u64,
}

pub(super) async fn run(context: &mut Context, args: &ScanArgs) -> Result<Exit, Failure> {
    if args.estimate {
        return estimate::run(context, args).await;
    }
    let begun = Instant::now();
    if let Some(name) = &args.reading.cache_name {
        context.config.use_cache_named(name);
    }
    let instance = context.config.instance_name();
    let mut left_out = file::LeftOut::default();
    let (run, mut cache, births) = match &args.file {
        Some(file) => {
            let (run, cache);
            (run, cache, left_out) = file::run(context, file, &args.reading)?;
            (run, cache, Ok(Causes::Known))
        }
        None => live(context, args).await?,
    };
    let source = super::report::source(&cache)?;
    let complete = matches!(run.ended, Ok(Ended::Complete(_)));
    // Where the causes were not found to their end, the next scan goes on, and is the one to count.
    let closing =
        if complete && matches!(births, Ok(Causes::Known | Causes::Denied | Causes::NotAsked)) {
            let _cleared_at_the_end = context.ui.progress(GROUPING, None);
            closing::lines(context, &mut cache, run.strategy)?
        } else {
            Vec::new()
        };
    let totals = match run.ended {
        Ok(Ended::Complete(totals)) => totals,
        Ok(Ended::Interrupted) | Err(_) => {
            crate::cache::ScanTotals { leads: cache.summary()?.leads, ..Default::default() }
        }
    };
    let document = Document {
        schema: "mkto-audit/scan/1",
        instance: &instance,
        strategy: run.strategy,
        full: run.full,
        leads: totals.leads,
        new: totals.new,
        changed: totals.changed,
        removed: totals.removed,
        calls: run.calls,
        bytes: run.bytes,
        seconds: (begun.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        complete,
        activity_log: source.log,
        unread: left_out.unread,
        repeated_rows: left_out.repeated_rows,
    };
    show(&mut context.ui, args, &document, (run.merged, begun.elapsed()), &closing)?;
    if complete && !source.is_file && matches!(births, Ok(Causes::Denied | Causes::NotAsked)) {
        tell_causes(&mut context.ui, &source);
    }
    match run.ended {
        Ok(Ended::Complete(_)) if births? == Causes::Unfinished => Ok(Exit::Stopped),
        // What nobody has to look for is not missed.
        Ok(Ended::Complete(_)) if lacks_permission(source.log) => Ok(Exit::Partial),
        Ok(Ended::Complete(_)) if !document.unread.is_empty() => Ok(Exit::Partial),
        Ok(Ended::Complete(_)) => Ok(Exit::Done),
        Ok(Ended::Interrupted) => Ok(Exit::Stopped),
        Err(error) => Err(error.into()),
    }
}

/// Reads the instance, and once it is read, how the leads in groups came to be. What was learnt of
/// that may fail by itself: the cache is complete all the same, and the next scan goes on with it.
async fn live(
    context: &mut Context,
    args: &ScanArgs,
) -> Result<(Run, Cache, Result<Causes, scan::Error>), Failure> {
    let client = context.client()?;
    let log = activity_log(context, &client).await?;
    let (mut run, mut cache) = read_leads(context, &client, args.full, log).await?;
    let mut births = Ok(Causes::Known);
    if matches!(run.ended, Ok(Ended::Complete(_))) {
        tell_age(context, &cache)?;
        births = births::learn(context, &client, &mut cache, log, args.no_causes).await;
        run.calls = client.calls_made();
    }
    context.ui.note(&format!(
        "API budget: {} left today",
        left_today(&client, context.config.limits.daily_calls)
    ));
    Ok((run, cache, births))
}

/// Whether the activity log can be read. Where not, that is said, and the leads are read all the
/// same.
async fn activity_log(context: &mut Context, client: &Client) -> Result<ActivityLog, Failure> {
    let log = context.or_stop(scan::activity_log(client)).await??;
    if log == ActivityLog::Denied {
        context.ui.note(
            "the API user may not read the activity log: the permission Read-Only Activity is missing. All leads are \
             read all the same; where their ids end is found out by trying some",
        );
    }
    Ok(log)
}

/// Says what is not known of the causes, and how to learn it.
fn tell_causes(ui: &mut Ui, source: &Source) {
    if let Some(words) = source.not_known() {
        ui.note(&words);
    }
}

fn lacks_permission(log: Log) -> bool {
    matches!(log, Log::Unread(WhyUnread::Denied) | Log::InPart { why: WhyUnread::Denied, .. })
}

/// Says where a scan took so long that what went meanwhile may still be in the cache.
fn tell_age(context: &mut Context, cache: &Cache) -> Result<(), Failure> {
    let begun = cache.summary()?.refresh_from;
    if let Some(begun) = begun.filter(|begun| scan::is_beyond_history(*begun, super::now())) {
        context.ui.note(&format!(
            "this scan was begun on {}, further back than Marketo tells of deletions: leads that went since may still be \
             in the cache; `mkto-audit scan --full` reads everything anew",
            begun.format("%Y-%m-%d")
        ));
    }
    Ok(())
}

/// Says what is left of the day before a scan that nothing else says it of: all integrations
/// together, and this program.
async fn tell_quota(context: &mut Context, client: &Client) {
    // Where Marketo does not say, the scan finds out by itself; and a scan that is to stop says so.
    let Ok(Ok(usage)) = context.or_stop(client.usage_today()).await else { return };
    context.ui.note(&format!(
        "API budget: {} left (today all tools used {})",
        left_today(client, context.config.limits.daily_calls),
        counted(usage.total, "call")
    ));
}

/// The cache is opened, and where there is none made, once it is known that there is something to
/// read.
async fn read_leads(
    context: &mut Context,
    client: &Client,
    full: bool,
    log: ActivityLog,
) -> Result<(Run, Cache), Failure> {
    let schema = context.or_stop(client.describe()).await??;
    context.config.key = context.config.key.clone().by_schema(|field| schema.data_type(field));
    let fields = scan::fields_to_read(&configured_fields(&context.config), &schema)?;
    let mut cache = open(&context.config)?;
    if full {
        cache.forget_interrupted()?;
    }
    if !full && let Some(since) = refresh::since(context, &cache, client, &fields, log)? {
        return Ok(refresh::run(context, cache, client, &schema, &fields, since).await);
    }
    let Chosen { way, highest, bytes } =
        bulk::choose(context, client, &fields, &schema, log, &cache).await?;
    if way == Way::Bulk {
        let (run, kept) = bulk::run(context, client, &fields, &schema, bytes, cache).await?;
        match &run.ended {
            Err(scan::Error::Marketo(error @ marketo::Error::Permission { .. })) => {
                context.ui.note(&format!(
                    "{error}. Reading by pages instead, which needs no bulk extract"
                ));
                cache = kept;
            }
            _ => return Ok((run, kept)),
        }
    }
    by_pages(context, client, &fields, highest, log, cache).await
}

async fn by_pages(
    context: &Context,
    client: &Client,
    fields: &[String],
    highest: Option<LeadId>,
    log: ActivityLog,
    mut cache: Cache,
) -> Result<(Run, Cache), Failure> {
    let watcher = Watcher::of(context, PEOPLE, client);
    let pages = PageScan {
        fields,
        key: &context.config.key,
        highest,
        log,
        concurrency: context.config.limits.concurrency,
        now: super::now,
        stop: context.interrupt.clone(),
    };
    let ended = scan::scan_pages(client, &mut cache, &pages, &watcher).await;
    Ok((
        Run {
            strategy: "pages",
            full: true,
            ended,
            merged: 0,
            calls: client.calls_made(),
            bytes: 0,
        },
        cache,
    ))
}

fn open(config: &Config) -> Result<Cache, Failure> {
    Ok(Cache::open(&config.cache_file()?, &config.instance_name())?)
}

/// The fields that the configuration leans on: those to cache, and those by which groups and
/// winners are found.
fn configured_fields(config: &Config) -> Vec<String> {
    let mut fields = config.scan.fields.clone();
    fields.extend(config.key.fields.iter().chain(&config.skip.differs).cloned());
    // The standard opt-outs have rules without being named, and an instance may hide some.
    let named = |field: &&String| {
        !AUDIT_FIELDS.contains(&field.as_str()) && !OPT_OUTS.contains(&field.as_str())
    };
    fields.extend(config.fields.0.keys().chain(config.fields_of_rules()).filter(named).cloned());
    fields
}

/// `(merged, took)`: how many of the removed leads a merge took, and how long all of it took.
fn show(
    ui: &mut Ui,
    args: &ScanArgs,
    document: &Document<'_>,
    (merged, took): (u64, Duration),
    closing: &[String],
) -> Result<(), Failure> {
    if args.json {
        return ui.json(document);
    }
    let Document { leads, new, changed, removed, calls, .. } = document;
    let leads = counted(*leads, "lead");
    let spent = format!("{} in {}", counted(*calls, "call"), about(took));
    if document.complete {
        let removed = if document.full {
            format!("{} removed", count(*removed))
        } else {
            refresh::removed(*removed, merged)
        };
        let (new, changed) = (count(*new), count(*changed));
        ui.print(&format!(
            "{leads} in the cache: {new} new, {changed} changed, {removed}; {spent}"
        ))?;
        for line in closing {
            ui.note(line);
        }
        match &args.reading.cache_name {
            Some(name) => ui.note(&format!("next: mkto-audit report --as '{name}'")),
            None => ui.note("next: mkto-audit report"),
        }
    } else {
        ui.print(&format!("stopped early: {leads} in the cache so far; {spent}"))?;
        ui.note(match (args.full, document.full) {
            // With --full it would begin anew once more.
            (true, _) => {
                "run `mkto-audit scan` again, without --full: it goes on where this one stopped"
            }
            (false, true) => "run the same command again: it goes on where it stopped",
            (false, false) => "run the same command again: it looks for all changes again",
        });
    }
    Ok(())
}
