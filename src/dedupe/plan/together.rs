//! From which lead the fields come that come from one lead together: bundles, and the reasons and
//! dates of consents.
//!
//! Never: takes a part of a bundle from one lead and a part from another.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::Value;

use super::chosen::chosen_value;
use super::ruling::{Ruling, Rulings};
use super::value::choose;
use crate::dedupe::decision::ChosenValue;
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::policy::Policy;
use crate::dedupe::value::{filled, is_nothing};
use crate::lead::Lead;

/// By bundle, and by consent field, the lead that its fields come from; none where nobody has a
/// value.
#[derive(Debug, Default)]
pub(super) struct Givers<'l> {
    bundles: BTreeMap<String, Option<&'l Lead>>,
    companions: BTreeMap<String, Option<&'l Lead>>,
}

impl<'l> Givers<'l> {
    pub(super) fn giver(&self, ruling: &Ruling<'_>) -> Option<&'l Lead> {
        match ruling {
            Ruling::Rule { .. } => None,
            Ruling::With(flag) => self.companions.get(*flag).copied().flatten(),
            Ruling::Bundle { name, .. } => self.bundles.get(*name).copied().flatten(),
        }
    }
}

/// Finds the givers of all bundles and companions among these fields. The winner comes first, then
/// the losers in the plan's order.
pub(super) fn givers<'l>(
    rulings: &Rulings<'_>,
    in_order: &[&'l Lead],
    policy: &Policy,
    facts: &FieldFacts,
    chosen: &BTreeMap<String, ChosenValue>,
) -> Result<Givers<'l>, String> {
    let mut bundles: BTreeMap<&str, (bool, Vec<&str>)> = BTreeMap::new();
    let mut companions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (field, ruling) in rulings {
        match ruling {
            Ruling::Rule { .. } => {}
            Ruling::With(flag) => companions.entry(flag).or_default().push(field),
            Ruling::Bundle { name, firm } => {
                bundles.entry(name).or_insert_with(|| (*firm, Vec::new())).1.push(field);
            }
        }
    }
    let mut givers = Givers::default();
    for (name, (firm, fields)) in bundles {
        let giver = giver_of_bundle(name, &fields, firm, in_order, facts)?;
        givers.bundles.insert(name.to_owned(), giver);
    }
    for (flag, fields) in companions {
        let giver = match chosen.get(flag) {
            Some(value) => {
                let (kept, _) = chosen_value(flag, value, in_order, facts)?;
                giver_of_kept(flag, &kept, &fields, in_order, facts)
            }
            None => giver_of_companions(flag, &fields, in_order, policy, facts, &givers)?,
        };
        givers.companions.insert(flag.to_owned(), giver);
    }
    Ok(givers)
}

/// The lead with the most of the bundle's fields filled, and of equals the first. An opt-out in the
/// bundle comes first: a lead that has it gives the bundle. A default bundle comes only from a lead
/// with which all of it can come over.
fn giver_of_bundle<'l>(
    name: &str,
    fields: &[&str],
    firm: bool,
    in_order: &[&'l Lead],
    facts: &FieldFacts,
) -> Result<Option<&'l Lead>, String> {
    let mut able: Vec<&'l Lead> = in_order.to_vec();
    for field in fields.iter().filter(|field| facts.is_opt_out(field)) {
        if in_order.iter().any(|lead| lead.flag(field)) {
            able.retain(|lead| lead.flag(field));
        }
    }
    if able.is_empty() {
        return Err(format!(
            "the opt-outs of the bundle `{name}` are on different records, so that no one of them can give all of it; \
             take the opt-outs out of the bundle, or make the records alike"
        ));
    }
    if !firm {
        able.retain(|lead| fields.iter().all(|field| comes_over(field, lead, in_order, facts)));
    }
    let count = |lead: &Lead| fields.iter().filter(|field| filled(lead, field).is_some()).count();
    let best = able.into_iter().min_by_key(|lead| Reverse(count(lead)));
    Ok(best.filter(|lead| count(lead) > 0))
}

/// Whether the survivor can have the lead's value: it can be written, or Marketo leaves it there by
/// itself.
fn comes_over(field: &str, lead: &Lead, in_order: &[&Lead], facts: &FieldFacts) -> bool {
    let of = |lead: Option<&&Lead>| {
        lead.and_then(|lead| lead.value(field)).cloned().unwrap_or(Value::Null)
    };
    let held = of(in_order.first());
    if facts.is_writeable(field) && !facts.is_blocked(field, &held) {
        return true;
    }
    let stays = if is_nothing(&held) { of(in_order.get(1)) } else { held };
    facts.holds(field, &stays, lead.value(field).unwrap_or(&Value::Null))
}

/// The giver where a rule decides over the consent field.
fn giver_of_companions<'l>(
    flag: &str,
    fields: &[&str],
    in_order: &[&'l Lead],
    policy: &Policy,
    facts: &FieldFacts,
    bundles: &Givers<'l>,
) -> Result<Option<&'l Lead>, String> {
    let ruling = policy.ruling(flag, facts);
    let kept = match (ruling, bundles.giver(&ruling)) {
        (Ruling::Rule { rule, .. }, _) => choose(rule, flag, in_order, policy)?.value,
        (_, giver) => giver.and_then(|giver| giver.value(flag)).cloned().unwrap_or(Value::Null),
    };
    Ok(giver_of_kept(flag, &kept, fields, in_order, facts))
}

/// Of the leads that hold what the consent field keeps, one that says something of when or why: the
/// winner, else the one that was updated last. Where none says anything, the first of them, so that
/// no other record's reason stands there.
fn giver_of_kept<'l>(
    flag: &str,
    kept: &Value,
    fields: &[&str],
    in_order: &[&'l Lead],
    facts: &FieldFacts,
) -> Option<&'l Lead> {
    let holds = |lead: &&&Lead| facts.holds(flag, lead.value(flag).unwrap_or(&Value::Null), kept);
    let holders: Vec<&'l Lead> = in_order.iter().filter(holds).copied().collect();
    let says = |lead: &&&Lead| fields.iter().any(|field| filled(lead, field).is_some());
    let winner = holders
        .iter()
        .filter(says)
        .find(|lead| Some(lead.id) == in_order.first().map(|first| first.id));
    let latest = || holders.iter().rev().filter(says).max_by_key(|lead| lead.updated_at());
    winner.or_else(latest).or(holders.first()).copied()
}
