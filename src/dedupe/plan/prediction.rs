//! What the survivor of a merge will hold, field by field, and where a merge did otherwise.
//!
//! For: every field of the survivor is compared with this, not only those that a plan writes. A
//! prediction is made of the leads as they are read last before the merge leaves.
//! Never: decides which value is right; the plan's changes have decided that.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::expected::{Calls, Expected};
use super::model::{Dropped, FieldChange, PlannedGroup};
use super::unwritten::unwritten;
use crate::dedupe::by_nature::differs_by_nature;
use crate::dedupe::decision::ChosenValue;
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::field_rule::{CONCAT, FieldRule, FieldRules};
use crate::dedupe::policy::Policy;
use crate::dedupe::value::{is_nothing, number_of, text_of};
use crate::lead::Lead;

/// What a survivor will hold, and which values are lost with the merge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prediction {
    /// By field; a field that differs on every lead by nature is not in it.
    pub fields: BTreeMap<String, Expected>,
    /// The values that the merge destroys because the survivor keeps another one.
    pub dropped: Vec<Dropped>,
    /// The losers' values that Marketo may or may not keep: the winner has none, and they cannot be
    /// written.
    pub at_risk: Vec<Dropped>,
    /// How many fields all leads that have a value agree on.
    pub equal: usize,
}

/// A field of a survivor that holds something else than predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Deviation {
    /// The field's REST API name.
    pub name: String,
    /// What it should hold; of several possible values the first.
    pub wanted: Value,
    /// What it holds.
    pub held: Value,
}

/// The changes of a plan as the winner holds them when a call leaves; the winner comes first. What
/// somebody wrote to it after the plan's write, between two calls of a group, is not the merge's
/// doing. An opt-out that was taken away in between stays one that is expected.
fn changes_as_held(
    changes: &[FieldChange],
    in_order: &[&Lead],
    facts: &FieldFacts,
) -> Vec<FieldChange> {
    changes
        .iter()
        .map(|change| {
            let held = winners(&change.name, in_order);
            let after = if facts.is_opt_out(&change.name) { &change.after } else { held };
            FieldChange { after: after.clone(), ..change.clone() }
        })
        .collect()
}

impl PlannedGroup {
    /// Predicts the survivor of this group from its leads, with the rules of its cause and the
    /// plan's calls.
    pub fn predict(&self, leads: &[Lead], policy: &Policy, facts: &FieldFacts) -> Prediction {
        let ids = std::iter::once(self.winner).chain(self.losers.iter().copied());
        let in_order: Vec<&Lead> =
            ids.filter_map(|id| leads.iter().find(|lead| lead.id == id)).collect();
        let calls =
            if self.one_per_call || self.in_crm { Calls::OneByOne } else { Calls::Together };
        predict_with(self.written(&self.changes), &in_order, facts, &self.rules(policy), calls)
    }

    /// Predicts the survivor of one call of the group. The winner comes first, then the losers in
    /// the order of the call, each as it is when the call leaves: the plan's changes are on the
    /// winner by then.
    pub fn predict_call(
        &self,
        in_order: &[&Lead],
        facts: &FieldFacts,
        rules: &FieldRules,
    ) -> Prediction {
        let changes = changes_as_held(&self.changes, in_order, facts);
        predict_with(self.written(&changes), in_order, facts, rules, Calls::Together)
    }

    /// How many opt-outs of its leads the survivor would not have: none, by law 5. Counted, so that
    /// it is seen.
    pub fn opt_outs_lost(&self, leads: &[Lead], policy: &Policy, facts: &FieldFacts) -> usize {
        let prediction = self.predict(leads, policy, facts);
        let takes_part = |lead: &&Lead| self.leads().any(|id| id == lead.id);
        let said_no = |field: &str| leads.iter().filter(takes_part).any(|lead| lead.flag(field));
        let lost = prediction.fields.iter().filter(|(field, expected)| {
            facts.is_opt_out(field)
                && said_no(field)
                && !Lead::new(0).with(field, expected.likeliest().clone()).flag(field)
        });
        lost.count()
    }

    fn written<'w>(&'w self, changes: &'w [FieldChange]) -> Written<'w> {
        Written { changes, blank: &self.blank, chosen: &self.decided.values }
    }
}

