//! What people decide outlives its plan, and a person may decide otherwise in a later one.

use std::collections::BTreeSet;

use super::{Bench, Choice, Decisions, Door, Error, PlanReview, Seen, choice, lead};
use crate::lead::{Lead, LeadId};
use crate::merge::lasting::{LastingWords, Said};
use crate::review::card::{Card, CardRole};
use crate::review::{Loaded, decided_plan, forget_words, kept_decisions, take_over};

const ADA: &str = "ada@example.com";

/// As many records of one person, from record 1 on.
fn group(records: LeadId) -> Vec<Lead> {
    (1..=records).map(|id| lead(id, ADA).with("city", format!("City {id}"))).collect()
}

/// Makes the next plan, as `plan create` does.
fn next(bench: &mut Bench, mut leads: Vec<Lead>, name: &str) -> PlanReview {
    // Of the same leads at the same moment it would be the same plan.
    leads[0].set("title", name.into());
    bench.plan = bench.keep(&[leads], Some(name));
    take_over(&mut bench.ledger(), super::INSTANCE, &bench.plan).unwrap();
    bench.review()
}

fn decide(review: &PlanReview, decided: Decisions, by: &str) {
    let seen = Seen::of([&card(review)]);
    review.decide(&[(ADA.to_owned(), decided)], &seen, by, Door::Review).unwrap();
}

fn card(review: &PlanReview) -> Card {
    review.card_by_key(ADA).unwrap().unwrap()
}

fn out(ids: &[LeadId]) -> Decisions {
    Decisions { left_out: ids.iter().copied().collect(), ..Decisions::default() }
}

/// What is in force, in short: the choice, and who is left out.
fn in_force(bench: &Bench) -> Vec<(Option<Choice>, BTreeSet<LeadId>, String)> {
    let kept = kept_decisions(&bench.ledger()).unwrap();
    kept.into_iter().map(|kept| (kept.decision, kept.left_out, kept.by)).collect()
}

/// Why nothing of the plan merges; none where it does.
fn left(bench: &Bench) -> Option<String> {
    let ledger = bench.ledger();
    let loaded = Loaded::of(&ledger, super::INSTANCE, &bench.plan).unwrap();
    let plan = decided_plan(&ledger, &loaded).unwrap();
    plan.left_out.first().map(|left| left.reason.clone())
}

#[test]
fn a_hold_stands_in_later_plans_until_somebody_decides_otherwise_and_again_where_that_is_undone() {
    let mut bench = Bench::of(&[group(2)]);
    let held = Decisions { note: Some("ask sales".to_owned()), ..choice(Choice::Hold) };
    decide(&bench.review(), held.clone(), "Bo");
    let second = next(&mut bench, group(3), "second");
    let shown = card(&second);
    assert_eq!((&shown.decisions, shown.merges), (&held, false));
    let words = format!("held by Bo on 2026-11-30 (plan {})", first_plan(&bench));
    assert_eq!(shown.said_before.as_deref(), Some(&*words));
    assert_eq!(left(&bench).as_deref(), Some(&*format!("{words}: ask sales")));
    assert_eq!((second.head().unwrap().done, second.head().unwrap().safe), (1, 0));

    decide(&second, choice(Choice::Merge), "Cy");
    assert_eq!((card(&second).said_before, in_force(&bench)), (None, vec![]));
    assert_eq!(left(&bench), None, "it merges now");
    decide(&second, held.clone(), "Cy");
    assert_eq!(card(&second).said_before.as_deref(), Some(&*words), "undone: Bo's word again");
    assert_eq!(in_force(&bench), [(Some(Choice::Hold), BTreeSet::new(), "Bo".to_owned())]);
    decide(&second, Decisions::default(), "Cy");
    assert_eq!(in_force(&bench), [], "taken off");
    let third = next(&mut bench, group(3), "third");
    assert_eq!((card(&third).decisions, card(&third).merges), (Decisions::default(), true));
}

fn first_plan(bench: &Bench) -> String {
    kept_decisions(&bench.ledger()).unwrap().remove(0).plan_name
}

#[test]
fn a_record_that_was_left_out_takes_no_part_later_either_and_nobody_is_asked_again() {
    let mut bench = Bench::of(&[group(3)]);
    decide(&bench.review(), out(&[3]), "Bo");
    let second = next(&mut bench, group(4), "second");
    let shown = card(&second);
    let role = |card: &Card, id| card.leads.iter().find(|lead| lead.id == id).unwrap().role;
    assert_eq!((role(&shown, 3), role(&shown, 4)), (CardRole::LeftOut, CardRole::Loser));
    let words = shown.said_before.unwrap();
    assert!(words.starts_with("record 3 left out by Bo on 2026-11-30 (plan "), "{words}");
    assert_eq!(left(&bench), None);

    // The others were merged: what is left is the survivor and the record that was left out, which
    // is the older one of the two.
    let rest = vec![lead(3, ADA), lead(20, ADA)];
    let third = next(&mut bench, rest, "third");
    let shown = card(&third);
    assert_eq!((shown.merges, shown.refused), (false, None));
    assert_eq!((shown.decisions.choice, shown.decisions.winner), (Some(Choice::Skip), Some(20)));
    assert_eq!(third.head().unwrap().done, 1, "nobody is asked again");
    assert!(left(&bench).unwrap().starts_with("record 3 left out by Bo"));
    decide(&third, choice(Choice::Merge), "Cy");
    assert_eq!((in_force(&bench), left(&bench)), (vec![], None));
}

