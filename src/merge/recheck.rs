//! The look just before a merge: is the group what the plan looked at (law 2), and would a merge lose something that
//! Marketo does not carry over?

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::written::Written;
use super::{Error, Merge};
use crate::dedupe::{PlannedGroup, Policy, still_as_seen};
use crate::lead::{Lead, LeadId};
use crate::marketo::{BATCH, CustomObjectType, MergeLeads, ReadLeads, SyncLeads};

impl<M: ReadLeads + SyncLeads + MergeLeads> Merge<'_, M> {
    /// Reads the groups live. Gives the leads as they are, and for each group that may not be merged now the reason.
    pub(super) async fn recheck(
        &self,
        groups: &[&PlannedGroup],
        policy: &Policy,
        written: &Written,
    ) -> Result<(BTreeMap<LeadId, Lead>, BTreeMap<LeadId, String>), Error> {
        let ids: Vec<LeadId> = groups.iter().flat_map(|group| members(group)).collect();
        let live = self.read(&ids).await?;
        let mut reasons = BTreeMap::new();
        for group in groups {
            let leads = members(group).filter_map(|id| live.get(&id)).cloned().collect();
            if let Err(reason) =
                still_as_seen(group, &written.as_before(leads, &policy.key), policy, &self.facts)
            {
                reasons.insert(group.winner, reason);
            }
        }
        Ok((live, reasons))
    }

    /// For each group, by winner, whose losers have rows of a custom object that a merge would leave behind: the reason.
    pub(super) async fn custom_object_rows(
        &mut self,
        groups: &[&PlannedGroup],
        live: &BTreeMap<LeadId, Lead>,
    ) -> Result<BTreeMap<LeadId, String>, Error> {
        let types = match &self.custom_objects {
            Some(types) => types.clone(),
            None => self.marketo.lead_custom_objects().await?,
        };
        let mut reasons = BTreeMap::new();
        for object in &types {
            let links = links(object, groups, live);
            let values: Vec<String> = links.keys().cloned().collect();
            for values in values.chunks(BATCH) {
                let rows = self.marketo.custom_objects(&object.name, &object.link_field, values).await?;
                for winner in rows.iter().filter_map(|row| links.get(&linked(row, &object.link_field)?)) {
                    reasons.entry(*winner).or_insert_with(|| {
                        format!(
                            "a loser has rows of the custom object `{}`, which a merge would leave behind; link them to lead {winner} first",
                            object.name
                        )
                    });
                }
            }
        }
        self.custom_objects = Some(types);
        Ok(reasons)
    }
}

/// The ids of a group's leads, the winner first.
pub(super) fn members(group: &PlannedGroup) -> impl Iterator<Item = LeadId> {
    std::iter::once(group.winner).chain(group.losers.iter().copied())
}

/// What rows of a loser would hold in their link, to the winner of its group. What the winner holds too is not lost.
fn links(
    object: &CustomObjectType,
    groups: &[&PlannedGroup],
    live: &BTreeMap<LeadId, Lead>,
) -> BTreeMap<String, LeadId> {
    let link = |id: &LeadId| {
        if object.lead_field.eq_ignore_ascii_case("id") {
            return Some(id.to_string());
        }
        live.get(id)?.value(&object.lead_field).and_then(as_link)
    };
    let mut links = BTreeMap::new();
    for group in groups {
        let kept: BTreeSet<String> = link(&group.winner).into_iter().collect();
        let lost = group.losers.iter().filter_map(link).filter(|value| !kept.contains(value));
        links.extend(lost.map(|value| (value, group.winner)));
    }
    links
}

fn linked(row: &Map<String, Value>, field: &str) -> Option<String> {
    row.get(field).and_then(as_link)
}

/// Marketo compares links without regard to case.
fn as_link(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}
