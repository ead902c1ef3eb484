//! What this program has spent today of the instance's quota.
//!
//! The budgets of a day outlive a run, and several programs on one machine share them, so where
//! they are counted is handed in: whoever sets a client up says where. A day ends at midnight US
//! Central, as Marketo's does.

use parking_lot::Mutex;

use super::{Error, Result};

/// Counts what is spent in a day.
pub trait Spending: Send + Sync + std::fmt::Debug {
    /// Takes one call out of a budget of `a_day`; `false` where it is used up.
    fn spend_call(&self, a_day: u64) -> Result<bool, Uncounted>;

    /// Gives a call back that was not made.
    fn unspend_call(&self);

    /// Counts bytes of an export file that Marketo has written, which is when it counts them
    /// itself.
    fn charge_bytes(&self, bytes: u64) -> Result<(), Uncounted>;

    /// What is spent today.
    fn spent(&self) -> Result<Spent, Uncounted>;
}

/// What is spent of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls.
    pub calls: u64,
    /// Bytes of export files.
    pub bytes: u64,
}

/// What is spent cannot be counted; so nothing is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what was spent today cannot be counted: {0}")]
pub struct Uncounted(pub String);

/// Counts for as long as it lives, and no longer.
#[derive(Debug, Default)]
pub struct OneRun(Mutex<Spent>);

impl Spending for OneRun {
    fn spend_call(&self, a_day: u64) -> Result<bool, Uncounted> {
        let mut spent = self.0.lock();
        let fits = spent.calls < a_day;
        spent.calls += u64::from(fits);
        Ok(fits)
    }

    fn unspend_call(&self) {
        let mut spent = self.0.lock();
        spent.calls = spent.calls.saturating_sub(1);
    }

    fn charge_bytes(&self, bytes: u64) -> Result<(), Uncounted> {
        let mut spent = self.0.lock();
        spent.bytes = spent.bytes.saturating_add(bytes);
        Ok(())
    }

    fn spent(&self) -> Result<Spent, Uncounted> {
        Ok(*self.0.lock())
    }
}

/// Why there is no right to make a call today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoCall {
    /// This program's own budget is used up.
    Spent {
        /// Calls a day.
        budget: u64,
    },
    /// Nobody knows how much of it is.
    Uncounted(Uncounted),
}

impl NoCall {
    /// As the error of the call that was not made.
    pub(super) fn into_error(self, call: String) -> Error {
        match self {
            Self::Spent { budget } => Error::Quota {
                call,
                which: format!(
                    "this program's own budget of {budget} calls a day (limits.daily_calls) is used up"
                ),
            },
            Self::Uncounted(Uncounted(what)) => Error::Uncounted { call, what },
        }
    }
}
