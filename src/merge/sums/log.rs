//! What was read of Marketo's log for the sake of sums.

use crate::marketo::LeadChange;

/// What was read of the log, so that the next reading goes on from there.
#[derive(Debug)]
pub(in crate::merge) struct SumLog {
    pub(super) fields: Vec<String>,
    pub(super) changes: Vec<LeadChange>,
    pub(super) next: String,
}
