//! How many bytes of bulk extract this program may have written in a day.
//!
//! Marketo counts a file when it has written it, whether it is fetched or not, and nobody knows its
//! size before: so what is left says whether another one may be ordered, and a file that is there
//! is counted whatever is left.

use std::sync::Arc;

use crate::marketo::{Error, Result, Spending, Uncounted};

/// The day's bytes of bulk extract. A file counts once, with its whole size, however often a cut
/// line makes it travel: so does Marketo count.
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

    /// Counts the bytes of a file.
    pub fn charge(&self, bytes: u64) -> Result<()> {
        self.spending.charge_bytes(bytes).map_err(|Uncounted(what)| Error::Uncounted {
            call: "GET /bulk/v1/leads/export/{id}/file.json".to_owned(),
            what,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::ExportBudget;
    use crate::marketo::OneRun;

    #[test]
    fn a_file_that_is_larger_than_what_is_left_leaves_nothing() {
        let budget = ExportBudget::new(10, Arc::new(OneRun::default()));
        budget.charge(6).unwrap();
        assert_eq!(budget.left(), 4);
        budget.charge(5).unwrap();
        assert_eq!(budget.left(), 0);
    }
}
