//! What a plan does with a group, and that it is the same plan whatever order the leads come in.

use serde_json::json;

use super::{Deviation, PlannedGroup, plan_group, rest_as_seen, still_as_seen};
use crate::dedupe::{FieldFact, FieldFacts, FieldRule, Key, OPT_OUTS, Policy, WinnerRule};
use crate::lead::Lead;

mod properties;
mod rulings;

fn facts() -> FieldFacts {
    let writeable = ["firstName", "lastName", "phone", "title", "leadScore", "vip", "email"];
    FieldFacts::of_writeable(writeable.iter().chain(OPT_OUTS).copied())
}

fn lead(id: u64) -> Lead {
    Lead::new(id)
        .with("email", "ada@example.com")
        .with("firstName", "Ada")
        .with("lastName", "Lovelace")
        .with("createdAt", format!("2026-01-{id:02}T00:00:00Z"))
}

fn key() -> Key {
    Key::of("ada@example.com").unwrap()
}

/// What the survivor of a planned group holds otherwise than predicted.
fn deviations(planned: &PlannedGroup, leads: &[Lead], survivor: &Lead) -> Vec<Deviation> {
    deviations_by(planned, leads, survivor, &facts())
}

fn deviations_by(
    planned: &PlannedGroup,
    leads: &[Lead],
    survivor: &Lead,
    facts: &FieldFacts,
) -> Vec<Deviation> {
    planned.predict(leads, &Policy::default(), facts).deviations(survivor, facts)
}

fn reason(leads: &[Lead], policy: &Policy) -> String {
    plan_group(&key(), leads, policy, &facts()).unwrap_err().reason
}

#[test]
fn the_oldest_wins_and_gets_what_it_lacks_from_the_most_complete_loser() {
    let leads =
        [lead(1), lead(2).with("phone", "2"), lead(3).with("phone", "3").with("title", "Countess")];
    let group = plan_group(&key(), &leads, &Policy::default(), &facts()).unwrap();
    assert_eq!((group.winner, group.losers.as_slice()), (1, [3, 2].as_slice()));
    let changes: Vec<_> = group
        .changes
        .iter()
        .map(|change| (change.name.as_str(), &change.after, change.from))
        .collect();
    assert_eq!(changes, [("phone", &json!("3"), Some(3)), ("title", &json!("Countess"), Some(3))]);
}

#[test]
fn an_opt_out_of_any_lead_is_the_winners() {
    for opt_out in OPT_OUTS {
        let mut policy = Policy::default();
        policy.fields.0.insert((*opt_out).to_owned(), FieldRule::Winner);
        let leads = [lead(1).with(opt_out, false), lead(2).with(opt_out, true)];
        let group = plan_group(&key(), &leads, &policy, &facts()).unwrap();
        assert_eq!(group.expected.get(*opt_out), Some(&json!(true)), "{opt_out}");
        assert_eq!(group.changes.len(), 1, "{opt_out}");
    }
}

#[test]
fn an_opt_out_that_cannot_be_written_keeps_the_group_out() {
    let leads = [lead(1), lead(2).with("unsubscribed", true)];
    let left_out =
        plan_group(&key(), &leads, &Policy::default(), &FieldFacts::default()).unwrap_err();
    assert_eq!(
        left_out.reason,
        "the rule `any_true` would change `unsubscribed`, which cannot be written on this instance"
    );
}

#[test]
fn a_crm_record_wins_whatever_the_order_says() {
    let mut policy = Policy::default();
    policy.winner.0 = vec![WinnerRule::Oldest];
    let leads = [lead(1), lead(2).with("sfdcLeadId", "00Q1")];
    assert_eq!(plan_group(&key(), &leads, &policy, &facts()).unwrap().winner, 2);
}

#[test]
fn groups_that_may_not_be_one_person_or_are_others_business_are_left_alone_until_asked_for() {
    let crm = [lead(1).with("sfdcContactId", "0031"), lead(2).with("sfdcLeadId", "00Q1")];
    let partitions = [lead(1).with("leadPartitionId", 1), lead(2).with("leadPartitionId", 2)];
    let shared = [lead(1), lead(2).with("firstName", "Alan").with("lastName", "Turing")];
    let plain = Policy::default();
    for (leads, flag, allowing) in [
        (&crm, "--merge-in-crm", Policy { merge_in_crm: true, ..plain.clone() }),
        (&partitions, "--across-partitions", Policy { across_partitions: true, ..plain.clone() }),
        (&shared, "--include-shared", Policy { include_shared: true, ..plain.clone() }),
    ] {
        assert!(reason(leads, &plain).contains(flag), "{}", reason(leads, &plain));
        assert!(plan_group(&key(), leads, &allowing, &facts()).is_ok(), "{flag}");
    }
    let in_crm = Policy { merge_in_crm: true, ..plain };
    assert!(plan_group(&key(), &crm, &in_crm, &facts()).unwrap().in_crm);
}

