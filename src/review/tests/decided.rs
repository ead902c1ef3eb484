//! What holds of every decision, whatever the leads.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::facts;
use crate::dedupe::{
    Choice, ChosenValue, Decisions, FieldRule, Key, Known, OPT_OUTS, Policy, plan_decided,
    still_as_seen,
};
use crate::lead::{Lead, LeadId};

fn any_lead() -> impl Strategy<Value = Lead> {
    let text = prop_oneof![Just(Value::Null), "[ab]{0,2}".prop_map(Value::from)];
    let flag = any::<Option<bool>>().prop_map(|flag| flag.map_or(Value::Null, Value::Bool));
    let flags = proptest::collection::vec(flag, OPT_OUTS.len() + 1);
    (1..9_u64, text.clone(), text, flags, 0..3_i64, 1..4_u32).prop_map(
        |(id, title, city, flags, score, day)| {
            let mut lead = Lead::new(id)
                .with("email", "ada@example.com")
                .with("createdAt", format!("2026-01-{day:02}T00:00:00Z"))
                .with("title", title)
                .with("city", city)
                .with("leadScore", score);
            for (field, flag) in OPT_OUTS.iter().chain(&["newsletterOptIn"]).zip(flags) {
                lead.set(field, flag);
            }
            lead
        },
    )
}

fn any_value() -> impl Strategy<Value = ChosenValue> {
    prop_oneof![
        (1..9_u64).prop_map(ChosenValue::From),
        "[a-z]{0,25}".prop_map(|text| ChosenValue::Typed(Value::from(text))),
        any::<bool>().prop_map(|flag| ChosenValue::Typed(Value::from(flag))),
        (0..50_i64).prop_map(|number| ChosenValue::Typed(Value::from(number))),
        Just(ChosenValue::Typed(Value::Null)),
    ]
}

fn any_decisions() -> impl Strategy<Value = Decisions> {
    let fields = ["title", "city", "leadScore", "unsubscribed", "doNotCall", "newsletterOptIn"];
    let values = proptest::collection::btree_map(
        proptest::sample::select(fields.to_vec()).prop_map(str::to_owned),
        any_value(),
        0..4,
    );
    let left_out = proptest::collection::btree_set(1..9_u64, 0..2);
    let winner = proptest::option::of(1..9_u64);
    (winner, left_out, values).prop_map(|(winner, left_out, values)| Decisions {
        choice: Some(Choice::Merge),
        winner,
        left_out,
        values,
        note: None,
    })
}

fn any_rule() -> impl Strategy<Value = FieldRule> {
    proptest::sample::select(vec![
        FieldRule::Winner,
        FieldRule::Newest,
        FieldRule::Longest,
        FieldRule::Concat,
        FieldRule::KeepBlank,
        FieldRule::Ignore,
    ])
}

proptest! {
    #[test]
    fn a_decided_group_keeps_every_no_writes_what_was_decided_and_is_planned_the_same_again(
        leads in proptest::collection::vec(any_lead(), 2..6),
        decided in any_decisions(),
        rule in any_rule(),
    ) {
        let leads: Vec<Lead> =
            leads.into_iter().map(|lead| (lead.id, lead)).collect::<BTreeMap<LeadId, Lead>>().into_values().collect();
        let mut policy = Policy::default();
        policy.fields.0.insert("title".to_owned(), rule);
        let (facts, key) = (facts(), Key::of("ada@example.com").unwrap());
        let known = Known::default();
        let Ok(group) = plan_decided(&key, &leads, known, &policy, &facts, &decided) else { return Ok(()) };
        prop_assert_eq!(group.opt_outs_lost(&leads, &policy, &facts), 0);
        prop_assert!(group.leads().all(|id| !decided.left_out.contains(&id)));
        prop_assert!(decided.winner.is_none_or(|winner| winner == group.winner));

        let mut survivor = leads.iter().find(|lead| lead.id == group.winner).unwrap().clone();
        for change in &group.changes {
            prop_assert!(facts.is_writeable(&change.name));
            prop_assert!(facts.fits(&change.name, &change.after).is_ok());
            survivor.set(&change.name, change.after.clone());
        }
        for lead in group.leads().filter_map(|id| leads.iter().find(|lead| lead.id == id)) {
            for field in OPT_OUTS {
                prop_assert!(!lead.flag(field) || survivor.flag(field), "{}", field);
            }
        }
        let prediction = group.predict(&leads, &policy, &facts);
        for (field, chosen) in &decided.values {
            let wanted = match chosen {
                ChosenValue::From(id) => {
                    leads.iter().find(|lead| lead.id == *id).and_then(|lead| lead.value(field)).cloned()
                }
                ChosenValue::Typed(value) => facts.typed(field, value).unwrap(),
            };
            let wanted = wanted.unwrap_or(json!(null));
            let held = survivor.value(field).unwrap_or(&Value::Null);
            prop_assert!(facts.holds(field, held, &wanted), "{} {} {}", field, held, wanted);
            let predicted = prediction.fields.get(field).map(|expected| expected.likeliest().clone());
            prop_assert!(facts.holds(field, &predicted.unwrap_or_default(), &wanted), "{}", field);
        }
        let taking_part: Vec<Lead> =
            leads.iter().filter(|lead| group.leads().any(|id| id == lead.id)).cloned().collect();
        prop_assert_eq!(still_as_seen(&group, &taking_part, &policy, &facts), Ok(()));
        prop_assert_eq!(still_as_seen(&group, &leads, &policy, &facts).is_ok(), true, "whoever is left out is not looked at");
    }
}
