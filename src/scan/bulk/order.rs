//! Ordering jobs: those of an earlier run first, then new ones, as many as may wait.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Run;
use crate::cache::ExportWindow;
use crate::lead::Window;
use crate::marketo::{self, ExportJob, ExportLeads, ExportStatus, Ordered, Outcome};
use crate::scan::Error;

/// How many jobs of ours are in Marketo's queue at once, those running included. It holds ten, of
/// all integrations.
const IN_QUEUE: usize = 6;

/// How many jobs of one window may come to nothing.
const LOST_AT_MOST: u32 = 3;

/// How long Marketo may still be making a job whose answer was lost.
const CREATE_LIMIT: Duration = Duration::from_secs(30);

/// By so much this machine's clock may be ahead of Marketo's.
const CLOCKS: TimeDelta = TimeDelta::minutes(10);

impl<M: ExportLeads> Run<'_, M> {
    /// Fills the queue up. What was ordered by an earlier run is found again, and not ordered a
    /// second time.
    pub(super) async fn order(&mut self, windows: &[ExportWindow]) -> Result<(), Error> {
        let missing = || windows.iter().filter(|known| known.loaded.is_none());
        // What an earlier run has ordered comes first: its bytes are spent, and another window is
        // ordered beside it only where both fit.
        let known = missing().filter(|known| known.export_id.is_some());
        let new = missing().filter(|known| known.export_id.is_none());
        for known in known.chain(new) {
            // What is complete is in the queue no more.
            if self.queued.len() >= IN_QUEUE + self.completed.len() {
                return Ok(());
            }
            let went_on = match &known.export_id {
                Some(id) if self.queued.contains(id) => Ok(true),
                Some(id) => self.go_on(known.window, id).await,
                None => self.order_one(known, windows).await,
            };
            match went_on {
                Ok(true) => {}
                // The queue is full, or the window waits for what others turn out to weigh.
                Ok(false) => return Ok(()),
                Err(Error::Marketo(error @ marketo::Error::Quota { .. })) => {
                    self.over = Some(error);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes on with a job that is known; whether there is room for another.
    async fn go_on(&mut self, window: Window, id: &str) -> Result<bool, Error> {
        let job = match self.marketo.export(id).await {
            Ok(job) => job,
            // Jobs are forgotten after a week. Any other refusal, as of a proxy in between, says
            // nothing of the job.
            Err(error) if is_unknown_job(&error) => {
                self.cache().lose_export(window)?;
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        };
        match job.status {
            ExportStatus::Created => return self.enqueue(id).await,
            ExportStatus::Failed | ExportStatus::Cancelled => self.lose(window, &job)?,
            ExportStatus::Queued | ExportStatus::Processing | ExportStatus::Completed => {
                self.queued.insert(job.id);
            }
        }
        Ok(true)
    }

    /// Orders a job for a window, where its file is expected to fit; whether there is room for
    /// another.
    async fn order_one(
        &mut self,
        known: &ExportWindow,
        windows: &[ExportWindow],
    ) -> Result<bool, Error> {
        if known.lost >= LOST_AT_MOST {
            let what = format!("came to nothing {LOST_AT_MOST} times");
            return Err(Error::Export { window: known.window, what });
        }
        if self.over.is_some() {
            return Ok(false);
        }
        if let Some(asked_at) = known.asked_at
            && let Some(job) = self.found(asked_at, windows).await?
        {
            self.cache().keep_export(known.window, &job.id)?;
            return self.enqueue(&job.id).await;
        }
        let Some(window) = self.that_fits(known.window, windows)? else { return Ok(false) };
        self.create(window, windows).await
    }

    async fn create(&mut self, window: Window, windows: &[ExportWindow]) -> Result<bool, Error> {
        let asked_at = (self.scan.now)();
        self.cache().ask_export(window, Some(asked_at))?;
        let job = match self.marketo.create_export(self.scan.fields, window).await {
            Ok(Ordered::Taken(job)) => job,
            Ok(Ordered::QueueFull) => {
                self.cache().ask_export(window, None)?;
                return Ok(false);
            }
            Err(error) if error.outcome() == Outcome::Unclear => {
                tracing::warn!(%error, "looking for the export in the list of jobs");
                let Some(job) = self.found(asked_at, windows).await? else {
                    // None was made, or one that nobody can tell, and that costs nothing: another
                    // is ordered, a few times.
                    self.cache().lose_export(window)?;
                    return Ok(false);
                };
                job
            }
            Err(error) => {
                self.cache().ask_export(window, None)?;
                return Err(error.into());
            }
        };
        self.cache().keep_export(window, &job.id)?;
        self.enqueue(&job.id).await
    }

    /// The job that was ordered at this time, and whose answer was lost. Orders leave one after the
    /// other, so that it is the one job that waits outside the queue, is no other window's, and was
    /// made since; where several are, others of this API user order too, and nobody can tell. Its
    /// file shows whether it is the right one.
    async fn found(
        &self,
        asked_at: DateTime<Utc>,
        windows: &[ExportWindow],
    ) -> Result<Option<ExportJob>, Error> {
        self.scan.pause(CREATE_LIMIT).await;
        let is_known =
            |id: &str| windows.iter().any(|known| known.export_id.as_deref() == Some(id));
        let mut candidates = self.marketo.exports().await?;
        candidates.retain(|job| {
            job.status == ExportStatus::Created
                && job.created_at.is_some_and(|created| created >= asked_at - CLOCKS)
                && !self.queued.contains(&job.id)
                && !is_known(&job.id)
        });
        let job = candidates.pop().filter(|_| candidates.is_empty());
        tracing::info!(found = job.is_some(), "looked for an export whose order was not answered");
        Ok(job)
    }

    /// Puts a job in the queue; whether there was room.
    async fn enqueue(&mut self, id: &str) -> Result<bool, Error> {
        match self.marketo.enqueue_export(id).await? {
            Ordered::Taken(job) => {
                self.queued.insert(job.id);
                Ok(true)
            }
            Ordered::QueueFull => Ok(false),
        }
    }
}

/// Whether Marketo says that it has no such job.
fn is_unknown_job(error: &marketo::Error) -> bool {
    match error {
        marketo::Error::Refused { code, message, .. } => {
            matches!(code.as_str(), "610" | "1013" | "HTTP 404")
                || message.to_lowercase().contains("not found")
        }
        _ => false,
    }
}
