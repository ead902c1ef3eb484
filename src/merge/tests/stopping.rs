//! What stops a run, what does not, and what a stopped run leaves.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_quota_that_ends_stops_the_run_and_the_next_one_goes_on() {
    let groups = (0..3).flat_map(|n| {
        let email = format!("{n}@example.com");
        [lead(2 * n + 1, &email), lead(2 * n + 2, &email)]
    });
    let mut bench = Bench::new(groups);
    bench.concurrency = 1;
    bench.fake.world().merge_fates = vec![Fate::Fine, Fate::Quota];
    let Ran { report, .. } = bench.run().await;
    assert!(matches!(
        report.stopped,
        Some(Stopped::Failed(Error::Marketo(marketo::Error::Quota { .. })))
    ));
    assert_eq!(report.count(Outcome::Merged), 1);
    let Ran { report, .. } = bench.run().await;
    assert_eq!((report.count(Outcome::Merged), bench.ids().len()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_stop_the_run() {
    let bench = thirty_groups();
    bench.fake.world().merge_fates = vec![Fate::Refused("610"); 30];
    let Ran { report, .. } = bench.run().await;
    assert!(matches!(report.stopped, Some(Stopped::Errors(_))), "{:?}", report.stopped);
    assert_eq!(bench.fake.world().merges.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn refusals_that_are_the_groups_own_stop_nothing_and_are_not_tried_again_until_the_group_changes()
 {
    let bench = thirty_groups();
    let before = bench.fake.world().leads.clone();
    bench.fake.world().merge_fates = vec![Fate::Refused("1077"); 20];
    let Ran { report, .. } = bench.run().await;
    assert!(report.stopped.is_none(), "{:?}", report.stopped);
    assert_eq!((report.count(Outcome::Failed), report.count(Outcome::Merged)), (20, 10));
    let refused: Vec<&GroupReport> =
        report.groups.iter().filter(|group| group.outcome == Outcome::Failed).collect();
    for group in &refused {
        assert_eq!(group.marketo.as_ref().map(|said| said.code.as_str()), Some("1077"));
        assert!(group.reason.as_ref().unwrap().contains("1077 no"), "{:?}", group.reason);
        for id in group.losers.iter().copied().chain(group.winner) {
            assert_eq!(bench.fake.world().leads.get(&id), before.get(&id), "law 2: as it was");
        }
    }

    let merges = bench.fake.world().merges.len();
    let Ran { report, .. } = bench.run().await;
    assert_eq!(report.count(Outcome::Skipped), 20);
    assert!(
        report.groups[0].reason.as_ref().unwrap().contains("1077 no"),
        "{:?}",
        report.groups[0]
    );
    assert_eq!(bench.fake.world().merges.len(), merges, "nothing was tried again");

    let changed = refused[0].losers[0];
    bench.fake.world().leads.get_mut(&changed).unwrap().set("title", json!("Countess"));
    let Ran { report, .. } = bench.run().await;
    assert_eq!((report.count(Outcome::Merged), report.count(Outcome::Skipped)), (1, 19));
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_nothing_half_known() {
    let bench = Bench::new(pair());
    let plan = bench.plan().await;
    bench.stop.cancel();
    let report = bench.carry_out(plan).await;
    assert!(matches!(report.stopped, Some(Stopped::Interrupted)));
    assert_eq!((bench.ids(), report.groups.len()), (vec![1, 2], 0));
    assert_eq!(bench.ledger().open_calls().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_was_carried_out_merges_nothing_a_second_time() {
    let bench = Bench::new(pair());
    let plan = bench.plan().await;
    bench.carry_out(plan.clone()).await;
    let (outcome, reason) = only(&bench.carry_out(plan).await);
    assert_eq!((outcome, reason.as_str()), (Outcome::Merged, "merged by an earlier run"));
    assert_eq!(bench.fake.world().merges.len(), 1);
}
