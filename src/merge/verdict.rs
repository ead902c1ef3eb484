//! Why a group is left alone.

use super::report::{Difference, Outcome, Said};

/// Why a group is left alone.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) why: String,
    /// Values that Marketo answered to have taken and did not.
    pub(super) not_written: Vec<Difference>,
    /// What Marketo said, where it refused.
    pub(super) marketo: Option<Said>,
}

impl Verdict {
    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, why: why.into(), not_written: Vec::new(), marketo: None }
    }

    pub(super) fn merged_earlier() -> Self {
        Self {
            outcome: Outcome::Merged,
            why: "merged by an earlier run".to_owned(),
            not_written: Vec::new(),
            marketo: None,
        }
    }
}
