//! What one plan would do otherwise than another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::card::{Card, CardRole};
use super::error::Error;
use super::model::CardFilter;
use super::plan::PlanReview;
use super::view::Difference;
use crate::lead::LeadId;

/// So many groups are read at once.
const AT_ONCE: usize = 200;

/// What of a group is compared.
#[derive(Debug, PartialEq)]
struct Outcome {
    key: String,
    merges: bool,
    leads: Vec<(LeadId, CardRole)>,
    /// What the survivor holds in the fields that a card shows.
    after: BTreeMap<String, Value>,
}

/// How many groups both plans would merge alike; and those that they have otherwise, by key.
pub fn differences(a: &PlanReview, b: &PlanReview) -> Result<(u64, Vec<Difference>), Error> {
    let (a, b) = (outcomes(a)?, outcomes(b)?);
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let (mut same, mut differences) = (0, Vec::new());
    for stored in keys {
        let (in_a, in_b) = (a.get(stored), b.get(stored));
        let Some(either) = in_b.or(in_a) else { continue };
        let what = match (in_a, in_b) {
            (Some(a), Some(b)) => otherwise(a, b),
            _ => vec![in_short(either)],
        };
        if what.is_empty() {
            same += 1;
            continue;
        }
        let key = either.key.clone();
        differences.push(Difference { key, in_a: in_a.is_some(), in_b: in_b.is_some(), what });
    }
    Ok((same, differences))
}

fn outcomes(review: &PlanReview) -> Result<BTreeMap<String, Outcome>, Error> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = review.cards(&CardFilter::default(), after, AT_ONCE)?;
        let Some(last) = page.cards.last() else { return Ok(all) };
        after = Some(last.place);
        all.extend(page.cards.iter().map(|card| (card.stored_key.clone(), outcome(card))));
    }
}

fn outcome(card: &Card) -> Outcome {
    Outcome {
        key: card.key.clone(),
        merges: card.merges,
        leads: card.leads.iter().map(|lead| (lead.id, lead.role)).collect(),
        after: card.fields.iter().map(|field| (field.name.clone(), field.after.clone())).collect(),
    }
}

fn of_role(outcome: &Outcome, role: CardRole) -> String {
    let leads = outcome.leads.iter().filter(|(_, of)| *of == role).map(|(id, _)| id.to_string());
    let leads: Vec<String> = leads.collect();
    if leads.is_empty() { "none".to_owned() } else { leads.join(", ") }
}

fn in_short(outcome: &Outcome) -> String {
    let what = if outcome.merges { "merged" } else { "not merged" };
    let (winner, losers) = (of_role(outcome, CardRole::Winner), of_role(outcome, CardRole::Loser));
    format!("{what}: keeps {winner}, loses {losers}")
}

fn otherwise(a: &Outcome, b: &Outcome) -> Vec<String> {
    let mut what = Vec::new();
    if a.merges != b.merges {
        what.push(if b.merges { "merged, was not" } else { "not merged, was" }.to_owned());
    }
    for (name, role) in
        [("keeps", CardRole::Winner), ("loses", CardRole::Loser), ("leaves out", CardRole::LeftOut)]
    {
        let (before, now) = (of_role(a, role), of_role(b, role));
        if before != now {
            what.push(format!("{name} {now}, was {before}"));
        }
    }
    let fields: BTreeSet<&String> = a.after.keys().chain(b.after.keys()).collect();
    for field in fields {
        let of = |outcome: &Outcome| outcome.after.get(field).cloned();
        if let (before, now) = (of(a), of(b))
            && before != now
        {
            let told = |value: Option<Value>| match value {
                None => "the same on all records".to_owned(),
                Some(Value::Null) => "(blank)".to_owned(),
                Some(value) => value.to_string(),
            };
            what.push(format!("{field}: {}, was {}", told(now), told(before)));
        }
    }
    what
}
