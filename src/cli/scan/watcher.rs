//! How far a scan is, for whoever waits for it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cli::{Context, Progress};
use crate::lead::Window;
use crate::marketo::{Client, ExportLeads};
use crate::scan::Watch;
use crate::terminal::{count, counted};

/// Shows how far a scan is, and what is left of the day while it calls.
pub(super) struct Watcher {
    pub(super) bar: Progress,
    /// The client and its calls of a day, where any are made.
    pub(super) budget: Option<(Client, u64)>,
    /// How many files were taken by their size alone.
    pub(super) without_checksum: AtomicU64,
}

impl Watcher {
    pub(super) fn of(context: &Context, what: &'static str, client: &Client) -> Self {
        let daily_calls = context.config.limits.daily_calls;
        let bar = context.ui.progress(what, None).paced_by(client);
        Self {
            bar,
            budget: Some((client.clone(), daily_calls)),
            without_checksum: AtomicU64::new(0),
        }
    }
}

impl Watch for Watcher {
    fn at(&self, done: u64, total: Option<u64>) {
        self.bar.at(done, total);
        if let Some((client, daily_calls)) = &self.budget {
            self.bar.say(&format!("API budget: {} left", left_today(client, *daily_calls)));
        }
    }

    fn without_checksum(&self, _window: Window) {
        self.without_checksum.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is said of files that came without a checksum; nothing where there were none.
pub(super) fn said_of_files_without_checksum(files: u64) -> Option<String> {
    let them = match files {
        0 => return None,
        1 => "1 file of bulk extract came without a checksum: it was".to_owned(),
        _ => format!("{files} files of bulk extract came without a checksum: they were"),
    };
    Some(format!("{them} taken by size and number of rows"))
}

/// What is left of this program's own budgets.
pub(super) fn left_today(client: &Client, daily_calls: u64) -> String {
    let calls = client.spent_today().map_or(0, |spent| daily_calls.saturating_sub(spent.calls));
    format!("{}, {} MB", counted(calls, "call"), count(client.export_left() / 1_000_000))
}
