//! How much of the rate limit a scan by pages uses while every answer takes 400 ms.
//!
//! The first windows are left out: in them the scan asks for the highest id, and a limit that is
//! not used up yet lets a whole window's calls go at once. From there on the limit alone decides.

use std::sync::Mutex;
use std::time::Duration;

use mkto_audit::cache::Cache;
use mkto_audit::dedupe::KeySpec;
use mkto_audit::scan::{PageScan, Watch, activity_log, scan_pages};
use mkto_sandbox::Options;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::goal::Goal;
use crate::instance::{self, NAME, Rate};

const ANSWER: Duration = Duration::from_millis(400);

/// Windows that are measured.
const WINDOWS: usize = 3;

const RATES: [Rate; 3] = [
    Rate { calls: 100, window: Duration::from_secs(20), concurrency: 10 },
    Rate { calls: 50, window: Duration::from_secs(20), concurrency: 5 },
    Rate { calls: 60, window: Duration::from_secs(15), concurrency: 5 },
];

/// All rates at once, each against a sandbox of its own: they wait far more than they work.
pub(crate) fn measure() -> Vec<Goal> {
    let runtime = instance::runtime();
    let goals = runtime.block_on(futures::future::join_all(RATES.map(share)));
    goals.into_iter().flatten().collect()
}

async fn share(rate: Rate) -> [Goal; 2] {
    let Rate { calls, window, concurrency } = rate;
    let pages = calls * (2 + WINDOWS);
    let leads = u32::try_from(300 * pages).unwrap();
    let options = Options { leads, duplicates: 0.05, answer_delay: ANSWER, ..Options::default() };
    let (sandbox, client) = instance::start(options, rate).await;
    let folder = tempfile::tempdir().unwrap();
    let mut cache = Cache::open(&folder.path().join("cache.db"), NAME).unwrap();
    let stop = CancellationToken::new();
    let arrivals = Arrivals { times: Mutex::default(), enough: pages - calls, stop: stop.clone() };
    let fields = ["id", "email", "createdAt"].map(str::to_owned);
    let key = KeySpec::default();
    let log = activity_log(&client).await.unwrap();
    let now = instance::now;
    let scan = PageScan::new(&fields, &key, log, now).concurrency(concurrency).stop(stop);
    scan_pages(&client, &mut cache, &scan, &arrivals).await.unwrap();

    let times = arrivals.times.into_inner().unwrap();
    let (first, last) = (times.get(calls).unwrap(), times.get(calls * (1 + WINDOWS)).unwrap());
    let windows = last.duration_since(*first).as_secs_f64() / window.as_secs_f64();
    let share = 100.0 * count(WINDOWS) / windows;
    let errors = sandbox.errors();
    let refused: u64 = ["606", "615"].iter().filter_map(|code| errors.get(*code)).sum();
    let what = format!("paging, {calls} calls in {} s", window.as_secs());
    let refused = f64::from(u32::try_from(refused).unwrap());
    [
        Goal::at_least(97.0, "% of the limit", what.clone(), share),
        Goal::at_most(0.0, "calls refused with 606 or 615", what, refused),
    ]
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

/// Notes when each page is in the cache, and stops the scan when there are enough.
struct Arrivals {
    times: Mutex<Vec<Instant>>,
    enough: usize,
    stop: CancellationToken,
}

impl Watch for Arrivals {
    fn at(&self, _done: u64, _total: Option<u64>) {
        let mut times = self.times.lock().unwrap();
        times.push(Instant::now());
        if times.len() > self.enough {
            self.stop.cancel();
        }
    }
}
