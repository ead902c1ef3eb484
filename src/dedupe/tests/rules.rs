//! Rules by cause, the next best lead and conditions, on the generated groups of the oracles.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::{any_group, any_order, any_policy, any_rules, facts, key, merged, oracle_winner};
use crate::dedupe::{
    Cause, CauseRules, FieldRule, Known, OPT_OUTS, PlannedGroup, Policy, plan_candidate,
    plan_group, still_as_seen,
};
use crate::lead::Lead;

fn any_cause() -> impl Strategy<Value = Cause> {
    proptest::sample::select(Cause::ALL.to_vec())
}

/// Rules of some causes, each with or without an order of its own.
fn any_causes() -> impl Strategy<Value = BTreeMap<Cause, CauseRules>> {
    let rules = (proptest::option::of(any_order()), any_rules())
        .prop_map(|(winner, fields)| CauseRules { winner, fields });
    proptest::collection::btree_map(any_cause(), rules, 0..4)
}

proptest! {
    #[test]
    fn a_blank_is_filled_from_the_lead_that_would_win_next(policy in any_policy(), (leads, _) in any_group()) {
        let mut policy = policy;
        for field in ["title", "leadScore"] {
            policy.fields.0.insert(field.to_owned(), FieldRule::NextBest);
        }
        let Ok(group) = plan_group(&key(), &leads, &policy, &facts()) else { return Ok(()) };
        let merged = merged(&group, &leads);
        let mut rest = leads.clone();
        let mut ranked = Vec::new();
        while !rest.is_empty() {
            let best = oracle_winner(&policy.winner, &rest);
            ranked.extend(rest.extract_if(.., |lead| lead.id == best));
        }
        prop_assert_eq!(ranked[0].id, group.winner);
        let score = |lead: &Lead| lead.value("leadScore").cloned();
        prop_assert_eq!(score(&merged), ranked.iter().find_map(score));
        let title = |lead: &Lead| lead.text("title").map(str::to_owned);
        prop_assert_eq!(title(&merged), ranked.iter().find_map(title));
    }

    #[test]
    fn a_group_is_decided_by_the_rules_of_its_cause_and_looked_at_again_by_the_same(
        policy in any_policy(), causes in any_causes(), cause in any_cause(), (leads, shuffled) in any_group()
    ) {
        let policy = Policy { causes: causes.clone(), include_deliberate: true, ..policy };
        let mut flat = Policy { causes: BTreeMap::new(), ..policy.clone() };
        if let Some(rules) = causes.get(&cause) {
            flat.winner = rules.winner.clone().unwrap_or(flat.winner);
            flat.fields.0.extend(rules.fields.clone());
        }
        let known = Known { cause: Some(cause), named: true };
        let planned = plan_candidate(&key(), &leads, known, &policy, &facts());
        let by_flat = plan_group(&key(), &leads, &flat, &facts());
        let of_cause = |group: PlannedGroup| PlannedGroup { cause: Some(cause), ..group };
        prop_assert_eq!(&planned, &by_flat.map(of_cause));
        let Ok(group) = planned else { return Ok(()) };
        // A kept plan has no file of ids any more, and another cause by now changes nothing.
        let kept: Policy = serde_json::from_str(&serde_json::to_string(&policy).unwrap()).unwrap();
        prop_assert_eq!(still_as_seen(&group, &shuffled, &kept, &facts()), Ok(()));
        let merged = merged(&group, &leads);
        for field in OPT_OUTS {
            prop_assert_eq!(merged.flag(field), leads.iter().any(|lead| lead.flag(field)), "{}", field);
        }
    }

    #[test]
    fn no_group_is_planned_of_which_a_condition_is_true(policy in any_policy(), (leads, _) in any_group(), least in -128..128_i64) {
        let mut policy = policy;
        let plain = plan_group(&key(), &leads, &policy, &facts());
        policy.skip_rules.when.push(format!("leadScore > {least} and vip = true").parse().unwrap());
        let mut typed = facts();
        for (field, data_type) in [("leadScore", "integer"), ("vip", "boolean")] {
            typed.fields.get_mut(field).unwrap().data_type = data_type.to_owned();
        }
        let is_hit = |lead: &Lead| lead.flag("vip") && lead.value("leadScore").and_then(Value::as_i64).is_some_and(|score| score > least);
        match plan_group(&key(), &leads, &policy, &typed) {
            Ok(group) => {
                prop_assert!(!leads.iter().any(is_hit));
                let live: Vec<Lead> = leads.iter().map(|lead| lead.clone().with("vip", true).with("leadScore", least + 1)).collect();
                prop_assert!(still_as_seen(&group, &live, &policy, &typed).is_err());
            }
            Err(left) if left.reason.contains("`skip.when`") => prop_assert!(leads.iter().any(is_hit)),
            Err(left) => prop_assert_eq!(Some(left), plain.err(), "nothing else is told otherwise"),
        }
    }
}
