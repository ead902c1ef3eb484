//! What holds of every plan, whatever the leads.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::{deviations, facts, key, lead};
use crate::dedupe::{FieldRule, Policy, plan_group, still_as_seen};
use crate::lead::Lead;

fn any_lead() -> impl Strategy<Value = Lead> {
    let text = prop_oneof![Just(Value::Null), "[ab]{0,2}".prop_map(Value::from)];
    (1..20_u64, text.clone(), text, any::<Option<bool>>(), 0..3_i64, 1..4_u32).prop_map(
        |(id, phone, title, unsubscribed, score, day)| {
            lead(id)
                .with("createdAt", format!("2026-01-{day:02}T00:00:00Z"))
                .with("phone", phone)
                .with("title", title)
                .with("unsubscribed", unsubscribed.map_or(Value::Null, Value::Bool))
                .with("leadScore", score)
        },
    )
}

fn any_group() -> impl Strategy<Value = (Vec<Lead>, Vec<Lead>)> {
    proptest::collection::vec(any_lead(), 2..8).prop_flat_map(|mut leads| {
        leads.sort_by_key(|lead| lead.id);
        leads.dedup_by_key(|lead| lead.id);
        (Just(leads.clone()), Just(leads).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn the_order_of_arrival_changes_nothing((leads, shuffled) in any_group()) {
        let mut policy = Policy::default();
        policy.fields.0.insert("leadScore".to_owned(), FieldRule::Sum);
        policy.fields.0.insert("phone".to_owned(), FieldRule::Concat);
        prop_assert_eq!(
            plan_group(&key(), &leads, &policy, &facts()),
            plan_group(&key(), &shuffled, &policy, &facts())
        );
    }

    #[test]
    fn nothing_is_lost_and_nobody_appears_twice((leads, _) in any_group()) {
        let Ok(group) = plan_group(&key(), &leads, &Policy::default(), &facts()) else { return Ok(()) };
        let mut merged = leads.iter().find(|lead| lead.id == group.winner).unwrap().clone();
        for change in &group.changes {
            merged.set(&change.name, change.after.clone());
        }
        let ids: BTreeSet<u64> = group.losers.iter().copied().chain([group.winner]).collect();
        prop_assert_eq!(ids.len(), leads.len());
        prop_assert_eq!(merged.flag("unsubscribed"), leads.iter().any(|lead| lead.flag("unsubscribed")));
        for field in ["phone", "title"] {
            prop_assert_eq!(merged.text(field).is_some(), leads.iter().any(|lead| lead.text(field).is_some()));
        }
        prop_assert_eq!(deviations(&group, &leads, &merged), vec![]);
        prop_assert_eq!(still_as_seen(&group, &leads, &Policy::default(), &facts()), Ok(()));
    }
}
