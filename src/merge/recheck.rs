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
                let linked = rows.iter().filter_map(|row| links.get(&linked(row, &object.link_field)?));
                for winner in linked.flatten() {
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

/// What rows of a loser would hold in their link, to the winner of its group, or of each where losers of several hold it.
/// What the winner holds too is not lost.
fn links(
    object: &CustomObjectType,
    groups: &[&PlannedGroup],
    live: &BTreeMap<LeadId, Lead>,
) -> BTreeMap<String, BTreeSet<LeadId>> {
    let link = |id: &LeadId| {
        if object.lead_field.eq_ignore_ascii_case("id") {
            return Some(id.to_string());
        }
        live.get(id)?.value(&object.lead_field).and_then(as_link)
    };
    let mut links: BTreeMap<String, BTreeSet<LeadId>> = BTreeMap::new();
    for group in groups {
        let kept: BTreeSet<String> = link(&group.winner).into_iter().collect();
        let lost = group.losers.iter().filter_map(link).filter(|value| !kept.contains(value));
        for value in lost {
            links.entry(value).or_default().insert(group.winner);
        }
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::links;
    use crate::dedupe::{FieldFacts, Key, Policy, plan_group};
    use crate::lead::Lead;
    use crate::marketo::CustomObjectType;

    #[test]
    fn rows_that_losers_of_two_groups_share_keep_both_groups_out() {
        let lead = |id: u64, email: &str| Lead::new(id).with("email", email);
        let leads = [
            lead(1, "a@example.com"),
            lead(2, "a@example.com").with("account", "Acme"),
            lead(3, "b@example.com"),
            lead(4, "b@example.com").with("account", "ACME"),
        ];
        let plan = |email, leads: &[Lead]| {
            plan_group(&Key::of(email).unwrap(), leads, &Policy::default(), &FieldFacts::default()).unwrap()
        };
        let groups = [plan("a@example.com", &leads[..2]), plan("b@example.com", &leads[2..])];
        let live: BTreeMap<u64, Lead> = leads.into_iter().map(|lead| (lead.id, lead)).collect();
        let object = CustomObjectType {
            name: "car_c".to_owned(),
            link_field: "owner".to_owned(),
            lead_field: "account".to_owned(),
        };
        let links = links(&object, &groups.iter().collect::<Vec<_>>(), &live);
        assert_eq!(links, BTreeMap::from([("acme".to_owned(), BTreeSet::from([1, 3]))]));
    }
}
