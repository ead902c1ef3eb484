//! What of a group's programs must be applied again, and what comes of it.

use serde_json::{Value, json};

use super::fake::{Breaks, Fake, Fate};
use super::{Bench, INSTANCE, lead, pair};
use crate::dedupe::OPT_OUTS;
use crate::lead::LeadId;
use crate::marketo::{Clock, LeadChange, UntilStopped};
use crate::merge::memberships::Rows;
use crate::merge::programs::status::{Raise, is_concerned, to_raise};
use crate::merge::programs::{Survivor, raise};
use crate::merge::report::{Fate as Became, Stopped};
use crate::merge::{Confirmed, Merge};

/// Memberships: program, status, success.
fn rows(memberships: &[(u64, &str, bool)]) -> Rows {
    let row = |(program, status, success): &(u64, &str, bool)| {
        let row = json!({"id": program, "name": format!("P{program}"), "progressionStatus": status, "reachedSuccess": success});
        let Value::Object(row) = row else { unreachable!() };
        row
    };
    memberships.iter().map(row).collect()
}

fn shown(raises: &[Raise]) -> Vec<(u64, &str, bool)> {
    raises.iter().map(|raise| (raise.program, raise.status.as_str(), raise.success)).collect()
}

#[test]
fn each_status_that_the_survivor_does_not_show_is_applied_and_those_with_success_first() {
    const INVITED: (u64, &str, bool) = (3, "Invited", false);
    const ATTENDED: (u64, &str, bool) = (3, "Attended", true);
    let other = (4, "Member", false);
    for (winner, loser, after, raises) in [
        // Alike, and still there.
        (vec![INVITED], vec![INVITED], vec![INVITED], vec![]),
        (vec![], vec![], vec![], vec![]),
        // The winner's lower one was kept.
        (vec![INVITED], vec![ATTENDED], vec![INVITED], vec![ATTENDED]),
        // The higher one was kept; that it is higher only Marketo knows, and it skips the other.
        (vec![INVITED], vec![ATTENDED], vec![ATTENDED], vec![INVITED]),
        // The loser's took the place of the winner's.
        (vec![ATTENDED], vec![INVITED], vec![INVITED], vec![ATTENDED]),
        // Success was lost with the same status.
        (
            vec![(3, "Attended", false)],
            vec![ATTENDED],
            vec![(3, "Attended", false)],
            vec![ATTENDED],
        ),
        // A membership is gone.
        (vec![], vec![INVITED], vec![], vec![INVITED]),
        (vec![other], vec![INVITED], vec![other], vec![INVITED]),
        (vec![INVITED], vec![other, ATTENDED], vec![], vec![ATTENDED, INVITED, other]),
        // Without a status nothing can be applied.
        (vec![], vec![(3, "", false)], vec![], vec![]),
    ] {
        let (winner, loser, after) = (rows(&winner), rows(&loser), rows(&after));
        assert_eq!(
            shown(&to_raise(&[&winner, &loser], &after)),
            raises,
            "{winner:?} {loser:?} {after:?}"
        );
    }
}

#[test]
fn a_group_whose_leads_are_members_alike_costs_no_call() {
    let (invited, attended) = (rows(&[(3, "Invited", false)]), rows(&[(3, "Attended", true)]));
    let mut unnamed = invited.clone();
    unnamed[0].remove("name");
    assert!(!is_concerned(&[&invited, &unnamed, &invited]));
    assert!(!is_concerned(&[&rows(&[]), &rows(&[])]));
    assert!(is_concerned(&[&invited, &attended]));
    assert!(!is_concerned(&[&invited, &invited, &rows(&[])]), "Marketo carries it over");
    assert!(is_concerned(&[&attended, &rows(&[(3, "Attended", false)])]));
}

const STEPS: [&str; 3] = ["Invited", "Registered", "Attended"];

/// A Marketo where lead 1 is what is left of a group, at this status.
fn left_at(status: Option<&str>) -> Fake {
    let fake = Fake::default();
    let mut world = fake.world();
    world.steps = STEPS.map(str::to_owned).to_vec();
    if let Some(status) = status {
        world.programs.entry(3).or_default().insert(1);
        world.standing.insert((3, 1), status.to_owned());
    }
    drop(world);
    fake
}

