//! `mkto-audit demo`: the story holds, without credentials, and keeps nothing.

use crate::support::{Run, binary};

#[test]
fn the_demo_makes_duplicates_merges_them_and_shows_that_nothing_was_lost() {
    let home = tempfile::tempdir().unwrap();
    let mut command = binary(home.path(), ["demo"]);
    let run = Run::of(command.env("MKTO_AUDIT_WIDTH", "80")).expect_code(0);
    let words = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "Marketo answered `created` 120 times: 40 people are 120 records now",
        "120 records in 40 groups of duplicates",
        // Which values a winner lacks depends on which of the three writers was first.
        ": (blank) → ",
        "40 groups merged, 80 records removed",
        "No duplicates found.",
        "40 people are 40 records again",
        "Nothing was lost.",
        "120 records: 40 created",
        "40 new people, three upserts for each: 40 records",
    ] {
        assert!(words.contains(said), "`{said}` is not in\n{}", run.picture());
    }
    let wide: Vec<&str> = run.stdout.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is kept");
}
