//! Which windows fit into the bytes of a day.
//!
//! The first is ordered without knowing, and others beside it where the whole instance is small
//! beside what is left of the day; from then on a window is expected to weigh, second for
//! second, what the loaded window before it did.

use super::Run;
use crate::cache::ExportWindow;
use crate::lead::Window;
use crate::marketo::{self, ExportLeads};
use crate::scan::Error;

/// No part of a window is shorter than this for being expected to be too large: each costs four
/// calls at least.
const SHORTEST: u64 = 3_600;

impl<M: ExportLeads> Run<'_, M> {
    /// The window, or as much of it as is expected to fit into what is left of the day; the cut is
    /// in the cache then. None where nothing is known yet, or where it depends on what those weigh
    /// that are under way. The day's end is an error.
    pub(super) fn that_fits(
        &self,
        window: Window,
        windows: &[ExportWindow],
    ) -> Result<Option<Window>, Error> {
        let under_way: Vec<&ExportWindow> = windows
            .iter()
            .filter(|known| known.loaded.is_none())
            // What is complete is counted.
            .filter(|known| !self.completed.contains_key(&known.window.start))
            .filter(|known| known.export_id.as_deref().is_some_and(|id| self.queued.contains(id)))
            .collect();
        // Orders of this round are in the queue, and not yet in the list of windows.
        let ordered = self.queued.len().saturating_sub(self.completed.len());
        let left = self.marketo.export_left();
        let Some(rate) = rate_before(window, windows) else {
            return match left {
                0 => Err(self.day_is_over()),
                _ => Ok((self.queued.is_empty() || self.everything_fits(left)).then_some(window)),
            };
        };
        let promised: f64 = under_way.iter().map(|known| expected(known.window, rate)).sum();
        // The rest of this round's orders are taken to be as long as this window.
        let unlisted = ordered.saturating_sub(under_way.len());
        let promised = promised + expected(window, rate) * count(unlisted);
        #[expect(clippy::cast_precision_loss, reason = "bytes of a day are far below 2^52")]
        let free = left as f64 - promised;
        if left > 0 && expected(window, rate) <= free {
            return Ok(Some(window));
        }
        if ordered > 0 {
            return Ok(None);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive span of seconds"
        )]
        let seconds = (free.max(0.0) / rate) as u64;
        // On a day of which nothing is spent, the least part is ordered whatever it is expected to
        // weigh: another day would have no more.
        let fresh_day = left > 0 && left == self.marketo.export_a_day();
        if left == 0 || (seconds < SHORTEST && !fresh_day) {
            return Err(self.day_is_over());
        }
        let (first, rest) = window.cut(seconds.max(SHORTEST));
        let parts: Vec<Window> = std::iter::once(first).chain(rest).collect();
        self.cache().split_export(window, &parts)?;
        Ok(Some(first))
    }

    /// Whether all files together are far from what is left, though each may weigh more than it
    /// should.
    fn everything_fits(&self, left: u64) -> bool {
        self.scan.expected_bytes.is_some_and(|bytes| bytes.saturating_mul(2) <= left)
    }

    fn day_is_over(&self) -> Error {
        Error::Marketo(marketo::Error::Quota {
            call: "POST /bulk/v1/leads/export/create.json".to_owned(),
            which: format!(
                "the next window of leads does not fit into what is left today of this program's own {} bytes of bulk \
                 extract (limits.daily_export)",
                self.marketo.export_a_day()
            ),
        })
    }
}

/// Bytes a second of the last loaded window before this one that has any leads; none where there is
/// none.
fn rate_before(window: Window, windows: &[ExportWindow]) -> Option<f64> {
    windows
        .iter()
        .rev()
        .filter(|known| known.window.start < window.start)
        .find_map(|known| {
            known
                .loaded
                .filter(|loaded| loaded.bytes > 0)
                .map(|loaded| (known.window, loaded.bytes))
        })
        .map(|(window, bytes)| count(bytes) / count(window.seconds()))
}

fn expected(window: Window, rate: f64) -> f64 {
    count(window.seconds()) * rate
}

#[expect(clippy::cast_precision_loss, reason = "numbers of bytes and seconds far below 2^52")]
fn count(number: impl TryInto<u64>) -> f64 {
    number.try_into().unwrap_or(u64::MAX) as f64
}
