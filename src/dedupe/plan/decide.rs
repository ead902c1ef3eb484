//! What is to be done with one group.

use std::collections::BTreeMap;

use super::blocked::{Merging, choose};
use super::changes::saved_one_by_one;
use super::look::look;
use super::model::{Dropped, LeftOut, PlannedGroup};
use super::objection;
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::key::Key;
use crate::dedupe::policy::Policy;
use crate::lead::{Lead, LeadId};

/// Decides what is to be done with a group, from its leads with every readable field.
pub fn plan_group(
    key: &Key,
    leads: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<PlannedGroup, LeftOut> {
    let leave = |reason: String| {
        let mut ids: Vec<LeadId> = leads.iter().map(|lead| lead.id).collect();
        ids.sort_unstable();
        LeftOut { key: key.clone(), leads: ids, reason }
    };
    let members = members(key, leads, policy);
    if members.len() < 2 {
        return Err(leave("fewer than two leads have this key any more; scan again".to_owned()));
    }
    if let Some(objection) = objection::of_leads(&members, policy) {
        return Err(leave(objection.words));
    }
    let in_crm = objection::is_in_crm(&members);
    let Merging { in_order, draft, reason } = choose(&members, policy, facts).map_err(leave)?;
    let (Some(winner), losers) = (in_order.first(), in_order.iter().skip(1)) else {
        return Err(leave("it has no leads".to_owned()));
    };
    let mut group = PlannedGroup {
        key: key.clone(),
        winner: winner.id,
        losers: losers.map(|lead| lead.id).collect(),
        changes: draft.changes.clone(),
        expected: draft.expected.clone(),
        blank: draft.blank.clone(),
        seen: Vec::new(),
        reason,
        in_crm,
        one_per_call: saved_one_by_one(&in_order, policy, facts),
        dropped: Vec::new(),
        kept: BTreeMap::new(),
        rules: BTreeMap::new(),
        at_risk: Vec::new(),
        equal: 0,
    };
    let prediction = group.predict(&members, policy, facts);
    let stays = |drop: &Dropped| {
        Some((drop.name.clone(), prediction.fields.get(&drop.name)?.likeliest().clone()))
    };
    group.kept = prediction.dropped.iter().filter_map(stays).collect();
    (group.dropped, group.equal) = (prediction.dropped, prediction.equal);
    group.at_risk = prediction.at_risk;
    let shown = group.kept.keys().chain(group.changes.iter().map(|change| &change.name));
    group.rules =
        shown.map(|field| (field.clone(), draft.rule_in_words(field, winner, facts))).collect();
    group.seen = members.iter().map(|lead| look(lead, &group, policy, facts)).collect();
    Ok(group)
}

/// The leads that have the key, by id, each once.
pub(super) fn members(key: &Key, leads: &[Lead], policy: &Policy) -> Vec<Lead> {
    let with_key = leads.iter().filter(|lead| policy.key.key_of(lead).as_ref() == Some(key));
    let by_id: BTreeMap<LeadId, &Lead> = with_key.map(|lead| (lead.id, lead)).collect();
    by_id.into_values().cloned().collect()
}
