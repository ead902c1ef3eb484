//! What is written to the winner before a merge, and what it must hold afterwards.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::chosen::{Wishes, chosen_value};
use super::model::FieldChange;
use super::ruling::{Ruling, Rulings};
use super::together::{self, Givers};
use super::value::choose;
use crate::dedupe::by_nature::differs_by_nature;
use crate::dedupe::consent;
use crate::dedupe::consent::sense::Sense;
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::facts::holds::WhyNot;
use crate::dedupe::field_rule::{Chosen, FieldRule, OPT_OUTS};
use crate::dedupe::policy::Policy;
use crate::dedupe::value::is_nothing;
use crate::lead::{Lead, LeadId};

/// What a plan does with the fields of a group.
#[derive(Debug, Default)]
pub(super) struct Draft<'l> {
    /// What the winner gets.
    pub(super) changes: Vec<FieldChange>,
    /// What it must hold afterwards: every changed field, and every one with a rule that is more
    /// than a default.
    pub(super) expected: BTreeMap<String, Value>,
    /// Fields that are blank and stay so, whatever a loser holds there.
    pub(super) blank: BTreeSet<String>,
    /// Consent fields in which the leads differ and that nobody has decided.
    pub(super) open_consent: BTreeSet<String>,
    rulings: Rulings<'l>,
    givers: Givers<'l>,
    /// Fields whose values a person chose.
    decided: BTreeSet<&'l str>,
    /// Changes of fields that were seen to be blocked, where the winner already has a value.
    pub(super) refused: BTreeSet<String>,
    /// Fields that keep the winner's value only because they are blocked.
    pub(super) kept: BTreeSet<String>,
}

/// A value for a field of the winner.
struct Wanted<'a> {
    field: &'a str,
    ruling: Ruling<'a>,
    after: Value,
    from: Option<LeadId>,
    /// Whether the group is left alone where it cannot be written.
    firm: bool,
    /// Whether a blank stays blank though a loser has a value.
    blank_stays: bool,
}

/// What the winner, who comes first, gets, and what it must hold afterwards; or why the rules
/// cannot be carried out.
pub(super) fn field_changes<'l>(
    in_order: &[&'l Lead],
    policy: &'l Policy,
    facts: &'l FieldFacts,
    wishes: Wishes<'l>,
) -> Result<Draft<'l>, String> {
    let chosen = &wishes.decided.values;
    let rulings: Rulings<'l> = fields(in_order, policy)
        .into_iter()
        .chain(chosen.keys().map(String::as_str))
        .map(|field| (field, policy.ruling(field, facts)))
        .collect();
    let givers = together::givers(&rulings, in_order, policy, facts, chosen)?;
    let mut draft = Draft::default();
    for (field, ruling) in &rulings {
        if let Some(chosen) = chosen.get(*field) {
            let (after, from) = chosen_value(field, chosen, in_order, facts)?;
            let wanted =
                Wanted { field, ruling: *ruling, after, from, firm: true, blank_stays: true };
            draft.take(&wanted, in_order, facts)?;
            draft.decided.insert(field);
            continue;
        }
        let conflict = (policy.asks_a_person(field, facts))
            .then(|| consent::conflict(field, in_order, facts))
            .flatten();
        let is_open = conflict.is_some();
        if let Some(reason) = conflict {
            if !wishes.lenient {
                return Err(reason);
            }
            draft.open_consent.insert((*field).to_owned());
        }
        let (rule, firm) = match (ruling, givers.giver(ruling)) {
            // Until a person says otherwise, a no counts.
            _ if is_open && says_yes(field, facts) => (&FieldRule::AllTrue, false),
            (Ruling::Rule { rule, firm }, _) => (*rule, *firm),
            (Ruling::With(_) | Ruling::Bundle { .. }, None) => (&FieldRule::Winner, false),
            (Ruling::With(_) | Ruling::Bundle { .. }, Some(giver)) => {
                draft.take(&whole(field, *ruling, giver, facts), in_order, facts)?;
                continue;
            }
        };
        let unset = in_order.iter().all(|lead| lead.value(field).is_none());
        if matches!(rule, FieldRule::KeepBlank | FieldRule::Ignore) || (firm && unset) {
            continue;
        }
        let Chosen { value: after, from } = choose(rule, field, in_order, policy)?;
        let firm = firm && *rule != FieldRule::Winner;
        let wanted = Wanted { field, ruling: *ruling, after, from, firm, blank_stays: false };
        draft.take(&wanted, in_order, facts)?;
    }
    draft.rulings = rulings;
    draft.givers = givers;
    Ok(draft)
}

/// The giver's value of a field of a bundle, a blank too.
fn whole<'a>(field: &'a str, ruling: Ruling<'a>, giver: &Lead, facts: &FieldFacts) -> Wanted<'a> {
    let held = giver.value(field).filter(|value| !is_nothing(value)).cloned();
    let blank = if facts.data_type(field) == "boolean" { Value::Bool(false) } else { Value::Null };
    let firm = matches!(ruling, Ruling::Bundle { firm: true, .. });
    Wanted {
        field,
        ruling,
        after: held.unwrap_or(blank),
        from: Some(giver.id),
        firm,
        blank_stays: true,
    }
}

