//! What is looked for after a merge is settled: Marketo's own record, and memberships.

use super::*;
use crate::ledger::{FindingKind, RunId, WitnessKind};
use crate::marketo::MergeRecord;

fn pair() -> Bench {
    let lead = |id| Lead::new(id).with("email", "a@example.com");
    Bench::new([lead(1), lead(2)])
}

/// The verdicts of the looks of a kind at the merges of the first run, the oldest first.
fn verdicts(bench: &Bench, kind: WitnessKind) -> Vec<String> {
    let looks = bench.ledger().witness_of(RunId::from(1)).unwrap();
    let of_kind = looks.into_iter().filter(|look| look.kind == kind.as_str());
    of_kind.flat_map(|look| look.seen).map(|seen| seen.verdict).collect()
}

#[tokio::test(start_paused = true)]
async fn a_record_that_comes_late_and_contradicts_stops_the_next_run_and_stays_open() {
    let bench = pair();
    bench.fake.world().records_nothing = true;
    let first = bench.run().await.report;
    assert!(first.stopped.is_none(), "a row that is missing stops nothing: {first:?}");
    assert_eq!(verdicts(&bench, WitnessKind::Log), ["not_seen"]);
    bench.fake.world().recorded.push(MergeRecord {
        winner: 1,
        then: Some(1),
        losers: vec![2],
        at: None,
        request_id: None,
        user: Some("somebody@example.com".to_owned()),
        method: None,
        source: None,
        by_another_user: true,
    });
    let next = bench.run().await.resumed;
    assert!(next.alarms[0].contains("somebody@example.com"), "{next:?}");
    assert_eq!(verdicts(&bench, WitnessKind::Log), ["not_seen", "contradicts"]);
    // The alarm is given once; the finding stays, though the leads are gone as they should be.
    for _ in 0..2 {
        let later = bench.run().await.resumed;
        assert!(later.alarms.is_empty(), "{later:?}");
        assert_eq!(later.findings.len(), 1, "{later:?}");
        assert_eq!(later.findings[0].1.kind, FindingKind::Merge);
    }
    assert_eq!(verdicts(&bench, WitnessKind::Log).len(), 2, "it is not looked for again");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_seen_on_the_survivor_is_looked_for_by_the_next_run() {
    let bench = pair();
    {
        let mut world = bench.fake.world();
        world.lists.entry(1).or_default().extend([1, 2]);
        world.lists.entry(2).or_default().insert(2);
        world.drops_lists = true;
    }
    let first = bench.run().await.report;
    assert!(first.stopped.is_none(), "what is read can lag: {first:?}");
    assert_eq!(verdicts(&bench, WitnessKind::Members), ["missing"]);
    bench.run().await;
    let looks = verdicts(&bench, WitnessKind::Members);
    assert!(looks.len() > 1 && looks.iter().all(|look| look == "missing"), "{looks:?}");
    bench.fake.world().lists.entry(2).or_default().insert(1);
    for _ in 0..2 {
        bench.run().await;
    }
    let mut later = verdicts(&bench, WitnessKind::Members).split_off(looks.len());
    assert_eq!(later.pop().as_deref(), Some("carried"), "and that ends it");
    assert_eq!(later, [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_ends_no_run_and_nothing_is_said_to_be_seen() {
    let bench = pair();
    bench.fake.world().denies_merges = true;
    let report = bench.run().await.report;
    assert!(report.stopped.is_none(), "{report:?}");
    assert_eq!(verdicts(&bench, WitnessKind::Log), [] as [&str; 0]);
    bench.fake.world().denies_merges = false;
    bench.run().await;
    assert_eq!(verdicts(&bench, WitnessKind::Log), ["seen"]);
}
