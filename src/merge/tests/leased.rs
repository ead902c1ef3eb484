//! Law 10: a run holds the keys of what it merges, and does nothing without them.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::*;
use crate::leases::tests::faulty::{Faults, faulty};
use crate::leases::{LeaseKey, to_send};
use crate::marketo::{LeadChange, MERGE_LIMIT, SYNC_LIMIT};
use crate::merge::hold::{Holds, Taken, Wanted};

fn key(field: &str, value: &str) -> LeaseKey {
    LeaseKey::of(INSTANCE, field, value).unwrap()
}

/// The keys by which guarded writes may address the leads of [`pair`].
fn keys_of_pair() -> BTreeSet<LeaseKey> {
    BTreeSet::from([key("email", "a@example.com"), key("id", "1"), key("id", "2")])
}

/// A run, and the store that it shares with the writers beside it.
fn bench(leads: impl IntoIterator<Item = Lead>) -> (Bench, SharedLeases) {
    let (bench, leases, _) = with_faults(leads);
    (bench, leases)
}

/// The same, with a store that can be away, or find a lease over just before a merge leaves.
fn with_faults(leads: impl IntoIterator<Item = Lead>) -> (Bench, SharedLeases, Faults) {
    let (leases, faults) = faulty(to_send(MERGE_LIMIT, Clock::real()));
    let mut bench = Bench::new(leads);
    bench.hold = Some(Hold::new(leases.clone(), INSTANCE.to_owned()));
    (bench, leases, faults)
}

