//! Rows go with their lead: moved and verified before the merge, linked back where it is not made,
//! and none is ever lost.

use super::super::fake::{Kill, Moment};
use super::*;

/// A group of two and a group of three; every lead but the winners has rows.
fn bench() -> Bench {
    let bench = Bench::new(leads());
    let mut world = bench.fake.world();
    for (lead, model) in [(1, "A"), (2, "B"), (2, "C"), (12, "D"), (13, "E"), (13, "F")] {
        world.put_row(lead, model);
    }
    drop(world);
    bench
}

fn leads() -> Vec<Lead> {
    vec![
        lead(1, "a@example.com"),
        lead(2, "a@example.com").with("phone", "7"),
        lead(11, "b@example.com"),
        lead(12, "b@example.com"),
        lead(13, "b@example.com"),
    ]
}

/// Every row that was there is on the lead that it hung on, or on the one that took that in.
fn no_row_is_lost(bench: &Bench, before: &BTreeMap<String, LeadId>, told: &str) {
    let world = bench.fake.world();
    assert_eq!(world.lost_rows, BTreeSet::new(), "{told}");
    let now = world.row_leads();
    for (row, was) in before {
        let mut owner = *was;
        while let Some(into) = world.into.get(&owner) {
            owner = *into;
        }
        assert_eq!(now.get(row), Some(&owner), "{told}: {row} of lead {was}");
    }
    assert!(now.values().all(|lead| world.leads.contains_key(lead)), "{told}: {now:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_are_moved_and_verified_before_the_merge() {
    let bench = bench();
    let before = bench.fake.world().row_leads();
    let Ran { report, .. } = bench.run().await;
    assert_eq!((report.count(Outcome::Merged), bench.ids()), (2, vec![1, 11]), "{report:?}");
    no_row_is_lost(&bench, &before, "merged");
    let moved: Vec<usize> =
        report.groups.iter().map(|group| group.rows.get("car_c").copied().unwrap_or(0)).collect();
    assert_eq!(moved, [2, 3], "{report:?}");
    let ledger = bench.ledger();
    assert_eq!(ledger.unsettled_rows(None).unwrap(), []);
    let left: Vec<LeadId> = ledger.rows_that_left(2).unwrap().iter().map(|row| row.to).collect();
    assert_eq!(left, [1, 1], "the ledger knows where each was");
    assert!(ledger.open_calls().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_which_rows_move_and_its_group_is_amber() {
    let bench = bench();
    let plan = bench.plan().await;
    for group in &plan.groups {
        assert_eq!(group.risk, crate::dedupe::Risk::Amber, "{group:?}");
        let told = group.warnings.iter().any(|told| told.contains("of car_c move to record"));
        assert!(told, "{:?}", group.warnings);
    }
}

#[tokio::test(start_paused = true)]
async fn rows_stay_and_the_group_is_left_alone_where_the_setting_says_so() {
    let mut bench = bench();
    bench.policy.leave_rows = true;
    let before = bench.fake.world().row_leads();
    let plan = bench.plan().await;
    assert_eq!((plan.groups.len(), plan.left_out.len()), (0, 2));
    let reason = &plan.left_out[0].reason;
    assert!(reason.contains("merge.custom_objects") && reason.contains("car_c"), "{reason}");
    bench.carry_out(plan).await;
    let world = bench.fake.world();
    assert_eq!((world.row_leads(), world.links, world.merges.len()), (before, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_merge_that_marketo_refuses_are_linked_back() {
    let bench = bench();
    let before = bench.fake.world().row_leads();
    bench.fake.world().merge_fates = vec![Fate::Refused("1078"), Fate::Refused("1078")];
    let Ran { report, .. } = bench.run().await;
    assert_eq!(report.count(Outcome::Failed), 2, "{report:?}");
    assert_eq!(bench.fake.world().row_leads(), before);
    for group in &report.groups {
        let reason = group.reason.as_deref().unwrap();
        assert!(reason.contains("again") && reason.contains("of car_c"), "{reason}");
    }
    assert_eq!(bench.ledger().unsettled_rows(None).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_marketo_skips_leaves_its_group_alone_and_the_others_go_on() {
    let bench = bench();
    let before = bench.fake.world().row_leads();
    bench.fake.world().skips_rows.insert("row-2".to_owned(), "1005");
    let Ran { report, .. } = bench.run().await;
    assert_eq!(report.count(Outcome::Merged), 1, "{report:?}");
    let failed = report.groups.iter().find(|group| group.outcome == Outcome::Failed).unwrap();
    let reason = failed.reason.as_deref().unwrap();
    assert!(reason.contains("1005") && reason.contains("nothing was merged"), "{reason}");
    assert!(reason.contains("1 row of car_c linked to lead 2 again"), "{reason}");
    no_row_is_lost(&bench, &before, "skipped");
    assert_eq!(bench.fake.world().leads[&1].value("phone"), None, "its values are given back");
}

#[tokio::test(start_paused = true)]
async fn no_merge_leaves_while_it_is_in_doubt_whether_its_rows_were_moved() {
    for (fate, merged) in [
        (Fate::AnswerLost, 2),
        (Fate::DoneLater(119), 2),
        (Fate::NeverDone, 0),
        (Fate::Refused("1003"), 0),
        // Marketo says that it has, and has not.
        (Fate::AcceptedOnly, 0),
    ] {
        let bench = bench();
        let before = bench.fake.world().row_leads();
        bench.fake.world().link_fates = vec![fate.clone()];
        let Ran { report, .. } = bench.run().await;
        assert_eq!(report.count(Outcome::Merged), merged, "{fate:?}: {report:?}");
        no_row_is_lost(&bench, &before, &format!("{fate:?}"));
        let Ran { resumed, report } = bench.run().await;
        assert_eq!((resumed.open, report.count(Outcome::Merged)), (0, 2 - merged), "{fate:?}");
        no_row_is_lost(&bench, &before, &format!("{fate:?}, run again"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_lags_behind_is_waited_for() {
    let bench = bench();
    let before = bench.fake.world().row_leads();
    bench.fake.world().row_lag = 1;
    let Ran { report, .. } = bench.run().await;
    assert_eq!(report.count(Outcome::Merged), 2, "{report:?}");
    no_row_is_lost(&bench, &before, "lagging");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_comes_to_a_loser_meanwhile_is_moved_too() {
    let bench = bench();
    let mut before = bench.fake.world().row_leads();
    bench.fake.world().rows_meddled = vec![(2, "G".to_owned())];
    let Ran { report, .. } = bench.run().await;
    assert_eq!(report.count(Outcome::Merged), 2, "{report:?}");
    before.insert("row-6".to_owned(), 2);
    no_row_is_lost(&bench, &before, "came meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_came_to_the_winner_in_between_is_not_overwritten_unseen() {
    for overwrites in [false, true] {
        let bench = bench();
        bench.fake.world().key_has_link = true;
        bench.fake.world().overwrites_rows = overwrites;
        let plan = bench.plan().await;
        // A row with the key of one of lead 2's, since the plan.
        bench.fake.world().put_row(1, "B");
        let before = bench.fake.world().row_leads();
        let report = bench.carry_out(plan).await;
        assert_eq!(report.count(Outcome::Merged), 1, "{report:?}");
        let left = report.groups.iter().find(|group| group.outcome == Outcome::Skipped).unwrap();
        assert!(left.reason.as_ref().unwrap().contains("the same `model`"), "{left:?}");
        no_row_is_lost(&bench, &before, "collided");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_linked_back_is_told_and_the_next_run_tries_again() {
    let bench = Bench::new(leads().into_iter().take(2));
    bench.fake.world().put_row(2, "A");
    let before = bench.fake.world().row_leads();
    bench.fake.world().merge_fates = vec![Fate::Refused("1078")];
    bench.fake.world().link_fates = vec![Fate::Fine, Fate::Refused("1003")];
    let Ran { report, .. } = bench.run().await;
    let failed = report.groups.iter().find(|group| group.outcome == Outcome::Failed).unwrap();
    let reason = failed.reason.as_deref().unwrap();
    assert!(reason.contains("could not be linked to lead 2 again"), "{reason}");
    assert_eq!(bench.ledger().unsettled_rows(None).unwrap().len(), 1);
    let Ran { resumed, .. } = bench.run().await;
    assert_eq!((resumed.rows_given_back, resumed.rows_kept), (1, vec![]));
    no_row_is_lost(&bench, &before, "linked back later");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_somebody_else_has_linked_since_stays_there() {
    let others = leads().into_iter().filter(|lead| matches!(lead.id, 1 | 2 | 13));
    let bench = Bench::new(others);
    let row = bench.fake.world().put_row(2, "A");
    bench.fake.world().merge_fates = vec![Fate::Refused("1078")];
    bench.fake.world().link_fates = vec![Fate::Fine, Fate::Refused("1003")];
    bench.run().await;
    assert_eq!(bench.ledger().unsettled_rows(None).unwrap().len(), 1);
    bench.fake.world().rows.get_mut(&row).unwrap().lead = 13;
    let Ran { resumed, .. } = bench.run().await;
    assert_eq!((resumed.rows_given_back, resumed.rows_kept), (0, vec![]));
    assert_eq!(bench.ledger().unsettled_rows(None).unwrap(), []);
    assert_eq!(bench.fake.world().rows[&row].lead, 13);
}

#[tokio::test(start_paused = true)]
async fn rows_that_went_with_a_winner_which_did_not_survive_stop_the_run() {
    let bench = Bench::new(pair());
    bench.fake.world().put_row(2, "A");
    bench.fake.world().merge_fates = vec![Fate::LoserSurvives];
    let Ran { report, .. } = bench.run().await;
    assert!(matches!(report.stopped, Some(Stopped::Alarm(_))), "{:?}", report.stopped);
    assert_eq!(bench.fake.world().lost_rows.len(), 1);
    let open = bench.ledger().open_findings().unwrap();
    assert!(open.iter().any(|(_, _, finding)| finding.field == "rows of car_c"), "{open:?}");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_somebody_takes_before_the_move_is_left_with_them() {
    let others = leads().into_iter().filter(|lead| matches!(lead.id, 1 | 2 | 13));
    let bench = Bench::new(others);
    let row = bench.fake.world().put_row(2, "A");
    let plan = bench.plan().await;
    bench.fake.world().row_taken = Some((row.clone(), 13));
    let report = bench.carry_out(plan).await;
    let (outcome, reason) = only(&report);
    assert_eq!((outcome, bench.ids()), (Outcome::Failed, vec![1, 2, 13]), "{reason}");
    assert!(reason.contains("it is linked to lead 13 by now"), "{reason}");
    let world = bench.fake.world();
    assert_eq!((world.rows[&row].lead, world.links), (13, 0));
}

#[tokio::test(start_paused = true)]
async fn giving_back_does_not_trust_a_read_that_lags_behind_the_move() {
    let bench = Bench::new(leads().into_iter().take(2));
    bench.fake.world().put_row(2, "A");
    let skipped = bench.fake.world().put_row(2, "B");
    let before = bench.fake.world().row_leads();
    bench.fake.world().skips_rows.insert(skipped, "1005");
    bench.fake.world().row_lag = 1;
    let Ran { report, .. } = bench.run().await;
    assert_eq!(only(&report).0, Outcome::Failed, "{report:?}");
    assert_eq!(bench.fake.world().row_leads(), before);
    assert_eq!(bench.ledger().unsettled_rows(None).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_comes_after_the_rows_were_read_is_moved_before_the_merge() {
    let bench = Bench::new([lead(1, "a@example.com"), lead(2, "a@example.com")]);
    let row = bench.fake.world().put_row(99, "A");
    let plan = bench.plan().await;
    assert_eq!(plan.groups[0].changes, [], "nothing is written, so that nothing else is looked at");
    bench.fake.world().row_taken = Some((row.clone(), 2));
    let report = bench.carry_out(plan).await;
    assert_eq!(only(&report).0, Outcome::Merged, "{report:?}");
    let world = bench.fake.world();
    assert_eq!(world.rows.get(&row).map(|row| row.lead), Some(1), "{:?}", world.lost_rows);
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_not_back_are_told_of_groups_that_the_run_did_not_come_to() {
    let mut bench = bench();
    bench.concurrency = 1;
    bench.fake.world().merge_fates = vec![Fate::Quota];
    bench.fake.world().link_fates = vec![Fate::Fine, Fate::Refused("1003")];
    let Ran { report, .. } = bench.run().await;
    assert!(!bench.ledger().unsettled_rows(None).unwrap().is_empty());
    let told: Vec<bool> = report
        .groups
        .iter()
        .map(|group| group.reason.as_deref().unwrap_or_default().contains("could not be linked"))
        .collect();
    assert_eq!((report.count(Outcome::Failed), told), (2, vec![true, true]), "{report:?}");
}

/// Every way in which a move, its merge and linking back can go wrong, and what a second run makes
/// of it.
#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_the_calls_no_row_is_lost() {
    let links = [
        Fate::Fine,
        Fate::AnswerLost,
        Fate::DoneLater(110),
        Fate::NeverDone,
        Fate::Refused("1003"),
        Fate::AcceptedOnly,
    ];
    let merges = [
        Fate::Fine,
        Fate::AnswerLost,
        Fate::DoneLater(170),
        Fate::NeverDone,
        Fate::Refused("1078"),
        Fate::StopsAfterOne,
    ];
    for (place, link) in links.iter().enumerate() {
        for merge in &merges {
            // The row is linked back where the merge is known not to have been made.
            let is_linked_back = matches!(merge, Fate::Refused(_) | Fate::NeverDone);
            let backs = if is_linked_back { &links[..] } else { &links[place..=place] };
            for back in backs {
                let told = format!("{link:?}, {merge:?}, {back:?}");
                let bench = bench();
                let before = bench.fake.world().row_leads();
                bench.fake.world().link_fates = vec![link.clone(), back.clone()];
                bench.fake.world().merge_fates = vec![merge.clone()];
                bench.run().await;
                let into = bench.fake.world().into.clone();
                assert_eq!(bench.fake.world().lost_rows, BTreeSet::new(), "{told}: {into:?}");
                let Ran { resumed, .. } = bench.run().await;
                assert_eq!(resumed.open, 0, "{told}");
                no_row_is_lost(&bench, &before, &told);
            }
        }
    }
}

/// Killed at each of its calls, with Marketo's work done before, long after, or never, and run
/// again.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_at_any_call_loses_no_row() {
    let mut survived = 0;
    for call in 1.. {
        let mut ended = true;
        for moment in [Moment::Never, Moment::Before, Moment::LongAfter] {
            let bench = bench();
            let before = bench.fake.world().row_leads();
            bench.fake.world().kill = Some(Kill { call, moment });
            let killed = tokio::time::timeout(Duration::from_secs(60), bench.run()).await.is_err();
            ended &= !killed;
            bench.fake.world().kill = None;
            let Ran { resumed, report } = bench.run().await;
            let told = format!("call {call}, {moment:?}");
            assert_eq!((resumed.alarms, resumed.open), (vec![], 0), "{told}");
            assert!(report.stopped.is_none(), "{told}: {:?}", report.stopped);
            assert_eq!(bench.ids(), [1, 11], "{told}");
            no_row_is_lost(&bench, &before, &told);
            assert_eq!(bench.ledger().unsettled_rows(None).unwrap(), [], "{told}");
            survived += usize::from(killed);
        }
        if ended {
            break;
        }
    }
    assert!(survived > 20, "the run was killed at {survived} calls only");
}
