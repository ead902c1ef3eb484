//! What a plan said of groups that were merged, for those that look back.

use super::error::Error;
use super::kept_plan::plan_of_run;
use crate::dedupe::PlannedGroup;
use crate::lead::LeadId;
use crate::ledger::Ledger;

/// The groups of a plan that have these records to keep. None of a plan that another version made,
/// and cannot be read any more.
pub fn planned_groups(
    ledger: &Ledger,
    plan: &str,
    winners: &[LeadId],
) -> Result<Vec<PlannedGroup>, Error> {
    let plan = plan_of_run(ledger, plan, winners)?;
    let groups = plan.into_iter().flat_map(|plan| plan.groups);
    Ok(groups.filter(|group| winners.contains(&group.winner)).collect())
}