#[tokio::test(start_paused = true)]
async fn a_merge_whose_lease_was_lost_does_not_leave() {
    let (bench, _, faults) = with_faults(pair());
    faults.loses.store(true, Ordering::Relaxed);
    // Nor can the values be given back without a lease.
    assert_eq!(only(&bench.run().await.report).0, Outcome::Prepared);
    assert_eq!((bench.ids(), bench.fake.world().merges.len()), (vec![1, 2], 0));
    faults.loses.store(false, Ordering::Relaxed);
    assert_eq!(only(&bench.run().await.report).0, Outcome::Merged);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_where_the_store_is_away() {
    let (bench, _, faults) = with_faults(pair());
    let plan = bench.plan().await;
    faults.away.store(true, Ordering::Relaxed);
    let mut ledger = bench.ledger();
    let mut merge = Merge::new(&bench.fake, &mut ledger, bench.settings()).await.unwrap();
    assert!(matches!(merge.settle_open(&mut ()).await, Err(Error::Leases(_))));
    let report = merge.carry_out(Confirmed::new(plan), &mut ()).await;
    assert!(matches!(report.stopped, Some(Stopped::Failed(Error::Leases(_)))), "{report:?}");
    let world = bench.fake.world();
    assert_eq!((world.writes, world.merges.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_group_of_which_somebody_writes_on_and_on_is_left_alone_and_no_other() {
    for contested in keys_of_pair() {
        let others = [lead(3, "b@example.com"), lead(4, "b@example.com").with("phone", "7")];
        let (bench, leases) = bench(pair().into_iter().chain(others));
        let held = leases.acquire(&BTreeSet::from([contested])).await.unwrap();
        let writer = leases.clone();
        let writing = tokio::spawn(async move {
            loop {
                writer.renew(&held, to_send(SYNC_LIMIT, Clock::real())).await.unwrap();
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        });
        let report = bench.run().await.report;
        writing.abort();
        let of = |winner| report.groups.iter().find(|group| group.winner == Some(winner)).unwrap();
        assert_eq!(of(3).outcome, Outcome::Merged, "{report:?}");
        assert_eq!(of(1).outcome, Outcome::Skipped, "{report:?}");
        assert!(of(1).reason.as_ref().unwrap().contains("a guarded write"), "{report:?}");
        assert_eq!((bench.ids(), bench.fake.world().writes), (vec![1, 2, 3], 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_waits_for_the_write_that_is_under_way() {
    let (bench, leases) = bench(pair());
    let held = leases.acquire(&keys_of_pair()).await.unwrap();
    let writer = leases.clone();
    tokio::spawn(async move {
        writer.renew(&held, to_send(SYNC_LIMIT, Clock::real())).await.unwrap();
        tokio::time::sleep(Duration::from_secs(70)).await;
        writer.release(held).await.unwrap();
    });
    let begun = Instant::now();
    assert_eq!(only(&bench.run().await.report).0, Outcome::Merged);
    assert!(begun.elapsed() >= Duration::from_secs(70));
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_the_last_look_at_a_merge_and_no_longer() {
    let (bench, leases) = bench(pair());
    bench.fake.world().merge_fates = vec![Fate::DoneLater(100)];
    let plan = bench.plan().await;
    let fake = &bench.fake;
    let writer = async {
        while fake.world().merges.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut got = Vec::new();
        for key in keys_of_pair() {
            let lease = leases.acquire(&BTreeSet::from([key])).await.unwrap();
            got.push(fake.world().leads.contains_key(&2));
            leases.release(lease).await.unwrap();
        }
        got
    };
    let (report, got) = tokio::join!(bench.carry_out(plan), writer);
    assert_eq!(only(&report).0, Outcome::Merged);
    assert_eq!(got, [false; 3], "the loser was there when it could be written to");
    let free = leases.try_acquire(&keys_of_pair()).await.unwrap();
    assert_eq!(free.len(), 3, "a key is still held");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_in_doubt_keeps_its_keys_until_the_call_is_over() {
    let (bench, leases) = bench(pair());
    bench.fake.world().merge_fates = vec![Fate::DoneLater(179)];
    let plan = bench.plan().await;
    let stop = bench.stop.clone();
    let fake = &bench.fake;
    let stopping = async {
        while fake.world().merges.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    let left = Instant::now();
    let (report, ()) = tokio::join!(bench.carry_out(plan), stopping);
    assert_eq!(only(&report).0, Outcome::Unknown);
    assert!(leases.try_acquire(&keys_of_pair()).await.unwrap().is_empty());
    let got = leases.acquire(&keys_of_pair()).await.unwrap();
    assert_eq!(got.len(), 3);
    assert!(left.elapsed() >= MERGE_LIMIT, "{:?}", left.elapsed());
}

/// Two runs on one store, each with a key that the other waits for: the one that writes to a lead
/// by itself lets go of the groups that come next, so that neither waits for long.
#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_lead_holds_nothing_that_others_wait_for() {
    let leases = SharedLeases::memory(Terms::default());
    let hold = Hold::new(leases.clone(), INSTANCE.to_owned());
    let mut holds = Holds::new(hold, &[], Clock::real());
    let (own, others) = (BTreeSet::from([key("id", "1")]), BTreeSet::from([key("id", "2")]));
    let next = Wanted { owner: 1, leads: BTreeSet::from([1]), keys: own.clone() };
    assert_eq!(holds.take(vec![next]).await.unwrap()[&1], Taken::Held);
    let held_by_others = leases.acquire(&others).await.unwrap();
    let begun = Instant::now();
    let other_run = async {
        let got = leases.acquire(&own).await.unwrap();
        leases.release(got).await.unwrap();
        leases.release(held_by_others).await.unwrap();
    };
    let both = async { tokio::join!(holds.take_leads([2]), other_run) };
    // Two runs that wait for each other renew what they hold for ever.
    let both = tokio::time::timeout(Duration::from_secs(600), both).await;
    let (taken, ()) = both.expect("the two runs wait for each other");
    assert_eq!(taken.unwrap(), Some(vec![2]));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// An opt-out that the log names, on a survivor that somebody else goes on writing: it is not taken
/// for lost, and the next run sets it.
#[tokio::test(start_paused = true)]
async fn an_opt_out_whose_survivor_is_busy_is_set_by_the_next_run() {
    let (bench, leases) = bench(pair());
    bench.fake.world().changes = vec![LeadChange {
        lead: 2,
        field: "doNotCall".to_owned(),
        old: json!(false),
        new: json!(true),
        at: Some("2026-11-24T11:52:00Z".parse().unwrap()),
        source: None,
        request_id: None,
    }];
    let plan = bench.plan().await;
    let fake = &bench.fake;
    let (busy, over) =
        (BTreeSet::from([key("id", "1")]), tokio_util::sync::CancellationToken::new());
    let writer = async {
        while fake.world().merges.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let lease = leases.acquire(&busy).await.unwrap();
        while !over.is_cancelled() {
            leases.renew(&lease, Duration::from_secs(30)).await.unwrap();
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        leases.release(lease).await.unwrap();
    };
    let run = async {
        let report = bench.carry_out(plan).await;
        over.cancel();
        report
    };
    let (report, ()) = tokio::join!(run, writer);
    assert_eq!(only(&report).0, Outcome::Merged);
    assert_eq!(report.unwatched, Some(Unwatched::PutOff(vec![1])));
    assert!(report.stopped.is_none(), "{:?}", report.stopped);
    assert_eq!(bench.ledger().open_findings().unwrap().len(), 0);
    assert!(!bench.fake.world().leads[&1].flag("doNotCall"));

    let Ran { resumed, .. } = bench.run().await;
    assert!(bench.fake.world().leads[&1].flag("doNotCall"), "law 5");
    assert_eq!(resumed.unwatched, None);
    assert_eq!(bench.ledger().unwatched_merges().unwrap(), []);
}
