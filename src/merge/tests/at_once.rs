//! Several groups under way at once: how many, which never, and what ends it.

use tokio::time::Instant;

use super::fake::Moment;
use super::*;
use crate::ledger::State;

/// Thirty pairs, whose merges take two seconds each.
fn slow_groups() -> Bench {
    let bench = thirty_groups();
    bench.fake.world().merge_takes = Duration::from_secs(2);
    bench
}

#[tokio::test(start_paused = true)]
async fn a_run_begins_with_one_group_goes_up_to_the_bound_and_is_that_much_faster() {
    let mut took = Vec::new();
    for concurrency in [1, 3] {
        let mut bench = slow_groups();
        bench.concurrency = concurrency;
        let plan = bench.plan().await;
        let begun = Instant::now();
        let report = bench.carry_out(plan).await;
        took.push(begun.elapsed());
        assert_eq!(report.count(Outcome::Merged), 30, "{report:?}");
        let at_once = bench.fake.world().at_once.clone();
        assert_eq!(at_once.iter().max(), Some(&concurrency));
        let first = if concurrency == 3 { [1, 1, 2, 1, 2, 3] } else { [1; 6] };
        assert_eq!(at_once[..6], first, "one, then two, then the bound");
    }
    // Of the time that no merge takes, the run waits most for Marketo's log.
    let waits = Duration::from_secs(15);
    assert!(
        took[0] > took[1] * 2 && took[1].saturating_sub(waits) < Duration::from_secs(25),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_one_group_follow_one_another_while_others_are_under_way() {
    let large = (100..160).map(|id| lead(id, "many@example.com"));
    let pairs = (0..6).flat_map(|n| {
        let email = format!("{n}@example.com");
        [lead(2 * n + 1, &email), lead(2 * n + 2, &email)]
    });
    let bench = Bench::new(large.chain(pairs));
    bench.fake.world().merge_takes = Duration::from_secs(2);
    // The Marketo in memory refuses to run two merges of a group at once.
    let Ran { report, .. } = bench.run().await;
    assert_eq!((report.count(Outcome::Merged), bench.ids().len()), (7, 7), "{report:?}");
    assert!(bench.fake.world().at_once.contains(&3));
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_the_running_abreast_until_a_look_went_well() {
    let bench = slow_groups();
    let mut fates = vec![Fate::Fine; 3];
    fates.push(Fate::Refused("611"));
    bench.fake.world().merge_fates = fates;
    let Ran { report, .. } = bench.run().await;
    assert_eq!((report.count(Outcome::Merged), report.count(Outcome::Failed)), (29, 1));
    let at_once = bench.fake.world().at_once.clone();
    // On the third look four may leave; the first of them fails, and the fourth goes alone.
    assert_eq!(at_once[..10], [1, 1, 2, 1, 2, 3, 1, 1, 1, 2], "{at_once:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_ends_the_run_lets_the_calls_under_way_finish_and_writes_them_down() {
    let bench = slow_groups();
    let mut fates = vec![Fate::Fine; 3];
    fates.extend([Fate::Quota, Fate::Fine, Fate::AnswerLost]);
    bench.fake.world().merge_fates = fates;
    let Ran { report, .. } = bench.run().await;
    assert!(
        matches!(
            report.stopped,
            Some(Stopped::Failed(Error::Marketo(marketo::Error::Quota { .. })))
        ),
        "{:?}",
        report.stopped
    );
    assert_eq!(bench.fake.world().merges.len(), 6, "nothing left after it");
    assert_eq!(report.count(Outcome::Merged), 5, "{report:?}");
    assert_eq!(bench.ledger().open_calls().unwrap(), []);
    assert_eq!(bench.run().await.report.count(Outcome::Merged), 25);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_calls_under_way_finish_and_begins_none() {
    let bench = slow_groups();
    let plan = bench.plan().await;
    let (fake, stop) = (&bench.fake, bench.stop.clone());
    let stopping = async {
        while fake.world().merges.len() < 6 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    let (report, ()) = tokio::join!(bench.carry_out(plan), stopping);
    assert!(matches!(report.stopped, Some(Stopped::Interrupted)), "{:?}", report.stopped);
    assert_eq!(bench.fake.world().merges.len(), 6);
    assert_eq!(report.count(Outcome::Merged), 6, "{report:?}");
    assert_eq!(bench.ledger().open_calls().unwrap(), []);
}

/// Killed with three calls under way, of which one is done, one will be, and one never: the next
/// run settles each by looking, and sends none of them while it may be under way.
#[tokio::test(start_paused = true)]
async fn three_calls_of_a_killed_run_are_settled_by_the_next_one() {
    let moments = [Moment::Before, Moment::Never, Moment::LongAfter];
    for first in 0..moments.len() {
        let bench = slow_groups();
        let mut fates = vec![Fate::Fine; 3];
        let turned = moments.iter().cycle().skip(first).take(3);
        fates.extend(turned.map(|moment| Fate::NoAnswer(*moment)));
        bench.fake.world().merge_fates = fates;
        let killed = tokio::time::timeout(Duration::from_secs(60), bench.run()).await;
        assert!(killed.is_err());
        let open = bench.ledger().open_calls().unwrap();
        let states: Vec<State> = open.iter().map(|call| call.state).collect();
        // The two before were looked at once, and absence is believed when it is seen twice.
        let (accepted, started) = (State::Accepted, State::Started);
        assert_eq!(states, [accepted, accepted, started, started, started], "law 3");
        let before = bench.fake.world().merges.len();
        let Ran { resumed, report } = bench.run().await;
        assert_eq!((resumed.settled, resumed.removed, resumed.open), (5, 4, 0), "{resumed:?}");
        assert_eq!((resumed.alarms.len(), report.stopped.is_none()), (0, true), "{report:?}");
        let world = bench.fake.world();
        assert_eq!(world.into.len(), 30);
        assert_eq!(world.merges.len() - before, 25, "the one that was not done, and the others");
        drop(world);
        let ledger = bench.ledger();
        assert_eq!(ledger.merged_into().unwrap().len(), 30);
        assert_eq!(ledger.open_calls().unwrap(), []);
    }
}

/// Two groups one of whose leads has the same value in a field by which guarded writes look leads
/// up: they have a key in common (law 10).
#[tokio::test(start_paused = true)]
async fn groups_that_have_a_key_in_common_are_never_under_way_together() {
    for (shared, most) in [(false, 3), (true, 1)] {
        let groups = (0..6).flat_map(|n| {
            let email = format!("{n}@example.com");
            let badge = if shared { "7".to_owned() } else { n.to_string() };
            [lead(2 * n + 1, &email), lead(2 * n + 2, &email)]
                .map(|lead| lead.with("title", badge.clone()))
        });
        let bench = Bench::new(groups);
        bench.fake.world().merge_takes = Duration::from_secs(2);
        bench.fake.world().searchable = vec!["title".to_owned()];
        let Ran { report, .. } = bench.run().await;
        assert_eq!(report.count(Outcome::Merged), 6, "{report:?}");
        assert_eq!(bench.fake.world().at_once.iter().max(), Some(&most), "{shared}");
    }
}
