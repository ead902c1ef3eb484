//! The laws, against a Marketo in memory that fails on demand. Time is paused: waiting costs
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use self::fake::{Fake, Fate};
use super::*;
use crate::dedupe::{Key, Known, Plan, Policy};
use crate::lead::{Lead, LeadId};
use crate::leases::{SharedLeases, Terms};
use crate::ledger::Ledger;
use crate::marketo::{self, Clock, ReadLeads};

mod at_once;
mod braked;
mod fake;
mod findings;
mod kept_open;
mod killed;
mod leased;
mod left_alone;
mod meddled;
mod objects;
mod programs;
mod settling;
mod stopping;
mod witnessed;

/// Whoever runs these tests asks for each group, however large.
const NAMED: Known = Known { cause: None, named: true };

const INSTANCE: &str = "000-aaa-000.mktorest.com";

struct Bench {
    fake: Fake,
    folder: TempDir,
    policy: Policy,
    stop: CancellationToken,
    /// How many groups are merged at once.
    concurrency: usize,
    /// What ends a run before its plan does.
    brakes: Brakes,
    /// Where keys are leased; by default nobody else does.
    hold: Option<Hold>,
}

/// A run from the opening of the ledger to its end: settle, plan, carry out.
struct Ran {
    resumed: Resumed,
    report: Report,
}

impl Bench {
    fn new(leads: impl IntoIterator<Item = Lead>) -> Self {
        let fake = Fake::default();
        fake.world().leads = leads.into_iter().map(|lead| (lead.id, lead)).collect();
        fake.world().lists = BTreeMap::from([(1, BTreeSet::new()), (2, BTreeSet::new())]);
        fake.world().programs = BTreeMap::from([(9, BTreeSet::new())]);
        let folder = tempfile::tempdir().expect("a folder for the test");
        let (policy, stop) = (Policy::default(), CancellationToken::new());
        let brakes = Brakes::default();
        Self { fake, folder, policy, stop, concurrency: 3, brakes, hold: None }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(&self.path(), INSTANCE).expect("the ledger opens")
    }

    fn settings(&self) -> Settings {
        let now = || "2026-11-24T12:00:00Z".parse().expect("a time");
        let stop = self.stop.clone();
        let hold = match &self.hold {
            Some(hold) => hold.clone(),
            None => Hold::new(SharedLeases::memory(Terms::default()), INSTANCE.to_owned()),
        };
        let clock = Clock::real();
        let (stop_after_errors, concurrency, brakes) = (10, self.concurrency, self.brakes.clone());
        let carries_out = false;
        Settings {
            clock,
            now,
            stop,
            stop_after_errors,
            concurrency,
            brakes,
            carries_out,
            hold,
            by: None,
        }
    }

    /// The groups of those that share an email, as a scan would find them.
    fn candidates(&self) -> Vec<Candidate> {
        let mut groups: BTreeMap<Key, Vec<LeadId>> = BTreeMap::new();
        for lead in self.fake.world().leads.values() {
            if let Some(key) = self.policy.key.key_of(lead) {
                groups.entry(key).or_default().push(lead.id);
            }
        }
        let groups = groups.into_iter().filter(|(_, leads)| leads.len() > 1);
        groups.map(|(key, leads)| Candidate { key, leads, known: NAMED }).collect()
    }

    async fn plan(&self) -> Plan {
        let mut ledger = self.ledger();
        let mut merge = Merge::new(&self.fake, &mut ledger, self.settings()).await.unwrap();
        self.planned(&mut merge).await
    }

    /// What a flag lets into a plan is merged where a person decided so.
    async fn planned(&self, merge: &mut Merge<'_, Fake>) -> Plan {
        let (candidates, policy) = (self.candidates(), self.policy.clone());
        if policy.merge_in_crm {
            return merge
                .plan_again_as_decided(&candidates, policy, INSTANCE.into())
                .await
                .unwrap();
        }
        merge.plan(&candidates, policy, INSTANCE.into(), 500).await.unwrap()
    }

    async fn carry_out(&self, plan: Plan) -> Report {
        let mut ledger = self.ledger();
        let mut merge = Merge::new(&self.fake, &mut ledger, self.settings()).await.unwrap();
        merge.settle_open(&mut ()).await.unwrap();
        merge.carry_out(Confirmed::new(plan), &mut ()).await
    }

    async fn run(&self) -> Ran {
        let mut ledger = self.ledger();
        let mut merge = Merge::new(&self.fake, &mut ledger, self.settings()).await.unwrap();
        let resumed = merge.settle_open(&mut ()).await.unwrap();
        let plan = self.planned(&mut merge).await;
        let report = merge.carry_out(Confirmed::new(plan), &mut ()).await;
        Ran { resumed, report }
    }

