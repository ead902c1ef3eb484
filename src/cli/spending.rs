//! Counts what is spent today in the book of the instance, which lies beside its ledger.

use std::path::Path;

use chrono::NaiveDate;
use parking_lot::{Mutex, MutexGuard};

use super::now;
use crate::guard::lease::in_full;
use crate::ledger::{self, DayBook};
use crate::marketo::{Spending, Spent, Uncounted, day};

/// The instance's book, shared by all calls of this process.
#[derive(Debug)]
pub(super) struct InTheBook(Mutex<DayBook>);

impl InTheBook {
    pub(super) fn open(path: &Path) -> Result<Self, ledger::Error> {
        Ok(Self(Mutex::new(DayBook::open(path)?)))
    }

    /// The book, and which day it is where Marketo counts.
    fn today(&self) -> (MutexGuard<'_, DayBook>, NaiveDate) {
        (self.0.lock(), day(now()))
    }
}

impl Spending for InTheBook {
    fn spend_call(&self, a_day: u64) -> Result<bool, Uncounted> {
        let (book, today) = self.today();
        book.spend_call(today, a_day).map_err(uncounted)
    }

    fn unspend_call(&self) {
        let (book, today) = self.today();
        if let Err(error) = book.unspend_call(today) {
            tracing::warn!(%error, "a call that was not made stays counted");
        }
    }

    fn charge_bytes(&self, bytes: u64) -> Result<(), Uncounted> {
        let (book, today) = self.today();
        book.charge_bytes(today, bytes).map_err(uncounted)
    }

    fn spent(&self) -> Result<Spent, Uncounted> {
        let (book, today) = self.today();
        let (calls, bytes) = book.spent(today).map_err(uncounted)?;
        Ok(Spent { calls, bytes })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn uncounted(error: ledger::Error) -> Uncounted {
    Uncounted(in_full(&error))
}