/// What is told after the work, and the status of lead 1.
async fn after(fake: &Fake, before: &[&Rows]) -> (Vec<String>, Option<String>) {
    let survivor = Survivor { lead: 1 as LeadId, before: before.to_vec() };
    let gate = UntilStopped::at_once(tokio_util::sync::CancellationToken::new());
    let raised = raise(fake, &gate, &Clock::real(), &[survivor]).await;
    assert!(raised.failed.is_none(), "{raised:?}");
    let told = raised.unkept.iter().map(ToString::to_string).collect();
    (told, fake.world().standing.get(&(3, 1)).cloned())
}

#[tokio::test(start_paused = true)]
async fn a_survivor_that_is_gone_by_now_keeps_no_other_from_its_status() {
    let (invited, attended) = (rows(&[(3, "Invited", false)]), rows(&[(3, "Attended", true)]));
    let fake = left_at(Some("Invited"));
    fake.world().unreadable.insert(0);
    let survivor = |lead: LeadId| Survivor { lead, before: vec![&invited, &attended] };
    let gate = UntilStopped::at_once(tokio_util::sync::CancellationToken::new());
    let raised = raise(&fake, &gate, &Clock::real(), &[survivor(0), survivor(1)]).await;
    assert!(
        raised.failed.is_none() && raised.unkept.iter().all(|unkept| unkept.lead == 0),
        "{raised:?}"
    );
    assert_eq!(fake.world().standing[&(3, 1)], "Attended");
}

