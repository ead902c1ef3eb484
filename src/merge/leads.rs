//! Whose leads they are, and where they went. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::dedupe::PlannedGroup;
use crate::lead::LeadId;

/// The ids of a group's leads, the winner first.
pub(super) fn members(group: &PlannedGroup) -> impl Iterator<Item = LeadId> {
    std::iter::once(group.winner).chain(group.losers.iter().copied())
}

/// The lead that a merged lead went into at last; none where it was not merged.
pub(super) fn end_of(lead: LeadId, into: &BTreeMap<LeadId, LeadId>) -> Option<LeadId> {
    // No chain is longer than there are merges.
    let chain = std::iter::successors(into.get(&lead), |lead| into.get(lead));
    chain.take(into.len()).last().copied()
}

/// The leads that are read together: of calls that wait to be settled, and of groups that come
/// next.
pub(super) fn leads_of<'a>(ids: impl IntoIterator<Item = LeadId> + 'a) -> Vec<LeadId> {
    ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}
