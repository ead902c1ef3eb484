//! `scan --estimate`: what a scan would cost, all of it, and reads no lead.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::bulk::{ask, limits, told};
use super::{ScanArgs, configured_fields};
use crate::cache::Cache;
use crate::cli::{Context, Exit, Failure, now};
use crate::lead::LeadId;
use crate::marketo::{Client, ReadLeads};
use crate::scan::{
    self, ActivityLog, CallRange, Cost, Estimate, REFRESH_MARGIN, Start, Unexplained, Way,
};
use crate::terminal::{about, count, counted, moment};

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    instance: &'a str,
    strategy: Way,
    reason: &'static str,
    highest_id: LeadId,
    calls_left: u64,
    export_left: u64,
    pages: Cost,
    bulk: Option<Cost>,
    /// To find out how duplicates arose, after either of the two.
    history: CallRange,
    /// A full scan, the cheaper way, with that.
    full: CallRange,
    /// What `scan` does without --full: none where that is a full scan.
    refresh: Option<CallRange>,
}

/// What a cache that is there means for the next scan.
struct Known {
    unexplained: Unexplained,
    since: Option<DateTime<Utc>>,
}

/// Says what a scan would cost.
pub(super) async fn run(context: &mut Context, args: &ScanArgs) -> Result<Exit, Failure> {
    let client = context.client()?;
    let schema = context.or_stop(client.describe()).await??;
    let fields = scan::fields_to_read(&configured_fields(&context.config), &schema)?;
    let log = super::activity_log(context, &client).await?;
    let estimate = ask(context, &client, &fields, &schema, log).await?;
    // What was asked so far, a scan asks too.
    let once = client.calls_made();
    let known = known(context, &client, &fields, args.full, estimate.highest_id)?;
    let (history, refresh) = match log {
        // Without the log nothing is found out from it, and no scan knows what changed.
        ActivityLog::Denied => (CallRange::default(), None),
        ActivityLog::Readable { new_lead } => {
            let unexplained =
                if args.no_causes { Unexplained::Known(0) } else { known.unexplained };
            let asking =
                scan::history_calls(&client, new_lead, unexplained, estimate.beginning, now());
            let history = context.or_stop(asking).await??;
            let refresh = match known.since {
                Some(since) => {
                    let asking = scan::refresh_calls(&client, new_lead, unexplained, since, now());
                    Some(context.or_stop(asking).await??)
                }
                None => None,
            };
            (history, refresh)
        }
    };
    let Estimate { highest_id, calls_left, export_left, pages, bulk, way, reason, .. } = estimate;
    let cheaper = bulk.filter(|_| way == Way::Bulk).unwrap_or(pages);
    let mut full = history.and(cheaper.calls).and(once);
    if way == Way::Pages {
        // Runs of ids beyond the last are under way when the end is seen.
        full.to += context.config.limits.concurrency as u64;
    }
    if args.json {
        context.ui.json(&Document {
            schema: "mkto-audit/scan-estimate/1",
            instance: &context.config.instance_name(),
            strategy: way,
            reason,
            highest_id,
            calls_left,
            export_left,
            pages,
            bulk,
            history,
            full,
            refresh,
        })?;
        return Ok(Exit::Done);
    }
    let seconds = scan::seconds_of(full.to, &limits(&context.config)).max(cheaper.seconds);
    let mut lines = vec![
        told(&estimate),
        format!("after that, how duplicates arose: {}", in_words(history)),
        format!(
            "a full scan altogether: {}, {}",
            in_words(full),
            about(Duration::from_secs(seconds))
        ),
    ];
    if known.unexplained != Unexplained::Known(0) && history.to > 2 * history.from {
        lines
            .push("how many records have duplicates is not known before the first scan".to_owned());
    }
    if let (Some(refresh), Some(since)) = (refresh, known.since) {
        lines.push(format!(
            "without --full, a scan looks only at what changed since {}: {}",
            moment(since),
            in_words(refresh)
        ));
    }
    context.ui.print(&lines.join("\n"))?;
    Ok(Exit::Done)
}

/// Looks into the cache, where there is one.
fn known(
    context: &Context,
    client: &Client,
    fields: &[String],
    full: bool,
    highest: LeadId,
) -> Result<Known, Failure> {
    let nothing = Known { unexplained: Unexplained::SomeOf(highest), since: None };
    let file = context.config.cache_file()?;
    if !file.exists() {
        return Ok(nothing);
    }
    let cache = Cache::open(&file, &context.config.instance_name())?;
    let summary = cache.summary()?;
    if !summary.complete || summary.file.is_some() {
        return Ok(nothing);
    }
    let unexplained = Unexplained::Known(cache.leads_without_birth()?.len() as u64);
    let margin =
        TimeDelta::from_std(client.clock().wall(REFRESH_MARGIN)).unwrap_or(TimeDelta::days(1));
    let since = match scan::how_to_start(&summary, fields, now(), margin) {
        Start::Refresh(since) if !full => Some(since),
        _ => None,
    };
    Ok(Known { unexplained, since })
}

/// `23 to 39 calls`.
fn in_words(range: CallRange) -> String {
    match range {
        CallRange { from, to } if from == to => counted(to, "call"),
        CallRange { from, to } => format!("{} to {}", count(from), counted(to, "call")),
    }
}
