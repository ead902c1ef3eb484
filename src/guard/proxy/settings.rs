//! How a proxy is set up.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::dedupe::WinnerOrder;
use crate::guard::engine::OnDuplicates;
use crate::marketo::ClientOptions;

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

/// How a proxy is set up: the instance, and defaults that can be changed one by one.
///
/// ```
/// # use mkto_audit::guard::{Mode, ProxySettings};
/// # use mkto_audit::marketo::ClientOptions;
/// let marketo = ClientOptions::new("https://123-abc-456.mktorest.com".parse().unwrap());
/// let mut settings = ProxySettings::new(marketo, "123-abc-456", chrono::Utc::now);
/// settings.mode = Mode::Serialize;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProxySettings {
    /// The instance, and the limits within which it is called. The calls are made with their
    /// callers' credentials.
    pub marketo: ClientOptions,
    /// The name that keys are leased under.
    pub instance: String,
    /// How writes are guarded; [`Mode::Strict`] by default.
    pub mode: Mode,
    /// What is done with `createDuplicate`; it passes by default.
    pub create_duplicate: CreateDuplicate,
    /// What is done with a write to a key that several leads have; by default it is refused with
    /// 1007, as Marketo does it.
    pub on_duplicates: OnDuplicates,
    /// How the lead is chosen that a merge would keep.
    pub winner: WinnerOrder,
    /// Most calls of one API user that wait; 1,000 by default.
    pub queue: usize,
    /// How long a caller is kept waiting; two minutes by default.
    pub max_wait: Duration,
    /// The file for the counts of shadow mode, which needs one.
    pub tally: Option<PathBuf>,
    /// The time of day, for the request ids of answers that Marketo had no part in and for counts.
    pub now: fn() -> DateTime<Utc>,
}

impl ProxySettings {
    /// A proxy for this instance, and everything else as usual.
    pub fn new(
        marketo: ClientOptions,
        instance: impl Into<String>,
        now: fn() -> DateTime<Utc>,
    ) -> Self {
        Self {
            marketo,
            instance: instance.into(),
            mode: Mode::default(),
            create_duplicate: CreateDuplicate::default(),
            on_duplicates: OnDuplicates::default(),
            winner: WinnerOrder::default(),
            queue: 1_000,
            max_wait: Duration::from_secs(120),
            tally: None,
            now,
        }
    }
}
