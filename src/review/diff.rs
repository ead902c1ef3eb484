//! What one plan would do otherwise than another.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::card::{Card, CardRole};
use super::error::Error;
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

/// Where a group is in either plan.
type Pair = (Option<usize>, Option<usize>);

/// How many groups both plans would merge alike; and those that they have otherwise, by key. The
/// groups are read side by side, some at a time.
pub fn differences(a: &PlanReview, b: &PlanReview) -> Result<(u64, Vec<Difference>), Error> {
    let pairs = pairs(&a.keys()?, &b.keys()?);
    let same_rules = a.rules() == b.rules();
    let (mut same, mut differences) = (0, Vec::new());
    for some in pairs.chunks(AT_ONCE) {
        let places = |of: fn(&Pair) -> Option<usize>| some.iter().filter_map(of).collect();
        let in_a: Vec<usize> = places(|(a, _)| *a);
        let in_b: Vec<usize> = places(|(_, b)| *b);
        let (mut in_a, mut in_b) = (a.made_of(&in_a)?.into_iter(), b.made_of(&in_b)?.into_iter());
        for (at_a, at_b) in some {
            let in_a = at_a.and_then(|_| in_a.next());
            let in_b = at_b.and_then(|_| in_b.next());
            // The same leads by the same rules: nothing needs to be looked into.
            if same_rules && in_a.is_some() && in_a == in_b {
                same += 1;
                continue;
            }
            let in_a = in_a.map(|made_of| a.card_of(&made_of)).transpose()?;
            let in_b = in_b.map(|made_of| b.card_of(&made_of)).transpose()?;
            match difference(in_a.map(|card| outcome(&card)), in_b.map(|card| outcome(&card))) {
                Some(difference) => differences.push(difference),
                None => same += 1,
            }
        }
    }
    Ok((same, differences))
}

/// The groups of two plans side by side, by key. Both lists are in that order.
fn pairs(a: &[(String, usize)], b: &[(String, usize)]) -> Vec<Pair> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut pairs = Vec::new();
    loop {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((in_a, _)), Some((in_b, _))) => in_a.cmp(in_b),
        };
        let place = |next: Option<&(String, usize)>| next.map(|(_, place)| *place);
        let in_a = if order.is_le() { place(a.next()) } else { None };
        let in_b = if order.is_ge() { place(b.next()) } else { None };
        pairs.push((in_a, in_b));
    }
}

/// What is otherwise about a group; none where nothing is.
fn difference(in_a: Option<Outcome>, in_b: Option<Outcome>) -> Option<Difference> {
    let what = match (&in_a, &in_b) {
        (Some(a), Some(b)) => otherwise(a, b),
        (one, other) => vec![in_short(one.as_ref().or(other.as_ref())?)],
    };
    let (has_a, has_b) = (in_a.is_some(), in_b.is_some());
    let key = in_b.or(in_a)?.key;
    (!what.is_empty()).then_some(Difference { key, in_a: has_a, in_b: has_b, what })
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
