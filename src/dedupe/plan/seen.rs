//! What a plan believed of its leads, and whether that still holds (law 2).

use std::collections::BTreeSet;

use serde_json::Value;

use super::decide::{plan_decided, plan_group};
use super::look::{HIDDEN, look};
use super::model::{Dropped, FieldChange, PlannedGroup, Seen};
use super::objection::{Known, Objection};
use crate::dedupe::decision::{Choice, Decisions};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::policy::Policy;
use crate::dedupe::value::is_empty;
use crate::lead::{Lead, LeadId};

/// Marketo spreads it to every lead of the same address (reported by users).
const SPREADS: &str = "unsubscribed";

/// Whether the live leads are still what the plan looked at; otherwise what changed.
pub fn still_as_seen(
    planned: &PlannedGroup,
    live: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<(), String> {
    let mut policy = planned.policy(policy);
    changed_lately(planned, live, &policy)?;
    if policy.skip_rules.changed_since.is_some() {
        policy.to_mut().skip_rules.changed_since = None;
    }
    let policy = &*policy;
    let mut leads = live.to_vec();
    for before in &planned.seen {
        let lead = same_lead(planned, before, &mut leads, policy, false)?;
        let now = look(lead, planned, policy, facts);
        if !now.is_same(before) {
            let reason = changed(before, &now, lead);
            *lead = without_own_opt_outs(lead, planned, facts)
                .filter(|lead| look(lead, planned, policy, facts).is_same(before))
                .ok_or(reason)?;
        }
    }
    let again = plan_again(planned, &leads, policy, facts)?;
    differs(planned, &again, facts).map_or(Ok(()), Err)
}

/// The group planned anew with what a person decided about it. What speaks against the merge must
/// have spoken against it when they did.
fn plan_again(
    planned: &PlannedGroup,
    leads: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<PlannedGroup, String> {
    let decided = planned.decided.choice == Some(Choice::Merge);
    if !decided && !planned.decided.changes_the_merge() {
        return plan_group(&planned.key, leads, policy, facts).map_err(|left| left.reason);
    }
    // That it was made on purpose, or is large, was known then, and does not change.
    let known = Known { cause: planned.cause, named: true };
    // Who is left out is no part of the merge, and is not looked at.
    let decisions = Decisions { left_out: BTreeSet::new(), ..planned.decided.clone() };
    let takes_part = |lead: &&Lead| planned.leads().any(|id| id == lead.id);
    let leads: Vec<Lead> = leads.iter().filter(takes_part).cloned().collect();
    let again = plan_decided(&planned.key, &leads, known, policy, facts, &decisions)
        .map_err(|left| left.reason)?;
    let was_known = |objection: &&Objection| {
        decided && planned.objections.iter().any(|known| known.reason == objection.reason)
    };
    if let Some(new) = again.objections.iter().find(|objection| !was_known(objection)) {
        return Err(format!("since the plan was made, {}", new.why));
    }
    if let Some(field) = again.open_consent.difference(&planned.open_consent).next() {
        return Err(format!("since the plan was made its records differ in the consent `{field}`"));
    }
    Ok(again)
}

/// Whether no lead was changed since the moment that `skip.changed_within` came to when the plan
/// was made. What the plan itself writes to the winner is no such change, nor is the opt-out that
/// Marketo then spreads.
fn changed_lately(planned: &PlannedGroup, live: &[Lead], policy: &Policy) -> Result<(), String> {
    let by_the_plan = |lead: &Lead| {
        (lead.id == planned.winner && !planned.changes.is_empty()) || spreads_an_opt_out(planned)
    };
    let mut others = live.iter().filter(|lead| !by_the_plan(lead));
    others.find_map(|lead| policy.skip_rules.changed_lately(lead)).map_or(Ok(()), Err)
}

/// What a group that was planned again would do otherwise, or lose besides; none where it is the
/// same merge.
fn differs(planned: &PlannedGroup, again: &PlannedGroup, facts: &FieldFacts) -> Option<String> {
    const SINCE: &str =
        "the group's leads changed since the plan was made, so that it would be merged otherwise";
    if again.winner != planned.winner && !facts.not_taken.is_empty() {
        return Some(format!(
            "since the plan was made its leads changed, or updates of a field were seen to be blocked, so that it \
             would be merged otherwise: into lead {} instead of {}; make a new plan",
            again.winner, planned.winner
        ));
    }
    if again.winner != planned.winner {
        return Some(format!("{SINCE}: into lead {} instead of {}", again.winner, planned.winner));
    }
    if again.losers != planned.losers
        || (again.in_crm, again.one_per_call) != (planned.in_crm, planned.one_per_call)
    {
        return Some(format!("{SINCE}: in another order or other calls"));
    }
    let same_change = |a: &FieldChange, b: &FieldChange| {
        a.name == b.name
            && a.from == b.from
            && facts.holds(&a.name, &a.before, &b.before)
            && facts.holds(&a.name, &a.after, &b.after)
    };
    let missing = |changes: &[FieldChange], others: &[FieldChange]| {
        changes
            .iter()
            .find(|change| !others.iter().any(|other| same_change(change, other)))
            .cloned()
    };
    if let Some(change) = missing(&again.changes, &planned.changes) {
        let from = change.from.map(|lead| format!(" of lead {lead}")).unwrap_or_default();
        return Some(format!(
            "{SINCE}: `{}` of lead {} would go {} → {}{from}, which the plan does not say",
            change.name,
            again.winner,
            shown(&change.before),
            shown(&change.after)
        ));
    }
    if let Some(change) = missing(&planned.changes, &again.changes) {
        return Some(format!(
            "{SINCE}: `{}` of lead {} would no longer go {} → {}",
            change.name,
            again.winner,
            shown(&change.before),
            shown(&change.after)
        ));
    }
    drops_more(planned, again.dropped.iter().chain(&again.at_risk), facts)
}

/// The first value that a merge would drop and that the plan does not name, in words.
fn drops_more<'d>(
    planned: &PlannedGroup,
    mut dropped: impl Iterator<Item = &'d Dropped>,
    facts: &FieldFacts,
) -> Option<String> {
    dropped.find_map(|drop| {
        let mut named = planned.dropped.iter().chain(&planned.at_risk);
        let known = named.find(|known| known.name == drop.name && known.lead == drop.lead);
        let was = match known {
            Some(known) if facts.holds(&drop.name, &known.value, &drop.value) => return None,
            Some(known) => shown(&known.value),
            None => "not to be dropped".to_owned(),
        };
        Some(format!(
            "the group's leads changed since the plan was made: `{}` of lead {} changed ({was} → {}), and the merge would now drop that value",
            drop.name,
            drop.lead,
            shown(&drop.value)
        ))
    })
}

/// A value in words, on one line and not too long.
fn shown(value: &Value) -> String {
    if is_empty(value) {
        return "(blank)".to_owned();
    }
    let text: String =
        value.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > 60 {
        text.chars().take(60).chain("…".chars()).collect()
    } else {
        text
    }
}

/// The same between two calls of a group, when some losers are merged already. The losers that are
/// left must be what the plan looked at. The winner's values have changed by the merges, and it
/// must be the same lead with the same key. The calls that are left may drop no value that the plan
/// does not name.
pub fn rest_as_seen(
    planned: &PlannedGroup,
    losers: &[LeadId],
    live: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<(), String> {
    let policy = &*planned.policy(policy);
    let mut leads = live.to_vec();
    for before in &planned.seen {
        let is_loser = losers.contains(&before.id);
        if !is_loser && before.id != planned.winner {
            continue;
        }
        let oldest = facts.measured.oldest_birth == Some(true);
        let lead = same_lead(planned, before, &mut leads, policy, oldest)?;
        let as_seen = |lead: &Lead| look(lead, planned, policy, facts).is_same(before);
        if is_loser
            && !as_seen(lead)
            && !without_own_opt_outs(lead, planned, facts).is_some_and(|lead| as_seen(&lead))
        {
            return Err(changed(before, &look(lead, planned, policy, facts), lead));
        }
    }
    let ids = std::iter::once(&planned.winner).chain(losers);
    let in_order: Vec<&Lead> =
        ids.filter_map(|id| live.iter().find(|lead| lead.id == *id)).collect();
    let prediction = planned.predict_call(&in_order, facts, &policy.fields);
    drops_more(planned, prediction.dropped.iter(), facts).map_or(Ok(()), Err)
}

/// The live lead that was seen; or why it is none of the group any more. Where the survivor of a
/// merge was seen to take the oldest creation time, the winner may have that of a merged lead.
fn same_lead<'l>(
    planned: &PlannedGroup,
    before: &Seen,
    leads: &'l mut [Lead],
    policy: &Policy,
    takes_oldest: bool,
) -> Result<&'l mut Lead, String> {
    let Some(lead) = leads.iter_mut().find(|lead| lead.id == before.id) else {
        return Err(format!("lead {} is gone since the plan was made", before.id));
    };
    let of_a_merged_one = takes_oldest
        && lead.id == planned.winner
        && planned.seen.iter().any(|seen| seen.created_at == lead.created_at());
    if lead.created_at() != before.created_at && !of_a_merged_one {
        return Err(format!(
            "lead {} is another one than when the plan was made: its creation time differs",
            lead.id
        ));
    }
    if policy.key.key_of(lead).as_ref() != Some(&planned.key) {
        return Err(format!("lead {} has another key than when the plan was made", lead.id));
    }
    Ok(lead)
}

