//! The whole instance by bulk extract: a file for each window of creation times.
//!
//! For: reading millions of leads with a few hundred calls. What is planned, ordered and loaded is
//! in the cache from the moment on at which it is decided, so that a scan that was cut short goes
//! on with the jobs that it has ordered, and no file is paid for twice. Two jobs run at Marketo
//! while others wait in its queue; a file goes into the cache as it arrives (`fetch`), and counts
//! once it is proved whole.
//!
//! Never: orders a file that is expected to pass the day's bytes. What a window's file will weigh
//! is expected from the window before it; one that would not fit is cut. Marketo counts a file when
//! it has written it, so that is when it is counted here, once, and it is then fetched whatever is
//! left: leaving it would save nothing. Leads that are born after the scan began are the next
//! refresh's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::MutexGuard;
use tokio_util::sync::CancellationToken;

use super::rows::Kind;
use super::{Ended, Error, Now, Watch, spec};
use crate::cache::{Cache, ExportWindow, Loaded};
use crate::dedupe::KeySpec;
use crate::lead::Window;
use crate::marketo::{self, Clock, ExportJob, ExportLeads, ExportStatus, Schema};

mod budget;
mod fetch;
mod order;
mod pipe;
mod shared;
#[cfg(test)]
mod tests;
mod windows;

pub use shared::SharedCache;

use fetch::{Fetched, FileFacts, fetch};

/// Marketo updates the status of a job no more often.
const POLL_AT_MOST: Duration = Duration::from_secs(60);

/// How many of an instance's jobs run at once; only they can complete.
const RUNNING: usize = 2;

/// What a scan by bulk extract is to read, and how.
#[derive(Debug)]
#[non_exhaustive]
pub struct BulkScan<'a> {
    /// The fields, from [`super::fields_to_read`].
    pub fields: &'a [String],
    /// What their values are.
    pub schema: &'a Schema,
    /// What makes leads the same.
    pub key: &'a KeySpec,
    /// What all its files together are expected to weigh; none where nobody asked.
    pub expected_bytes: Option<u64>,
    /// Between two looks at a job, in Marketo's time; less than a minute counts as one.
    pub poll_interval: Duration,
    /// What waiting is done by.
    pub clock: Clock,
    /// What the time is read from.
    pub now: Now,
    /// Cancelled: the file on its way is given up, what was stored is kept, and the scan stops.
    pub stop: CancellationToken,
}

/// Reads every lead into the cache, or goes on with a scan that was interrupted.
pub async fn scan_bulk(
    marketo: &impl ExportLeads,
    cache: &SharedCache,
    scan: &BulkScan<'_>,
    watch: &dyn Watch,
) -> Result<Ended, Error> {
    let mut run = Run {
        marketo,
        cache,
        scan,
        queued: BTreeSet::new(),
        completed: BTreeMap::new(),
        over: None,
    };
    tokio::select! {
        biased;
        // A job whose order is not waited for is found again, and a file on its way is undone by
        // its reader.
        () = scan.stop.cancelled() => Ok(Ended::Interrupted),
        ended = run.until_done(watch) => ended,
    }
}

/// The windows of a scan that begins now, of an instance whose oldest folder is of this age.
pub(super) fn windows_since(oldest_folder: DateTime<Utc>, now: DateTime<Utc>) -> Vec<Window> {
    windows::cover(windows::beginning(oldest_folder), now)
}

/// A scan under way.
struct Run<'a, M> {
    marketo: &'a M,
    cache: &'a SharedCache,
    scan: &'a BulkScan<'a>,
    /// Jobs that are known to be in Marketo's queue, or to have left it with a file that is not
    /// loaded yet.
    queued: BTreeSet<String>,
    /// Those of them that are complete, by the start of their window.
    completed: BTreeMap<DateTime<Utc>, ExportJob>,
    /// Why nothing more is ordered today.
    over: Option<marketo::Error>,
}

