//! How much of Marketo's two places a scan uses, on a clock that is turned by hand.

use std::sync::Mutex;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::*;
use crate::cache::Cache;
use crate::marketo::{Download, Ordered, Result};

/// Files that hold nothing, each of which takes 20 to 95 seconds to write.
struct Slow {
    begun: Instant,
    jobs: Mutex<Vec<SlowJob>>,
}

#[derive(Clone, Copy)]
struct SlowJob {
    created_at: f64,
    /// When it starts and ends, in seconds.
    runs: Option<(f64, f64)>,
}

impl Slow {
    fn now(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn shown(&self, id: &str, job: SlowJob) -> ExportJob {
        let status = match job.runs {
            None => ExportStatus::Created,
            Some((start, _)) if self.now() < start => ExportStatus::Queued,
            Some((_, end)) if self.now() < end => ExportStatus::Processing,
            Some(_) => ExportStatus::Completed,
        };
        ExportJob {
            id: id.to_owned(),
            status,
            created_at: None,
            records: Some(0),
            size: Some(0),
            sha256: None,
            message: None,
        }
    }

    /// When the earlier one of both places is free.
    fn free_at(jobs: &[SlowJob]) -> f64 {
        let mut ends: Vec<f64> = jobs.iter().filter_map(|job| Some(job.runs?.1)).collect();
        ends.sort_by(f64::total_cmp);
        if ends.len() < RUNNING { 0.0 } else { ends[ends.len() - RUNNING] }
    }

    /// How long places stood idle before each job, while there were windows left.
    fn idle(&self) -> Vec<f64> {
        let mut jobs = self.jobs.lock().unwrap().clone();
        jobs.sort_by(|a, b| a.runs.unwrap().0.total_cmp(&b.runs.unwrap().0));
        (0..jobs.len()).map(|at| jobs[at].runs.unwrap().0 - Self::free_at(&jobs[..at])).collect()
    }
}

impl ExportLeads for Slow {
    async fn create_export(&self, _: &[String], _: Window) -> Result<Ordered> {
        let mut jobs = self.jobs.lock().unwrap();
        let job = SlowJob { created_at: self.now(), runs: None };
        jobs.push(job);
        Ok(Ordered::Taken(self.shown(&(jobs.len() - 1).to_string(), job)))
    }

    async fn enqueue_export(&self, id: &str) -> Result<Ordered> {
        let number: usize = id.parse().unwrap();
        let mut jobs = self.jobs.lock().unwrap();
        let start = Self::free_at(&jobs).max(self.now());
        let seconds = [20.0, 45.0, 70.0, 95.0][number % 4];
        jobs[number].runs = Some((start, start + seconds));
        assert!(jobs[number].created_at <= start);
        Ok(Ordered::Taken(self.shown(id, jobs[number])))
    }

    async fn export(&self, id: &str) -> Result<ExportJob> {
        let job = self.jobs.lock().unwrap()[id.parse::<usize>().unwrap()];
        Ok(self.shown(id, job))
    }

    async fn exports(&self) -> Result<Vec<ExportJob>> {
        unreachable!("every answer arrives")
    }

    async fn cancel_export(&self, _: &str) -> Result<ExportJob> {
        unreachable!("nothing is cancelled")
    }

    async fn export_file(&self, _: &str, _: u64) -> Result<Option<Download>> {
        unreachable!("a file without rows is not fetched")
    }

    async fn first_possible_creation(&self) -> Result<Option<DateTime<Utc>>> {
        Ok(Some(now() - TimeDelta::days(900)))
    }

    fn export_a_day(&self) -> u64 {
        500_000_000
    }

    fn export_left(&self) -> u64 {
        500_000_000
    }

    fn charge_export(&self, _: u64) -> Result<()> {
        Ok(())
    }
}

fn now() -> DateTime<Utc> {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn marketos_places_stand_idle_for_one_poll_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("cache.db"), "here").unwrap();
    let cache = SharedCache::new(cache);
    let marketo = Slow { begun: Instant::now(), jobs: Mutex::default() };
    let (schema, key) = (Schema::default(), KeySpec::default());
    let fields = ["id".to_owned(), "email".to_owned()];
    let scan =
        BulkScan::new(&fields, &schema, &key, Clock::real(), now).expected_bytes(Some(1_000_000));
    let ended = scan_bulk(&marketo, &cache, &scan, &()).await.unwrap();
    assert!(matches!(ended, Ended::Complete(_)));
    let idle = marketo.idle();
    assert_eq!(idle.len(), 30, "a window a month");
    let poll = POLL_AT_MOST.as_secs_f64();
    assert!(idle.iter().sum::<f64>() < 1.0, "six in the queue leave no gap at all: {idle:?}");
    assert!(idle.iter().all(|seconds| *seconds <= poll), "{idle:?}");
}

#[tokio::test(start_paused = true)]
async fn a_window_is_not_ordered_beside_jobs_of_an_earlier_run_that_nobody_has_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let mut cache = Cache::open(&folder.path().join("cache.db"), "here").unwrap();
    let (schema, key) = (Schema::default(), KeySpec::default());
    let fields = ["id".to_owned(), "email".to_owned()];
    // The job of the first window was lost; that of the second one runs still.
    let windows = windows_since(now() - TimeDelta::days(100), now());
    cache.ensure_keys(&key.signature(), |_| None).unwrap();
    cache.begin_scan(&spec("bulk", &fields, &key), now()).unwrap();
    cache.plan_exports(&windows).unwrap();
    cache.keep_export(windows[1], "0").unwrap();
    let running = SlowJob { created_at: 0.0, runs: Some((0.0, 100.0)) };
    let marketo = Slow { begun: Instant::now(), jobs: Mutex::new(vec![running]) };
    let cache = SharedCache::new(cache);
    // How much a window weighs, or all of them together, is not known.
    let scan = BulkScan::new(&fields, &schema, &key, Clock::real(), now);
    let ended = scan_bulk(&marketo, &cache, &scan, &()).await.unwrap();
    assert!(matches!(ended, Ended::Complete(_)));
    let jobs = marketo.jobs.lock().unwrap();
    assert_eq!(jobs.len(), windows.len(), "none is ordered twice");
    assert!(jobs[1].created_at >= 100.0, "ordered at {} s", jobs[1].created_at);
}
