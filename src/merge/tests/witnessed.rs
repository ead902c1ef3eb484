//! What is looked for after a merge is settled: Marketo's own record, and memberships.

use super::*;
use crate::ledger::{Erase, FindingKind, RunId, WitnessKind};
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
        then: Some(9),
        ..of_user("api@example.com", 1)
    });
    let next = bench.run().await.resumed;
    assert!(next.alarms[0].contains("lead 9 stayed, not lead 1"), "{next:?}");
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

/// A row of the merge of the next lead into this one, by a user that is ours or is not.
fn of_user(user: &str, survivor: LeadId) -> MergeRecord {
    MergeRecord {
        winner: survivor,
        then: Some(survivor),
        losers: vec![survivor + 1],
        at: None,
        request_id: None,
        user: Some(user.to_owned()),
        method: None,
        source: None,
        by_another_user: user != "api@example.com",
    }
}

#[tokio::test(start_paused = true)]
async fn another_user_is_an_alarm_only_where_the_instance_has_named_ours_before() {
    for (first, is_alarm) in [("api@example.com", true), ("API User", false)] {
        let lead =
            |id| Lead::new(id).with("email", format!("{}@example.com", u64::div_ceil(id, 2)));
        let bench = Bench::new([lead(1), lead(2)]);
        bench.fake.world().records_nothing = true;
        bench.run().await;
        bench.fake.world().recorded.push(of_user(first, 1));
        assert_eq!(bench.run().await.resumed.alarms, [] as [&str; 0], "{first}");
        assert_eq!(verdicts(&bench, WitnessKind::Log), ["not_seen", "seen"], "{first}");
        bench.fake.world().leads.extend([(3, lead(3)), (4, lead(4))]);
        bench.run().await;
        bench.fake.world().recorded.push(of_user("somebody@example.com", 3));
        let alarms = bench.run().await.resumed.alarms;
        assert_eq!(!alarms.is_empty(), is_alarm, "{first}: {alarms:?}");
        assert!(alarms.iter().all(|alarm| alarm.contains("another user made it")), "{alarms:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fitted_no_outcome_does_not_hide_what_the_log_contradicts() {
    let bench = pair();
    bench.fake.world().records_nothing = true;
    bench.run().await;
    let earlier = crate::ledger::Finding {
        key: "a@example.com".to_owned(),
        lead: 1,
        field: String::new(),
        kind: FindingKind::Merge,
        wanted: json!({"winner": 1, "losers": [2]}),
        found: json!({"what": "words", "at": "2026-11-24T12:00:00.000Z"}),
    };
    let mut ledger = bench.ledger();
    let plan = ledger.unwitnessed(WitnessKind::Log, None, None).unwrap()[0].plan.clone();
    ledger.open_findings_with(&plan, &[earlier], "2026-11-24T12:00:00Z").unwrap();
    drop(ledger);
    let other = MergeRecord { then: Some(9), ..of_user("api@example.com", 1) };
    bench.fake.world().recorded.push(other);
    // The look that explains the one finding leaves the other one open.
    for _ in 0..2 {
        let open = bench.run().await.resumed.findings;
        assert_eq!(open.len(), 1, "{open:?}");
        let what = open[0].1.found["what"].as_str().unwrap();
        assert!(what.contains("lead 9 stayed"), "{what}");
    }
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

/// A merge that takes its loser off its list.
fn losing() -> Bench {
    let bench = pair();
    let mut world = bench.fake.world();
    world.lists.entry(2).or_default().insert(2);
    world.drops_lists = true;
    drop(world);
    bench
}

fn members(bench: &Bench) -> Vec<String> {
    let mut words = verdicts(bench, WitnessKind::Members);
    words.dedup();
    words
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_was_erased_does_not_turn_what_was_missing_into_carried() {
    let bench = losing();
    bench.run().await;
    assert_eq!(members(&bench), ["missing"]);
    let person = Erase::Person("a@example.com".to_owned());
    bench.ledger().erase(&person, None, "2026-11-24T12:00:00Z").unwrap();
    bench.run().await;
    assert_eq!(members(&bench), ["missing"]);
}

#[tokio::test(start_paused = true)]
async fn of_a_survivor_that_is_gone_nothing_is_said_to_be_lost() {
    for (code, verdicts) in [("1004", &["survivor_gone"][..]), ("610", &[]), ("1013", &[])] {
        let bench = losing();
        let first = {
            let fake = &bench.fake;
            let plan = bench.plan().await;
            let gone = async {
                while fake.world().merges.is_empty() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                fake.world().refuses_lists_of.insert(1, code);
            };
            tokio::join!(bench.carry_out(plan), gone).0
        };
        assert!(first.stopped.is_none(), "{code}: {first:?}");
        assert_eq!(members(&bench), verdicts, "{code}");
        // Once it can be read, it is looked at again where nothing was known.
        bench.fake.world().refuses_lists_of.clear();
        bench.run().await;
        let later = if code == "1004" { "survivor_gone" } else { "missing" };
        assert_eq!(members(&bench), [later], "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_was_deleted_is_on_nobody_and_hides_no_other_loss() {
    let bench = losing();
    {
        let mut world = bench.fake.world();
        world.programs.entry(7).or_default().insert(2);
        world.drops_memberships = true;
    }
    bench.run().await;
    assert_eq!(members(&bench), ["missing"]);
    bench.fake.world().lists.remove(&2);
    bench.run().await;
    let looks = bench.ledger().witness_of(RunId::from(1)).unwrap();
    let body = looks.last().unwrap().seen[0].body.clone().unwrap();
    let record: crate::merge::MembersRecord = serde_json::from_str(&body).unwrap();
    let (missing, told) = (record.missing(), record.not_known());
    assert!(missing.iter().all(|what| what.contains("program")) && missing.len() == 1, "{body}");
    assert!(
        told.iter()
            .any(|what| what.contains("(2) is no longer there") || what.contains("list 2 is")),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn no_survivor_is_looked_at_while_a_brake_is_on() {
    let mut bench = losing();
    bench.run().await;
    let looks = verdicts(&bench, WitnessKind::Members).len();
    let file = bench.folder.path().join("stop");
    std::fs::write(&file, "").unwrap();
    bench.brakes.stop_file = Some(file.clone());
    bench.run().await;
    assert_eq!(verdicts(&bench, WitnessKind::Members).len(), looks);
    std::fs::remove_file(&file).unwrap();
    bench.run().await;
    assert!(verdicts(&bench, WitnessKind::Members).len() > looks);
}
