//! Who made the extra records of the groups that are about to be merged, for the certificate: once
//! they are gone nothing tells it any more.
//!
//! Leans on the cache: how a group came about is what a report says of it. Never: keeps a merge
//! from being made.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::cache::{Cache, Groups};
use crate::cli::Failure;
use crate::dedupe::{Plan, explain};
use crate::ledger::{ExtraRecord, Ledger};

/// Keeps them in the ledger; those of which an earlier run of the plan has kept it stay as they
/// are.
pub(super) fn keep(cache: &Cache, ledger: &mut Ledger, plan: &Plan) -> Result<(), Failure> {
    let keys: BTreeSet<String> =
        plan.groups.iter().map(|group| group.key.as_str().to_owned()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let mut records = Vec::new();
    cache.for_each_group(Groups::Of(&keys), |_, leads, births| {
        let explanation = explain(&leads, &births);
        let cause = explanation.cause.as_str();
        records.extend(explanation.late.into_iter().map(|late| ExtraRecord {
            lead: late.id,
            cause: cause.to_owned(),
            login: late.api_user,
        }));
        ControlFlow::Continue(())
    })?;
    Ok(ledger.keep_extra(&plan.id, &records)?)
}
