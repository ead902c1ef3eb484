use serde_json::json;

use super::*;
use crate::ledger::{Backup, MergedLead, Role};

fn backup(role: Role, lead: Lead) -> Backup {
    Backup { key: "k".to_owned(), role, lead, lists: Some(Vec::new()), programs: Some(Vec::new()) }
}

fn loss(winner: Lead, lost: Lead, others: Vec<Lead>, changes: Vec<FieldChange>) -> Loss {
    Loss {
        merged: MergedLead {
            loser: lost.id,
            winner: winner.id,
            call: 1,
            key: "k".to_owned(),
            plan: "p".to_owned(),
            run: None,
            by: None,
            at: "2026-11-29T01:11:00Z".parse().unwrap(),
            request_id: None,
            loser_created_at: None,
            winner_created_at: None,
        },
        survivor: winner.id,
        at_first: Some(lost.clone()),
        backup: Some(backup(Role::Loser, lost)),
        winner: Some(backup(Role::Winner, winner)),
        others: others.into_iter().map(|lead| backup(Role::Loser, lead)).collect(),
        changes,
        earlier: None,
    }
}

fn live(lead: Lead) -> Live {
    Live { lead: Some(lead), lists: Vec::new(), programs: Vec::new() }
}

fn facts() -> FieldFacts {
    FieldFacts::of_writeable(["title", "phone", "unsubscribed", "leadScore", "city"])
}

/// The fields that go back to their former values, and those that are told not to.
fn back(loss: &Loss, now: Lead) -> (Vec<String>, Vec<String>) {
    let wanted = winner_wanted(loss, &live(now), &facts(), false);
    let names = wanted.report.fields.into_iter().map(|value| value.name).collect();
    (names, wanted.missing.into_iter().map(|missing| missing.what).collect())
}

#[test]
fn what_the_lost_lead_gave_goes_back_and_what_others_wrote_stays() {
    let loss = loss(
        Lead::new(1).with("title", "CTO"),
        Lead::new(2).with("title", "Boss").with("phone", "1").with("city", "Rome"),
        vec![],
        vec![],
    );
    let now = Lead::new(1).with("title", "CEO").with("phone", "1").with("city", "Rome");
    assert_eq!(back(&loss, now).0, ["city", "phone"]);
}

#[test]
fn a_value_that_the_plan_emptied_after_the_lost_lead_goes_back() {
    let change = |from| FieldChange {
        name: "title".to_owned(),
        before: json!("CTO"),
        after: json!(null),
        from: Some(from),
    };
    let of =
        |from| loss(Lead::new(1).with("title", "CTO"), Lead::new(2), vec![], vec![change(from)]);
    assert_eq!(back(&of(2), Lead::new(1)).0, ["title"]);
    assert!(
        back(&of(3), Lead::new(1)).0.is_empty(),
        "another lead's blank goes back with that one"
    );
    assert!(back(&of(2), Lead::new(1).with("title", "CEO")).0.is_empty(), "somebody wrote since");
}

#[test]
fn a_value_that_another_lost_lead_had_too_stays_and_is_told() {
    let loss = loss(
        Lead::new(1),
        Lead::new(2).with("phone", "1"),
        vec![Lead::new(3).with("phone", "1")],
        vec![],
    );
    let (fields, told) = back(&loss, Lead::new(1).with("phone", "1"));
    assert_eq!((fields.len(), told), (0, vec!["`phone` of record 1".to_owned()]));
}

#[test]
fn a_value_that_the_plan_made_of_several_goes_back_only_when_none_is_lost_any_more() {
    let change =
        FieldChange { name: "leadScore".to_owned(), before: json!(1), after: json!(6), from: None };
    let (winner, lost) = (Lead::new(1).with("leadScore", 1), Lead::new(2).with("leadScore", 2));
    let now = || Lead::new(1).with("leadScore", 6);
    let alone = loss(winner.clone(), lost.clone(), vec![], vec![change.clone()]);
    assert_eq!(back(&alone, now()).0, ["leadScore"]);
    let third = Lead::new(3).with("leadScore", 3);
    assert!(back(&loss(winner, lost, vec![third], vec![change]), now()).0.is_empty());
}

#[test]
fn an_opt_out_is_never_taken_back() {
    let loss = loss(
        Lead::new(1).with("unsubscribed", false),
        Lead::new(2).with("unsubscribed", true),
        vec![],
        vec![],
    );
    let (fields, told) = back(&loss, Lead::new(1).with("unsubscribed", true));
    assert_eq!((fields.len(), told), (0, vec!["`unsubscribed` of record 1".to_owned()]));
}

#[test]
fn a_winner_that_was_merged_on_is_left_alone_and_told() {
    let mut loss = loss(Lead::new(1), Lead::new(2).with("phone", "1"), vec![], vec![]);
    loss.survivor = 9;
    let (fields, told) = back(&loss, Lead::new(9).with("phone", "1"));
    assert!(fields.is_empty() && told[0].contains("of record 1"), "{told:?}");
}

#[test]
fn only_values_that_say_something_and_may_be_written_are_sent() {
    let lead = Lead::new(2)
        .with("phone", "1")
        .with("title", " ")
        .with("unsubscribed", false)
        .with("createdAt", "2026-01-01T00:00:00Z")
        .with("formula", "x");
    let wanted = wanted(&lead, None, Some(&Vec::new()), &facts());
    let names: Vec<&str> = wanted.fields.iter().map(|value| value.name.as_str()).collect();
    assert_eq!(names, ["phone"]);
    let told: Vec<&str> = wanted.missing.iter().map(|missing| missing.what.as_str()).collect();
    assert!(told.contains(&"formula") && told.contains(&"static lists"), "{told:?}");
}
