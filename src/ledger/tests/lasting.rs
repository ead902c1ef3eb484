//! Words that outlive their plans, and approvals: what an older ledger has of them, and what counts.

use super::*;
use crate::ledger::open::of_format;

const KEY: &str = "ada@example.com";

/// Plans `p` and `q`, in this order, each with the group of Ada.
const PLANS: &str = "
    INSERT INTO plan VALUES ('p', '2026-11-01T00:00:00Z', '{}'), ('q', '2026-11-02T00:00:00Z', '{}');
    INSERT INTO plan_head (number, plan, digest, name) VALUES (1, 'p', 'd', 'november'), (2, 'q', 'e', NULL);
    INSERT INTO plan_group VALUES (1, 0, 'ada@example.com', 'green', NULL, NULL, 'ada', 1, 1, 0, 0),
        (2, 0, 'ada@example.com', 'green', NULL, NULL, 'ada', 1, 1, 0, 0);";

#[test]
fn a_ledger_of_the_format_before_keeps_its_words_and_loses_approvals_that_were_decided_about_since()
{
    let file = File::new();
    let db = of_format(14, &file.path(), INSTANCE);
    db.execute_batch(PLANS).expect("plans");
    db.execute_batch(
        r#"INSERT INTO decision (seq, plan, key, state, by, at, door, risk, losers, dropped, lost) VALUES
               (1, 'p', 'ada@example.com', '{"decision":"not_same"}', 'Bo', '2026-11-01T02:00:00.000Z', 'cli', 'red', 1, 0, 0),
               (2, 'q', 'x', '{"decision":"skip"}', 'Bo', '2026-11-02T04:00:00.000Z', 'cli', 'red', 1, 0, 0),
               (3, 'q', 'x', '{}', 'Bo', '2026-11-02T05:00:00.000Z', 'cli', 'red', 1, 0, 0);
           INSERT INTO not_same (seq, plan, key, leads, note, by, at) VALUES
               (4, 'p', 'gone@example.com', '[]', NULL, 'Cy', '2026-11-01T01:00:00.000Z'),
               (5, 'p', 'ada@example.com', '[{"id":1,"first":"Ada","last":null}]', 'two', 'Bo', '2026-11-01T02:00:00.000Z');
           INSERT INTO not_same_end (not_same, by, at) VALUES (4, 'Cy', '2026-11-01T03:00:00.000Z');
           INSERT INTO approval (plan, digest, by, at) VALUES
               ('p', 'd', 'Di', '2026-11-01T03:00:00.000Z'), ('q', 'e', 'Di', '2026-11-02T03:00:00.000Z');"#,
    )
    .expect("an older ledger");
    drop(db);
    let mut ledger = file.open();
    let words = ledger.lasting_words().unwrap();
    let told: Vec<_> = words
        .iter()
        .map(|word| (word.seq, word.choice.as_deref(), &*word.plan_name, word.note.as_deref()))
        .collect();
    assert_eq!(told, [(5, Some("not_same"), "november", Some("two"))], "4 was taken back");
    assert_eq!(words[0].leads, r#"[{"id":1,"first":"Ada","last":null}]"#);
    let is_void = |ledger: &Ledger, plan| ledger.approval_of(plan).unwrap().unwrap().is_void;
    assert!(!is_void(&ledger, "p"), "it was approved after the last decision");
    assert!(is_void(&ledger, "q"), "what was decided since and taken back voids it all the same");

    // Decided otherwise in its own plan, it counts no longer.
    ledger.decide("p", &[decision("{}")]).unwrap();
    assert_eq!(ledger.lasting_words().unwrap(), []);
    assert!(is_void(&ledger, "p"));
    let refused = ledger.db.execute("DELETE FROM lasting_word", []).unwrap_err().to_string();
    assert!(refused.contains("append-only"), "{refused}");
}

fn decision(state: &str) -> NewDecision {
    let row = DecisionRow {
        seq: 0,
        key: KEY.to_owned(),
        state: state.to_owned(),
        note: None,
        by: "Bo".to_owned(),
        at: AT.to_owned(),
        door: "cli".to_owned(),
        refused: None,
        risk: "green".to_owned(),
        losers: 1,
        dropped: 0,
        lost: 0,
        taken_over: None,
    };
    NewDecision { row, word: None, says: None, ends: Vec::new(), is_change: true }
}

fn hold(plan: &str) -> NewDecision {
    let says = LastingRow {
        seq: 0,
        plan: plan.to_owned(),
        plan_name: String::new(),
        key: KEY.to_owned(),
        choice: Some("hold".to_owned()),
        left_out: "[]".to_owned(),
        leads: "[]".to_owned(),
        note: None,
        by: "Bo".to_owned(),
        at: AT.to_owned(),
    };
    NewDecision { says: Some(says), ..decision(r#"{"decision":"hold"}"#) }
}

fn in_force(ledger: &Ledger) -> Vec<i64> {
    ledger.lasting_words().unwrap().iter().map(|word| word.seq).collect()
}

#[test]
fn an_end_counts_while_its_decision_is_the_last_one_of_its_plan() {
    let file = File::new();
    let mut ledger = file.open();
    ledger.db.execute_batch(PLANS).unwrap();
    ledger.decide("p", &[hold("p")]).unwrap();
    assert_eq!(in_force(&ledger), [1]);
    let before = |ledger: &Ledger, plan| ledger.words_before(plan, KEY).unwrap().len();
    assert_eq!((before(&ledger, "q"), before(&ledger, "p")), (1, 0), "of earlier plans alone");

    let ends = NewDecision { ends: vec![1], ..decision(r#"{"decision":"merge"}"#) };
    ledger.decide("q", std::slice::from_ref(&ends)).unwrap();
    assert_eq!(in_force(&ledger), [] as [i64; 0]);
    assert_eq!(before(&ledger, "q"), 1, "the next decision of that plan is held against it again");
    ledger.decide("q", &[decision("{}")]).unwrap();
    assert_eq!(in_force(&ledger), [1], "the decision that ended it was undone");
    ledger.decide("q", &[ends]).unwrap();
    ledger.decide("p", &[hold("p")]).unwrap();
    assert_eq!(in_force(&ledger), [2], "a new word takes the place of the old one of its plan");
    ledger.forget_words(&[2], "Cy", AT).unwrap();
    assert_eq!(in_force(&ledger), [] as [i64; 0]);
    ledger.decide("q", &[decision("{}")]).unwrap();
    assert_eq!(in_force(&ledger), [] as [i64; 0], "what was taken back stays so");
}

#[test]
fn to_forget_a_word_takes_it_out_of_the_plans_that_took_it_over_and_voids_their_approvals() {
    let file = File::new();
    let mut ledger = file.open();
    ledger.db.execute_batch(PLANS).unwrap();
    ledger.decide("p", &[hold("p")]).unwrap();
    let taken = NewDecision { word: Some(1), ..decision(r#"{"decision":"hold"}"#) };
    ledger.decide("q", &[taken]).unwrap();
    let last = |ledger: &Ledger| ledger.decisions_since("q", 0).unwrap().pop().unwrap();
    let from = last(&ledger).taken_over.unwrap();
    assert_eq!((from.word, &*from.by, &*from.plan), (1, "Bo", "november"));
    assert_eq!(ledger.who_decided("q").unwrap(), [] as [&str; 0], "nobody decided there");
    for plan in ["p", "q"] {
        ledger.approve(plan, "d", "Cy", AT, None).unwrap();
    }
    ledger.forget_words(&[1], "Di", AT).unwrap();
    let row = last(&ledger);
    assert_eq!((&*row.state, &*row.by, row.taken_over), ("{}", "Di", None));
    for plan in ["p", "q"] {
        assert!(ledger.approval_of(plan).unwrap().unwrap().is_void, "{plan}");
    }
}

#[test]
fn a_note_alone_voids_no_approval_and_any_change_does() {
    let file = File::new();
    let mut ledger = file.open();
    ledger.db.execute_batch(PLANS).unwrap();
    let is_void = |ledger: &Ledger| ledger.approval_of("p").unwrap().unwrap().is_void;
    ledger.approve("p", "d", "Cy", AT, None).unwrap();
    ledger.decide("p", &[NewDecision { is_change: false, ..decision("{}") }]).unwrap();
    assert!(!is_void(&ledger));
    ledger.decide("q", &[decision("{}")]).unwrap();
    assert!(!is_void(&ledger), "of another plan");
    ledger.decide("p", &[decision("{}")]).unwrap();
    assert!(is_void(&ledger));
    ledger.approve("p", "d", "Cy", AT, None).unwrap();
    assert!(!is_void(&ledger), "approved anew");
}
