//! Somebody else writes while a run, or between two runs, has a group half-done.

use super::fake::{Kill, Moment};
use super::*;
use crate::dedupe::FieldRule;

#[tokio::test(start_paused = true)]
async fn a_sum_counts_each_lead_once_though_a_merge_was_done_in_part() {
    let mut bench = Bench::new(
        [(1, 1), (2, 2), (3, 4)].map(|(id, score)| lead(id, "a@example.com").with("score", score)),
    );
    bench.policy.fields.0.insert("score".into(), FieldRule::Sum);
    bench.fake.world().merge_fates = vec![Fate::StopsAfterOne];
    assert_eq!(only(&bench.run().await.report).0, Outcome::Failed);
    assert_eq!(only(&bench.run().await.report).0, Outcome::Merged);
    assert_eq!(bench.fake.world().leads[&1].value("score"), Some(&json!(7)));
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_that_was_written_for_a_merge_stays_though_its_giver_is_gone() {
    let mut killed_after_the_write = None;
    for call in 1..20 {
        let opted_out = lead(2, "a@example.com").with("doNotCall", true);
        let third = lead(3, "a@example.com").with("doNotCall", false);
        let bench = Bench::new([lead(1, "a@example.com"), opted_out, third]);
        bench.fake.world().kill = Some(Kill { call, moment: Moment::Never });
        let _killed = tokio::time::timeout(Duration::from_secs(60), bench.run()).await;
        bench.fake.world().kill = None;
        if bench.fake.world().leads[&1].flag("doNotCall") {
            killed_after_the_write = Some(bench);
            break;
        }
    }
    let bench = killed_after_the_write.expect("a run writes before it merges");
    {
        let mut world = bench.fake.world();
        assert!(world.leads[&1].flag("doNotCall"));
        world.leads.remove(&2);
        world.leads.get_mut(&3).unwrap().set("createdAt", json!("2020-01-01T00:00:00Z"));
    }
    assert_eq!(only(&bench.run().await.report).0, Outcome::Merged);
    assert_eq!(bench.ids(), [3]);
    assert!(bench.fake.world().leads[&3].flag("doNotCall"), "law 5");
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_changes_between_two_calls_of_its_group_is_not_merged() {
    for changes in [59, 60] {
        // Lead 60 is the oldest, and wins; 59 is of the last call.
        let bench = Bench::new((1..=60).map(|id| lead(id, "a@example.com")));
        bench.fake.world().merge_fates = vec![Fate::Slow(lead(changes, "other@example.com"))];
        let (outcome, reason) = only(&bench.run().await.report);
        assert_eq!((outcome, bench.ids().len()), (Outcome::Failed, 35), "{reason}");
        assert!(bench.ids().contains(&changes));
        assert_eq!(bench.ledger().open_calls().unwrap(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_winner_that_changes_while_memberships_are_read_is_not_written_to() {
    let bench = Bench::new(pair());
    let plan = bench.plan().await;
    bench.fake.world().slow_memberships = Some(lead(1, "a@example.com").with("phone", "my own"));
    assert_eq!(only(&bench.carry_out(plan).await).0, Outcome::Skipped);
    let world = bench.fake.world();
    assert_eq!((world.writes, world.leads[&1].value("phone")), (0, Some(&json!("my own"))));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_wrote_after_a_merge_is_not_taken_back_by_the_run_that_settles_it() {
    let mut settled = 0;
    for call in 0..25 {
        let bench = Bench::new(pair());
        bench.fake.world().kill = Some(Kill { call, moment: Moment::Before });
        let _killed = tokio::time::timeout(std::time::Duration::from_secs(60), bench.run()).await;
        bench.fake.world().kill = None;
        if bench.ids() != [1] || bench.ledger().open_calls().unwrap().is_empty() {
            continue;
        }
        {
            let mut world = bench.fake.world();
            let survivor = world.leads.get_mut(&1).unwrap();
            survivor.set("phone", json!("by its owner"));
            survivor.set("unsubscribed", json!(false));
        }
        bench.run().await;
        let world = bench.fake.world();
        assert_eq!(world.leads[&1].value("phone"), Some(&json!("by its owner")));
        assert!(world.leads[&1].flag("unsubscribed"), "law 5");
        settled += 1;
    }
    assert!(settled > 0, "no kill left a merge open that was done");
}
