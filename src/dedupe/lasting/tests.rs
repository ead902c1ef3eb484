//! What stands after which change, as tables.

use super::*;

fn lead(id: LeadId, first: &str) -> Lead {
    Lead::new(id).with("firstName", first)
}

fn now(leads: &[(LeadId, &str)]) -> Vec<Named> {
    let leads: Vec<Lead> = leads.iter().map(|(id, first)| lead(*id, first)).collect();
    Named::of(&leads)
}

fn word(choice: Option<Choice>, left_out: &[LeadId], leads: &[(LeadId, &str)]) -> LastingWord {
    LastingWord {
        number: 7,
        plan: "a1".to_owned(),
        plan_name: "november".to_owned(),
        choice,
        left_out: left_out.iter().copied().collect(),
        leads: now(leads),
        note: Some("a couple".to_owned()),
        by: "Bo".to_owned(),
        at: "2026-11-30T01:00:00Z".to_owned(),
    }
}

fn in_short(standing: &Standing) -> String {
    match standing {
        Standing::Over => "over".to_owned(),
        Standing::Alone(_) => "alone".to_owned(),
        Standing::LookAgain(why) => format!("look again: {}", why.split("; ").last().unwrap()),
        Standing::Decided(decided) => {
            serde_json::to_string(&Decisions { note: None, ..decided.clone() }).unwrap()
        }
    }
}

