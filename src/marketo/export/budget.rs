//! How many bytes of bulk extract this program may fetch in a day.

use std::sync::Arc;

use crate::marketo::{Error, Result, Spending, Uncounted};

/// The day's bytes of bulk extract. A file counts once, with its whole size, however often a cut line makes it travel:
/// so does Marketo count.
#[derive(Debug)]
pub struct ExportBudget {
    daily: u64,
    spending: Arc<dyn Spending>,
}

impl ExportBudget {
    /// A budget that is counted there.
    pub fn new(daily: u64, spending: Arc<dyn Spending>) -> Self {
        Self { daily, spending }
    }

    /// Bytes of a whole day.
    pub fn a_day(&self) -> u64 {
        self.daily
    }

    /// Bytes that are left; none where nobody knows.
    pub fn left(&self) -> u64 {
        self.spending.spent().map_or(0, |spent| self.daily.saturating_sub(spent.bytes))
    }

    /// Takes bytes out, all of them or none.
    pub fn spend(&self, bytes: u64) -> Result<()> {
        let call = "GET /bulk/v1/leads/export/{id}/file.json".to_owned();
        match self.spending.spend_bytes(bytes, self.daily) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Quota {
                call,
                which: format!(
                    "this program's own budget of {} bytes of bulk extract a day (limits.daily_export) is used up",
                    self.daily
                ),
            }),
            Err(Uncounted(what)) => Err(Error::Uncounted { call, what }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::ExportBudget;
    use crate::marketo::OneRun;

    #[test]
    fn no_more_is_spent_than_there_is_and_what_does_not_fit_costs_nothing() {
        let budget = ExportBudget::new(10, Arc::new(OneRun::default()));
        budget.spend(6).unwrap();
        assert!(budget.spend(5).is_err());
        assert_eq!(budget.left(), 4);
        budget.spend(4).unwrap();
        assert!(budget.spend(1).is_err());
    }
}
