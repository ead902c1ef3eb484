//! Runs of older formats, and leads that are made anew.

use super::*;
use crate::ledger::open::of_format_six;

fn told(ledger: &Ledger) -> Vec<(u64, String, Option<String>, u64, bool)> {
    let runs = ledger.runs().expect("the runs");
    runs.into_iter()
        .map(|run| {
            let ended = run.ended_at.map(|at| at.to_rfc3339());
            (run.id.number(), run.plan.unwrap_or_default(), ended, run.removed, run.complete)
        })
        .collect()
}

#[test]
fn the_ends_of_an_older_ledger_become_runs_with_their_merges() {
    let file = File::new();
    let db = of_format_six(&file.path(), INSTANCE);
    db.execute_batch(
        "INSERT INTO plan VALUES ('p1', '2026-11-01T00:00:00Z', '{}'), ('p2', '2026-11-02T00:00:00Z', '{}');
         INSERT INTO call (id, plan, kind, key) VALUES (1, 'p1', 'merge', 'a'), (2, 'p2', 'merge', 'b'), (3, 'p2', 'merge', 'c');
         INSERT INTO journal (call, event, at, survivor, merged) VALUES
             (1, 'planned', '2026-11-01T01:00:00.000Z', NULL, NULL),
             (1, 'verified', '2026-11-01T01:01:00.000Z', 1, '[11,12]'),
             (2, 'planned', '2026-11-02T01:00:00.000Z', NULL, NULL),
             (2, 'verified', '2026-11-02T01:01:00.000Z', 2, '[21]'),
             (3, 'planned', '2026-11-03T01:00:00.000Z', NULL, NULL);
         INSERT INTO run_end (seq, plan, at, complete) VALUES
             (1, 'p1', '2026-11-01T02:00:00.000Z', 1), (2, 'p2', '2026-11-02T02:00:00.000Z', 0);",
    )
    .expect("an older ledger");
    drop(db);
    let ledger = file.open();
    let at = |day: &str| Some(format!("2026-11-{day}T02:00:00+00:00"));
    assert_eq!(
        told(&ledger),
        [
            (3, "p2".to_owned(), None, 0, false),
            (2, "p2".to_owned(), at("02"), 1, false),
            (1, "p1".to_owned(), at("01"), 2, true),
        ]
    );
    let merged = ledger.merged_leads().expect("the merges");
    let runs: Vec<(LeadId, u64)> =
        merged.iter().map(|one| (one.loser, one.run.map_or(0, RunId::number))).collect();
    assert_eq!(runs, [(11, 1), (12, 1), (21, 2)]);
}

#[test]
fn a_making_is_open_until_its_end_is_known() {
    let file = File::new();
    let mut ledger = file.open();
    let begun = NewRun { kind: RunKind::Restore, plan: None, digest: None, by: Some("ada") };
    let run = ledger.begin_run(&begun, AT).expect("a run");
    ledger.save_plan("p", AT, "{}").expect("a plan");
    let call = NewCall {
        kind: CallKind::Write,
        key: String::new(),
        leads: Vec::new(),
        purpose: Purpose::Prepare,
        values: Vec::new(),
    };
    let call = ledger.plan_calls("p", &[call], AT).expect("a call");
    let call: u64 = call[0].to_string().parse().expect("a number");
    let making = NewMaking {
        run,
        lost: 2,
        call,
        field: "email".to_owned(),
        fields: vec!["email".to_owned()],
        known: vec![1],
    };
    let id = ledger.begin_making(&making, AT).expect("a making");
    drop(ledger);
    let mut ledger = file.open();
    let open = ledger.open_makings().expect("the open ones");
    assert_eq!((open.len(), &open[0].what), (1, &making));
    assert_eq!(ledger.made_in_place_of(2, call).expect("none yet"), None);
    ledger.end_making(id, Some(20), "a look", AT).expect("its end");
    assert!(ledger.open_makings().expect("none").is_empty());
    assert_eq!(ledger.made_in_place_of(2, call).expect("the new one"), Some(20));
    // The run was killed before it could say more: the lead is there all the same.
    assert_eq!(ledger.restored_leads().expect("it").len(), 1);
    for table in ["run", "making", "making_end"] {
        let refused = ledger.db.execute(&format!("DELETE FROM {table}"), []).unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{table}: {refused}");
    }
}
