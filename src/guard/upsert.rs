//! The guarded write: look up, decide, write, and settle what is unclear, until every line has a
//! result.
//!
//! Records are cut into chunks of keys. No key is in two chunks, and within a chunk no key is in
//! two calls at once, so several chunks may be under way together and still never two calls with
//! one key. A chunk goes in rounds: take the rights to its open keys (which the proxy and other
//! processes take too), look those up, write what the look-up asks for, and begin again with those
//! whose outcome is open.

use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::coalesce::{KeyRule, KeyWork, coalesce};
use super::lease::Leases;
use super::read::Record;
use crate::dedupe::{FieldFacts, KeyKind};
use crate::marketo::{BATCH, Clock, ReadLeads, SyncLeads};

mod chunk;
mod read_back;
mod result;
mod rights;

pub use result::{LineResult, Status, UpsertReport};

/// Keys in a chunk. Three look-ups and, since creates and updates leave apart, at most four writes:
/// 7 calls for 900 keys.
const CHUNK: usize = 3 * BATCH;

/// How a guarded write goes about it.
#[derive(Debug, Clone)]
pub struct GuardSettings {
    /// The instance that is written to, as all who share its leases name it.
    pub instance: String,
    /// The field that makes two records the same, by which leads are looked up.
    pub lookup_field: String,
    /// How its values compare.
    pub lookup_kind: KeyKind,
    /// What is known of the fields: how Marketo stores what is written to them.
    pub facts: FieldFacts,
    /// The partition that new leads go to.
    pub partition: Option<String>,
    /// Look up and say what would be done; write nothing.
    pub dry_run: bool,
    /// Chunks under way at once.
    pub concurrency: usize,
    /// How fast Marketo's time passes.
    pub clock: Clock,
    /// Cancelled: the calls in flight are finished, and the run stops.
    pub stop: CancellationToken,
}

/// Why a run ended before every line was written.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// Every line has its result.
    Complete,
    /// A signal came.
    Interrupted,
    /// A call failed in a way that the next one would not survive either.
    Failed(Error),
}

/// What a watcher is told while lines get their results.
pub trait Watch: Send + Sync {
    /// So many lines have a result by now.
    fn lines_done(&self, done: u64);
    /// The run waits for a call whose answer was lost.
    fn waiting(&self, span: Duration);
    /// The run waits for somebody else who is writing the same keys.
    fn held_up(&self);
}

/// A guarded writer on one instance. Others may write at the same time: leases keep them apart.
pub struct Guard<'a, M, L> {
    marketo: &'a M,
    leases: L,
    watch: &'a dyn Watch,
    rule: KeyRule,
    settings: GuardSettings,
}

impl<M, L> std::fmt::Debug for Guard<'_, M, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<'a, M: ReadLeads + SyncLeads, L: Leases> Guard<'a, M, L> {
    /// Sets a writer up; calls nothing.
    pub fn new(marketo: &'a M, leases: L, watch: &'a dyn Watch, settings: GuardSettings) -> Self {
        // One chunk that has to stop stops the others, and nobody beyond this run.
        let stop = settings.stop.child_token();
        let rule = KeyRule {
            instance: settings.instance.clone(),
            field: settings.lookup_field.clone(),
            kind: settings.lookup_kind,
        };
        let settings = GuardSettings { stop, ..settings };
        Self { marketo, leases, watch, rule, settings }
    }

    /// Writes the records, and gives a result for each line, in the order of the lines.
    pub async fn upsert(&self, records: Vec<Record>) -> Result<UpsertReport, Error> {
        let mut report = UpsertReport::new(records.len());
        let (works, keyless) = coalesce(records, &self.rule);
        for (line, reason) in keyless {
            report.add(LineResult {
                line,
                key: None,
                status: Status::Skipped,
                id: None,
                reason: Some(reason),
            });
        }
        let mut chunks: Vec<Vec<KeyWork>> = Vec::new();
        let mut works = works.into_iter().peekable();
        while works.peek().is_some() {
            chunks.push(works.by_ref().take(CHUNK).collect());
        }
        let under_way = self.settings.concurrency.max(1);
        let mut chunks = futures::stream::iter(chunks.into_iter().map(|chunk| self.chunk(chunk)))
            .buffer_unordered(under_way);
        while let Some((results, ended)) = chunks.next().await {
            for result in results {
                report.add(result);
            }
            self.watch.lines_done(report.record.len() as u64);
            if !matches!(ended, Ended::Complete) {
                // The other chunks see it before their next call.
                self.settings.stop.cancel();
                report.end(ended);
            }
        }
        report.in_order();
        Ok(report)
    }
}