#[test]
fn a_lead_with_another_or_no_key_is_no_member() {
    let leads =
        [lead(1), lead(2).with("email", "other@example.com"), lead(3).with("email", "null")];
    assert_eq!(
        reason(&leads, &Policy::default()),
        "fewer than two leads have this key any more; scan again"
    );
}

#[test]
fn what_changed_since_the_plan_is_named() {
    let policy = Policy::default();
    let leads = [lead(1), lead(2).with("phone", "2")];
    let planned = plan_group(&key(), &leads, &policy, &facts()).unwrap();
    let check = |live: &[Lead]| still_as_seen(&planned, live, &policy, &facts());
    assert_eq!(check(&leads), Ok(()));
    let [a, b] = leads;
    for (live, words) in [
        (vec![a.clone()], "lead 2 is gone"),
        (vec![a.clone(), b.clone().with("email", "new@example.com")], "lead 2 has another key"),
        (
            vec![a.clone(), b.clone().with("createdAt", "2026-02-02T00:00:00Z")],
            "lead 2 is another one",
        ),
        (vec![a.clone(), b.clone().with("unsubscribed", true)], "lead 2 changed"),
        (vec![a.clone(), b.clone().with("phone", "3")], "lead 2 changed"),
        (vec![a.clone().with("sfdcLeadId", "00Q"), b.clone()], "lead 1 changed"),
        (vec![a.clone(), b.clone().with("title", "Dr")], "would be merged otherwise"),
    ] {
        let reason = check(&live).unwrap_err();
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn a_survivor_that_lost_a_planned_value_is_seen_and_a_new_opt_out_stays() {
    let leads = [lead(1), lead(2).with("phone", "2")];
    let planned = plan_group(&key(), &leads, &Policy::default(), &facts()).unwrap();
    assert_eq!(deviations(&planned, &leads, &lead(1).with("phone", "2")), []);
    assert_eq!(
        deviations(&planned, &leads, &lead(1).with("phone", "2").with("unsubscribed", true)),
        []
    );
    assert_eq!(deviations(&planned, &leads, &lead(1)).len(), 1);
}

#[test]
fn a_false_that_may_be_unset_is_written_out_before_a_true_can_replace_it() {
    let leads = [lead(1).with("vip", false), lead(2).with("vip", true)];
    let group = plan_group(&key(), &leads, &Policy::default(), &facts()).unwrap();
    let [change] = group.changes.as_slice() else { panic!("{:?}", group.changes) };
    assert_eq!(
        (change.name.as_str(), &change.before, &change.after),
        ("vip", &json!(false), &json!(false))
    );
    assert_eq!(deviations(&group, &leads, &lead(1).with("vip", true)).len(), 1);
    assert_eq!(deviations(&group, &leads, &lead(1)), []);
}

fn typed(fields: &[(&str, &str, bool)]) -> FieldFacts {
    let mut facts = facts();
    for (field, data_type, writeable) in fields {
        let fact = FieldFact {
            label: (*field).to_owned(),
            data_type: (*data_type).to_owned(),
            length: Some(10),
            writeable: *writeable,
        };
        facts.fields.insert((*field).to_owned(), fact);
    }
    facts
}

#[test]
fn a_custom_opt_out_stays_and_a_consent_that_differs_is_a_persons_to_decide() {
    let facts = typed(&[("smsOptOut", "boolean", true), ("gdprConsent", "boolean", true)]);
    let planned = |field: &str, policy: &Policy| {
        let leads = [lead(1).with(field, false), lead(2).with(field, true)];
        plan_group(&key(), &leads, policy, &facts)
    };
    let group = planned("smsOptOut", &Policy::default()).unwrap();
    assert_eq!(group.expected.get("smsOptOut"), Some(&json!(true)));
    for rule in ["winner", "next_best", "all_true", "min", "keep_blank", "prefer:[\"false\"]"] {
        let mut policy = Policy::default();
        policy.fields.0.insert("smsOptOut".to_owned(), rule.parse().unwrap());
        let group = planned("smsOptOut", &policy).unwrap();
        assert_eq!(group.expected.get("smsOptOut"), Some(&json!(true)), "{rule}");
        assert_eq!((group.dropped, group.at_risk), (vec![], vec![]), "{rule}");
    }
    let reason = planned("gdprConsent", &Policy::default()).unwrap_err().reason;
    assert!(reason.contains("differ in `gdprConsent`"), "{reason}");
    let mut policy = Policy::default();
    policy.fields.0.insert("gdprConsent".to_owned(), FieldRule::AllTrue);
    assert_eq!(
        planned("gdprConsent", &policy).unwrap().expected.get("gdprConsent"),
        Some(&json!(false))
    );
}

#[test]
fn the_reason_of_an_opt_out_comes_with_it() {
    let facts = typed(&[("unsubscribedReason", "text", true)]);
    let leads = [
        lead(1).with("unsubscribedReason", "stale"),
        lead(2).with("unsubscribed", true).with("unsubscribedReason", "asked"),
    ];
    let group = plan_group(&key(), &leads, &Policy::default(), &facts).unwrap();
    assert_eq!(group.expected.get("unsubscribedReason"), Some(&json!("asked")));
}

#[test]
fn a_value_that_is_too_long_leaves_the_group_alone_until_a_rule_says_otherwise() {
    let facts = typed(&[("motto", "string", true)]);
    let leads = [lead(1), lead(2).with("motto", "much too long")];
    let reason = plan_group(&key(), &leads, &Policy::default(), &facts).unwrap_err().reason;
    assert!(reason.contains("lead 2's value") && reason.contains("`motto` takes 10"), "{reason}");
    for rule in [FieldRule::KeepBlank, FieldRule::Ignore] {
        let mut policy = Policy::default();
        policy.fields.0.insert("motto".to_owned(), rule.clone());
        let group = plan_group(&key(), &leads, &policy, &facts).unwrap();
        assert_eq!(
            (group.changes.len(), group.dropped.len()),
            (0, usize::from(rule == FieldRule::KeepBlank))
        );
    }
}

#[test]
fn a_later_losers_value_that_cannot_be_written_is_saved_by_one_loser_a_call() {
    let facts = typed(&[("region", "string", false)]);
    let leads = [lead(1), lead(2).with("phone", "2"), lead(3).with("region", "EMEA")];
    let group = plan_group(&key(), &leads, &Policy::default(), &facts).unwrap();
    assert_eq!((group.losers.as_slice(), group.one_per_call), ([2, 3].as_slice(), true));
    assert_eq!(group.dropped, []);
}

#[test]
fn a_phone_that_marketo_rewrote_is_no_change_and_a_new_drop_is_named() {
    let facts = typed(&[("phone", "phone", true)]);
    let policy = Policy::default();
    let leads =
        [lead(1).with("title", "Dr"), lead(2).with("phone", "555-123-4567").with("vip", "a")];
    let mut facts = facts;
    facts.fields.entry("phone".to_owned()).and_modify(|fact| fact.length = Some(255));
    let planned = plan_group(&key(), &leads, &policy, &facts).unwrap();
    let [a, b] = leads;
    let rewritten = b.clone().with("phone", "+1 (555) 123-4567");
    assert_eq!(still_as_seen(&planned, &[a.clone(), rewritten], &policy, &facts), Ok(()));
    let reason =
        still_as_seen(&planned, &[a.clone(), b.clone().with("title", "Prof")], &policy, &facts)
            .unwrap_err();
    assert!(reason.contains("`title` of lead 2") && reason.contains("\"Prof\""), "{reason}");
    let other = b.with("phone", "555-123-4568");
    let reason = still_as_seen(&planned, &[a, other], &policy, &facts).unwrap_err();
    assert!(reason.contains("lead 2 changed") && reason.contains("`phone`"), "{reason}");
}

#[test]
fn a_rule_that_does_not_fit_a_value_keeps_the_group_out() {
    let mut policy = Policy::default();
    policy.fields.0.insert("title".to_owned(), FieldRule::Sum);
    let leads = [lead(1), lead(2).with("title", "Countess")];
    assert_eq!(
        reason(&leads, &policy),
        "the rule `sum` on `title` needs numbers, which lead 2 does not hold there"
    );
}

#[test]
fn the_spread_of_the_plans_own_opt_out_is_no_change_and_another_opt_out_is() {
    let policy = Policy::default();
    let leads = [lead(1), lead(2).with("unsubscribed", true), lead(3)];
    let planned = plan_group(&key(), &leads, &policy, &facts()).unwrap();
    let [a, b, c] = leads;
    let check = |c: Lead| still_as_seen(&planned, &[a.clone(), b.clone(), c], &policy, &facts());
    assert_eq!(check(c.clone().with("unsubscribed", true)), Ok(()));
    assert!(check(c.clone().with("doNotCall", true)).is_err());
    assert!(check(c.with("unsubscribed", true).with("firstName", "Augusta")).is_err());
}

#[test]
fn the_last_updated_lead_may_be_updated_again_and_its_rival_may_not() {
    let mut policy = Policy::default();
    policy.winner.0 = vec![WinnerRule::LastUpdated];
    let (old, new) = ("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z");
    let leads = [lead(1).with("updatedAt", old), lead(2).with("updatedAt", new)];
    let planned = plan_group(&key(), &leads, &policy, &facts()).unwrap();
    assert_eq!(planned.winner, 2);
    let [a, b] = leads;
    let later = "2026-02-03T00:00:00Z";
    assert_eq!(
        still_as_seen(
            &planned,
            &[a.clone(), b.clone().with("updatedAt", later)],
            &policy,
            &facts()
        ),
        Ok(())
    );
    assert!(still_as_seen(&planned, &[a.with("updatedAt", later), b], &policy, &facts()).is_err());
}

#[test]
fn a_number_or_a_time_that_is_written_otherwise_is_no_change() {
    let policy = Policy::default();
    let leads = [lead(1), lead(2).with("leadScore", 5)];
    let planned = plan_group(&key(), &leads, &policy, &facts()).unwrap();
    let created = "2026-01-02T00:00:00+0000";
    let live = [lead(1), lead(2).with("leadScore", 5).with("createdAt", created)];
    assert_eq!(still_as_seen(&planned, &live, &policy, &facts()), Ok(()));
    assert_eq!(deviations(&planned, &leads, &lead(1).with("leadScore", 5.0)), []);
}

#[test]
fn a_value_that_would_be_dropped_and_changed_is_not_the_one_that_the_plan_names() {
    let a = lead(1).with("title", "Countess");
    let b = |title: &str| lead(2).with("title", title);
    let policy = Policy::default();
    let planned = plan_group(&key(), &[a.clone(), b("Dr")], &policy, &facts()).unwrap();
    let check = |title| still_as_seen(&planned, &[a.clone(), b(title)], &policy, &facts());
    assert_eq!(check("Dr"), Ok(()));
    assert_eq!(check("Dr "), Ok(()), "as Marketo stores it, it is the same");
    assert!(check("Prof").unwrap_err().contains("`title` of lead 2 changed (\"Dr\" → \"Prof\")"));
}

#[test]
fn between_two_calls_no_loser_has_a_value_that_the_plan_does_not_drop() {
    let leads = [lead(1).with("title", "Countess"), lead(2), lead(3).with("phone", "3")];
    let policy = Policy::default();
    let planned = plan_group(&key(), &leads, &policy, &facts()).unwrap();
    let winner = leads[0].clone().with("phone", "3");
    let check = |winner: &Lead, loser: Lead| {
        rest_as_seen(&planned, &[loser.id], &[winner.clone(), loser], &policy, &facts())
    };
    let rest = *planned.losers.last().unwrap();
    let loser = leads.iter().find(|lead| lead.id == rest).unwrap().clone();
    assert_eq!(check(&winner, loser.clone()), Ok(()));
    assert_eq!(check(&winner.clone().with("phone", "by hand"), loser.clone()), Ok(()));
    assert!(check(&winner, loser.with("title", "Dr")).unwrap_err().contains("`title` of lead"));
}

#[test]
fn a_field_that_was_hidden_since_takes_its_group_out() {
    let leads = [lead(1), lead(2)];
    let policy = Policy::default();
    let planned = plan_group(&key(), &leads, &policy, &facts()).unwrap();
    let mut hidden = facts();
    hidden.fields.remove("unsubscribed");
    let reason = still_as_seen(&planned, &leads, &policy, &hidden).unwrap_err();
    assert!(
        reason.contains("`unsubscribed` (this instance no longer shows the field)"),
        "{reason}"
    );
    let planned = plan_group(&key(), &leads, &policy, &hidden).unwrap();
    assert_eq!(still_as_seen(&planned, &leads, &policy, &hidden), Ok(()));
}
