//! What is written to the winner before a merge, and what it must hold afterwards.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{FieldChange, FieldFacts, Policy, WhyNot};
use crate::dedupe::consent::{self, Sense, sense_of};
use crate::dedupe::field_rule::{Chosen, FieldRule, OPT_OUTS};
use crate::dedupe::value::{filled, is_nothing};
use crate::lead::{Lead, LeadId};

pub(super) type Changes = (Vec<FieldChange>, BTreeMap<String, Value>);

/// What the winner, who comes first, gets, and what it must hold afterwards; or why the rules cannot be carried out.
pub(super) fn field_changes(
    in_order: &[&Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<Changes, String> {
    let Some(winner) = in_order.first() else { return Err("the group is empty".to_owned()) };
    let (mut changes, mut expected) = (Vec::new(), BTreeMap::new());
    for field in fields(in_order, policy) {
        let configured = policy.fields.0.contains_key(field);
        let sense = if configured { None } else { sense_of(field, facts) };
        if matches!(sense, Some(Sense::Consent | Sense::Unclear))
            && let Some(reason) = consent::conflict(field, in_order, facts)
        {
            return Err(reason);
        }
        let rule = if sense == Some(Sense::OptOut) { &FieldRule::AnyTrue } else { policy.fields.of(field) };
        if matches!(rule, FieldRule::KeepBlank | FieldRule::Ignore) {
            continue;
        }
        let ruled = *rule != FieldRule::Winner;
        if ruled && in_order.iter().all(|lead| lead.value(field).is_none()) {
            continue;
        }
        let travelling = if configured { None } else { with_its_flag(field, in_order) };
        let Chosen { value: after, from } = match travelling {
            Some(chosen) => chosen,
            None => rule.choose(field, in_order).map_err(|unfit| unfit.to_string())?,
        };
        let before = winner.value(field).cloned().unwrap_or(Value::Null);
        let writeable = facts.is_writeable(field);
        if !facts.holds(field, &before, &after) {
            if writeable {
                facts.fits(field, &after).map_err(|why| too_long(&why, from))?;
                expected.insert(field.to_owned(), after.clone());
                changes.push(FieldChange { name: field.to_owned(), before, after, from });
            } else if ruled {
                return Err(format!(
                    "the rule `{rule}` would change `{field}`, which cannot be written on this instance"
                ));
            }
            // What cannot be written and has no rule is Marketo's to fill, from the first loser.
        } else if writeable && could_turn_true(field, &before, in_order) {
            expected.insert(field.to_owned(), Value::Bool(false));
            changes.push(FieldChange {
                name: field.to_owned(),
                before,
                after: Value::Bool(false),
                from: Some(winner.id),
            });
        } else if ruled && writeable {
            expected.insert(field.to_owned(), before);
        }
    }
    Ok((changes, expected))
}

/// The reason or time of an opt-out comes from a lead that has the opt-out: the winner, or the lead of those that was
/// updated last. None where no lead has both.
fn with_its_flag(field: &str, in_order: &[&Lead]) -> Option<Chosen> {
    let flag = consent::flag_of_companion(field)?;
    let givers: Vec<&&Lead> =
        in_order.iter().filter(|lead| lead.flag(flag) && filled(lead, field).is_some()).collect();
    let winner = in_order.first()?;
    let own = givers.iter().find(|lead| lead.id == winner.id);
    let giver = own.or_else(|| givers.iter().rev().max_by_key(|lead| lead.updated_at()))?;
    Some(Chosen { value: filled(giver, field)?.clone(), from: Some(giver.id) })
}

/// Whether one loser a call saves a value that cannot be written: the winner and the first loser have none, and Marketo
/// takes no other loser's.
pub(super) fn saved_one_by_one(in_order: &[&Lead], policy: &Policy, facts: &FieldFacts) -> bool {
    let [winner, first, later @ ..] = in_order else { return false };
    let later_fields: BTreeSet<&str> =
        later.iter().flat_map(|lead| lead.fields.keys()).map(String::as_str).collect();
    later_fields.into_iter().any(|field| {
        let blank = |lead: &Lead| lead.value(field).is_none_or(is_nothing);
        let ruled_out = matches!(policy.fields.of(field), FieldRule::KeepBlank | FieldRule::Ignore);
        let left_to_marketo = !facts.is_writeable(field)
            && facts.fields.contains_key(field)
            && !super::prediction::differs_by_nature(field)
            && !facts.is_derived(field)
            && !ruled_out;
        left_to_marketo && blank(winner) && blank(first) && later.iter().any(|lead| !blank(lead))
    })
}

fn too_long(why: &WhyNot, from: Option<LeadId>) -> String {
    let whose =
        from.map_or("the values of several leads together".to_owned(), |lead| format!("lead {lead}'s value"));
    format!(
        "{whose} cannot be written: {why}; Marketo would cut it. The rule `keep_blank` or `ignore` for the field would go on without it"
    )
}

fn fields<'a>(in_order: &[&'a Lead], policy: &'a Policy) -> BTreeSet<&'a str> {
    let held = in_order.iter().flat_map(|lead| lead.fields.keys());
    held.chain(policy.fields.0.keys()).map(String::as_str).chain(OPT_OUTS.iter().copied()).collect()
}

/// Whether the winner's false may be an unset boolean, which Marketo shows as false, so that a loser's true would
/// replace it in the merge. Written out, it stays.
fn could_turn_true(field: &str, before: &Value, in_order: &[&Lead]) -> bool {
    is_nothing(before) && in_order.iter().any(|lead| lead.value(field) == Some(&Value::Bool(true)))
}
