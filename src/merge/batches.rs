//! Cuts a plan into batches. Pure.

use crate::dedupe::PlannedGroup;

/// Leads of a batch: its first look has room for the leads of ten groups more, whose calls it settles.
const LEADS: usize = 260;

/// Batches of as many groups as one look can read.
pub(super) fn batches(groups: Vec<&PlannedGroup>) -> Vec<Vec<&PlannedGroup>> {
    let mut batches: Vec<Vec<&PlannedGroup>> = Vec::new();
    let mut leads = 0;
    for group in groups {
        let size = group.losers.len() + 1;
        if let Some(batch) = batches.last_mut().filter(|_| leads + size <= LEADS) {
            batch.push(group);
            leads += size;
        } else {
            batches.push(vec![group]);
            leads = size;
        }
    }
    batches
}