/// What a plan does to the winner before the merge.
#[derive(Debug, Clone, Copy)]
struct Written<'w> {
    changes: &'w [FieldChange],
    /// Fields that stay blank.
    blank: &'w BTreeSet<String>,
    /// Fields whose values a person chose, whatever their rules say.
    chosen: &'w BTreeMap<String, ChosenValue>,
}

fn predict_with(
    Written { changes, blank, chosen }: Written<'_>,
    in_order: &[&Lead],
    facts: &FieldFacts,
    rules: &FieldRules,
    calls: Calls,
) -> Prediction {
    let mut prediction = Prediction::default();
    let written: BTreeMap<&str, &FieldChange> =
        changes.iter().map(|change| (change.name.as_str(), change)).collect();
    let held = in_order.iter().flat_map(|lead| lead.fields.keys()).map(String::as_str);
    let fields: BTreeSet<&str> = held.chain(written.keys().copied()).collect();
    for field in fields {
        if differs_by_nature(field)
            || facts.is_derived(field)
            || (*rules.of(field) == FieldRule::Ignore && !chosen.contains_key(field))
        {
            continue;
        }
        let change = written.get(field).copied();
        let expected = match change {
            Some(change) => Expected::Exactly(change.after.clone()),
            // What somebody wrote to it between two calls is another matter.
            None if blank.contains(field) && is_nothing(winners(field, in_order)) => {
                Expected::Exactly(Value::Null)
            }
            None => unwritten(field, in_order, facts, calls),
        };
        let keeps_blank = *rules.of(field) == FieldRule::KeepBlank
            && !chosen.contains_key(field)
            && !facts.is_opt_out(field);
        let stays = if keeps_blank { winners(field, in_order) } else { expected.likeliest() };
        let made_of_all =
            change.is_some_and(|change| change.from.is_none()) && !chosen.contains_key(field);
        let before = prediction.dropped.len();
        for lead in in_order {
            let Some(value) = lead.value(field).filter(|value| !is_nothing(value)) else {
                continue;
            };
            let uncertain =
                matches!(expected, Expected::OneOf(_)) && is_nothing(winners(field, in_order));
            if uncertain && !keeps_blank && facts.holds(field, stays, value) {
                let (name, value) = (field.to_owned(), value.clone());
                prediction.at_risk.push(Dropped { name, lead: lead.id, value });
            }
            let kept =
                facts.holds(field, stays, value) || (made_of_all && is_part_of(value, stays));
            if !kept {
                let name = field.to_owned();
                prediction.dropped.push(Dropped { name, lead: lead.id, value: value.clone() });
            }
        }
        let unchanged =
            change.is_none_or(|change| facts.holds(field, &change.before, &change.after));
        let agreed = before == prediction.dropped.len() && unchanged && !is_nothing(stays);
        prediction.equal += usize::from(agreed);
        prediction.fields.insert(field.to_owned(), expected);
    }
    prediction
}

fn winners<'a>(field: &str, in_order: &[&'a Lead]) -> &'a Value {
    in_order.first().and_then(|lead| lead.value(field)).unwrap_or(&Value::Null)
}

/// Whether a value is in one that was made of several: a number in a sum, a text in a list.
fn is_part_of(value: &Value, whole: &Value) -> bool {
    if whole.is_number() {
        return number_of(value).is_some();
    }
    let whole = text_of(whole);
    let parts: Vec<&str> = whole.split(CONCAT).map(str::trim).collect();
    text_of(value)
        .split(CONCAT)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .all(|part| parts.contains(&part))
}

