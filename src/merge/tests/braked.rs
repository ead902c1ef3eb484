//! What ends a run before its plan does although nothing is wrong: the next run goes on.

use super::*;

/// That a run ended for this, and that the next one merges the rest.
async fn goes_on_after(mut bench: Bench, ended: Report, merged: usize) {
    assert!(matches!(ended.stopped, Some(Stopped::Braked(_))), "{:?}", ended.stopped);
    assert_eq!(ended.count(Outcome::Merged), merged, "{ended:?}");
    assert_eq!(ended.count(Outcome::Unknown), 0, "{ended:?}");
    {
        let world = bench.fake.world();
        assert_eq!(world.merges.len(), merged);
        // Winners that were written to and not merged are as they were.
        let is_as_it_was = |lead: &Lead| lead.value("phone").is_none_or(|phone| phone == "7");
        assert!(world.leads.values().all(is_as_it_was), "law 2");
    }
    assert_eq!(bench.ledger().open_calls().unwrap(), []);
    bench.brakes = Brakes::default();
    assert_eq!(bench.run().await.report.count(Outcome::Merged), 30 - merged);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_changed_outside_the_hours() {
    let mut bench = thirty_groups();
    // The ledger's time is noon of a Tuesday.
    bench.brakes.hours = Some("Mon-Fri 20:00-06:00 UTC".parse().unwrap());
    let plan = bench.plan().await;
    let before = bench.fake.world().calls;
    let report = bench.carry_out(plan).await;
    assert_eq!(bench.fake.world().calls, before, "nobody was asked for anything");
    assert_eq!(bench.fake.world().writes, 0);
    goes_on_after(bench, report, 0).await;

    let mut bench = thirty_groups();
    bench.brakes.hours = Some("Tue 11:00-13:00 UTC".parse().unwrap());
    assert_eq!(bench.run().await.report.count(Outcome::Merged), 30);
}

#[tokio::test(start_paused = true)]
async fn a_stop_file_that_appears_lets_the_calls_under_way_finish_and_begins_none() {
    let mut bench = thirty_groups();
    bench.fake.world().merge_takes = Duration::from_secs(2);
    let file = bench.folder.path().join("stop");
    bench.brakes.stop_file = Some(file.clone());
    let plan = bench.plan().await;
    let fake = &bench.fake;
    let somebody = async {
        while fake.world().merges.len() < 6 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::fs::write(&file, "").unwrap();
    };
    let (report, ()) = tokio::join!(bench.carry_out(plan), somebody);
    goes_on_after(bench, report, 6).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_when_others_need_the_calls_that_are_left_of_the_day() {
    let mut bench = thirty_groups();
    bench.fake.world().merge_takes = Duration::from_secs(100);
    bench.fake.world().calls_of_all = 40_000;
    bench.brakes.share = Some(Share { quota: 50_000, left_to_others: 5_000 });
    let plan = bench.plan().await;
    let fake = &bench.fake;
    let others = async {
        while fake.world().merges.len() < 7 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        fake.world().calls_of_all = 46_000;
    };
    let (report, ()) = tokio::join!(bench.carry_out(plan), others);
    let merged = report.count(Outcome::Merged);
    assert!((7..30).contains(&merged), "{merged}");
    assert!(bench.fake.world().usage_asked <= 4, "{}", bench.fake.world().usage_asked);
    goes_on_after(bench, report, merged).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_see_the_calls_of_the_day_merges_all_the_same() {
    let mut bench = thirty_groups();
    bench.fake.world().refuses_usage = Some("603");
    bench.brakes.share = Some(Share { quota: 50_000, left_to_others: 5_000 });
    assert_eq!(bench.run().await.report.count(Outcome::Merged), 30);
    assert_eq!(bench.fake.world().usage_asked, 1);
}