#[tokio::test(start_paused = true)]
async fn the_highest_status_of_the_group_is_there_afterwards_whatever_the_merge_kept() {
    let steps: Vec<Rows> = STEPS.map(|status| rows(&[(3, status, status == "Attended")])).to_vec();
    for kept in [None, Some("Invited"), Some("Registered"), Some("Attended")] {
        let fake = left_at(kept);
        let (told, status) = after(&fake, &[&steps[0], &steps[2], &steps[1]]).await;
        assert_eq!((told, status.as_deref()), (vec![], Some("Attended")), "{kept:?}");
    }
    // Alike: no call at all.
    let fake = left_at(Some("Invited"));
    after(&fake, &[&steps[0], &steps[0]]).await;
    assert_eq!(fake.world().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_is_lost_is_looked_for_and_made_again_when_it_must_be_over() {
    let (invited, attended) = (rows(&[(3, "Invited", false)]), rows(&[(3, "Attended", true)]));
    for fate in [Fate::AnswerLost, Fate::NeverDone] {
        let fake = left_at(Some("Invited"));
        fake.world().status_fates = vec![fate.clone()];
        let begun = tokio::time::Instant::now();
        let (told, status) = after(&fake, &[&invited, &attended]).await;
        assert_eq!((told, status.as_deref()), (vec![], Some("Attended")), "{fate:?}");
        assert!(begun.elapsed() >= crate::marketo::STATUS_LIMIT, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_and_not_done_or_cannot_be_done_is_told_with_program_wanted_and_held() {
    let (invited, attended) = (rows(&[(3, "Invited", false)]), rows(&[(3, "Attended", true)]));
    let fake = left_at(Some("Invited"));
    fake.world().sets_no_status = true;
    let (told, _) = after(&fake, &[&invited, &attended]).await;
    assert_eq!(
        told,
        [
            "lead 1 does not have the status `Attended` in program `P3` (3): it is at `Invited`; set it by hand in Marketo"
        ]
    );

    // Success that does not come back with its status.
    let fake = left_at(Some("Registered"));
    let registered = [rows(&[(3, "Registered", true)]), rows(&[(3, "Registered", false)])];
    let (told, _) = after(&fake, &[&registered[0], &registered[1]]).await;
    assert_eq!(
        told,
        [
            "lead 1 lost its success in program `P3` (3): it is at `Registered`, and applying `Registered` again did not \
          bring it back; set it by hand in Marketo"
        ]
    );

    // A membership that one lead alone has is carried over by Marketo, and is not looked at.
    let fake = left_at(None);
    let (told, _) = after(&fake, &[&rows(&[]), &rows(&[(3, "", false)])]).await;
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_membership_that_only_a_loser_had_is_applied_again_where_the_merge_dropped_it_or_told() {
    for (drops, sets) in [(false, true), (true, true), (true, false)] {
        let bench = Bench::new(pair());
        {
            let mut world = bench.fake.world();
            world.steps = STEPS.map(str::to_owned).to_vec();
            world.programs.entry(9).or_default().insert(2);
            world.standing.insert((9, 2), "Registered".to_owned());
            (world.drops_memberships, world.sets_no_status) = (drops, !sets);
            if !drops {
                world.standing.insert((9, 1), "Registered".to_owned());
            }
        }
        let report = bench.run().await.report;
        let findings = bench.ledger().open_findings().unwrap();
        let status = bench.fake.world().standing.get(&(9, 1)).cloned();
        if sets {
            assert!(bench.fake.world().programs[&9].contains(&1), "{drops}");
            assert_eq!((status.as_deref(), findings.len()), (Some("Registered"), 0), "{drops}");
            assert!(report.stopped.is_none());
        } else {
            assert_eq!(findings[0].2.wanted["progressionStatus"], "Registered");
            assert_eq!(report.groups[0].surprises[0].fate, Became::Lost);
            assert!(matches!(report.stopped, Some(Stopped::Alarm(_))), "{report:?}");
        }
    }
}

/// Two groups, the loser of each of which alone is in program 9, and a Marketo whose merges drop
/// that.
fn two_that_lose_a_membership() -> Bench {
    let bench = Bench::new(
        (1..=4).map(|id| lead(id, if id < 3 { "a@example.com" } else { "b@example.com" })),
    );
    let mut world = bench.fake.world();
    world.steps = STEPS.map(str::to_owned).to_vec();
    world.drops_memberships = true;
    for loser in [2, 4] {
        world.programs.entry(9).or_default().insert(loser);
        world.standing.insert((9, loser), "Registered".to_owned());
    }
    drop(world);
    bench
}

#[tokio::test(start_paused = true)]
async fn memberships_of_a_program_whose_members_cannot_be_read_are_looked_for_lead_by_lead() {
    for code in ["1013", "603"] {
        let bench = two_that_lose_a_membership();
        bench.fake.world().refuses_members = Some(code);
        let report = bench.run().await.report;
        assert!(report.stopped.is_none(), "{code}: {report:?}");
        let world = bench.fake.world();
        assert!([1, 3].iter().all(|lead| world.standing.contains_key(&(9, *lead))), "{code}");
        drop(world);
        assert_eq!(bench.ledger().unwatched_merges().unwrap(), [], "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn memberships_that_could_not_be_looked_for_are_left_to_the_next_run_and_opt_outs_are_set_all_the_same()
 {
    for denies_log in [false, true] {
        let bench = two_that_lose_a_membership();
        {
            let mut world = bench.fake.world();
            (world.breaks, world.denies_log) = (Some(Breaks::MaySeePrograms), denies_log);
            world.changes = vec![LeadChange {
                lead: 2,
                field: "doNotCall".to_owned(),
                old: json!(false),
                new: json!(true),
                at: Some("2026-11-24T12:00:00Z".parse().unwrap()),
                source: None,
                request_id: None,
            }];
        }
        let report = bench.run().await.report;
        assert!(matches!(report.stopped, Some(Stopped::Failed(_))), "{denies_log}: {report:?}");
        assert_eq!(bench.fake.world().leads[&1].flag("doNotCall"), !denies_log);
        assert_eq!(bench.ledger().unwatched_merges().unwrap().len(), 2, "{denies_log}");

        bench.fake.world().breaks = None;
        bench.run().await;
        let world = bench.fake.world();
        assert!([1, 3].iter().all(|lead| world.standing.contains_key(&(9, *lead))), "{denies_log}");
        drop(world);
        assert_eq!(bench.ledger().unwatched_merges().unwrap(), [], "{denies_log}");
    }
}

#[tokio::test(start_paused = true)]
async fn memberships_are_looked_for_once_also_where_no_opt_out_can_be_written() {
    let bench = two_that_lose_a_membership();
    let mut ledger = bench.ledger();
    let mut merge = Merge::new(&bench.fake, &mut ledger, bench.settings()).await.unwrap();
    for (_, fact) in
        merge.facts.fields.iter_mut().filter(|(name, _)| OPT_OUTS.contains(&name.as_str()))
    {
        fact.writeable = false;
    }
    let plan =
        merge.plan(&bench.candidates(), bench.policy.clone(), INSTANCE.into(), 500).await.unwrap();
    let report = merge.carry_out(Confirmed::new(plan), &mut ()).await;
    assert_eq!((report.removed(), report.stopped.is_none()), (2, true), "{report:?}");
    assert_eq!(ledger.unwatched_merges().unwrap(), []);
}