/// Records with their first names.
type Records<'r> = &'r [(LeadId, &'r str)];

const ADA: (LeadId, &str) = (1, "Ada");
const BO: (LeadId, &str) = (2, "Bo");
const CY: (LeadId, &str) = (3, "Cy");
const DI: (LeadId, &str) = (4, "Di");

#[test]
fn not_the_same_and_hold_stand_between_the_records_that_are_there_as_they_were() {
    let (not_same, hold) = (Some(Choice::NotSame), Some(Choice::Hold));
    let (two, three) = (&[ADA, BO][..], &[ADA, BO, CY][..]);
    let table: &[(Option<Choice>, Records<'_>, Records<'_>, &str)] = &[
        (not_same, two, two, "alone"),
        (not_same, two, &[BO, ADA], "alone"),
        (not_same, two, three, "look again: record 3 is new since"),
        (not_same, two, &[ADA, BO, CY, DI], "look again: records 3 and 4 are new since"),
        (not_same, two, &[ADA, (2, "Bob")], "over"),
        (not_same, two, &[ADA, (2, "Bob"), CY], "over"),
        (not_same, two, &[ADA, CY], "over"),
        (not_same, two, &[ADA], "over"),
        (not_same, two, &[CY, DI], "over"),
        (not_same, three, two, "look again: record 3 has another name since, or is gone"),
        (
            not_same,
            three,
            &[ADA, BO, (3, "Cyril"), DI],
            "look again: record 4 is new since, record 3 has another name since, or is gone",
        ),
        (hold, two, two, r#"{"decision":"hold"}"#),
        (hold, two, three, r#"{"decision":"hold"}"#),
        (hold, two, &[(1, "ADA "), (2, "bo")], r#"{"decision":"hold"}"#),
        (not_same, two, &[(1, "ADA "), (2, "bo")], "alone"),
        (hold, two, &[ADA, (2, "Bob")], "look again: record 2 has another name since, or is gone"),
        (hold, two, &[ADA, CY], "over"),
        (hold, three, two, "look again: record 3 has another name since, or is gone"),
    ];
    for (choice, then, now_there, stands) in table {
        let word = word(*choice, &[], then);
        let found = in_short(&word.standing(&now(now_there)));
        assert_eq!(found, *stands, "{choice:?} of {then:?}, now {now_there:?}");
    }
}

#[test]
fn a_record_that_was_left_out_stays_so_until_it_goes_and_is_looked_at_again_with_another_name() {
    let then = &[ADA, BO, CY];
    for (out, now_there, stands) in [
        (&[3][..], &[ADA, BO, CY][..], r#"{"left_out":[3]}"#),
        (&[3], &[ADA, BO, CY, DI], r#"{"left_out":[3]}"#),
        (&[3], &[(1, "Adele"), (2, "Bob"), CY], r#"{"left_out":[3]}"#),
        // The others were merged: nobody is asked again.
        (&[3], &[ADA, CY], r#"{"decision":"skip","left_out":[3]}"#),
        (&[2, 3], &[ADA, BO, CY], r#"{"decision":"skip","left_out":[2,3]}"#),
        (&[3], &[ADA, BO, (3, " CY")], r#"{"left_out":[3]}"#),
        (&[3], &[ADA, BO, (3, "Cyril")], "look again: record 3 has another name since"),
        (&[3], &[ADA, BO], "over"),
        (&[2, 3], &[ADA, (2, "Bob"), CY], "look again: record 2 has another name since"),
    ] {
        let found = in_short(&word(None, out, then).standing(&now(now_there)));
        assert_eq!(found, stands, "{out:?} left out, now {now_there:?}");
    }
    let both = word(Some(Choice::Hold), &[3], then).standing(&now(then));
    assert_eq!(in_short(&both), r#"{"decision":"hold","left_out":[3]}"#);
}

#[test]
fn the_words_name_who_said_it_and_when_and_which_record_is_new() {
    let not_same = word(Some(Choice::NotSame), &[], &[ADA, BO]);
    let Standing::LookAgain(why) = not_same.standing(&now(&[ADA, BO, CY])) else { panic!() };
    assert_eq!(
        why,
        "Bo said on 2026-11-30 (plan november) that records 1 and 2 are not one person (a couple); \
         record 3 is new since"
    );
    let Standing::Alone(why) = not_same.standing(&now(&[ADA, BO])) else { panic!() };
    assert_eq!(
        why,
        "Bo said on 2026-11-30 (plan november) that its records are not one person (a couple); \
         `mkto-audit decisions forget 7 --by NAME` takes that back"
    );
}

#[test]
fn a_word_stands_against_a_merge_that_another_plan_has() {
    let all = now(&[ADA, BO, CY]);
    let merging = |ids: &[LeadId]| ids.iter().copied().collect::<BTreeSet<LeadId>>();
    let not_same = word(Some(Choice::NotSame), &[], &[ADA, BO]);
    let hold = word(Some(Choice::Hold), &[], &[ADA, BO]);
    let out = word(None, &[3], &[ADA, BO, CY]);
    for (word, ids, words) in [
        (&not_same, &[1, 2, 3][..], Some("records 1 and 2 are not one person")),
        (&not_same, &[1, 2], Some("records 1 and 2 are not one person")),
        (&not_same, &[2, 3], None),
        (&hold, &[1, 2, 3], Some("held by Bo on 2026-11-30 (plan november) (a couple)")),
        (&out, &[1, 3], Some("record 3 left out by Bo on 2026-11-30 (plan november)")),
        (&out, &[1, 2], None),
    ] {
        let why = word.against(&all, &merging(ids));
        assert_eq!(why.is_some(), words.is_some(), "{ids:?}: {why:?}");
        assert!(words.is_none_or(|words| why.as_ref().unwrap().contains(words)), "{why:?}");
    }
    assert_eq!(
        not_same.against(&now(&[ADA, (2, "Bob")]), &merging(&[1, 2])),
        None,
        "a name changed"
    );
}

#[test]
fn a_later_decision_ends_a_word_only_where_it_says_otherwise() {
    let choice = |choice| Decisions { choice, ..Decisions::default() };
    let not_same = word(Some(Choice::NotSame), &[], &[ADA, BO]);
    let hold = word(Some(Choice::Hold), &[], &[ADA, BO]);
    let out = word(None, &[2], &[ADA, BO, CY]);
    let (skip, merge) = (Some(Choice::Skip), Some(Choice::Merge));
    for (word, decided, part, agrees, ends) in [
        // To merge two of them takes the word back; to merge one of them with a third does not.
        (&not_same, merge, &[1, 2, 3][..], false, true),
        (&not_same, merge, &[2, 3], false, false),
        (&not_same, Some(Choice::NotSame), &[1, 2, 3], false, true),
        // One of them is at another address now, and may come back.
        (&not_same, Some(Choice::NotSame), &[1, 3], false, false),
        (&not_same, skip, &[1, 2, 3], false, false),
        (&not_same, Some(Choice::Hold), &[1, 2, 3], false, false),
        (&not_same, None, &[1, 2, 3], false, false),
        (&hold, merge, &[1, 2], false, true),
        // Whoever skips it in one plan does not say that later ones may merge it.
        (&hold, skip, &[1, 2], false, false),
        (&out, skip, &[1, 2, 3], false, false),
        (&hold, None, &[1, 2], false, true),
        (&hold, Some(Choice::Hold), &[1, 2], true, false),
        (&out, merge, &[1, 2, 3], false, true),
        (&out, None, &[1, 3], true, false),
    ] {
        let part = part.iter().copied().collect();
        let found = word.is_ended_by(&choice(decided), &part, agrees);
        assert_eq!(found, ends, "{:?} by {decided:?} of {part:?}", word.choice);
    }
}

#[test]
fn a_choice_for_one_plan_does_not_last() {
    let of = |choice, left_out: &[LeadId]| {
        let left_out = left_out.iter().copied().collect();
        lasting_part(&Decisions { choice, left_out, winner: Some(1), ..Decisions::default() })
    };
    let out = |ids: &[LeadId]| ids.iter().copied().collect::<BTreeSet<LeadId>>();
    assert_eq!(of(Some(Choice::Skip), &[]), None);
    assert_eq!(of(Some(Choice::Merge), &[]), None);
    assert_eq!(of(None, &[]), None);
    assert_eq!(of(Some(Choice::Skip), &[2]), Some((None, out(&[2]))));
    assert_eq!(of(Some(Choice::Merge), &[2]), Some((None, out(&[2]))));
    assert_eq!(of(Some(Choice::Hold), &[2]), Some((Some(Choice::Hold), out(&[2]))));
    assert_eq!(of(Some(Choice::NotSame), &[2]), Some((Some(Choice::NotSame), out(&[]))));
}
