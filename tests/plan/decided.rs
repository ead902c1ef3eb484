//! Decisions are carried out as they are, and no others.

use serde_json::json;

use super::{create, group, run, run_with, three_groups, title};

#[test]
fn a_decided_plan_is_carried_out_exactly_as_it_was_decided() {
    let instance = three_groups();
    let plan = create(&instance, "nov");
    let digest = plan["digest"].as_str().unwrap();
    let by = ["--by", "Bo"];
    let decide = |email: &str, flags: &[&str]| {
        let arguments = [&["plan", "decide", "nov", "--email", email][..], &by, flags].concat();
        run(&instance, &arguments).expect_code(0)
    };
    decide("ada@example.com", &["--keep", "2", "--value", "title=Analyst"]);
    decide("bob@example.com", &["--skip", "--note", "his boss asked"]);
    decide("pair@example.com", &["--hold"]);
    let shown = run(&instance, &["plan", "show", "nov", "--json"]).expect_code(0).json();
    assert_ne!(shown["digest"], digest);
    let ada = group(&shown, "ada@example.com");
    assert_eq!((&ada["winner"], &ada["keep"]), (&json!(2), &json!(2)), "{ada}");

    // A decision asks for an approval; without one nothing is called but what reads.
    let refused = run(&instance, &["merge", "--plan", "nov", "--confirm"]).expect_code(2);
    assert!(refused.stderr.contains("mkto-audit plan approve"), "{}", refused.picture());
    assert!(instance.sandbox.lead(1).is_some());

    run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
    let wrong = ["merge", "--plan", "nov", "--digest", digest, "--confirm"];
    let refused = run(&instance, &wrong).expect_code(2);
    assert!(refused.stderr.contains("decided about since"), "{}", refused.picture());
    let right = shown["digest"].as_str().unwrap();
    let merged = ["merge", "--plan", "nov", "--digest", right, "--confirm", "--json"];
    let merged = run(&instance, &merged).expect_code(3);
    assert!(merged.stderr.contains("approved by Cy"), "{}", merged.picture());
    let merged = merged.json();
    assert_eq!((&merged["merged"], &merged["removed"]), (&json!(1), &json!(1)), "{merged:#}");
    assert_eq!(
        (instance.sandbox.merged_into(1), title(&instance, 2)),
        (Some(2), "Analyst".to_owned())
    );
    let bob = group(&merged, "bob@example.com");
    assert!(bob["reason"].as_str().unwrap().contains("Bo skipped it"), "{bob}");
    assert!(bob["reason"].as_str().unwrap().contains("his boss asked"), "{bob}");
    assert!(instance.sandbox.lead(4).is_some() && instance.sandbox.lead(6).is_some());

    let again = run(&instance, &["merge", "--plan", "nov", "--confirm"]).expect_code(0);
    assert!(again.stderr.contains("nothing is left to do"), "{}", again.picture());
}

#[test]
fn a_record_that_is_left_out_stays_beside_the_survivor() {
    let instance = three_groups();
    instance
        .sandbox
        .put_lead(&json!({"email": "ada@example.com", "firstName": "Ada", "title": "Poet"}));
    super::fill_cache(&instance);
    create(&instance, "nov");
    let decide =
        ["plan", "decide", "nov", "--email", "ada@example.com", "--leave-out", "2", "--by", "Bo"];
    run(&instance, &decide).expect_code(0);
    run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
    run(&instance, &["merge", "--plan", "nov", "--confirm"]).expect_code(3);
    assert_eq!(instance.sandbox.merged_into(7), Some(1));
    assert_eq!(title(&instance, 2), "Programmer", "it is as it was");
    assert_eq!(instance.sandbox.merged_into(2), None);
}

