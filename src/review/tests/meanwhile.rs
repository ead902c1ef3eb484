//! Two people decide about one plan at the same time: nobody overwrites what they have not seen.

use super::{Bench, Choice, Decisions, Door, Error, PlanReview, Seen, choice, pair, unseen};

const ADA: &str = "ada@example.com";
const BO: &str = "bo@example.com";

fn two_groups() -> Bench {
    Bench::of(&[pair(ADA, 1), pair(BO, 11)])
}

fn of(key: &str, chosen: Choice) -> [(String, Decisions); 1] {
    [(key.to_owned(), choice(chosen))]
}

fn standing(review: &PlanReview, key: &str) -> Option<Choice> {
    review.card_by_key(key).unwrap().unwrap().decisions.choice
}

#[track_caller]
fn refused(outcome: Result<super::super::Decided, Error>, who: &str) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::DecidedMeanwhile { .. }), "{error:?}");
    assert!(error.to_string().contains(who), "{error}");
}

#[test]
fn a_file_that_was_checked_is_refused_where_somebody_decided_before_it_is_taken() {
    let bench = two_groups();
    let (import, other) = (bench.review(), bench.review());
    let digest = import.head().unwrap().digest;
    assert_eq!(import.decided_since(&digest).unwrap(), None, "checked, and good");
    other.decide(&of(BO, Choice::Hold), &unseen(), "Bo", Door::Review).unwrap();
    // Also where it is about another group: the file is of the plan as it was.
    let seen = Seen::Plan(digest.clone());
    let who = "Bo decided about bo@example.com on 2026-11-30 at 01:00 UTC";
    refused(import.decide(&of(ADA, Choice::Merge), &seen, "Ada", Door::Workbook), who);
    assert_eq!(standing(&other, ADA), None, "nothing was written");
    assert_eq!(import.decided_since(&digest).unwrap().as_deref(), Some(who));
    let now = Seen::Plan(import.head().unwrap().digest);
    import.decide(&of(ADA, Choice::Merge), &now, "Ada", Door::Workbook).unwrap();
    assert_eq!(standing(&other, ADA), Some(Choice::Merge));
}

#[test]
fn a_page_overwrites_no_decision_that_it_has_not_shown() {
    let bench = two_groups();
    let (mine, theirs) = (bench.review(), bench.review());
    let shown = mine.card_by_key(ADA).unwrap().unwrap();
    theirs.decide(&of(ADA, Choice::NotSame), &unseen(), "Bo", Door::Review).unwrap();
    let decide = |seen: &Seen, chosen| mine.decide(&of(ADA, chosen), seen, "Ada", Door::Review);
    refused(decide(&Seen::of([&shown]), Choice::Merge), "Bo decided about ada@example.com");
    assert_eq!(standing(&mine, ADA), Some(Choice::NotSame));
    assert_eq!(decide(&Seen::of([&shown]), Choice::NotSame).unwrap().changed, 0, "they agree");
    // Another group is not held up, and who has seen it may decide otherwise.
    mine.decide(&of(BO, Choice::Skip), &unseen(), "Ada", Door::Review).unwrap();
    let shown = mine.card_by_key(ADA).unwrap().unwrap();
    let made = decide(&Seen::of([&shown]), Choice::Merge).unwrap();
    assert!(made.numbers[ADA] > shown.decision_number);
    assert_eq!(standing(&theirs, ADA), Some(Choice::Merge));
}

#[test]
fn one_stale_group_keeps_all_of_a_page_out() {
    let bench = two_groups();
    let review = bench.review();
    let shown = [ADA, BO].map(|key| review.card_by_key(key).unwrap().unwrap());
    review.decide(&of(BO, Choice::Skip), &unseen(), "Bo", Door::Cli).unwrap();
    let both = [ADA, BO].map(|key| (key.to_owned(), choice(Choice::Merge)));
    refused(review.decide(&both, &Seen::of(&shown), "Ada", Door::Review), "Bo decided about bo@");
    assert_eq!(standing(&review, ADA), None);
}

#[test]
fn only_those_who_decided_since_are_named_and_a_later_word_that_was_taken_back_counts_for_nothing()
{
    let bench = two_groups();
    let review = bench.review();
    let decide = |key: &str, decided: Decisions, by: &str| {
        let seen = Seen::Plan(review.head().unwrap().digest);
        review.decide(&[(key.to_owned(), decided)], &seen, by, Door::Cli).unwrap().digest
    };
    decide(ADA, choice(Choice::Skip), "Early");
    let looked_at = decide(BO, choice(Choice::Skip), "Early");
    decide(ADA, choice(Choice::Merge), "Cy");
    decide(ADA, choice(Choice::Hold), "Di");
    decide(BO, choice(Choice::Hold), "Di");
    let who = review.decided_since(&looked_at).unwrap().unwrap();
    assert!(who.contains("Cy decided about ada@") && who.contains("Di decided about 2 groups"));
    assert!(!who.contains("Early"), "{who}");
    let refused = review.approve(&looked_at, "Ev", None).unwrap_err().to_string();
    assert!(refused.contains("Cy decided about ada@example.com"), "{refused}");
    decide(ADA, choice(Choice::Skip), "Fay");
    decide(BO, choice(Choice::Skip), "Fay");
    assert_eq!(review.decided_since(&looked_at).unwrap(), None, "it is what it was");
}
