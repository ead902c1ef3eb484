//! Export jobs: two run, ten wait, status is refreshed once a minute, bytes are counted against a
//! day's quota.
//!
//! Time is an argument, so a day of exports takes a test no time at all. A job's whole timetable is
//! fixed when it is put in the queue and made anew when a cancelled job leaves a slot; its file is
//! made by the first look after it finished. This is where the three meanings of error 1029 come
//! from.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use chrono_tz::America::Chicago;
use hyper::body::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::order::Order;
use crate::answer::{Refused, refused};

/// How many jobs run at once.
const RUNNING: usize = 2;
/// How many jobs may be in the queue, those running included.
const QUEUE: usize = 10;
/// How often the status that callers see is refreshed.
const REFRESH: Duration = Duration::seconds(60);
/// How long jobs stay in the list.
const LISTED: Duration = Duration::days(7);
/// How long files can be fetched.
const FILE_KEPT: Duration = Duration::days(7);

/// All export jobs of an instance.
#[derive(Debug)]
pub(crate) struct Jobs {
    all: Vec<Job>,
    daily_bytes: u64,
    /// What Marketo's durations are divided by.
    speed: i32,
    /// Whether a finished job tells no checksum.
    no_checksums: bool,
}

/// One export job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) order: Order,
    owner: String,
    created: DateTime<Utc>,
    /// When it was put in the queue, starts and finishes.
    timetable: Option<Timetable>,
    cancelled: Option<DateTime<Utc>>,
    fails: bool,
    file: Option<File>,
    /// How often the status that callers see is refreshed, on this machine's clock.
    refresh: Duration,
    /// How long the job runs.
    runs_for: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Timetable {
    queued: DateTime<Utc>,
    starts: DateTime<Utc>,
    finishes: DateTime<Utc>,
}

/// A finished job's file.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) records: usize,
    checksum: Option<String>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Created,
    Queued,
    Processing,
    Cancelled,
    Completed,
    Failed,
}

impl Status {
    /// The name that answers carry. Adobe's pages write `Canceled`; every recorded answer has two
    /// l.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Queued => "Queued",
            Self::Processing => "Processing",
            Self::Cancelled => "Cancelled",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }
}

impl Jobs {
    /// No jobs yet; `speed` divides Marketo's durations.
    pub(crate) fn new(daily_bytes: u64, speed: u32) -> Self {
        Self {
            all: Vec::new(),
            daily_bytes,
            speed: i32::try_from(speed).unwrap_or(i32::MAX).max(1),
            no_checksums: false,
        }
    }

    /// The same, whose finished jobs tell a checksum or none.
    pub(crate) fn with_checksums(self, present: bool) -> Self {
        Self { no_checksums: !present, ..self }
    }

    /// Takes an order; the job waits for being enqueued.
    pub(super) fn create(
        &mut self,
        order: Order,
        owner: &str,
        now: DateTime<Utc>,
    ) -> Result<&Job, Refused> {
        self.check_quota(now)?;
        let number = self.all.len();
        let seconds = 20 + 25 * i32::try_from(number % 4).unwrap_or(0);
        let job = Job {
            id: export_id(number),
            order,
            owner: owner.to_owned(),
            created: now,
            timetable: None,
            cancelled: None,
            fails: false,
            file: None,
            refresh: REFRESH / self.speed,
            runs_for: Duration::seconds(i64::from(seconds)) / self.speed,
        };
        let id = job.id.clone();
        self.all.push(job);
        self.find(&id, owner)
    }