    fn ids(&self) -> Vec<LeadId> {
        self.fake.world().leads.keys().copied().collect()
    }
}

fn lead(id: LeadId, email: &str) -> Lead {
    Lead::new(id)
        .with("email", email)
        .with("createdAt", format!("2026-01-01T00:00:{:02}Z", id % 60))
}

fn pair() -> [Lead; 2] {
    [
        lead(1, "a@example.com"),
        lead(2, "A@example.com ").with("phone", "7").with("unsubscribed", true),
    ]
}

fn only(report: &Report) -> (Outcome, String) {
    assert_eq!(report.groups.len(), 1, "{:?}", report.groups);
    (report.groups[0].outcome, report.groups[0].reason.clone().unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_merge_keeps_values_opt_outs_and_memberships_and_tells_where_the_loser_went() {
    let bench = Bench::new(pair());
    bench.fake.world().lists.get_mut(&2).unwrap().insert(2);
    let Ran { report, .. } = bench.run().await;
    assert_eq!((only(&report).0, report.removed()), (Outcome::Merged, 1));
    assert!(report.stopped.is_none());

    let world = bench.fake.world();
    assert_eq!(world.leads[&1].value("phone"), Some(&json!("7")));
    assert!(world.leads[&1].flag("unsubscribed"), "law 5");
    let ledger = bench.ledger();
    assert_eq!(ledger.merged_into().unwrap(), BTreeMap::from([(2, 1)]));
    let backup = &ledger.backups_of(2).unwrap()[0];
    assert_eq!(backup.lead, pair()[1], "law 3: the whole lead");
    assert_eq!(backup.lists.as_ref().unwrap()[0].get("id"), Some(&json!(2)));
    assert_eq!(ledger.open_calls().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn strangers_without_an_email_are_never_merged() {
    let blank =
        |id, email: Value| lead(id, "").with("email", email).with("firstName", format!("P{id}"));
    let bench = Bench::new([
        blank(1, Value::Null),
        blank(2, Value::Null),
        blank(3, json!(" ")),
        blank(4, json!("null")),
        blank(5, json!("null")),
    ]);
    // Even where a wrong cache says that they are a group.
    let candidate = Candidate {
        key: Key::of("a@example.com").unwrap(),
        leads: vec![1, 2, 3, 4, 5],
        known: NAMED,
    };
    let mut ledger = bench.ledger();
    let mut merge = Merge::new(&bench.fake, &mut ledger, bench.settings()).await.unwrap();
    let plan = merge.plan(&[candidate], bench.policy.clone(), INSTANCE.into(), 9).await.unwrap();
    assert_eq!((plan.groups.len(), plan.left_out.len()), (0, 1));
    let report = merge.carry_out(Confirmed::new(plan), &mut ()).await;
    assert_eq!((report.count(Outcome::Skipped), bench.ids().len()), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_lead_whose_email_changed_since_the_plan_is_left_alone() {
    let bench = Bench::new(pair());
    let plan = bench.plan().await;
    bench.fake.world().leads.get_mut(&2).unwrap().set("email", json!("other@example.com"));
    let report = bench.carry_out(plan).await;
    let (outcome, reason) = only(&report);
    assert_eq!(outcome, Outcome::Skipped);
    assert!(reason.contains("another key"), "{reason}");
    assert_eq!(bench.ids(), [1, 2]);
    assert_eq!(bench.fake.world().merges.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_is_gone_or_opted_out_since_the_plan_takes_its_group_out() {
    for meddle in [(|leads| drop(leads.remove(&2))) as fn(&mut BTreeMap<LeadId, Lead>), |leads| {
        leads.get_mut(&1).unwrap().set("doNotCall", json!(true));
    }] {
        let bench = Bench::new(pair());
        let plan = bench.plan().await;
        meddle(&mut bench.fake.world().leads);
        assert_eq!(only(&bench.carry_out(plan).await).0, Outcome::Skipped);
        let world = bench.fake.world();
        assert_eq!((world.writes, world.merges.len()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_changes_while_the_run_waits_is_looked_at_again_before_its_merge() {
    let bench = Bench::new(
        ["a@example.com", "b@example.com"]
            .iter()
            .zip([1, 3])
            .flat_map(|(email, id)| [lead(id, email), lead(id + 1, email).with("phone", "7")]),
    );
    // Written, but the answer is lost: by the time that it was looked for, lead 4 is somebody
    // else's.
    bench.fake.world().write_fates = vec![Fate::AnswerLost];
    bench.fake.world().meddling = Some(lead(4, "other@example.com"));
    let Ran { report, .. } = bench.run().await;
    assert_eq!(report.count(Outcome::Merged), 1, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_custom_object_keep_a_group_out() {
    let bench = Bench::new(pair());
    bench.fake.world().put_row(2, "T");
    bench.fake.world().fixed_rows = true;
    let (outcome, reason) = only(&bench.run().await.report);
    assert_eq!(outcome, Outcome::Skipped);
    assert!(reason.contains("car_c"), "{reason}");
    assert_eq!(bench.ids(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_unclear_merge_is_settled_by_looking_and_never_sent_again() {
    for (fate, outcome, left) in [
        (Fate::AnswerLost, Outcome::Merged, vec![1]),
        (Fate::DoneLater(3), Outcome::Merged, vec![1]),
        (Fate::DoneLater(179), Outcome::Merged, vec![1]),
        (Fate::NeverDone, Outcome::Failed, vec![1, 2]),
    ] {
        let bench = Bench::new(pair());
        bench.fake.world().merge_fates = vec![fate.clone()];
        let Ran { report, .. } = bench.run().await;
        assert_eq!(only(&report).0, outcome, "{fate:?}");
        assert_eq!(bench.ids(), left, "{fate:?}");
        assert_eq!(bench.fake.world().merges.len(), 1, "{fate:?}");
        assert_eq!(bench.ledger().open_calls().unwrap(), [], "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_was_not_done_is_done_by_the_next_run() {
    let bench = Bench::new(pair());
    bench.fake.world().merge_fates = vec![Fate::NeverDone];
    assert_eq!(only(&bench.run().await.report).0, Outcome::Failed);
    assert_eq!(only(&bench.run().await.report).0, Outcome::Merged);
    assert_eq!(bench.ids(), [1]);
}

#[tokio::test(start_paused = true)]
async fn what_fits_no_outcome_stops_the_run_with_an_alarm() {
    for fate in [Fate::AllVanish, Fate::AcceptedOnly] {
        let groups = (0..8).flat_map(|n| {
            let email = format!("{n}@example.com");
            [lead(2 * n + 1, &email), lead(2 * n + 2, &email)]
        });
        let bench = Bench::new(groups);
        bench.fake.world().merge_fates = vec![fate.clone()];
        let Ran { report, .. } = bench.run().await;
        assert!(
            matches!(report.stopped, Some(Stopped::Alarm(_))),
            "{fate:?}: {:?}",
            report.stopped
        );
        assert_eq!(report.count(Outcome::Unknown), 1);
        assert!(
            bench.fake.world().merges.len() <= 3,
            "{fate:?}: no more than the first, small rounds were risked"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_that_a_merge_drops_is_set_again() {
    let bench = Bench::new(pair());
    bench.fake.world().forgets_opt_outs = true;
    assert_eq!(only(&bench.run().await.report).0, Outcome::Merged);
    assert!(bench.fake.world().leads[&1].flag("unsubscribed"));
}

#[tokio::test(start_paused = true)]
async fn a_loser_that_survives_gets_the_planned_values_and_is_reported() {
    let bench = Bench::new(pair().map(|lead| lead.with("score", 4)));
    bench.fake.world().merge_fates = vec![Fate::LoserSurvives];
    let Ran { report, .. } = bench.run().await;
    let group = &report.groups[0];
    assert_eq!(
        (group.outcome, group.winner, group.losers.clone()),
        (Outcome::Merged, Some(2), vec![1])
    );
    assert!(group.reason.as_ref().unwrap().contains("precedence"));
    assert!(bench.fake.world().leads[&2].flag("unsubscribed"));
    assert_eq!(bench.ledger().merged_into().unwrap(), BTreeMap::from([(1, 2)]));
}

#[tokio::test(start_paused = true)]
async fn a_group_of_sixty_takes_three_calls_one_after_the_other() {
    let bench = Bench::new((1..=60).map(|id| lead(id, "a@example.com")));
    let Ran { report, .. } = bench.run().await;
    assert_eq!((only(&report).0, report.removed()), (Outcome::Merged, 59));
    let sizes: Vec<usize> = bench.fake.world().merges.iter().map(Vec::len).collect();
    assert_eq!(sizes, [25, 25, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_was_done_in_part_is_told_so_and_finished_by_the_next_run() {
    let bench = Bench::new((1..=4).map(|id| lead(id, "a@example.com").with("phone", "7")));
    bench.fake.world().merge_fates = vec![Fate::StopsAfterOne];
    let (outcome, reason) = only(&bench.run().await.report);
    assert_eq!(outcome, Outcome::Failed);
    assert!(reason.starts_with("1 of 3 records were merged"), "{reason}");
    assert_eq!(only(&bench.run().await.report).0, Outcome::Merged);
    assert_eq!(bench.ids(), [1]);
}

fn thirty_groups() -> Bench {
    let groups = (0..30).flat_map(|n| {
        let email = format!("{n}@example.com");
        [lead(2 * n + 1, &email), lead(2 * n + 2, &email).with("phone", "7")]
    });
    Bench::new(groups)
}
