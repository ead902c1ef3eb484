//! Bulk lead extract: jobs, and their files.
//!
//! For: ordering the leads that were created in a window as one file, and fetching it piece by
//! piece. Marketo runs two jobs at once, keeps ten in its queue, and lets an instance export 500 MB
//! a day, shared by everybody (documented by Adobe). Never: waits for a job, keeps a file, reads a
//! row of one, or decides what happens after a cut.
//!
//! An order is a write over HTTP that harms nobody: a job that was never put in the queue costs
//! nothing. Its answer can be lost all the same, and then [`ExportLeads::exports`] is where to
//! look. Putting a job in the queue a second time is refused with 1029, which is as good as an
//! answer, so that the client does it again by itself.

use std::future::Future;

use chrono::{DateTime, Utc};
use hyper::Method;
use serde_json::{Value, json};

use super::call::{Body, Call};
use super::meaning::{Kind, Meaning};
use super::read::number;
use super::{BATCH, Client, Error, Result};
use crate::lead::{Window, parse_time};

mod budget;
mod download;

pub use budget::ExportBudget;
pub use download::Download;

/// What is wrong with an answer that should show a job.
const NO_JOB: &str = "it shows no job";

/// Most folders that one call shows.
const FOLDERS: usize = 200;

/// What exporting may do. It reads leads; nothing of theirs is changed.
pub trait ExportLeads: Send + Sync {
    /// Orders a CSV file of the leads that were created in a window of at most 31 days, with these
    /// fields as columns, by their REST names. The job waits for [`ExportLeads::enqueue_export`].
    /// Sent once: after an [`Unclear`](super::Outcome::Unclear) error the job may be in the list of
    /// jobs.
    fn create_export(
        &self,
        fields: &[String],
        window: Window,
    ) -> impl Future<Output = Result<Ordered>> + Send;

    /// Puts a job in the queue; one that is there already stays where it is.
    fn enqueue_export(&self, id: &str) -> impl Future<Output = Result<Ordered>> + Send;

    /// How a job stands. Marketo looks no more often than once a minute.
    fn export(&self, id: &str) -> impl Future<Output = Result<ExportJob>> + Send;

    /// The jobs of the last seven days that this API user ordered, all pages.
    fn exports(&self) -> impl Future<Output = Result<Vec<ExportJob>>> + Send;

    /// Takes a job out of the queue.
    fn cancel_export(&self, id: &str) -> impl Future<Output = Result<ExportJob>> + Send;

    /// The file of a completed job, from this byte on; none where there is no file (any more).
    fn export_file(
        &self,
        id: &str,
        from: u64,
    ) -> impl Future<Output = Result<Option<Download>>> + Send;

    /// The time before which no lead can have been created: the oldest `createdAt` of the top
    /// folders. None where the instance shows no folder.
    fn first_possible_creation(&self)
    -> impl Future<Output = Result<Option<DateTime<Utc>>>> + Send;

    /// How many bytes of files may be written in a day.
    fn export_a_day(&self) -> u64;

    /// How many of them are left today.
    fn export_left(&self) -> u64;

    /// Counts the bytes of a file that is complete, once, whether it is fetched or not.
    fn charge_export(&self, bytes: u64) -> Result<()>;
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ordered {
    /// Marketo took it.
    Taken(ExportJob),
    /// 1029: ten jobs are in the queue, of whomever. In a few minutes there may be room.
    QueueFull,
}

/// One export job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportJob {
    /// Marketo's id of it.
    pub id: String,
    /// How it stands.
    pub status: ExportStatus,
    /// When it was ordered.
    pub created_at: Option<DateTime<Utc>>,
    /// Rows of the file without its header, once it is complete.
    pub records: Option<u64>,
    /// Bytes of the file, once it is complete.
    pub size: Option<u64>,
    /// SHA-256 of the file in lower-case hexadecimal, once it is complete.
    pub sha256: Option<String>,
    /// Why it failed, in Marketo's words.
    pub message: Option<String>,
}

/// How an export job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportStatus {
    /// Ordered, and not in the queue.
    Created,
    /// In the queue.
    Queued,
    /// The file is being written.
    Processing,
    /// Taken out. Adobe's pages write one l, its answers two.
    Cancelled,
    /// The file can be fetched, for seven days at least.
    Completed,
    /// Marketo gave up; it must be ordered anew.
    Failed,
}

impl ExportLeads for Client {
    async fn create_export(&self, fields: &[String], window: Window) -> Result<Ordered> {
        let written = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let body = json!({
            "fields": fields,
            "format": "CSV",
            "filter": {"createdAt": {"startAt": written(window.start), "endAt": written(window.end)}},
        });
        let body = Body::Json(body.to_string().into_bytes());
        let mut call = Call::get("/bulk/v1/leads/export/create.json");
        (call.kind, call.method, call.body) = (Kind::Write, Method::POST, body);
        self.order(call).await
    }

