//! One line that says how far a command is: which part of the work, how much of how much, how long
//! it will still take.
//!
//! The time left is what Marketo's limits allow for the calls that are still to be made; the pace
//! of the last moment says nothing, since calls come in bursts. Never: wraps (what has no room is
//! left out, whole), or shows anything where no terminal is.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use parking_lot::{Mutex, MutexGuard};

use crate::marketo::Client;
use crate::terminal::{about, count};

/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(250);

/// Before so many calls of a part are made nobody can tell how many it takes.
const TELLING_CALLS: u64 = 3;

/// A progress line; cleared when it goes.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    shown: Arc<Mutex<Shown>>,
}

/// What the line says.
#[derive(Debug, Default)]
struct Shown {
    /// Which part of the work: `1/3 people`.
    what: String,
    done: u64,
    total: Option<u64>,
    /// In place of how much of how much.
    counted: Option<String>,
    /// What else is to be known at this moment.
    note: Option<String>,
    /// Whose limits decide how long it takes, and the calls that were made before this part.
    calls: Option<(Client, u64)>,
}

impl Progress {
    /// A line about this; drawn where a terminal is.
    pub(super) fn new(what: &str, total: Option<u64>, is_drawn: bool) -> Self {
        let shown =
            Arc::new(Mutex::new(Shown { what: what.to_owned(), total, ..Shown::default() }));
        let bar = if is_drawn { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if is_drawn {
            let seen = Arc::clone(&shown);
            let line = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                let line = seen.lock().line(columns().saturating_sub(3));
                out.write_str(&line).unwrap_or_default();
            };
            if let Ok(style) = ProgressStyle::with_template("{spinner} {line}") {
                bar.set_style(style.with_key("line", line));
            }
            bar.enable_steady_tick(TICK);
        }
        Self { bar, shown }
    }

    /// The same, whose time left comes from the limits of this client.
    #[must_use]
    pub(super) fn paced_by(self, client: &Client) -> Self {
        self.shown().calls = Some((client.clone(), client.calls_made()));
        self
    }

    /// How far the work has come, and how far it goes where that is known by now.
    pub fn at(&self, done: u64, total: Option<u64>) {
        let mut shown = self.shown();
        shown.done = done;
        shown.total = total.or(shown.total);
    }

    /// The same in words of its own.
    pub(super) fn counting(&self, done: u64, total: u64, counted: String) {
        let mut shown = self.shown();
        (shown.done, shown.total, shown.counted) = (done, Some(total), Some(counted));
    }

    /// What else is to be known at this moment.
    pub fn say(&self, what: &str) {
        self.shown().note = Some(what.to_owned());
    }

    /// Does something that has the terminal to itself meanwhile.
    pub(super) fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Columns of the terminal that the line is drawn on.
fn columns() -> usize {
    console::Term::stderr().size_checked().map_or(80, |(_, columns)| columns.into())
}

impl Shown {
    fn line(&self, width: usize) -> String {
        let (left, waits) = match &self.calls {
            Some((client, before)) => {
                let made = client.calls_made().saturating_sub(*before);
                let left =
                    calls_left(made, self.done, self.total).map(|calls| client.time_for(calls));
                (left, client.waits_for_limit())
            }
            None => (None, false),
        };
        self.line_of(left, waits, width)
    }

    /// What is most to be known comes first; what has no room is left out.
    fn line_of(&self, left: Option<Duration>, waits: bool, width: usize) -> String {
        let mut line = match (&self.counted, self.total) {
            (Some(counted), _) => counted.clone(),
            (None, Some(total)) if total > 0 => {
                format!("{}: {} of {}", self.what, count(self.done.min(total)), count(total))
            }
            (None, _) if self.done > 0 => format!("{}: {}", self.what, count(self.done)),
            (None, _) => self.what.clone(),
        };
        let is_over = self.total.is_some_and(|total| self.done >= total);
        let left = left.filter(|_| !is_over).map(|left| match left.as_secs() {
            0 => format!("{} left", about(left)),
            _ => format!("about {} left", about(left)),
        });
        let waits = waits.then(|| "waiting for Marketo's limit".to_owned());
        for part in [left, waits, self.note.clone()].into_iter().flatten() {
            if line.chars().count() + 2 + part.chars().count() <= width {
                line.extend([", ", &part]);
            }
        }
        line.chars().take(width).collect()
    }
}

/// How many calls the rest takes, where so many of it took so many; none before that can be told.
fn calls_left(made: u64, done: u64, total: Option<u64>) -> Option<u64> {
    let rest = total?.saturating_sub(done);
    if done == 0 || made < TELLING_CALLS {
        return None;
    }
    u64::try_from((u128::from(made) * u128::from(rest)).div_ceil(u128::from(done))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(done: u64, note: Option<&str>) -> Shown {
        let note = note.map(str::to_owned);
        Shown { what: "1/3 people".into(), done, total: Some(13_825), note, ..Shown::default() }
    }

    #[test]
    fn a_line_says_the_part_how_much_of_how_much_and_how_long() {
        let left = Some(Duration::from_secs(40));
        let line = |shown: &Shown, waits, width| shown.line_of(left, waits, width);
        let half = people(6_000, None);
        assert_eq!(line(&half, false, 77), "1/3 people: 6,000 of 13,825, about 40 s left");
        assert_eq!(
            line(&half, true, 77),
            "1/3 people: 6,000 of 13,825, about 40 s left, waiting for Marketo's limit"
        );
        let told = people(6_000, Some("API budget: 24,929 calls left"));
        assert_eq!(line(&told, true, 77), line(&half, true, 77), "what has no room is left out");
        assert!(line(&told, false, 120).ends_with("40 s left, API budget: 24,929 calls left"));
        assert_eq!(line(&people(13_825, None), false, 77), "1/3 people: 13,825 of 13,825");
        let merging = Shown {
            counted: Some("6 of 20 merged, 1 left alone".into()),
            done: 7,
            total: Some(20),
            ..Shown::default()
        };
        assert_eq!(
            merging.line_of(Some(Duration::from_secs(20)), false, 77),
            "6 of 20 merged, 1 left alone, about 20 s left"
        );
        let begun = Shown { what: "2/3 history".into(), ..Shown::default() };
        assert_eq!(begun.line_of(None, false, 77), "2/3 history");
    }

    #[test]
    fn no_line_is_wider_than_its_terminal() {
        let long = people(6_000, Some("waiting for somebody else who is writing the same people"));
        for width in 0..130 {
            for waits in [false, true] {
                let line = long.line_of(Some(Duration::from_secs(7_000)), waits, width);
                assert!(line.chars().count() <= width, "{width}: {line}");
                assert!(!line.contains('\n'));
            }
        }
    }

    #[test]
    fn the_rest_takes_as_many_calls_as_what_is_done_took_for_its_size() {
        assert_eq!(calls_left(20, 6_000, Some(12_000)), Some(20));
        assert_eq!(calls_left(20, 12_000, Some(12_000)), Some(0));
        assert_eq!(calls_left(2, 600, Some(12_000)), None, "too few to tell");
        assert_eq!(calls_left(20, 0, Some(12_000)), None);
        assert_eq!(calls_left(20, 10, None), None);
    }
}
