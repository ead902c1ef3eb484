//! Which spelling of an address the survivor keeps.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{can_be_mailed, clean};
use crate::dedupe::{
    FieldFacts, FieldRule, Key, PlannedGroup, Policy, normalise, plan_group, still_as_seen,
};
use crate::lead::Lead;

/// Spellings of `ada@example.com` that no mail reaches.
const DIRTY: &[&str] = &[
    "ada@example.com\u{202f}",
    "ada@example.com ",
    "\tada@example.com",
    "ada@example.com\u{a0}",
    "ada\u{3000}@example.com",
    "ada@exam\u{200b}ple.com",
    "\u{feff}ada@example.com",
    "ada@example.com\u{200e}",
    "ada@example.com\r\n",
    "ada@example.com\u{7}",
    "mailto:ada@example.com",
    "<ada@example.com>",
    "Ada <ada@example.com>",
    "ada@example.com.",
    "'ada@example.com'",
    "ada@example.com;",
    "ada＠example.com",
    "ada@example.com\u{ad}",
    "\u{2060}ada@example.com",
];

fn lead(id: u64, email: &str) -> Lead {
    Lead::new(id).with("email", email).with("createdAt", format!("2026-01-{id:02}T00:00:00Z"))
}

fn facts() -> FieldFacts {
    FieldFacts::of_writeable(["email", "phone"])
}

fn plan(leads: &[Lead], facts: &FieldFacts) -> Result<PlannedGroup, String> {
    let key = Key::of("ada@example.com").unwrap();
    plan_group(&key, leads, &Policy::default(), facts).map_err(|left_out| left_out.reason)
}

fn email_of(group: &PlannedGroup) -> Option<(&Value, Option<u64>)> {
    group
        .changes
        .iter()
        .find(|change| change.name == "email")
        .map(|change| (&change.after, change.from))
}

#[test]
fn the_survivor_gets_the_spelling_that_can_be_mailed_from_the_lead_that_has_it() {
    for dirty in DIRTY {
        let leads = [lead(1, dirty), lead(2, "Ada@example.com")];
        let group = plan(&leads, &facts()).unwrap();
        assert_eq!(email_of(&group), Some((&json!("Ada@example.com"), Some(2))), "{dirty:?}");
        assert_eq!(group.expected.get("email"), Some(&json!("Ada@example.com")));
        assert!(group.reason.contains("its email is spelled with"), "{}", group.reason);
        assert_eq!(
            still_as_seen(&group, &leads, &Policy::default(), &facts()),
            Ok(()),
            "{dirty:?}"
        );
    }
}

#[test]
fn where_no_spelling_can_be_mailed_the_address_is_written_without_what_hides_in_it() {
    for dirty in DIRTY {
        let group = plan(&[lead(1, dirty), lead(2, dirty)], &facts()).unwrap();
        assert_eq!(email_of(&group), Some((&json!("ada@example.com"), None)), "{dirty:?}");
    }
}

#[test]
fn case_alone_and_a_clean_winner_change_nothing() {
    for (winner, loser) in
        [("Ada@Example.com", "ada@example.com"), ("ada@example.com", " ada@example.com\u{202f}")]
    {
        let group = plan(&[lead(1, winner), lead(2, loser)], &facts()).unwrap();
        assert_eq!(email_of(&group), None, "{winner:?} {loser:?}");
        assert!(!group.reason.contains("spelled"), "{}", group.reason);
    }
}

#[test]
fn where_the_email_cannot_be_written_the_only_good_spelling_is_not_merged_away() {
    let unwritten = FieldFacts { not_taken: BTreeSet::from(["email".to_owned()]), ..facts() };
    for facts in [FieldFacts::of_writeable(["phone"]), unwritten] {
        let why = plan(&[lead(1, "ada@example.com\u{202f}"), lead(2, "ada@example.com")], &facts)
            .unwrap_err();
        assert!(why.contains("cannot be written") && why.contains("lead 2"), "{why}");
        let group =
            plan(&[lead(1, "ada@example.com\u{202f}"), lead(2, "ada@example.com ")], &facts)
                .unwrap();
        assert!(group.reason.contains("cannot be written"), "{}", group.reason);
        assert_eq!(email_of(&group), None);
    }
}

#[test]
fn what_is_no_address_without_the_marks_either_is_left_as_it_is_and_said() {
    let leads = [lead(1, "ada@localhost\u{202f}"), lead(2, "ada@localhost")];
    let policy = Policy { include_shared: true, ..Policy::default() };
    let group = plan_group(&Key::of("ada@localhost").unwrap(), &leads, &policy, &facts()).unwrap();
    assert_eq!(email_of(&group), None);
    assert!(group.reason.contains("no valid address"), "{}", group.reason);
}

#[test]
fn a_rule_for_the_email_is_kept_and_its_value_made_clean() {
    let mut policy = Policy::default();
    policy.fields.0.insert("email".to_owned(), FieldRule::Newest);
    let key = Key::of("ada@example.com").unwrap();
    let leads = [lead(1, "ADA@example.com"), lead(2, "ada@example.com\u{202f}")];
    let group = plan_group(&key, &leads, &policy, &facts()).unwrap();
    assert!(
        email_of(&group)
            .is_none_or(|(value, _)| value.as_str().is_some_and(|text| clean(text) == text)),
        "{:?}",
        email_of(&group)
    );
}

#[test]
fn what_can_be_mailed_is_told_from_what_cannot() {
    for address in [
        "ada@example.com",
        "a.d+a@mail.example.org",
        "o'brien@example.com",
        "\"ada l\"@example.com",
        "ada@bücher.example",
    ] {
        assert!(can_be_mailed(address), "{address}");
        assert_eq!(clean(address), address);
    }
    for address in [
        "ada",
        "@example.com",
        "ada@",
        "ada@example",
        "ada@example..com",
        "ada@exam_ple,com",
        "a b@example.com",
        "ada@@example.com",
    ] {
        assert!(!can_be_mailed(address), "{address}");
    }
}

proptest! {
    #[test]
    fn cleaning_twice_is_cleaning_once_and_keeps_the_key(text in "\\PC{0,20}|[<>\"' .@a-c,;:()]{0,14}|.{0,20}") {
        let once = clean(&text);
        prop_assert_eq!(clean(&once), once.clone());
        prop_assert_eq!(normalise(&once), normalise(&text));
    }

    #[test]
    fn marks_anywhere_in_an_address_never_make_another_key(
        place in 0..16_usize,
        mark in proptest::sample::select(&['\u{202f}', '\u{a0}', '\u{200b}', '\u{feff}', ' ', '\t', '\0', '\u{2009}', '\u{85}', '\u{2028}'][..]),
    ) {
        let mut text = "ada@example.com".to_owned();
        text.insert(place.min(text.len()), mark);
        prop_assert_eq!(clean(&text), "ada@example.com");
        prop_assert_eq!(normalise(&text), Some("ada@example.com".to_owned()));
    }
}
