//! The whole instance in runs of 300 ids, from 1 to the highest and beyond it until nothing comes
//! any more.

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::max_id::{ActivityLog, highest_id};
use super::{Ended, Error, Now, Watch, row, spec};
use crate::cache::Cache;
use crate::dedupe::KeySpec;
use crate::lead::LeadId;
use crate::marketo::{BATCH, ReadActivities, ReadLeads};

/// So many runs without a lead, above the highest id that is known, are the end: 3,000 ids, more
/// than any instance gives out within the seconds by which activities are late.
const EMPTY_RUNS_AT_THE_END: u32 = 10;

/// What a scan by pages is to read, and how.
#[derive(Debug)]
#[non_exhaustive]
pub struct PageScan<'a> {
    /// The fields, from [`super::fields_to_read`].
    pub fields: &'a [String],
    /// What makes leads the same.
    pub key: &'a KeySpec,
    /// The highest id, where it was found out already.
    pub highest: Option<LeadId>,
    /// By what it is found out otherwise.
    pub log: ActivityLog,
    /// Calls under way at once.
    pub concurrency: usize,
    /// What the time is read from.
    pub now: Now,
    /// Cancelled: what has arrived is stored, and the scan stops.
    pub stop: CancellationToken,
}

impl<'a> PageScan<'a> {
    /// A scan that reads these fields, five calls at once, until it is complete.
    pub fn new(fields: &'a [String], key: &'a KeySpec, log: ActivityLog, now: Now) -> Self {
        let stop = CancellationToken::new();
        Self { fields, key, highest: None, log, concurrency: 5, now, stop }
    }

    /// The highest id, where it was found out already.
    #[must_use]
    pub fn highest(self, highest: LeadId) -> Self {
        Self { highest: Some(highest), ..self }
    }

    /// Calls under way at once.
    #[must_use]
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency, ..self }
    }

    /// Cancelled: what has arrived is stored, and the scan stops.
    #[must_use]
    pub fn stop(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }
}

/// Reads every lead into the cache, or goes on with a scan that was interrupted. Runs are asked for
/// several at once, and stored in their order, so that the cursor never passes a run that has not
/// arrived.
pub async fn scan_pages(
    marketo: &(impl ReadLeads + ReadActivities),
    cache: &mut Cache,
    scan: &PageScan<'_>,
    watch: &dyn Watch,
) -> Result<Ended, Error> {
    // Rows of an earlier scan stay until this one ends, and must not be grouped by another rule
    // than its own.
    cache.ensure_keys(&scan.key.signature(), |lead| scan.key.key_of(lead).map(String::from))?;
    let begun = cache.begin_scan(&spec("pages", scan.fields, scan.key), (scan.now)())?;
    let first: LeadId = begun.cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(1);
    let highest = match scan.highest {
        Some(highest) => highest,
        None => highest_id(marketo, scan.log, (scan.now)()).await?,
    };
    // An earlier scan may have seen a higher one; that is worth more than ids that were tried.
    let highest = highest.max(cache.highest_id()?);
    cache.expect(highest)?;
    watch.at(first.saturating_sub(1), Some(highest));
    let run = |start: LeadId| async move {
        let ids: Vec<LeadId> = (start..start + BATCH as LeadId).collect();
        (start, marketo.leads_by_id(&ids, scan.fields).await)
    };
    let starts = (0..).map(|n| first + n * BATCH as LeadId);
    let mut runs =
        std::pin::pin!(futures::stream::iter(starts.map(run)).buffered(scan.concurrency.max(1)));
    let mut empty_runs = 0;
    // A signal is heeded while a call waits for its place among the limits, too; a read that is
    // dropped harms nobody.
    while let Some((start, leads)) = tokio::select! {
        biased;
        () = scan.stop.cancelled() => None,
        run = runs.next() => run,
    } {
        let leads = leads?;
        let next = start + BATCH as LeadId;
        empty_runs = if leads.is_empty() { empty_runs + 1 } else { 0 };
        let rows: Vec<_> = leads.into_iter().map(|lead| row(lead, scan.key)).collect();
        cache.save_page(&rows, &next.to_string())?;
        watch.at((next - 1).min(highest.max(start)), Some(highest.max(start)));
        if start > highest && empty_runs >= EMPTY_RUNS_AT_THE_END {
            return Ok(Ended::Complete(cache.finish_scan((scan.now)())?));
        }
    }
    // The runs never end by themselves, only by a signal.
    Ok(Ended::Interrupted)
}
