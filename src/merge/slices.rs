//! Cuts a plan into batches. Pure.

use crate::dedupe::PlannedGroup;
use crate::marketo::BATCH;

/// Groups of the first batch: should this instance behave otherwise than is known, it shows on few.
const FIRST_GROUPS: usize = 5;

/// Batches of as many groups as one look can read.
pub(super) fn batches(groups: Vec<&PlannedGroup>) -> Vec<Vec<&PlannedGroup>> {
    let mut batches: Vec<Vec<&PlannedGroup>> = Vec::new();
    let mut leads = 0;
    for group in groups {
        let size = group.losers.len() + 1;
        let most = if batches.len() == 1 { FIRST_GROUPS } else { BATCH };
        let room = batches.last_mut().filter(|batch| leads + size <= BATCH && batch.len() < most);
        if let Some(batch) = room {
            batch.push(group);
            leads += size;
        } else {
            batches.push(vec![group]);
            leads = size;
        }
    }
    batches
}
