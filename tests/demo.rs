//! `mkto-audit demo`: the story holds, without credentials, and keeps nothing.

use crate::support::{Run, binary};

#[test]
fn the_demo_makes_duplicates_merges_them_and_shows_that_nothing_was_lost() {
    let home = tempfile::tempdir().unwrap();
    let run = Run::of(&mut binary(home.path(), ["demo"])).expect_code(0);
    for words in [
        "Marketo answered `created` 120 times: 40 people are 120 leads now",
        "120 records in 40 groups of duplicates",
        // Which values a winner lacks depends on which of the three writers was first.
        ": (blank) → ",
        "40 groups merged, 80 leads removed",
        "No duplicates found.",
        "40 people are 40 leads again",
        "Nothing was lost.",
        "120 records: 40 created",
        "40 new people, three upserts for each: 40 leads",
    ] {
        assert!(run.stdout.contains(words), "`{words}` is not in\n{}", run.picture());
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is kept");
}
