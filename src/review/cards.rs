//! Builds a card from what the ledger keeps of a group. Pure.

use serde_json::Value;

use super::card::{Card, CardField, CardLead, CardRole};
use super::effect::effective;
use super::loaded::Kept;
use super::view::Shown;
use crate::dedupe::{
    Cause, Decisions, Expected, FieldFacts, PlanHeader, PlannedGroup, Prediction, may_be_chosen,
};
use crate::lead::{Lead, LeadId};

/// Fields that a person reads first, after those of consent.
const FIRST: &[&str] =
    &["email", "firstName", "lastName", "company", "title", "phone", "mobilePhone", "leadScore"];

/// The group at a place with these decisions.
pub(super) fn card(place: u64, kept: &Kept, header: &PlanHeader, decisions: &Decisions) -> Card {
    shown(place, kept, header, decisions, false).card
}

/// The same with the planned group; `all`: with the fields that all records agree on.
pub(super) fn shown(
    place: u64,
    kept: &Kept,
    header: &PlanHeader,
    decisions: &Decisions,
    all: bool,
) -> Shown {
    let (group, refused) = match effective(kept, header, decisions) {
        Ok(group) => (group, None),
        Err(why) => (kept.planned.clone(), Some(why)),
    };
    let facts = &header.facts;
    let leads = in_order(&group, &kept.leads);
    let prediction = group.predict(&kept.leads, &header.policy, facts);
    let mut fields = Vec::new();
    let mut equal = 0;
    for field in names(&leads, &group).into_iter().filter(|field| !facts.is_own(field)) {
        let differs = differ(field, leads.iter().copied(), facts) || changes(field, &group);
        let is_held = leads.iter().any(|lead| !is_blank(lead.value(field)));
        if differs || (all && is_held) {
            fields.push(field_of(field, &leads, &group, &prediction, facts));
        }
        equal += usize::from(!differs && is_held);
    }
    fields.sort_by_key(|field| rank(field, facts));
    let cause = group.cause.map(Cause::in_words);
    let why_not: Vec<&str> =
        group.objections.iter().map(|objection| objection.why.as_str()).collect();
    let card = Card {
        place,
        key: group.key.to_string(),
        stored_key: group.key.as_str().to_owned(),
        risk: group.risk,
        warnings: group.warnings.clone(),
        objection: (!why_not.is_empty()).then(|| why_not.join("; ")),
        cause: group.cause,
        cause_in_words: sentence(cause.unwrap_or("it is not known how these records came about")),
        consent: consent(&group, decisions, &leads, facts),
        leads: leads.iter().map(|lead| lead_of(lead, &group, decisions)).collect(),
        dropped: group.dropped.len(),
        why: sentence(&group.reason),
        decisions: decisions.clone(),
        said_before: None,
        decision_number: 0,
        fields,
        equal,
        merges: refused.is_none() && group.merges(),
        past: None,
        refused,
    };
    Shown { card, group }
}

/// The winner, the losers in order, then who is left out, by id.
fn in_order<'l>(group: &PlannedGroup, leads: &'l [Lead]) -> Vec<&'l Lead> {
    let mut all: Vec<&Lead> =
        group.leads().filter_map(|id| leads.iter().find(|lead| lead.id == id)).collect();
    let mut others: Vec<&Lead> =
        leads.iter().filter(|lead| group.leads().all(|id| id != lead.id)).collect();
    others.sort_by_key(|lead| lead.id);
    all.extend(others);
    all
}

fn names<'a>(leads: &[&'a Lead], group: &'a PlannedGroup) -> std::collections::BTreeSet<&'a str> {
    let held = leads.iter().flat_map(|lead| lead.fields.keys());
    held.chain(group.changes.iter().map(|change| &change.name)).map(String::as_str).collect()
}

fn is_blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    }
}

/// Whether two leads hold different values.
fn differ<'l>(field: &str, leads: impl Iterator<Item = &'l Lead>, facts: &FieldFacts) -> bool {
    let mut values = leads.filter_map(|lead| lead.value(field)).filter(|v| !is_blank(Some(v)));
    let Some(first) = values.next() else { return false };
    values.any(|value| !facts.holds(field, first, value))
}

/// Whether the merge changes the field, or may.
fn changes(field: &str, group: &PlannedGroup) -> bool {
    group.changes.iter().any(|change| change.name == field && change.before != change.after)
        || group.at_risk.iter().any(|risk| risk.name == field)
        || group.dropped.iter().any(|drop| drop.name == field)
        || group.open_consent.contains(field)
        || group.decided.values.contains_key(field)
}

