//! `mkto-audit report`: what the cache holds of duplicates.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;

use super::{Context, Exit, Failure};
use crate::cache::Cache;
use crate::config::Config;
use crate::dedupe::{Cause, Group, Key};
use crate::report::{self, Collector, Filter, Report, Source};

/// How many groups a table shows unless told otherwise.
const SHOWN: usize = 20;

/// Show the duplicates that the last scan found
///
/// Totals, groups by cause, and the largest groups. It reads the cache alone: no call to Marketo, no credentials.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: mkto-audit report --cause race --min-size 3\n         mkto-audit report --csv groups.csv"
)]
pub(super) struct ReportArgs {
    /// Write every lead of every group as CSV, to FILE or to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", conflicts_with = "json")]
    pub(super) csv: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    /// Only groups of this cause: `race`, `create_duplicate`, `crm`, `import`, `partition` or `unknown`
    #[arg(long, value_name = "CAUSE", value_parser = |text: &str| text.parse::<Cause>().map_err(|error| error.to_string()))]
    pub(super) cause: Option<Cause>,
    /// Only groups of at least so many leads
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(super) min_size: usize,
    /// Only groups that got another lead since then: a date or an RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = |text: &str| report::parse_since(text).map_err(|error| error.to_string()))]
    pub(super) since: Option<chrono::DateTime<chrono::Utc>>,
    /// Only groups with an email of this domain
    #[arg(long, value_name = "DOMAIN")]
    pub(super) domain: Option<String>,
    /// Only the group of this email
    #[arg(long, value_name = "EMAIL")]
    pub(super) email: Option<String>,
    /// Show at most so many groups, the largest; 20 in the table, all in CSV and JSON
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
}

pub(super) fn run(context: &mut Context, args: &ReportArgs) -> Result<Exit, Failure> {
    let report = build(context, args)?;
    match (&args.csv, args.json) {
        (Some(file), _) if file.as_os_str() == "-" => {
            context.ui.write(|out| report::write_csv(&report, out))?;
        }
        (Some(file), _) => {
            report::write_beside(file, |out| report::write_csv(&report, out))
                .map_err(|source| Failure::File { path: file.clone(), source })?;
            context.ui.note(&format!("{} groups are in {}", report.shown.len(), file.display()));
        }
        (None, true) => context.ui.write(|out| report::write_json(&report, out))?,
        (None, false) => {
            let width = context.ui.width();
            context.ui.print(&report::render(&report, width))?;
        }
    }
    Ok(Exit::Done)
}

fn build(context: &mut Context, args: &ReportArgs) -> Result<Report, Failure> {
    let config = &context.config;
    let cache = open_cache(config)?;
    let summary = cache.summary()?;
    if !summary.complete {
        context.ui.note("note: the scan is not complete, so that groups may be missing; run `mkto-audit scan` again, it goes on where it stopped");
    }
    let filter = Filter {
        cause: args.cause,
        min_size: args.min_size,
        since: args.since,
        domain: args.domain.clone(),
        email: args.email.clone(),
    };
    let is_table = args.csv.is_none() && !args.json;
    let limit = args.limit.or_else(|| is_table.then_some(SHOWN));
    let mut collector = Collector::new(&filter, &config.winner, limit);
    cache.for_each_group(|key, leads| {
        if let Some(key) = Key::stored(key.to_owned()) {
            collector.add(Group::new(key, leads));
        }
        ControlFlow::Continue(())
    })?;
    Ok(collector.finish(Source {
        instance: summary.instance,
        scanned_at: summary.scanned_at,
        leads: summary.leads,
    }))
}

/// Opens the cache that a scan made, its keys by the rule that is configured now.
pub(super) fn open_cache(config: &Config) -> Result<Cache, Failure> {
    let mut cache = Cache::open_existing(&config.cache_file()?, &config.instance_name())?;
    let signature = config.key.signature();
    if cache.summary()?.key_signature != signature {
        cache.rekey(&signature, |lead| config.key.key_of(lead).map(|key| key.as_str().to_owned()))?;
    }
    Ok(cache)
}