#[test]
fn a_red_group_is_merged_only_where_somebody_decided_it() {
    let instance = three_groups();
    create(&instance, "nov");
    let never = [("MKTO_AUDIT__REVIEW__POLICY", "never")];
    let confirm = ["merge", "--plan", "nov", "--confirm", "--json"];
    let first = run_with(&instance, &confirm, &never).expect_code(3).json();
    let pair = group(&first, "pair@example.com");
    assert!(pair["reason"].as_str().unwrap().contains("nobody has decided"), "{pair}");
    assert!(instance.sandbox.lead(6).is_some());
    let decide = ["plan", "decide", "nov", "--email", "pair@example.com", "--merge", "--by", "Bo"];
    run(&instance, &decide).expect_code(0);
    run_with(&instance, &confirm, &never).expect_code(0);
    assert_eq!(instance.sandbox.merged_into(6), Some(5));
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_kept() {
    let instance = three_groups();
    create(&instance, "nov");
    let decide = |flags: &[&str]| {
        let arguments = ["plan", "decide", "nov", "--by", "Bo", "--email", "ada@example.com"];
        run(&instance, &[&arguments[..], flags].concat())
    };
    for (flags, words) in [
        (&["--keep", "9"][..], "not one of this group"),
        (&["--value", "createdAt=2026-01-01"], "cannot be chosen"),
        (&["--value", "noSuchField=1"], "no field"),
        (&["--value", "email=other@example.com"], "has to stay"),
        (&["--leave-out", "2"], "fewer than two"),
    ] {
        let refused = decide(flags).expect_code(2);
        assert!(refused.stderr.contains(words), "{}", refused.picture());
    }
    let shown = run(&instance, &["plan", "show", "nov", "--json"]).json();
    assert_eq!(shown["done"], 0);
}

#[test]
fn records_that_are_not_one_person_stay_out_of_every_later_plan_until_that_is_taken_back() {
    let instance = three_groups();
    create(&instance, "nov");
    let decide =
        ["plan", "decide", "nov", "--email", "ada@example.com", "--not-same", "--by", "Bo"];
    run(&instance, &decide).expect_code(0);
    let left = |plan: &serde_json::Value| {
        let all = plan["left_out"].as_array().unwrap();
        all.iter().any(|left| {
            left["key"] == "ada@example.com"
                && left["reason"].as_str().unwrap().contains("Bo said on")
        })
    };
    let later = create(&instance, "dec");
    assert!(left(&later), "{later:#}");
    let merge = run(&instance, &["merge", "--json"]).expect_code(0).json();
    let ada = group(&merge, "ada@example.com");
    assert!(ada["reason"].as_str().unwrap().contains("not one person"), "{ada}");

    let list = run(&instance, &["decisions", "list", "--json"]).expect_code(0).json();
    assert_eq!(list["decision"][0]["leads"], json!([1, 2]), "{list}");
    run(&instance, &["decisions", "forget", "ada@example.com", "--by", "Cy"]).expect_code(0);
    run(&instance, &["decisions", "forget", "ada@example.com", "--by", "Cy"]).expect_code(2);
    assert!(!left(&create(&instance, "jan")));

    // A name that changes is another matter: the word no longer counts.
    run(
        &instance,
        &["plan", "decide", "jan", "--email", "bob@example.com", "--not-same", "--by", "Bo"],
    )
    .expect_code(0);
    instance.sandbox.change_lead(4, &json!({"firstName": "Robert"}));
    let after = create(&instance, "feb");
    assert_eq!(group(&after, "bob@example.com")["losers"], json!([4]), "{after:#}");
}

#[test]
fn a_group_that_was_merged_cannot_be_decided_about_and_the_plan_says_what_was_done() {
    let instance = three_groups();
    let plan = create(&instance, "nov");
    // Exported while everything was open.
    let file = instance.path("nov.csv");
    let file = file.to_str().unwrap();
    run(&instance, &["plan", "export", "--plan", "nov", file]).expect_code(0);
    let page = instance.path("nov.html");
    let page = page.to_str().unwrap();
    run(&instance, &["plan", "export", "--plan", "nov", page]).expect_code(0);
    run(&instance, &["merge", "--plan", "nov", "--confirm"]).expect_code(3);

    let again =
        ["plan", "decide", "nov", "--email", "ada@example.com", "--keep", "2", "--by", "Bo"];
    for flags in [&again[..], &[&again[..5], &["--hold", "--by", "Bo"]].concat()] {
        let refused = run(&instance, flags).expect_code(2);
        assert!(
            refused.stderr.contains("any more: merged on")
                && refused.stderr.contains("2 went into 1"),
            "{}",
            refused.picture()
        );
    }
    // A file that changes nothing is fine; one that decides about Ada is refused as a whole.
    run(&instance, &["plan", "import", file, "--by", "Bo"]).expect_code(0);
    let group_of = |name: &str| json!({"key": format!("{name}@example.com"), "decision": "skip"});
    let decisions = json!({"schema": "mkto-audit/decisions/1", "plan": plan["plan"],
        "digest": plan["digest"], "by": "Bo", "note": null, "approve": false,
        "group": [group_of("pair"), group_of("ada")]});
    let saved = instance.file("decisions.json", decisions.to_string());
    let refused = run(&instance, &["plan", "import", saved.to_str().unwrap()]).expect_code(2);
    assert!(refused.stderr.contains("any more: merged on"), "{}", refused.picture());

    let shown = run(&instance, &["plan", "show", "nov", "--json"]).expect_code(0).json();
    let outcomes = ["ada", "bob", "pair"].map(|name| {
        let group = group(&shown, &format!("{name}@example.com"));
        (group["outcome"].as_str().unwrap().to_owned(), group["past"]["outcome"].clone())
    });
    let merged = ("merged".to_owned(), json!("merged"));
    assert_eq!(outcomes, [merged.clone(), merged, ("skipped".to_owned(), json!("skipped"))]);
    assert_eq!((&shown["merged"], &shown["left_alone"]), (&json!(2), &json!(1)));
    assert_eq!((&shown["state"], &shown["records"]), (&json!("carried_out"), &json!(0)));
    let text = run(&instance, &["plan", "show", "nov"]).expect_code(0).stdout;
    for words in
        ["merged on", "2 went into 1", "left alone by run 1", "2 groups merged, 1 left alone"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let listed = run(&instance, &["plan", "list"]).expect_code(0).stdout;
    assert!(
        listed.contains("carried out") && listed.contains("2 merged, 1 left alone"),
        "{listed}"
    );
    let page = std::fs::read_to_string(page).unwrap();
    assert!(!page.contains("\"past\""), "nothing was done yet");

    // What was left alone may still be decided about, and merged.
    let decide = ["plan", "decide", "nov", "--email", "pair@example.com", "--merge", "--by", "Bo"];
    run(&instance, &decide).expect_code(0);
    run(&instance, &["plan", "approve", "nov", "--by", "Cy"]).expect_code(0);
    run(&instance, &["merge", "--plan", "nov", "--confirm"]).expect_code(0);
    let shown = run(&instance, &["plan", "show", "nov", "--json"]).expect_code(0).json();
    assert_eq!((&shown["merged"], &shown["left_alone"]), (&json!(3), &json!(0)), "{shown:#}");
}
