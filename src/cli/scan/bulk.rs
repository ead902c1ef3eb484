//! Bulk extract or pages: which is the cheaper one, what either costs, and a scan by the former.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::watcher::said_of_files_without_checksum;
use super::{Run, Watcher, open, tell_quota};
use crate::cache::Cache;
use crate::cli::{Context, Failure, now};
use crate::config::{Config, Strategy};
use crate::lead::LeadId;
use crate::marketo::{Client, Schema};
use crate::scan::{self, ActivityLog, BulkScan, Cost, Estimate, ScanLimits, SharedCache, Way};
use crate::terminal::{about, count, counted};

/// How a scan goes, and what was found out on the way to it.
pub(super) struct Chosen {
    pub(super) way: Way,
    pub(super) highest: Option<LeadId>,
    /// What all files of bulk extract are expected to weigh, where it was found out.
    pub(super) bytes: Option<u64>,
}

/// The way that the configuration names; with `auto` that of the scan that was interrupted, else
/// the cheaper one.
pub(super) async fn choose(
    context: &mut Context,
    client: &Client,
    fields: &[String],
    schema: &Schema,
    log: ActivityLog,
    cache: &Cache,
) -> Result<Chosen, Failure> {
    let named = match (context.config.scan.strategy, cache.interrupted_strategy()?.as_deref()) {
        (Strategy::Bulk, _) | (Strategy::Auto, Some("bulk")) => Some(Way::Bulk),
        (Strategy::Pages, _) | (Strategy::Auto, Some("pages")) => Some(Way::Pages),
        (Strategy::Auto, _) => None,
    };
    if let Some(way) = named {
        tell_quota(context, client).await;
        return Ok(Chosen { way, highest: None, bytes: None });
    }
    let estimate = ask(context, client, fields, schema, log).await?;
    context.ui.note(&told(&estimate));
    let bytes = estimate.bulk.map(|bulk| bulk.bytes);
    Ok(Chosen { way: estimate.way, highest: Some(estimate.highest_id), bytes })
}

/// A scan by bulk extract, whose files together are expected to be of so many bytes.
pub(super) async fn run(
    context: &mut Context,
    client: &Client,
    fields: &[String],
    schema: &Schema,
    expected_bytes: Option<u64>,
    cache: Cache,
) -> Result<(Run, Cache), Failure> {
    let watcher = Watcher::of(context, "1/3 people, by months", client);
    let bulk = BulkScan::new(fields, schema, &context.config.key, client.clock(), now)
        .expected_bytes(expected_bytes)
        .poll_interval(context.config.bulk_poll_interval.0)
        .stop(context.interrupt.clone());
    let before = client.spent_today()?.bytes;
    let shared = SharedCache::new(cache);
    let ended = scan::scan_bulk(client, &shared, &bulk, &watcher).await;
    let without = watcher.without_checksum.load(Ordering::Relaxed);
    drop(watcher);
    if let Some(said) = said_of_files_without_checksum(without) {
        context.ui.note(&said);
    }
    let bytes = client.spent_today()?.bytes.saturating_sub(before);
    let run =
        Run { strategy: "bulk", full: true, ended, merged: 0, calls: client.calls_made(), bytes };
    let cache = match shared.take_back() {
        Some(cache) => cache,
        None => open(&context.config)?,
    };
    Ok((run, cache))
}

pub(super) async fn ask(
    context: &Context,
    client: &Client,
    fields: &[String],
    schema: &Schema,
    log: ActivityLog,
) -> Result<Estimate, Failure> {
    let limits = limits(&context.config);
    let spent = client.spent_today()?.calls;
    Ok(context.or_stop(scan::estimate(client, fields, schema, log, &limits, spent, now)).await??)
}

/// What bounds a scan from this side.
pub(super) fn limits(config: &Config) -> ScanLimits {
    let limits = &config.limits;
    ScanLimits {
        calls: limits.calls,
        window: limits.window,
        concurrency: limits.concurrency,
        daily_calls: limits.daily_calls,
    }
}

/// An estimate in words.
pub(super) fn told(estimate: &Estimate) -> String {
    let Estimate { highest_id, calls_left, export_left, pages, bulk, way, reason, .. } = estimate;
    let mut lines = vec![
        format!(
            "the highest id is {}; API budget: {}, {} left today",
            count(*highest_id),
            counted(*calls_left, "call"),
            megabytes(*export_left)
        ),
        format!("  by pages:        {}", cost(pages)),
    ];
    lines.extend(bulk.as_ref().map(|bulk| format!("  by bulk extract: {}", cost(bulk))));
    lines.push(match way {
        Way::Pages => format!("by pages is cheaper here: {reason}"),
        Way::Bulk => format!("by bulk extract is cheaper here: {reason}"),
    });
    lines.join("\n")
}

fn cost(cost: &Cost) -> String {
    let Cost { calls, bytes, seconds, days } = *cost;
    let days = if days > 1 { format!(", spread over {days} days") } else { String::new() };
    let took = about(Duration::from_secs(seconds));
    format!("about {}, {}, {took}{days}", counted(calls, "call"), megabytes(bytes))
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", count(bytes.div_ceil(1_000_000)))
}