impl<M: ExportLeads> Run<'_, M> {
    async fn until_done(&mut self, watch: &dyn Watch) -> Result<Ended, Error> {
        self.begin().await?;
        loop {
            let windows = self.windows(watch)?;
            if windows.iter().all(|known| known.loaded.is_some()) {
                return Ok(Ended::Complete(self.cache().finish_scan((self.scan.now)())?));
            }
            self.order(&windows).await?;
            if self.look(watch).await? {
                continue;
            }
            match self.over.take() {
                Some(error) if self.queued.is_empty() => return Err(error.into()),
                over => self.over = over,
            }
            self.scan.pause(self.scan.poll_interval.max(POLL_AT_MOST)).await;
        }
    }

    /// Begins a scan, or goes on with one; its windows are fixed once.
    async fn begin(&mut self) -> Result<(), Error> {
        let (scan, now) = (self.scan, (self.scan.now)());
        {
            let mut cache = self.cache();
            // Rows of an earlier scan stay until this one ends, and must not be grouped by another
            // rule than its own.
            cache.ensure_keys(&scan.key.signature(), |lead| {
                scan.key.key_of(lead).map(String::from)
            })?;
            cache.begin_scan(&spec("bulk", scan.fields, scan.key), now)?;
            if !cache.export_windows()?.is_empty() {
                return Ok(cache.forgive_exports()?);
            }
        }
        let folders = self.marketo.first_possible_creation().await?.ok_or(Error::NoBeginning)?;
        // Folders that this API user cannot see may be older, and so may be leads that an earlier
        // scan has seen.
        let oldest = self.cache().oldest_creation()?.map_or(folders, |lead| lead.min(folders));
        let windows = windows_since(oldest, now);
        if windows.is_empty() {
            return Err(Error::NoBeginning);
        }
        Ok(self.cache().plan_exports(&windows)?)
    }

    /// Looks at the jobs that can have completed, oldest first. Where some have, others are ordered
    /// in their place before the file of the oldest is fetched, so that Marketo writes on while a
    /// file is on its way. Whether anything went on.
    async fn look(&mut self, watch: &dyn Watch) -> Result<bool, Error> {
        let (mut moved, mut waiting) = (false, 0);
        for known in self.running(&self.windows(watch)?) {
            let Some(id) = known.export_id.as_deref() else { continue };
            let job = self.marketo.export(id).await?;
            match job.status {
                ExportStatus::Completed => {
                    self.charge(&known, &job)?;
                    self.completed.insert(known.window.start, job);
                }
                ExportStatus::Failed | ExportStatus::Cancelled => {
                    self.lose(known.window, &job)?;
                    moved = true;
                }
                ExportStatus::Created | ExportStatus::Queued | ExportStatus::Processing => {
                    waiting += 1;
                }
            }
            if waiting >= RUNNING {
                break;
            }
        }
        let Some((start, job)) = self.completed.first_key_value() else { return Ok(moved) };
        let (start, job) = (*start, job.clone());
        let windows = self.windows(watch)?;
        self.order(&windows).await?;
        if let Some(known) = windows.iter().find(|known| known.window.start == start) {
            self.take(known, &job, watch).await?;
        }
        self.queued.remove(&job.id);
        self.completed.remove(&start);
        self.windows(watch)?;
        Ok(true)
    }

    /// The windows whose jobs are in the queue and were not seen complete.
    fn running(&self, windows: &[ExportWindow]) -> Vec<ExportWindow> {
        let is_running = |known: &&ExportWindow| {
            known.loaded.is_none()
                && known.export_id.as_deref().is_some_and(|id| self.queued.contains(id))
                && !self.completed.contains_key(&known.window.start)
        };
        windows.iter().filter(is_running).cloned().collect()
    }

    /// Counts a completed job's bytes, before anything else is ordered.
    fn charge(&self, known: &ExportWindow, job: &ExportJob) -> Result<(), Error> {
        let size = job.size.filter(|_| !known.charged && job.records != Some(0));
        if let Some(size) = size {
            // Killed in between, it is counted twice rather than not at all.
            self.marketo.charge_export(size)?;
            self.cache().charge_export(known.window)?;
        }
        Ok(())
    }

    /// Takes a completed job's file.
    async fn take(
        &mut self,
        known: &ExportWindow,
        job: &ExportJob,
        watch: &dyn Watch,
    ) -> Result<(), Error> {
        let window = known.window;
        if job.records == Some(0) {
            let nothing = Loaded { rows: 0, bytes: 0 };
            return self.cache().load_export(window, |_| Ok::<_, Error>(nothing)).map(drop);
        }
        let Some(file) = FileFacts::of(job) else {
            let what =
                "is complete, and Marketo does not tell the size to prove its file by".to_owned();
            return Err(self.give_up(window, what)?);
        };
        if file.sha256.is_none() {
            watch.without_checksum(window);
        }
        match fetch(self.marketo, self.cache, self.scan, window, &file).await {
            Ok(Fetched::Loaded) => Ok(()),
            Ok(Fetched::Lost) => self.lose(window, job),
            // A file that cannot be read stays so: another run orders it anew, when its leads are
            // mended.
            Err(Error::Export { window, what }) => Err(self.give_up(window, what)?),
            Err(error) => Err(error),
        }
    }

    /// Forgets a job whose file is of no use, and gives the error that ends the run.
    fn give_up(&self, window: Window, what: String) -> Result<Error, Error> {
        self.cache().lose_export(window)?;
        Ok(Error::Export { window, what })
    }

    /// Forgets a job that came to nothing; its window is ordered anew, a few times.
    fn lose(&mut self, window: Window, job: &ExportJob) -> Result<(), Error> {
        tracing::warn!(export = job.id, status = ?job.status, message = job.message, "an export came to nothing");
        self.queued.remove(&job.id);
        Ok(self.cache().lose_export(window)?)
    }

    /// The windows as they stand, told to whoever watches.
    fn windows(&self, watch: &dyn Watch) -> Result<Vec<ExportWindow>, Error> {
        let windows = self.cache().export_windows()?;
        let loaded = windows.iter().filter(|known| known.loaded.is_some()).count();
        watch.at(loaded as u64, Some(windows.len() as u64));
        Ok(windows)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock()
    }
}

