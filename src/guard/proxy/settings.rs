//! What a proxy is made of.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use url::Url;

use crate::dedupe::WinnerOrder;
use crate::guard::engine::OnDuplicates;
use crate::leases::Terms;
use crate::marketo::{Clock, OneRun, Spending};

/// How writes are guarded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// One write of a key at a time, as its caller asked.
    Serialize,
    /// One at a time, looked up first, and then written by `createOnly`, or by `updateOnly` with
    /// the id.
    #[default]
    Strict,
    /// Not at all: everything passes as it comes, and what would have raced is counted.
    Shadow,
}

/// What is done with `createDuplicate`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CreateDuplicate {
    /// It is passed on, and counted.
    #[default]
    Pass,
    /// It is refused, record by record.
    Forbid,
}

/// What a proxy is made of: the instance, and defaults that can be changed one by one.
///
/// ```
/// # use mkto_audit::guard::{Mode, ProxySettings};
/// let base = "https://123-abc-456.mktorest.com".parse().unwrap();
/// let identity = "https://123-abc-456.mktorest.com/identity".parse().unwrap();
/// let settings =
///     ProxySettings::new(base, identity, "123-abc-456", chrono::Utc::now).mode(Mode::Serialize);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProxySettings {
    pub(super) base_url: Url,
    pub(super) identity_url: Url,
    pub(super) instance: String,
    pub(super) mode: Mode,
    pub(super) create_duplicate: CreateDuplicate,
    pub(super) on_duplicates: OnDuplicates,
    pub(super) winner: WinnerOrder,
    pub(super) queue: usize,
    pub(super) max_wait: Duration,
    pub(super) calls: usize,
    pub(super) window: Duration,
    pub(super) concurrency: usize,
    pub(super) daily_calls: u64,
    pub(super) spending: Arc<dyn Spending>,
    pub(super) clock: Clock,
    pub(super) tally: Option<PathBuf>,
    pub(super) now: fn() -> DateTime<Utc>,
}

impl ProxySettings {
    /// A proxy for the instance with this base URL (`https://<munchkin-id>.mktorest.com`) and
    /// identity URL (`<base URL>/identity`), the name that its keys are leased under, and the time
    /// of day, for the request ids of answers that Marketo had no part in and for counts.
    pub fn new(
        base_url: Url,
        identity_url: Url,
        instance: impl Into<String>,
        now: fn() -> DateTime<Utc>,
    ) -> Self {
        Self {
            base_url,
            identity_url,
            instance: instance.into(),
            mode: Mode::default(),
            create_duplicate: CreateDuplicate::default(),
            on_duplicates: OnDuplicates::default(),
            winner: WinnerOrder::default(),
            queue: 1_000,
            max_wait: Duration::from_secs(120),
            calls: 50,
            window: Duration::from_secs(20),
            concurrency: 5,
            daily_calls: 25_000,
            spending: Arc::new(OneRun::default()),
            clock: Clock::real(),
            tally: None,
            now,
        }
    }

    /// How writes are guarded; [`Mode::Strict`] by default. [`Mode::Shadow`] needs a
    /// [`tally`](Self::tally).
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// What is done with `createDuplicate`; it passes by default.
    #[must_use]
    pub fn create_duplicate(self, create_duplicate: CreateDuplicate) -> Self {
        Self { create_duplicate, ..self }
    }

    /// What is done with a write to a key that several leads have, and how the lead is chosen that
    /// a merge would keep; by default it is refused with 1007, as Marketo does it.
    #[must_use]
    pub fn on_duplicates(self, on_duplicates: OnDuplicates, winner: WinnerOrder) -> Self {
        Self { on_duplicates, winner, ..self }
    }

    /// Most calls of one API user that wait, and how long a caller is kept waiting; 1,000 and two
    /// minutes by default.
    #[must_use]
    pub fn queue(self, queue: usize, max_wait: Duration) -> Self {
        Self { queue, max_wait, ..self }
    }

    /// Calls in any window of this length, and calls in flight at once; 50 in 20 s and 5 by
    /// default.
    #[must_use]
    pub fn limits(self, calls: usize, window: Duration, concurrency: usize) -> Self {
        Self { calls, window, concurrency, ..self }
    }

    /// Calls a day, and where they are counted; 25,000 by default, counted for as long as the proxy
    /// lives.
    #[must_use]
    pub fn daily_calls(self, daily_calls: u64, spending: Arc<dyn Spending>) -> Self {
        Self { daily_calls, spending, ..self }
    }

    /// How fast Marketo's time limits pass; for practising against a sandbox.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The file for the counts of shadow mode.
    #[must_use]
    pub fn tally(self, file: PathBuf) -> Self {
        Self { tally: Some(file), ..self }
    }

    /// How long a lease lasts that was taken and not renewed.
    pub(super) fn unsent(&self) -> Duration {
        Terms::at(self.clock).unsent
    }
}