fn field_of(
    field: &str,
    leads: &[&Lead],
    group: &PlannedGroup,
    prediction: &Prediction,
    facts: &FieldFacts,
) -> CardField {
    let fact = facts.fields.get(field);
    let label = fact.map(|fact| fact.label.clone()).filter(|label| !label.is_empty());
    let held = |lead: &&Lead| lead.value(field).cloned().unwrap_or(Value::Null);
    let takes_part = |lead: &&&Lead| group.leads().any(|id| id == lead.id);
    let winners = leads.first().map(held).unwrap_or_default();
    let after = prediction.fields.get(field).map(Expected::likeliest).cloned().unwrap_or(winners);
    let taking_part = leads.iter().filter(takes_part).copied();
    CardField {
        name: field.to_owned(),
        label: label.unwrap_or_else(|| field.to_owned()),
        data_type: fact.map(|fact| fact.data_type.clone()).unwrap_or_default(),
        values: leads.iter().map(held).collect(),
        rule: if group.decided.values.contains_key(field) {
            "decided".to_owned()
        } else {
            group.rules.get(field).cloned().unwrap_or_else(|| "winner".to_owned())
        },
        conflict: differ(field, taking_part, facts),
        may_choose: may_be_chosen(field, facts).is_ok(),
        after,
    }
}

/// Consent first, then what tells who it is, then by label.
fn rank(field: &CardField, facts: &FieldFacts) -> (usize, usize, String) {
    let first = FIRST.iter().position(|name| *name == field.name);
    let kind = usize::from(!facts.is_of_consent(&field.name));
    (kind, first.unwrap_or(FIRST.len()), field.label.to_lowercase())
}

/// What the leads say of consent, where they differ or somebody said no.
fn consent(
    group: &PlannedGroup,
    decisions: &Decisions,
    leads: &[&Lead],
    facts: &FieldFacts,
) -> Option<String> {
    let label = |field: &str| {
        let label = facts.fields.get(field).map(|fact| fact.label.clone());
        label.filter(|label| !label.is_empty()).unwrap_or_else(|| field.to_owned())
    };
    let is_out = |lead: &Lead| decisions.left_out.contains(&lead.id);
    let takes_part = |lead: &&&Lead| group.leads().any(|id| id == lead.id) && !is_out(lead);
    let mut told = Vec::new();
    for field in facts.fields.keys().filter(|field| facts.is_opt_out(field)) {
        let said_no: Vec<LeadId> = leads
            .iter()
            .filter(takes_part)
            .filter(|lead| lead.flag(field))
            .map(|lead| lead.id)
            .collect();
        let out: Vec<LeadId> = leads
            .iter()
            .filter(|lead| !takes_part(lead) && lead.flag(field))
            .map(|lead| lead.id)
            .collect();
        if !said_no.is_empty() {
            let who = ids(&said_no);
            told.push(format!("{}: {who} said no, and so does the survivor.", label(field)));
        }
        if !out.is_empty() {
            let (who, are) = (ids(&out), if out.len() == 1 { "is" } else { "are" });
            let end =
                if said_no.is_empty() { "; the survivor does not take that over" } else { " too" };
            told.push(format!("{}: {who} {are} left out and said no{end}.", label(field)));
        }
    }
    for field in &group.open_consent {
        told.push(format!("{}: the records differ; a person has to decide.", label(field)));
    }
    (!told.is_empty()).then(|| told.join(" "))
}

fn ids(leads: &[LeadId]) -> String {
    let told: Vec<String> = leads.iter().take(3).map(ToString::to_string).collect();
    let more = leads.len().saturating_sub(3);
    match (leads.len(), more) {
        (1, _) => format!("record {}", told.join(", ")),
        (_, 0) => format!("records {}", told.join(", ")),
        _ => format!("records {} and {more} more", told.join(", ")),
    }
}

fn lead_of(lead: &Lead, group: &PlannedGroup, decisions: &Decisions) -> CardLead {
    let role = match lead.id {
        // A group that is left alone has all of its records as they were planned.
        id if decisions.left_out.contains(&id) => CardRole::LeftOut,
        id if id == group.winner => CardRole::Winner,
        id if group.losers.contains(&id) => CardRole::Loser,
        _ => CardRole::LeftOut,
    };
    let text = |text: Option<&str>| text.map(str::to_owned);
    CardLead {
        id: lead.id,
        role,
        link: None,
        email: text(lead.email()),
        first_name: text(lead.first_name()),
        last_name: text(lead.last_name()),
        company: text(lead.company()),
        created_at: lead
            .created_at()
            .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
    }
}

/// A phrase as a sentence.
fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let dot = if phrase.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{dot}", letters.as_str())
}
