//! What is written to the winner before a merge, and what it must hold afterwards.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{FieldChange, FieldFacts, PlannedGroup, Policy};
use crate::dedupe::field_rule::{Chosen, FieldRule, OPT_OUTS};
use crate::dedupe::value::{is_nothing, same};
use crate::lead::Lead;

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
        let rule = policy.fields.of(field);
        let ruled = rule != FieldRule::Winner;
        if ruled && in_order.iter().all(|lead| lead.value(field).is_none()) {
            continue;
        }
        let Chosen { value: after, from } =
            rule.choose(field, in_order).map_err(|unfit| unfit.to_string())?;
        let before = winner.value(field).cloned().unwrap_or(Value::Null);
        let writeable = facts.is_writeable(field);
        if !same(&before, &after) {
            if writeable {
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

fn fields<'a>(in_order: &[&'a Lead], policy: &'a Policy) -> BTreeSet<&'a str> {
    let held = in_order.iter().flat_map(|lead| lead.fields.keys());
    held.chain(policy.fields.0.keys()).map(String::as_str).chain(OPT_OUTS.iter().copied()).collect()
}

/// Whether the winner's false may be an unset boolean, which Marketo shows as false, so that a loser's true would
/// replace it in the merge. Written out, it stays.
fn could_turn_true(field: &str, before: &Value, in_order: &[&Lead]) -> bool {
    is_nothing(before) && in_order.iter().any(|lead| lead.value(field) == Some(&Value::Bool(true)))
}

/// What a survivor holds otherwise than the plan says, to be written again. An opt-out only ever counts where it was
/// lost: one that came in meanwhile stays.
pub fn deviations(planned: &PlannedGroup, survivor: &Lead) -> Vec<FieldChange> {
    planned
        .expected
        .iter()
        .filter_map(|(name, wanted)| {
            let held = survivor.value(name).cloned().unwrap_or(Value::Null);
            let gained_opt_out = OPT_OUTS.contains(&name.as_str()) && survivor.flag(name);
            (!gained_opt_out && !same(&held, wanted)).then(|| FieldChange {
                name: name.clone(),
                before: held,
                after: wanted.clone(),
                from: None,
            })
        })
        .collect()
}