    /// Puts a job in the queue; one that `fails` runs like any other, and has no file in the end.
    pub(super) fn enqueue(
        &mut self,
        id: &str,
        owner: &str,
        now: DateTime<Utc>,
        fails: bool,
    ) -> Result<&Job, Refused> {
        let job = self.find(id, owner)?;
        if job.cancelled.is_some() {
            return Err(invalid(format!("Export job '{id}' is Cancelled")));
        }
        if job.timetable.is_some() {
            return Err(busy("Job already queued"));
        }
        self.check_quota(now)?;
        if self.all.iter().filter(|job| job.is_waiting_or_running(now)).count() >= QUEUE {
            return Err(busy("Too many jobs in queue"));
        }
        let place = self.place(id, owner)?;
        if let Some(job) = self.all.get_mut(place) {
            job.timetable =
                Some(Timetable { queued: now, starts: now, finishes: now + job.runs_for });
            job.fails = fails;
        }
        self.schedule(now, Some(place));
        self.find(id, owner)
    }

    /// Takes a job out, whether it is created, waits or runs.
    pub(super) fn cancel(
        &mut self,
        id: &str,
        owner: &str,
        now: DateTime<Utc>,
    ) -> Result<&Job, Refused> {
        let place = self.place(id, owner)?;
        if let Some(job) = self.all.get_mut(place) {
            if job.timetable.is_some_and(|timetable| timetable.finishes <= now)
                && job.cancelled.is_none()
            {
                return Err(invalid(format!("Export job '{id}' is Completed")));
            }
            job.cancelled.get_or_insert(now);
        }
        self.schedule(now, None);
        self.find(id, owner)
    }

    /// A job of this API user. Jobs of others do not exist for them.
    pub(super) fn find(&self, id: &str, owner: &str) -> Result<&Job, Refused> {
        let found = self.all.iter().find(|job| job.id == id && job.owner == owner);
        found.ok_or_else(|| refused("1013", format!("Export job '{id}' not found")))
    }

    /// This API user's jobs of the last seven days, newest first.
    pub(super) fn list(&self, owner: &str, now: DateTime<Utc>) -> impl Iterator<Item = &Job> {
        self.all.iter().rev().filter(move |job| job.owner == owner && now - job.created <= LISTED)
    }

    /// Makes the files of the jobs that finished by `now`.
    pub(super) fn settle(
        &mut self,
        now: DateTime<Utc>,
        mut make: impl FnMut(&Order) -> (Vec<u8>, usize),
    ) {
        for job in &mut self.all {
            let finished = job.timetable.is_some_and(|timetable| timetable.finishes <= now);
            if finished && job.cancelled.is_none() && !job.fails && job.file.is_none() {
                let (bytes, records) = make(&job.order);
                let checksum = (!self.no_checksums)
                    .then(|| format!("sha256:{}", hex(&Sha256::digest(&bytes))));
                job.file = Some(File { bytes: Bytes::from(bytes), records, checksum });
            }
        }
    }

    /// Bytes exported since midnight US Central, by the sizes of the files.
    fn bytes_today(&self, now: DateTime<Utc>) -> u64 {
        let of_today = self.all.iter().filter(|job| {
            job.timetable
                .is_some_and(|timetable| central_day(timetable.finishes) == central_day(now))
        });
        of_today.filter_map(|job| job.file.as_ref()).map(|file| file.bytes.len() as u64).sum()
    }

    fn check_quota(&self, now: DateTime<Utc>) -> Result<(), Refused> {
        if self.bytes_today(now) >= self.daily_bytes {
            Err(busy("Export daily quota exceeded"))
        } else {
            Ok(())
        }
    }

