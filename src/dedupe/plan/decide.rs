//! What is to be done with one group.

use std::collections::BTreeMap;

use super::blocked::{Merging, choose};
use super::changes::saved_one_by_one;
use super::chosen::Wishes;
use super::look::look;
use super::model::{Dropped, LeftOut, PlannedGroup};
use super::objection::{self, Known, Objection};
use super::weigh::{let_in, weigh};
use crate::dedupe::consent::sense::Sense;
use crate::dedupe::consent::sense_of;
use crate::dedupe::decision::{Choice, Decisions};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::key::Key;
use crate::dedupe::policy::Policy;
use crate::dedupe::risk::Risk;
use crate::lead::{Lead, LeadId};

/// Decides what is to be done with a group, from its leads with every readable field.
pub fn plan_group(
    key: &Key,
    leads: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<PlannedGroup, LeftOut> {
    let members = members(key, leads, policy);
    enough(&members).map_err(|why| left_alone(key, leads, why))?;
    if let Some(objection) = objection::of_leads(&members, policy) {
        return Err(left_alone(key, leads, objection.words));
    }
    let nothing = Decisions::default();
    let wishes = Wishes { decided: &nothing, lenient: false };
    planned(key, &members, policy, facts, wishes).map_err(|why| left_alone(key, leads, why))
}

/// The same for people to decide about, with what they decided so far: what speaks against the
/// merge makes it red, and no more. An error says why what they decided cannot be carried out, or
/// why nobody can decide about the group.
pub fn plan_decided(
    key: &Key,
    leads: &[Lead],
    known: Known,
    policy: &Policy,
    facts: &FieldFacts,
    decided: &Decisions,
) -> Result<PlannedGroup, LeftOut> {
    let leave = |why: String| left_alone(key, leads, why);
    let policy = &policy.for_cause(known.cause);
    let all = members(key, leads, policy);
    enough(&all).map_err(leave)?;
    let is_here = |id: &LeadId| all.iter().any(|lead| lead.id == *id);
    if let Some(stranger) = decided.left_out.iter().chain(&decided.winner).find(|id| !is_here(id)) {
        return Err(leave(format!("lead {stranger} is not one of this group")));
    }
    let takes_part = |lead: &Lead| !decided.left_out.contains(&lead.id);
    let members: Vec<Lead> = all.into_iter().filter(takes_part).collect();
    if members.len() < 2 {
        return Err(leave("fewer than two records are left of it to merge".to_owned()));
    }
    if let Some(out) = decided.winner.filter(|id| decided.left_out.contains(id)) {
        return Err(leave(format!("lead {out} cannot be kept and left out at once")));
    }
    let wishes = Wishes { decided, lenient: true };
    let mut group = planned(key, &members, policy, facts, wishes).map_err(leave)?;
    keeps_its_key(&group, &members, policy).map_err(leave)?;
    consent_is_decided(&group, decided, facts).map_err(leave)?;
    group.cause = known.cause;
    group.objections = Objection::to(&members, known, policy).into_iter().collect();
    group.decided = Decisions { note: None, ..decided.clone() };
    (group.risk, group.warnings) = weigh(&group, &members, policy, facts);
    Ok(group)
}

/// One more thing that speaks against a merge: it then takes a person's decision.
impl PlannedGroup {
    /// Adds an objection that the leads themselves do not show.
    pub fn object(&mut self, objection: Objection) {
        if !self.objections.iter().any(|known| known.reason == objection.reason) {
            self.warnings.insert(self.objections.len(), objection.why.clone());
            self.objections.push(objection);
        }
        self.risk = Risk::Red;
    }
}

fn planned(
    key: &Key,
    members: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
    wishes: Wishes<'_>,
) -> Result<PlannedGroup, String> {
    if let Some(why) = policy.skip_rules.why_by_fields(members, &facts.fields) {
        return Err(why);
    }
    let in_crm = objection::is_in_crm(members);
    let Merging { in_order, draft, reason } = choose(members, policy, facts, wishes)?;
    let (Some(winner), losers) = (in_order.first(), in_order.iter().skip(1)) else {
        return Err("it has no leads".to_owned());
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
        cause: None,
        named: policy.winner.named_among(members),
        risk: Risk::default(),
        warnings: Vec::new(),
        objections: Vec::new(),
        let_in: let_in(members, policy).map(|objection| objection.reason),
        open_consent: draft.open_consent.clone(),
        decided: Decisions { choice: None, note: None, ..wishes.decided.clone() },
        rows: Vec::new(),
    };
    let prediction = group.predict(members, policy, facts);
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
    (group.risk, group.warnings) = weigh(&group, members, policy, facts);
    Ok(group)
}

/// The survivor has the key of its group: a later look at it must find it there.
fn keeps_its_key(group: &PlannedGroup, members: &[Lead], policy: &Policy) -> Result<(), String> {
    let Some(winner) = members.iter().find(|lead| lead.id == group.winner) else { return Ok(()) };
    let mut survivor = winner.clone();
    for change in &group.changes {
        survivor.set(&change.name, change.after.clone());
    }
    if policy.key.key_of(&survivor).as_ref() == Some(&group.key) {
        return Ok(());
    }
    Err(format!(
        "{} makes these records one group, and has to stay what it is",
        policy.key.fields.join(" and ")
    ))
}

/// Where nobody can tell which value says no, a person has to choose it: that they want the merge
/// is not enough.
fn consent_is_decided(
    group: &PlannedGroup,
    decided: &Decisions,
    facts: &FieldFacts,
) -> Result<(), String> {
    let is_safe = |field: &&String| {
        sense_of(field, facts) == Some(Sense::Consent) && facts.data_type(field) == "boolean"
    };
    let mut open = group.open_consent.iter().filter(|field| !is_safe(field));
    match open.next().filter(|_| decided.choice == Some(Choice::Merge)) {
        Some(field) => Err(format!(
            "its records differ in `{field}`, which looks like a consent: choose whose value stays"
        )),
        None => Ok(()),
    }
}

fn enough(members: &[Lead]) -> Result<(), String> {
    if members.len() < 2 {
        return Err("fewer than two leads have this key any more; scan again".to_owned());
    }
    Ok(())
}

fn left_alone(key: &Key, leads: &[Lead], reason: String) -> LeftOut {
    let mut ids: Vec<LeadId> = leads.iter().map(|lead| lead.id).collect();
    ids.sort_unstable();
    LeftOut { key: key.clone(), leads: ids, reason }
}

/// The leads that have the key, by id, each once.
pub(super) fn members(key: &Key, leads: &[Lead], policy: &Policy) -> Vec<Lead> {
    let with_key = leads.iter().filter(|lead| policy.key.key_of(lead).as_ref() == Some(key));
    let by_id: BTreeMap<LeadId, &Lead> = with_key.map(|lead| (lead.id, lead)).collect();
    by_id.into_values().cloned().collect()
}