    async fn enqueue_export(&self, id: &str) -> Result<Ordered> {
        match self.order(repeatable(id, "enqueue")).await {
            Err(error) if error.meaning() == Some(Meaning::AlreadyQueued) => {
                Ok(Ordered::Taken(self.export(id).await?))
            }
            ordered => ordered,
        }
    }

    async fn export(&self, id: &str) -> Result<ExportJob> {
        self.one_job(Call::get(format!("/bulk/v1/leads/export/{id}/status.json"))).await
    }

    async fn exports(&self) -> Result<Vec<ExportJob>> {
        let call = Call::get("/bulk/v1/leads/export.json").with("batchSize", BATCH.to_string());
        self.pages(call, job).await
    }

    async fn cancel_export(&self, id: &str) -> Result<ExportJob> {
        self.one_job(repeatable(id, "cancel")).await
    }

    async fn export_file(&self, id: &str, from: u64) -> Result<Option<Download>> {
        self.download(&Call::get(format!("/bulk/v1/leads/export/{id}/file.json")), from).await
    }

    async fn first_possible_creation(&self) -> Result<Option<DateTime<Utc>>> {
        let (mut oldest, mut offset) = (None, 0);
        loop {
            let call = Call::get("/rest/asset/v1/folders.json")
                .with("maxDepth", "1")
                .with("maxReturn", FOLDERS.to_string())
                .with("offset", offset.to_string());
            let mut answer = self.call(call).await?;
            let folders = answer.rows()?;
            let times =
                folders.iter().filter_map(|row| parse_time(row.get("createdAt")?.as_str()?));
            oldest = oldest.into_iter().chain(times).min();
            if folders.len() < FOLDERS {
                return Ok(oldest);
            }
            offset += FOLDERS;
        }
    }

    fn export_a_day(&self) -> u64 {
        self.export_budget().a_day()
    }

    fn export_left(&self) -> u64 {
        self.export_budget().left()
    }

    fn charge_export(&self, bytes: u64) -> Result<()> {
        self.export_budget().charge(bytes)
    }
}

impl Client {
    /// The one job that an answer shows.
    async fn one_job(&self, call: Call) -> Result<ExportJob> {
        let mut answer = self.call(call).await?;
        let jobs = answer.read(job)?;
        jobs.into_iter().next().ok_or_else(|| answer.senseless(NO_JOB))
    }

    /// An order.
    async fn order(&self, call: Call) -> Result<Ordered> {
        let kind = call.kind;
        let mut answer = match self.call(call).await {
            Ok(answer) => answer,
            Err(error) => return refused(error),
        };
        match answer.read(job).map(|jobs| jobs.into_iter().next()) {
            Ok(Some(job)) => Ok(Ordered::Taken(job)),
            // A job was made, and its id did not come along.
            Err(Error::Answer { what, .. }) if kind == Kind::Write => Err(answer.unclear(what)),
            Ok(None) if kind == Kind::Write => Err(answer.unclear(NO_JOB.to_owned())),
            Ok(None) => Err(answer.senseless(NO_JOB)),
            Err(error) => Err(error),
        }
    }
}

/// What became of an order that Marketo refused.
fn refused(error: Error) -> Result<Ordered> {
    match (error.meaning(), error) {
        (Some(Meaning::QueueFull), _) => Ok(Ordered::QueueFull),
        (Some(Meaning::ExportQuota), Error::Refused { call, message, .. }) => {
            let which = format!(
                "Marketo's daily quota of bulk extract for the whole instance is used up (1029 {message}); it is \
                 filled again at midnight US Central"
            );
            Err(Error::Quota { call, which })
        }
        (_, error) => Err(error),
    }
}

/// A POST that may be sent again: done twice is done once.
fn repeatable(id: &str, verb: &str) -> Call {
    let mut call = Call::get(format!("/bulk/v1/leads/export/{id}/{verb}.json"));
    call.method = Method::POST;
    call
}

fn job(row: &Value) -> Option<ExportJob> {
    let text = |member: &str| row.get(member).and_then(Value::as_str);
    let status = match text("status")?.to_lowercase().as_str() {
        "created" => ExportStatus::Created,
        "queued" => ExportStatus::Queued,
        "processing" => ExportStatus::Processing,
        "canceled" | "cancelled" => ExportStatus::Cancelled,
        "completed" => ExportStatus::Completed,
        "failed" => ExportStatus::Failed,
        _ => return None,
    };
    let sha256 = text("fileChecksum").and_then(|sum| sum.strip_prefix("sha256:"));
    Some(ExportJob {
        id: text("exportId").filter(|id| !id.is_empty())?.to_owned(),
        status,
        created_at: text("createdAt").and_then(parse_time),
        records: row.get("numberOfRecords").and_then(number),
        size: row.get("fileSize").and_then(number),
        sha256: sha256.map(str::to_lowercase),
        message: text("errorMsg").map(str::to_owned),
    })
}