#[test]
fn a_new_record_needs_a_decision_beside_two_that_are_not_one_person() {
    let mut bench = Bench::of(&[group(2)]);
    decide(&bench.review(), choice(Choice::NotSame), "Bo");
    let words = LastingWords::of(&bench.ledger()).unwrap();
    let said = |leads: &[Lead]| {
        let key = crate::dedupe::Key::of(ADA).unwrap();
        words.said(&key, &leads.iter().collect::<Vec<_>>())
    };
    assert!(said(&group(2)).alone.unwrap().contains("not one person"));
    let again = said(&group(3)).look_again.remove(0);
    assert!(again.contains("records 1 and 2 are not one person"), "{again}");
    assert!(again.contains("record 3 is new since"), "{again}");
    assert_eq!(said(&[lead(1, ADA), lead(2, ADA).with("firstName", "Adele")]), Said::default());

    // A plan that has them as one group all the same merges nothing.
    let second = next(&mut bench, group(3), "second");
    assert!(left(&bench).unwrap().contains("records 1 and 2 are not one person"));
    decide(&second, choice(Choice::Skip), "Cy");
    assert_eq!(in_force(&bench).len(), 1, "to skip says nothing about who is who");
    decide(&second, Decisions { choice: Some(Choice::Merge), ..out(&[2]) }, "Cy");
    assert_eq!((in_force(&bench).len(), left(&bench)), (2, None), "1 and 3 are one person");
    decide(&second, choice(Choice::Merge), "Cy");
    assert_eq!((in_force(&bench), left(&bench)), (vec![], None), "decided anew");
    decide(&second, Decisions::default(), "Cy");
    assert_eq!(in_force(&bench).len(), 1, "undone");
    assert!(left(&bench).unwrap().contains("records 1 and 2 are not one person"));
}

#[test]
fn to_forget_a_word_is_a_decision_in_every_plan_that_rests_on_it() {
    let mut bench = Bench::of(&[group(3)]);
    decide(&bench.review(), choice(Choice::Hold), "Bo");
    let second = next(&mut bench, group(3), "second");
    let digest = second.head().unwrap().digest;
    second.approve(&digest, "Cy", None).unwrap();
    assert_eq!(forget_words(&mut bench.ledger(), ADA, "Di", "2026-12-01T00:00:00Z").unwrap(), 1);
    let shown = card(&second);
    assert_eq!((shown.decisions, shown.said_before), (Decisions::default(), None));
    assert_eq!(second.head().unwrap().approval, None, "more would merge than Cy approved");
    assert_eq!(left(&bench), None);
}

#[test]
fn who_holds_a_group_may_approve_a_later_plan_and_whose_word_changes_a_merge_may_not() {
    for (decided, may) in [(choice(Choice::Hold), true), (out(&[3]), false)] {
        let mut bench = Bench::of(&[group(3)]);
        decide(&bench.review(), decided, "Bo");
        let second = next(&mut bench, group(3), "second").two_people(true);
        let digest = second.head().unwrap().digest;
        let told = second.approve(&digest, "bo ", None);
        assert_eq!(told.is_ok(), may, "{told:?}");
        second.approve(&digest, "Cy", None).unwrap();
    }
}

#[test]
fn no_door_leaves_out_the_record_to_keep() {
    let bench = Bench::of(&[group(3)]);
    let review = bench.review();
    let kept = card(&review).leads[0].id;
    let other = if kept == 3 { 2 } else { 3 };
    for door in Door::ALL {
        let decided = [(ADA.to_owned(), out(&[kept]))];
        let refused = review.decide(&decided, &super::unseen(), "Bo", door).unwrap_err();
        assert!(matches!(refused, Error::LeavesOutTheKept { .. }), "{refused:?}");
        let words = refused.to_string();
        assert!(words.contains("choose another record to keep first"), "{words}");
    }
    let why = review.preview(0, &out(&[kept])).unwrap().refused.unwrap();
    assert!(why.contains(&format!("record {kept} is the one to keep")), "{why}");
    let chosen = Decisions { winner: Some(other), ..out(&[kept]) };
    decide(&review, chosen, "Bo");
    assert_eq!(card(&review).leads[0].id, other);
}

#[test]
fn a_no_on_a_record_that_is_left_out_is_told_and_so_is_what_spoke_against_the_merge() {
    let said_no = lead(3, ADA).with("unsubscribed", true);
    let other = lead(2, ADA).with("firstName", "Zoltan").with("lastName", "Nagy");
    let bench = Bench::of(&[vec![lead(1, ADA), other, lead(4, ADA), said_no]]);
    let review = bench.review();
    let shown = review.preview(0, &out(&[3])).unwrap();
    let consent = shown.consent.unwrap();
    let words = "record 3 is left out and said no; the survivor does not take that over";
    assert!(consent.contains(words), "{consent}");
    let shown = review.preview(0, &out(&[2])).unwrap();
    let why = shown.objection.unwrap();
    assert!(why.contains("counting record 2, left out"), "{why}");
    assert!(!shown.merges, "it still waits for a decision");
    let merges = Decisions { choice: Some(Choice::Merge), ..out(&[2]) };
    assert!(review.preview(0, &merges).unwrap().merges);
}
