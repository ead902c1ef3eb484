//! The guard as an HTTP proxy: an integration changes its base URL, and its upserts can make no
//! duplicate.
//!
//! What passes (`pass`) goes through as it comes. A lead write (`incoming`) is taken apart into its
//! records, which wait on the `board` until no other write of their key is under way, and leave
//! together with whatever else waits and agrees (`work`), under rights that all guards share
//! (`rights`), as asked or looked up first (`write`). A lost answer is settled by looking
//! (`settle`). Callers are given turns by API user (`turn`) above the limits of the instance, which
//! all guards on one lease store share too (`fleet`), and every caller gets Marketo's answer for
//! its own records in their order (`caller`), whatever becomes of the task that writes them
//! (`mourn`). In shadow mode nothing of this is done; it is counted what would have raced
//! (`shadow`).
//!
//! Never: two writes of one key in flight; a write without the right to its key, whatever the lease
//! store says; a second try of what may be under way; a person, a token or a body in a log line.
//!
//! What it cannot see: writers that do not come through it. Against those strict mode narrows the
//! window, no more.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use url::Url;

use super::lease::{Leases, Timing};
use crate::dedupe::WinnerOrder;
use crate::marketo::transport::Transport;
use crate::marketo::{Clock, Pacer, Share, Spending};

mod answer;
mod board;
mod call;
mod caller;
mod fleet;
mod guarded;
mod incoming;
mod line;
mod look;
mod metrics;
mod mourn;
mod pace;
mod pass;
mod places;
mod portion;
mod refusals;
mod rights;
mod route;
mod seldom;
mod server;
mod settle;
mod shadow;
mod stream;
mod turn;
mod user;
mod winner;
mod work;
mod write;

pub use server::{ServeError, serve};

use board::Board;
use metrics::Metrics;
use pace::Patience;
use places::Places;
use portion::Portion;
use refusals::Refusals;
use shadow::Shadow;
use turn::Turns;
use user::ApiUsers;

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

/// What is done with a write to a key that several leads have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDuplicates {
    /// The error that Marketo gives: 1007.
    #[default]
    Error,
    /// It goes to the lead that a merge would keep.
    Winner,
}

/// What a proxy is made of.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// `https://<munchkin-id>.mktorest.com`
    pub base_url: Url,
    /// `<base URL>/identity`
    pub identity_url: Url,
    /// The name of the instance, which keys are leased under.
    pub instance: String,
    /// How writes are guarded.
    pub mode: Mode,
    /// What is done with `createDuplicate`.
    pub create_duplicate: CreateDuplicate,
    /// What is done with a write to a key that several leads have.
    pub on_duplicates: OnDuplicates,
    /// How the lead that a merge would keep is chosen.
    pub winner: WinnerOrder,
    /// How long a right to a key lasts that was taken and not renewed.
    pub unsent: Duration,
    /// Most calls of one API user that wait.
    pub queue: usize,
    /// How long a caller is kept waiting at most.
    pub max_wait: Duration,
    /// Calls in any window.
    pub calls: usize,
    /// The window.
    pub window: Duration,
    /// Calls in flight at once.
    pub concurrency: usize,
    /// Calls a day.
    pub daily_calls: u64,
    /// Where they are counted.
    pub spending: Arc<dyn Spending>,
    /// How fast Marketo's time limits pass.
    pub clock: Clock,
    /// Where shadow mode keeps its counts; no other mode needs it.
    pub tally: Option<PathBuf>,
    /// The time of day, for the request ids of answers that Marketo had no part in.
    pub now: fn() -> DateTime<Utc>,
}

/// A running proxy, shared by its connections and tasks.
#[derive(Debug)]
struct Proxy<L> {
    settings: ProxySettings,
    upstream: Transport,
    turns: Turns,
    leases: L,
    users: ApiUsers,
    places: Places,
    board: Mutex<Board>,
    /// Only in shadow mode.
    shadow: Option<Arc<Shadow>>,
    metrics: Metrics,
    /// What was refused and is told of once a minute.
    refusals: Refusals,
    /// What the winners' look-up asks for; known after the first.
    winner_fields: tokio::sync::OnceCell<BTreeSet<String>>,
    /// How slow callers may be.
    patience: Patience,
    /// Places of calls that may last as long as their callers like.
    lasting: Arc<Semaphore>,
    /// What may be used of the limits, which guards share.
    portion: Mutex<Portion>,
    /// Calls under way, which outlive their callers.
    tasks: TaskTracker,
}

impl<L: Leases> Proxy<L> {
    /// A proxy, and the task that sees to what breaks off in it. Needs a runtime.
    fn start(settings: ProxySettings, leases: L) -> Result<Arc<Self>, String> {
        let (mourner, broken_off) = mpsc::unbounded_channel();
        let proxy = Arc::new(Self::new(settings, leases, Board::watched_by(mourner))?);
        tokio::spawn(mourn::mourn(Arc::downgrade(&proxy), broken_off));
        Ok(proxy)
    }

    fn new(settings: ProxySettings, leases: L, board: Board) -> Result<Self, String> {
        let upstream = Transport::new(&settings.base_url, &settings.identity_url)?;
        let metrics = Metrics::new();
        let shadow = match (settings.mode, settings.tally.clone()) {
            (Mode::Shadow, Some(tally)) => {
                Some(Arc::new(Shadow::new(tally, settings.now, metrics.watched())))
            }
            (Mode::Shadow, None) => {
                return Err("shadow mode needs a file for its counts".to_owned());
            }
            (Mode::Serialize | Mode::Strict, _) => None,
        };
        let pacer = Pacer::new(
            settings.calls,
            settings.window,
            settings.concurrency,
            settings.daily_calls,
            Arc::clone(&settings.spending),
        );
        let limit = Share { calls: settings.calls.max(1), at_once: settings.concurrency.max(1) };
        let row = Timing::of(settings.window, settings.clock).row;
        Ok(Self {
            portion: Mutex::new(Portion::all(limit, row)),
            upstream,
            turns: Turns::new(Arc::new(pacer)),
            leases,
            users: ApiUsers::default(),
            places: Places::new(settings.queue),
            board: Mutex::new(board),
            shadow,
            metrics,
            refusals: Refusals::default(),
            winner_fields: tokio::sync::OnceCell::new(),
            patience: Patience::at(settings.clock),
            lasting: Arc::new(Semaphore::new(settings.concurrency.saturating_sub(1).max(1))),
            tasks: TaskTracker::new(),
            settings,
        })
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // The board is whole after each of its methods, so that a panic elsewhere leaves it usable.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn portion(&self) -> MutexGuard<'_, Portion> {
        // It is whole after each of its methods, so that a panic elsewhere leaves it usable.
        self.portion.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request_id(&self) -> String {
        answer::request_id((self.settings.now)())
    }
}

#[cfg(test)]
mod tests;