/// Names the fields that differ, each with what it held and what it holds now.
fn changed(before: &Seen, now: &Seen, lead: &Lead) -> String {
    let fields: Vec<String> = now
        .digests
        .iter()
        .filter(|(field, digest)| before.digests.get(*field) != Some(digest))
        .map(|(field, digest)| {
            if digest.starts_with(HIDDEN) {
                return format!("`{field}` (this instance no longer shows the field)");
            }
            let was_blank = before.digests.get(field).is_some_and(String::is_empty);
            let was = match before.values.get(field) {
                Some(value) if !was_blank => format!("{} → ", shown(value)),
                _ if was_blank => "(blank) → ".to_owned(),
                _ => "now ".to_owned(),
            };
            format!("`{field}` ({was}{})", shown(lead.value(field).unwrap_or(&Value::Null)))
        })
        .collect();
    format!("lead {} changed since the plan was made: {}", before.id, fields.join(", "))
}

/// The lead without the opt-outs that the plan itself brings: the one that Marketo spreads to all
/// leads of an address, and on the winner those that a run wrote which was stopped before the
/// merge, since they are never taken back (law 5). None where it has no such opt-out.
fn without_own_opt_outs(lead: &Lead, planned: &PlannedGroup, facts: &FieldFacts) -> Option<Lead> {
    if lead.id != planned.winner {
        return (spreads_an_opt_out(planned) && lead.flag(SPREADS))
            .then(|| lead.clone().with(SPREADS, false));
    }
    let is_own = |change: &&FieldChange| {
        let held = lead.value(&change.name).unwrap_or(&Value::Null);
        facts.holds(&change.name, held, &change.after)
            && facts.takes_back_a_no(&change.name, held, &change.before)
    };
    let own: Vec<&FieldChange> = planned.changes.iter().filter(is_own).collect();
    let mut before = lead.clone();
    for change in &own {
        before.set(&change.name, change.before.clone());
    }
    (!own.is_empty()).then_some(before)
}

/// Whether the plan writes the opt-out that Marketo spreads to all leads of an address.
fn spreads_an_opt_out(planned: &PlannedGroup) -> bool {
    let spreads = |change: &FieldChange| change.name == SPREADS && change.after == true;
    planned.changes.iter().any(spreads)
}
