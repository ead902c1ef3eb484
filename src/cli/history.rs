//! What each complete scan found goes into the ledger, where nothing is ever removed.
//!
//! For: a report has no memory, and whoever merges wants to see what that has changed. A ledger
//! that another process has open gets it later: till then it waits in the cache. A file that was
//! given no name leaves nothing, since the next one may be of another instance. Never: makes a scan
//! fail that did its work.

use super::{Context, Failure};
use crate::cache::{Cache, Summary};
use crate::ledger::{Error, Ledger, PastScan, PastTotals};
use crate::report::Report;

/// Keeps the totals of the scan that just ended; gives those of the one before it, where there is
/// one.
pub(super) fn keep(
    context: &mut Context,
    cache: &mut Cache,
    report: &Report,
    strategy: &str,
) -> Result<Option<PastScan>, Failure> {
    let config = &context.config;
    if strategy == "file" && !config.has_named_cache() {
        return Ok(None);
    }
    let Summary { instance, scanned_at: Some(ended_at), .. } = cache.summary()? else {
        return Ok(None);
    };
    let totals = of_report(report, instance, ended_at, strategy);
    let body = serde_json::to_string(&totals).unwrap_or_default();
    cache.keep_totals(&body)?;
    let opened = context.config.ledger_file().map_err(Failure::from).and_then(|file| {
        Ledger::open(&file, &context.config.instance_name()).map_err(Failure::from)
    });
    let mut ledger = match opened {
        Ok(ledger) => ledger,
        Err(Failure::Ledger(Error::InUse { .. })) => return Ok(None),
        Err(failure) => {
            context.ui.note(&format!(
                "note: what this scan found is not in the history yet, and the next scan tries again: {failure}"
            ));
            return Ok(None);
        }
    };
    append_waiting(cache, &mut ledger)?;
    let past = ledger.past_scans(&totals.of)?;
    Ok(past.into_iter().rev().find(|scan| scan.ended_at < totals.ended_at))
}

/// Appends what earlier scans found and could not append themselves.
pub(super) fn append_waiting(cache: &mut Cache, ledger: &mut Ledger) -> Result<(), Failure> {
    for (id, body) in cache.waiting_totals()? {
        // What this program did not write is of no use to anybody, and goes.
        if let Ok(scan) = serde_json::from_str::<PastScan>(&body) {
            ledger.append_scan(&id, &scan)?;
        }
        cache.forget_totals(&id)?;
    }
    Ok(())
}

fn of_report(
    report: &Report,
    of: String,
    ended_at: chrono::DateTime<chrono::Utc>,
    strategy: &str,
) -> PastScan {
    let by_cause = report.by_cause.iter().filter(|(_, totals)| totals.groups > 0);
    let by_user = report.statistics.by_integration.iter();
    PastScan {
        of,
        ended_at,
        strategy: strategy.to_owned(),
        records: report.source.leads,
        groups: report.groups,
        excess: report.excess,
        mergeable: report.mergeable.excess,
        perhaps_meant: report.perhaps_meant().excess,
        by_cause: by_cause
            .map(|(cause, totals)| {
                (
                    cause.as_str().to_owned(),
                    PastTotals { groups: totals.groups, excess: totals.excess },
                )
            })
            .collect(),
        by_user: (!report.source.log.is_unread()).then(|| {
            by_user
                .map(|(user, totals)| {
                    let totals = PastTotals { groups: totals.groups, excess: totals.excess };
                    (user.clone().unwrap_or_default(), totals)
                })
                .collect()
        }),
    }
}