impl<'a> BulkScan<'a> {
    /// A scan that reads these fields, looks at its jobs once a minute, and goes on until it is
    /// complete. The clock is the client's.
    pub fn new(
        fields: &'a [String],
        schema: &'a Schema,
        key: &'a KeySpec,
        clock: Clock,
        now: Now,
    ) -> Self {
        let stop = CancellationToken::new();
        let poll_interval = POLL_AT_MOST;
        Self { fields, schema, key, expected_bytes: None, poll_interval, clock, now, stop }
    }

    /// What all its files together are expected to weigh, where that is known.
    #[must_use]
    pub fn expected_bytes(self, expected_bytes: Option<u64>) -> Self {
        Self { expected_bytes, ..self }
    }

    /// Between two looks at a job, in Marketo's time; less than a minute counts as one.
    #[must_use]
    pub fn poll_interval(self, poll_interval: Duration) -> Self {
        Self { poll_interval, ..self }
    }

    /// Cancelled: the file on its way is given up, what was stored is kept, and the scan stops.
    #[must_use]
    pub fn stop(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// The columns of its files.
    fn columns(&self) -> Vec<(String, Kind)> {
        let kind = |field: &String| {
            self.schema.fields.get(field).map_or(Kind::Text, |facts| Kind::of(&facts.data_type))
        };
        self.fields.iter().map(|field| (field.clone(), kind(field))).collect()
    }

    /// Waits for a span of Marketo's time.
    async fn pause(&self, span: Duration) {
        self.clock.sleep(span).await;
    }
}
