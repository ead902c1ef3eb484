//! A field's value that a person chose: what is written for it, or why it cannot be.
//!
//! Never: takes an opt-out away (law 5), makes up a consent that no lead gave, or writes what
//! Marketo would cut or refuse.

use serde_json::Value;

use crate::dedupe::by_nature::differs_by_nature;
use crate::dedupe::consent::sense::Sense;
use crate::dedupe::consent::sense_of;
use crate::dedupe::decision::{ChosenValue, Decisions};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::value::is_nothing;
use crate::lead::{Lead, LeadId};

/// How a group is planned beyond its policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes<'a> {
    /// What a person decided about it.
    pub(super) decided: &'a Decisions,
    /// Whether a consent field in which the leads differ is planned for a person to decide, in
    /// place of leaving the group alone.
    pub(super) lenient: bool,
}

/// What is written to the field, and from which lead it is.
pub(super) fn chosen_value(
    field: &str,
    chosen: &ChosenValue,
    in_order: &[&Lead],
    facts: &FieldFacts,
) -> Result<(Value, Option<LeadId>), String> {
    may_be_chosen(field, facts)?;
    let (value, from) = match chosen {
        ChosenValue::From(id) => {
            let lead = in_order.iter().find(|lead| lead.id == *id).ok_or_else(|| {
                format!("`{field}` cannot come from lead {id}, which takes no part in the merge")
            })?;
            (lead.value(field).filter(|value| !is_nothing(value)).cloned(), Some(*id))
        }
        ChosenValue::Typed(typed) => (facts.typed(field, typed)?, None),
    };
    let blank = if facts.data_type(field) == "boolean" { Value::Bool(false) } else { Value::Null };
    let value = value.unwrap_or(blank);
    keeps_consent(field, &value, in_order, facts)?;
    facts.fits(field, &value).map_err(|why| format!("{why}; Marketo would cut it"))?;
    Ok((value, from))
}

/// Why nobody can choose a value for this field, whatever the value.
pub fn may_be_chosen(field: &str, facts: &FieldFacts) -> Result<(), String> {
    if !facts.fields.contains_key(field) {
        return Err(format!("this instance has no field `{field}`"));
    }
    if differs_by_nature(field) || facts.is_derived(field) || field == "leadPartitionId" {
        return Err(format!("`{field}` is Marketo's own, and cannot be chosen"));
    }
    if !facts.is_writeable(field) {
        return Err(format!(
            "`{field}` cannot be written on this instance: it is read-only, or the CRM owns it"
        ));
    }
    Ok(())
}

/// Law 5, and that a consent is given by a person, not by whoever tidies up.
fn keeps_consent(
    field: &str,
    value: &Value,
    in_order: &[&Lead],
    facts: &FieldFacts,
) -> Result<(), String> {
    if facts.is_opt_out(field) {
        let said_no = in_order.iter().find(|lead| lead.flag(field));
        return match said_no {
            Some(lead) if *value != Value::Bool(true) => Err(format!(
                "lead {} says no in `{field}`, and no merge takes an opt-out away",
                lead.id
            )),
            _ => Ok(()),
        };
    }
    let holds = |lead: &&Lead| facts.holds(field, lead.value(field).unwrap_or(&Value::Null), value);
    let is_a_yes = match sense_of(field, facts) {
        Some(Sense::Consent) => !is_nothing(value),
        Some(Sense::Unclear) => true,
        Some(Sense::OptOut) | None => false,
    };
    if is_a_yes && !in_order.iter().any(holds) {
        return Err(format!(
            "`{field}` looks like a consent, and no record of the group holds this value: choose that of a record"
        ));
    }
    Ok(())
}
