//! Counts what is spent today in a file of the instance, which lies beside its ledger.

use std::path::Path;

use chrono::NaiveDate;
use parking_lot::{Mutex, MutexGuard};

use super::now;
use crate::ledger::{self, DailyUsage};
use crate::marketo::in_words;
use crate::marketo::{Spending, Spent, Uncounted, day};

/// The instance's file, shared by all calls of this process.
#[derive(Debug)]
pub(super) struct UsageFile(Mutex<DailyUsage>);

impl UsageFile {
    pub(super) fn open(path: &Path) -> Result<Self, ledger::Error> {
        Ok(Self(Mutex::new(DailyUsage::open(path)?)))
    }

    /// The file, and which day it is where Marketo counts.
    fn today(&self) -> (MutexGuard<'_, DailyUsage>, NaiveDate) {
        (self.0.lock(), day(now()))
    }
}

impl Spending for UsageFile {
    fn spend_call(&self, a_day: u64) -> Result<bool, Uncounted> {
        let (usage, today) = self.today();
        usage.spend_call(today, a_day).map_err(uncounted)
    }

    fn unspend_call(&self) {
        let (usage, today) = self.today();
        if let Err(error) = usage.unspend_call(today) {
            tracing::warn!(%error, "a call that was not made stays counted");
        }
    }

    fn charge_bytes(&self, bytes: u64) -> Result<(), Uncounted> {
        let (usage, today) = self.today();
        usage.charge_bytes(today, bytes).map_err(uncounted)
    }

    fn spent(&self) -> Result<Spent, Uncounted> {
        let (usage, today) = self.today();
        let (calls, bytes) = usage.spent(today).map_err(uncounted)?;
        Ok(Spent { calls, bytes })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn uncounted(error: ledger::Error) -> Uncounted {
    Uncounted(in_words(&error))
}
