//! How much there is to decide about a planned group, and why.
//!
//! For: green is what nobody has to look at; red is what is merged only where a person says so.
//! Never: decides whether the group is merged.

use std::collections::BTreeSet;

use super::fill::dangerous_fills;
use super::model::PlannedGroup;
use super::objection::{Known, Objection};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::policy::Policy;
use crate::dedupe::risk::Risk;
use crate::lead::{Crm, Lead};

/// How many fields a warning names.
const NAMED: usize = 5;

/// The risk of a group, and why it is not green, the weightiest first.
pub(super) fn weigh(
    group: &PlannedGroup,
    members: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> (Risk, Vec<String>) {
    let mut red: Vec<String> =
        group.objections.iter().map(|objection| objection.why.clone()).collect();
    red.extend(group.open_consent.iter().map(|field| {
        format!("its records differ in {}, which looks like a consent", label(field, facts))
    }));
    red.extend(
        dangerous_fills(group, facts).iter().map(|fill| fill.in_words(label(&fill.field, facts))),
    );
    let mut amber = Vec::new();
    amber.extend(allowed(group, members, policy));
    amber.extend(conflicts(group, facts));
    amber.extend(opt_outs(members, facts));
    if members.iter().any(|lead| lead.crm() > Crm::None) && !group.in_crm {
        amber.push("one of its records is in the CRM, and stays".to_owned());
    }
    if !group.at_risk.is_empty() {
        let fields = group.at_risk.iter().map(|risk| risk.name.as_str()).collect();
        amber.push(format!(
            "{} cannot be written: whether the survivor gets it is up to Marketo",
            named(&fields, facts)
        ));
    }
    let risk = match (red.is_empty(), amber.is_empty()) {
        (false, _) => Risk::Red,
        (true, false) => Risk::Amber,
        (true, true) => Risk::Green,
    };
    red.extend(amber);
    (risk, red)
}

/// What would speak against the merge, had no flag allowed it.
fn allowed(group: &PlannedGroup, members: &[Lead], policy: &Policy) -> Option<String> {
    let strict = Policy {
        include_shared: false,
        merge_in_crm: false,
        across_partitions: false,
        include_deliberate: false,
        ..policy.clone()
    };
    let objection = Objection::to(members, Known { cause: group.cause, named: false }, &strict)?;
    let is_told = group.objections.iter().any(|told| told.reason == objection.reason);
    (!is_told).then(|| format!("{}; it was allowed when the plan was made", objection.why))
}

fn conflicts(group: &PlannedGroup, facts: &FieldFacts) -> Option<String> {
    let fields: BTreeSet<&str> = group.dropped.iter().map(|drop| drop.name.as_str()).collect();
    let many = if fields.len() == 1 { "value differs" } else { "values differ" };
    (!fields.is_empty()).then(|| {
        format!(
            "{} {many}, and a rule decides which stays: {}",
            fields.len(),
            named(&fields, facts)
        )
    })
}

fn opt_outs(members: &[Lead], facts: &FieldFacts) -> Option<String> {
    let fields = members.iter().flat_map(|lead| lead.fields.keys());
    let said: BTreeSet<&str> = fields
        .map(String::as_str)
        .filter(|field| facts.is_opt_out(field))
        .filter(|field| members.iter().any(|lead| lead.flag(field)))
        .collect();
    (!said.is_empty()).then(|| format!("the survivor stays opted out: {}", named(&said, facts)))
}

/// A field as Marketo's screens name it.
fn label<'a>(field: &'a str, facts: &'a FieldFacts) -> &'a str {
    facts
        .fields
        .get(field)
        .map(|fact| fact.label.as_str())
        .filter(|label| !label.is_empty())
        .unwrap_or(field)
}

fn named(fields: &BTreeSet<&str>, facts: &FieldFacts) -> String {
    let mut told: Vec<&str> = fields.iter().take(NAMED).map(|field| label(field, facts)).collect();
    let more = format!("{} more", fields.len().saturating_sub(NAMED));
    if fields.len() > NAMED {
        told.push(&more);
    }
    told.join(", ")
}