impl Draft<'_> {
    fn take(
        &mut self,
        wanted: &Wanted<'_>,
        in_order: &[&Lead],
        facts: &FieldFacts,
    ) -> Result<(), String> {
        let Wanted { field, after, from, firm, .. } = wanted;
        let Some(winner) = in_order.first() else { return Ok(()) };
        let before = winner.value(field).cloned().unwrap_or(Value::Null);
        let writeable = facts.is_writeable(field);
        if !facts.holds(field, &before, after) {
            if !writeable && *firm {
                return Err(format!(
                    "the rule `{}` would change `{field}`, which cannot be written on this instance",
                    wanted.ruling.in_words()
                ));
            }
            let blocked = facts.is_blocked(field, &before);
            if blocked && !firm {
                self.kept.insert((*field).to_owned());
            } else if writeable {
                facts.fits(field, after).map_err(|why| too_long(&why, *from))?;
                if blocked {
                    self.refused.insert((*field).to_owned());
                }
                self.write(field, before, after.clone(), *from);
            }
            // What cannot be written and has no firm rule is Marketo's to fill, from the first
            // loser.
        } else if writeable && could_turn_true(field, &before, in_order) {
            self.write(field, before, Value::Bool(false), Some(winner.id));
        } else if writeable && wanted.blank_stays && is_nothing(after) {
            if in_order.iter().any(|lead| lead.value(field).is_some_and(|value| !is_nothing(value)))
            {
                self.blank.insert((*field).to_owned());
            }
        } else if writeable && *firm {
            self.expected.insert((*field).to_owned(), before);
        }
        Ok(())
    }

    fn write(&mut self, field: &str, before: Value, after: Value, from: Option<LeadId>) {
        self.expected.insert(field.to_owned(), after.clone());
        self.changes.push(FieldChange { name: field.to_owned(), before, after, from });
    }

    /// What decided over a field, in words.
    pub(super) fn rule_in_words(&self, field: &str, winner: &Lead, facts: &FieldFacts) -> String {
        if self.decided.contains(field) {
            return "decided".to_owned();
        }
        let Some(ruling) = self.rulings.get(field) else { return FieldRule::Winner.to_string() };
        let is_firm =
            matches!(ruling, Ruling::Rule { firm: true, .. } | Ruling::Bundle { firm: true, .. });
        if !is_firm && !facts.is_writeable(field) && winner.value(field).is_none_or(is_nothing) {
            return "none, Marketo fills a blank that cannot be written".to_owned();
        }
        match ruling {
            Ruling::With(_) | Ruling::Bundle { .. } if self.givers.giver(ruling).is_none() => {
                FieldRule::Winner.to_string()
            }
            ruling => ruling.in_words(),
        }
    }
}

/// Whether one loser a call saves a value that cannot be written: the winner and the first loser
/// have none, and Marketo takes no other loser's.
pub(super) fn saved_one_by_one(in_order: &[&Lead], policy: &Policy, facts: &FieldFacts) -> bool {
    let [winner, first, later @ ..] = in_order else { return false };
    let later_fields: BTreeSet<&str> =
        later.iter().flat_map(|lead| lead.fields.keys()).map(String::as_str).collect();
    later_fields.into_iter().any(|field| {
        let blank = |lead: &Lead| lead.value(field).is_none_or(is_nothing);
        let ruled_out = matches!(policy.fields.of(field), FieldRule::KeepBlank | FieldRule::Ignore);
        let left_to_marketo = !facts.is_writeable(field)
            && facts.fields.contains_key(field)
            && !differs_by_nature(field)
            && !facts.is_derived(field)
            && !ruled_out;
        left_to_marketo && blank(winner) && blank(first) && later.iter().any(|lead| !blank(lead))
    })
}

/// Whether the field is a boolean whose true is a consent.
fn says_yes(field: &str, facts: &FieldFacts) -> bool {
    facts.data_type(field) == "boolean" && consent::sense_of(field, facts) == Some(Sense::Consent)
}

fn too_long(why: &WhyNot, from: Option<LeadId>) -> String {
    let whose = from.map_or("the values of several leads together".to_owned(), |lead| {
        format!("lead {lead}'s value")
    });
    format!(
        "{whose} cannot be written: {why}; Marketo would cut it. The rule `keep_blank` or `ignore` for the field would go on without it"
    )
}

fn fields<'a>(in_order: &[&'a Lead], policy: &'a Policy) -> BTreeSet<&'a str> {
    let held = in_order.iter().flat_map(|lead| lead.fields.keys());
    held.chain(policy.fields.0.keys()).map(String::as_str).chain(OPT_OUTS.iter().copied()).collect()
}

/// Whether the winner's false may be an unset boolean, which Marketo shows as false, so that a
/// loser's true would replace it in the merge. Written out, it stays.
fn could_turn_true(field: &str, before: &Value, in_order: &[&Lead]) -> bool {
    is_nothing(before) && in_order.iter().any(|lead| lead.value(field) == Some(&Value::Bool(true)))
}
