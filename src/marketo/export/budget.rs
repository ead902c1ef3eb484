//! How many bytes of bulk extract this program may fetch in a day.

use std::sync::{Mutex, PoisonError};

use crate::marketo::{Error, Result};

/// The day's bytes of bulk extract. A file counts once, with its whole size, however often a cut line makes it travel:
/// so does Marketo count.
#[derive(Debug)]
pub struct ExportBudget {
    daily: u64,
    spent: Mutex<u64>,
}

impl ExportBudget {
    /// Nothing is spent yet.
    pub fn new(daily: u64) -> Self {
        Self { daily, spent: Mutex::new(0) }
    }

    /// Bytes of a whole day.
    pub fn a_day(&self) -> u64 {
        self.daily
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.daily.saturating_sub(*self.spent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes bytes out, all of them or none.
    pub fn spend(&self, bytes: u64) -> Result<()> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let after = spent.saturating_add(bytes);
        if after > self.daily {
            return Err(Error::Quota {
                call: "GET /bulk/v1/leads/export/{id}/file.json".to_owned(),
                which: format!(
                    "this program's own budget of {} bytes of bulk extract a day (limits.daily_export) is used up",
                    self.daily
                ),
            });
        }
        *spent = after;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ExportBudget;

    #[test]
    fn no_more_is_spent_than_there_is_and_what_does_not_fit_costs_nothing() {
        let budget = ExportBudget::new(10);
        budget.spend(6).unwrap();
        assert!(budget.spend(5).is_err());
        assert_eq!(budget.left(), 4);
        budget.spend(4).unwrap();
        assert!(budget.spend(1).is_err());
    }
}