    /// Gives each job that waits at `now` the first slot that frees, in the order of the queue. The
    /// job that was `just_queued` counts as waiting.
    fn schedule(&mut self, now: DateTime<Utc>, just_queued: Option<usize>) {
        let mut slots = vec![now; RUNNING];
        let mut waiting = Vec::new();
        for (place, job) in self.all.iter_mut().enumerate() {
            let Some(timetable) = job.timetable.as_mut().filter(|_| job.cancelled.is_none()) else {
                continue;
            };
            if timetable.starts > now || just_queued == Some(place) {
                waiting.push((timetable.queued, place, job.runs_for));
            } else if timetable.finishes > now {
                slots.push(timetable.finishes);
                slots.remove(0);
            }
        }
        waiting.sort_unstable_by_key(|(queued, place, _)| (*queued, *place));
        for (_, place, runs_for) in waiting {
            slots.sort_unstable();
            let starts = slots.first().copied().unwrap_or(now);
            let finishes = starts + runs_for;
            slots.push(finishes);
            slots.remove(0);
            if let Some(timetable) = self.all.get_mut(place).and_then(|job| job.timetable.as_mut())
            {
                *timetable = Timetable { starts, finishes, ..*timetable };
            }
        }
    }

    fn place(&self, id: &str, owner: &str) -> Result<usize, Refused> {
        let sought = self.find(id, owner)?;
        Ok(self.all.iter().position(|job| job.id == sought.id).unwrap_or(usize::MAX))
    }
}

impl Job {
    /// The status that a look at `now` sees: that of the last refresh.
    pub(super) fn status(&self, now: DateTime<Utc>) -> Status {
        if self.cancelled.is_some() {
            return Status::Cancelled;
        }
        let Some(timetable) = self.timetable else { return Status::Created };
        match self.last_refresh(now) {
            seen if seen >= timetable.finishes && self.fails => Status::Failed,
            seen if seen >= timetable.finishes && self.file.is_some() => Status::Completed,
            seen if seen > timetable.queued && seen >= timetable.starts => Status::Processing,
            _ => Status::Queued,
        }
    }

    /// The file, once a look sees the job as completed and as long as the file is kept.
    pub(super) fn file(&self, now: DateTime<Utc>) -> Option<&File> {
        let kept = self.timetable.is_some_and(|timetable| now - timetable.finishes <= FILE_KEPT);
        self.file.as_ref().filter(|_| kept && self.status(now) == Status::Completed)
    }

    /// The job as `status.json` and the other calls show it.
    pub(super) fn report(&self, now: DateTime<Utc>) -> Value {
        let status = self.status(now);
        let mut report = json!({
            "exportId": self.id,
            "format": self.order.format.name(),
            "status": status.name(),
            "createdAt": written(self.created),
        });
        let mut add = |name: &str, value: Value| {
            if let Some(members) = report.as_object_mut() {
                members.insert(name.to_owned(), value);
            }
        };
        let Some(timetable) = self.timetable else { return report };
        add("queuedAt", written(timetable.queued).into());
        if matches!(status, Status::Processing | Status::Completed) {
            add("startedAt", written(timetable.starts).into());
        }
        if let (Status::Completed, Some(file)) = (status, &self.file) {
            add("finishedAt", written(timetable.finishes).into());
            add("numberOfRecords", file.records.into());
            add("fileSize", file.bytes.len().into());
            if let Some(checksum) = &file.checksum {
                add("fileChecksum", checksum.as_str().into());
            }
        }
        report
    }

    fn is_waiting_or_running(&self, now: DateTime<Utc>) -> bool {
        self.cancelled.is_none() && self.timetable.is_some_and(|timetable| timetable.finishes > now)
    }

    fn last_refresh(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let Some(timetable) = self.timetable else { return now };
        let every = self.refresh.num_microseconds().unwrap_or(1).max(1);
        let since = (now - timetable.queued).num_microseconds().unwrap_or(0);
        timetable.queued + Duration::microseconds(since - since.rem_euclid(every))
    }
}

/// An id in the form that Marketo's have, made of the job's number.
fn export_id(number: usize) -> String {
    let digest = hex(&Sha256::digest(number.to_be_bytes()));
    let part = |from, to| digest.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

fn central_day(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&Chicago).date_naive()
}

fn written(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn busy(message: &str) -> Refused {
    refused("1029", message)
}

fn invalid(message: String) -> Refused {
    refused("1003", message)
}

#[cfg(test)]
mod tests;
