//! What a run found and could not put right is not forgotten, whatever ends the run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::fake::Breaks;
use super::*;
use crate::ledger::{Finding, FindingKind, State};
use crate::marketo::LeadChange;

/// A run that dies when it tells of the first merge.
struct Dies;

impl Watch for Dies {
    fn group(&mut self, _: &GroupReport) {}
    fn merged(&mut self, _: &Lead, _: &[LeadId]) {
        panic!("killed");
    }
    fn waiting(&mut self, _: usize) {}
}

impl Bench {
    /// What the next run says before it plans anything.
    async fn resume(&self) -> Resumed {
        let mut ledger = self.ledger();
        let mut merge = Merge::new(&self.fake, &mut ledger, self.settings()).await.unwrap();
        merge.settle_open(&mut ()).await.unwrap()
    }
}

#[test]
fn a_loss_is_kept_before_its_call_is_closed() {
    let bench = Bench::new(pair());
    bench.fake.world().forgets_opt_outs = true;
    bench.fake.world().breaks = Some(Breaks::OptOuts);
    let time = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let plan = time().block_on(bench.plan());
    let killed = catch_unwind(AssertUnwindSafe(|| {
        time().block_on(async {
            let mut ledger = bench.ledger();
            let mut merge = Merge::new(&bench.fake, &mut ledger, bench.settings()).await.unwrap();
            merge.carry_out(Confirmed::new(plan), &mut Dies).await
        })
    }));
    assert!(killed.is_err());
    let resumed = time().block_on(bench.resume());
    let open: Vec<_> = resumed
        .findings
        .iter()
        .map(|(_, finding)| (finding.lead, finding.field.as_str()))
        .collect();
    assert_eq!(open, [(1, "unsubscribed")], "{resumed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_fits_no_outcome_begins_every_run_until_it_is_explained() {
    for (fate, is_explained) in [(Fate::AcceptedOnly, true), (Fate::AllVanish, false)] {
        let bench = Bench::new(pair());
        bench.fake.world().merge_fates = vec![fate.clone()];
        assert!(matches!(bench.run().await.report.stopped, Some(Stopped::Alarm(_))), "{fate:?}");
        // The second run merges the leads that are there; the third sees it.
        for is_open in [true, !is_explained] {
            let Ran { resumed, .. } = bench.run().await;
            let kinds: Vec<_> = resumed.findings.iter().map(|(_, finding)| finding.kind).collect();
            assert_eq!(kinds == [FindingKind::Merge], is_open, "{fate:?}: {resumed:?}");
        }
    }
}

/// A group of three that the CRM merges, one loser a call: the first one attended, the second was
/// only invited.
fn attended_and_invited() -> Bench {
    let of_crm = |id: LeadId| lead(id, "a@example.com").with("sfdcLeadId", format!("00Q{id}"));
    let mut bench = Bench::new((1..=3).map(of_crm));
    bench.policy.merge_in_crm = true;
    {
        let mut world = bench.fake.world();
        world.steps = ["Invited", "Attended"].map(str::to_owned).to_vec();
        for (lead, status) in [(2, "Attended"), (3, "Invited")] {
            world.programs.entry(9).or_default().insert(lead);
            world.standing.insert((9, lead), status.to_owned());
        }
    }
    bench
}

fn status(bench: &Bench) -> Option<String> {
    bench.fake.world().standing.get(&(9, 1)).cloned()
}

#[tokio::test(start_paused = true)]
async fn a_program_status_outlives_every_call_of_its_group() {
    let bench = attended_and_invited();
    let report = bench.run().await.report;
    assert_eq!(
        (only(&report).0, bench.fake.world().merges.len()),
        (Outcome::Merged, 2),
        "{report:?}"
    );
    assert_eq!(status(&bench).as_deref(), Some("Attended"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_programs_are_read_leaves_the_call_to_the_next_run() {
    let bench = attended_and_invited();
    bench.fake.world().breaks = Some(Breaks::Programs);
    let stop = async {
        tokio::time::sleep(Duration::from_secs(600)).await;
        bench.stop.cancel();
    };
    let (Ran { report, .. }, ()) = tokio::join!(bench.run(), stop);
    assert!(matches!(report.stopped, Some(Stopped::Interrupted)), "{:?}", report.stopped);
    let states: Vec<State> =
        bench.ledger().open_calls().unwrap().iter().map(|call| call.state).collect();
    assert_eq!(states, [State::Accepted]);
    bench.fake.world().breaks = None;
    let again = Bench { stop: CancellationToken::new(), ..bench };
    again.resume().await;
    assert_eq!(
        (status(&again).as_deref(), again.ledger().open_calls().unwrap()),
        (Some("Attended"), vec![])
    );
}

#[tokio::test(start_paused = true)]
async fn a_membership_counts_as_back_when_it_is_read() {
    let bench = Bench::new(pair());
    let plan = bench.plan().await;
    let lost = Finding {
        key: "a@example.com".to_owned(),
        lead: 1,
        field: "program P9".to_owned(),
        kind: FindingKind::Program,
        wanted: json!({"id": 9, "name": "P9", "progressionStatus": "", "reachedSuccess": false}),
        found: Value::Null,
    };
    let at = "2026-11-24T12:00:00Z";
    bench.ledger().open_findings_with(&plan.id, std::slice::from_ref(&lost), at).unwrap();
    let open: Vec<_> =
        bench.resume().await.findings.into_iter().map(|(_, finding)| finding).collect();
    assert_eq!(open, [lost]);
    bench.fake.world().programs.get_mut(&9).unwrap().insert(1);
    assert_eq!(bench.resume().await.findings, []);
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_that_the_log_names_on_the_lead_that_is_gone_reaches_the_survivor() {
    let bench = Bench::new(pair());
    // By Marketo's clock, which is behind this machine's.
    bench.fake.world().changes = vec![LeadChange {
        lead: 2,
        field: "doNotCall".to_owned(),
        old: json!(false),
        new: json!(true),
        at: Some("2026-11-24T11:52:00Z".parse().unwrap()),
        source: None,
        request_id: None,
    }];
    assert_eq!(only(&bench.run().await.report).0, Outcome::Merged);
    assert!(bench.fake.world().leads[&1].flag("doNotCall"), "law 5");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_forward_does_not_end_a_call_that_is_under_way() {
    let bench = Bench::new(pair());
    bench.fake.world().merge_fates = vec![Fate::DoneLater(170)];
    let plan = bench.plan().await;
    // Killed while it waits for the answer to become clear.
    let _killed = tokio::time::timeout(Duration::from_secs(20), bench.carry_out(plan)).await;
    assert_eq!(bench.ids(), [1, 2]);
    let now = || "2026-11-24T14:00:00Z".parse().expect("a time");
    let mut ledger = bench.ledger();
    let settings = Settings { now, ..bench.settings() };
    let mut merge = Merge::new(&bench.fake, &mut ledger, settings).await.unwrap();
    let resumed = merge.settle_open(&mut ()).await.unwrap();
    // Nothing is sent again: the fake refuses to see it.
    assert_eq!((resumed.removed, bench.ids()), (1, vec![1]), "{resumed:?}");
}