impl Prediction {
    /// Every field of the survivor that holds something else than predicted. An opt-out that it
    /// gained meanwhile is none: it stays.
    pub fn deviations(&self, survivor: &Lead, facts: &FieldFacts) -> Vec<Deviation> {
        self.fields
            .iter()
            .filter_map(|(name, expected)| {
                let held = survivor.value(name).unwrap_or(&Value::Null);
                let as_predicted = match expected {
                    Expected::Exactly(value) => facts.arrived(name, held, value),
                    Expected::OneOf(values) => {
                        values.iter().any(|value| facts.holds(name, held, value))
                    }
                };
                let gained_opt_out = facts.is_opt_out(name) && survivor.flag(name);
                (!as_predicted && !gained_opt_out).then(|| Deviation {
                    name: name.clone(),
                    wanted: expected.likeliest().clone(),
                    held: held.clone(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use std::collections::{BTreeMap, BTreeSet};

    use super::{Calls, Dropped, Prediction, Written, predict_with};
    use crate::dedupe::FieldRules;
    use crate::dedupe::{FieldChange, FieldFact, FieldFacts};
    use crate::lead::Lead;

    fn facts(fields: &[(&str, &str, bool)]) -> FieldFacts {
        let fact = |(name, data_type, writeable): &(&str, &str, bool)| {
            let data_type = (*data_type).to_owned();
            let fact = FieldFact { data_type, writeable: *writeable, ..FieldFact::default() };
            ((*name).to_owned(), fact)
        };
        FieldFacts { fields: fields.iter().map(fact).collect(), ..FieldFacts::default() }
    }

    fn predict_call(leads: &[&Lead], changes: &[FieldChange], facts: &FieldFacts) -> Prediction {
        let nothing = BTreeSet::new();
        let (blank, chosen) = (&nothing, &BTreeMap::new());
        let written = Written { changes, blank, chosen };
        predict_with(written, leads, facts, &FieldRules::default(), Calls::Together)
    }

    fn change(name: &str, before: Value, after: Value, from: Option<u64>) -> FieldChange {
        FieldChange { name: name.to_owned(), before, after, from }
    }

    #[test]
    fn each_kind_of_field_ends_as_marketo_leaves_it() {
        let facts = facts(&[
            ("leadScore", "score", true),
            ("phone", "phone", true),
            ("vip", "boolean", true),
            ("region", "string", false),
            ("unsubscribed", "boolean", true),
            ("originalUtmSource", "string", true),
            ("registrationCode", "string", true),
            ("inferredSegment", "string", true),
        ]);
        for (field, winner, loser, held, fits) in [
            ("leadScore", json!(5), json!(7), json!(12), false),
            ("leadScore", json!(5), json!(7), json!("5"), true),
            ("phone", json!("555 123 4567"), json!(null), json!("(555) 123-4567"), true),
            ("phone", json!("555 123 4567"), json!(null), json!(null), false),
            ("vip", json!(null), json!(null), json!(false), true),
            ("region", json!(null), json!("EMEA"), json!("EMEA"), true),
            ("region", json!(null), json!("EMEA"), json!(null), true),
            ("region", json!(null), json!("EMEA"), json!("APAC"), false),
            ("unsubscribed", json!(false), json!(false), json!(true), true),
            ("priority", json!(1), json!(2), json!(3), true),
            ("originalSourceType", json!("a"), json!("b"), json!("c"), true),
            ("inferredPhoneAreaCode", json!("a"), json!("b"), json!("c"), true),
            ("originalUtmSource", json!("a"), json!("b"), json!("c"), false),
            ("registrationCode", json!("a"), json!(null), json!(null), false),
            ("inferredSegment", json!("a"), json!("b"), json!(null), false),
        ] {
            let (a, b) = (Lead::new(1).with(field, winner), Lead::new(2).with(field, loser));
            let found = predict_call(&[&a, &b], &[], &facts);
            let survivor = Lead::new(1).with(field, held.clone());
            assert_eq!(found.deviations(&survivor, &facts).is_empty(), fits, "{field} {held}");
        }
    }

    #[test]
    fn what_a_sum_or_a_list_contains_is_not_dropped_and_what_is_replaced_is() {
        let facts = facts(&[("n", "integer", true), ("t", "string", true), ("s", "string", true)]);
        let a = Lead::new(1).with("n", 1).with("t", "a").with("s", "old");
        let b = Lead::new(2).with("n", 2).with("t", "b").with("s", "new ");
        let changes = [
            change("n", json!(1), json!(3), None),
            change("t", json!("a"), json!("a; b"), None),
            change("s", json!("old"), json!("new"), Some(2)),
        ];
        let found = predict_call(&[&a, &b], &changes, &facts);
        assert_eq!(found.dropped, [Dropped { name: "s".to_owned(), lead: 1, value: json!("old") }]);
        assert_eq!(found.equal, 0);
    }

    #[test]
    fn the_first_loser_decides_over_a_blank_even_with_a_blank() {
        let facts = facts(&[("region", "string", false)]);
        let leads = [Lead::new(1), Lead::new(2), Lead::new(3).with("region", "EMEA")];
        let found = predict_call(&leads.iter().collect::<Vec<_>>(), &[], &facts);
        assert_eq!(
            found.dropped,
            [Dropped { name: "region".to_owned(), lead: 3, value: json!("EMEA") }]
        );
    }
}
