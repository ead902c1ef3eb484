//! A scan that only looks at what changed: whether it can be one, and how it went.

use chrono::{DateTime, TimeDelta, Utc};

use super::{PEOPLE, Run, Watcher, tell_quota};
use crate::cache::{Cache, RefreshTotals};
use crate::cli::{Context, Failure, now};
use crate::marketo::{Client, Schema};
use crate::scan::{self, ActivityLog, Ended, REFRESH_MARGIN, Refresh, Start, WhyFull};
use crate::terminal::count;

/// Where a refresh begins; none where everything is to be read, which is explained where it is not
/// expected.
pub(super) fn since(
    context: &mut Context,
    cache: &Cache,
    client: &Client,
    fields: &[String],
    log: ActivityLog,
) -> Result<Option<DateTime<Utc>>, Failure> {
    let margin =
        TimeDelta::from_std(client.clock().wall(REFRESH_MARGIN)).unwrap_or(TimeDelta::days(1));
    let start = match scan::how_to_start(&cache.summary()?, fields, now(), margin) {
        Start::Refresh(_) if log == ActivityLog::Denied => Start::Full(WhyFull::NoLog),
        start => start,
    };
    Ok(match start {
        Start::Refresh(since) => Some(since),
        Start::First => None,
        Start::Full(why) => {
            context.ui.note(&format!("scanning in full: {why}"));
            None
        }
    })
}

/// Looks at what changed since then.
pub(super) async fn run(
    context: &mut Context,
    mut cache: Cache,
    client: &Client,
    schema: &Schema,
    fields: &[String],
    since: DateTime<Utc>,
) -> (Run, Cache) {
    tell_quota(context, client).await;
    let watcher = Watcher::of(context, PEOPLE, client);
    let refresh = Refresh {
        fields,
        schema,
        key: &context.config.key,
        since,
        concurrency: context.config.limits.concurrency,
        now,
        stop: context.interrupt.clone(),
    };
    let ended = scan::refresh(client, &mut cache, &refresh, &watcher).await;
    let merged = match &ended {
        Ok(Ended::Complete(totals)) => totals.merged,
        _ => 0,
    };
    let ended = ended.map(|ended| match ended {
        Ended::Complete(RefreshTotals { scan, .. }) => Ended::Complete(scan),
        Ended::Interrupted => Ended::Interrupted,
    });
    let calls = client.calls_made();
    (Run { strategy: "refresh", full: false, ended, merged, calls, bytes: 0 }, cache)
}

/// The removed leads of a refresh, by how they went.
pub(super) fn removed(removed: u64, merged: u64) -> String {
    match removed {
        0 => "0 removed".to_owned(),
        _ => format!(
            "{} removed ({} deleted, {} merged away)",
            count(removed),
            count(removed.saturating_sub(merged)),
            count(merged)
        ),
    }
}
