//! A group that is left alone: what becomes of the values that its record to keep got, and of the
//! refusal.

use super::fake::{Kill, Moment};
use super::*;
use crate::dedupe::FieldRule;

/// A run is killed just after its write, before anything is merged.
async fn killed_after_the_write(leads: impl Fn() -> Vec<Lead>, summed: Option<&str>) -> Bench {
    for call in 1..20 {
        let mut bench = Bench::new(leads());
        bench.policy.fields.0.extend(summed.map(|field| (field.to_owned(), FieldRule::Sum)));
        bench.fake.world().kill = Some(Kill { call, moment: Moment::Never });
        let _killed = tokio::time::timeout(Duration::from_secs(60), bench.run()).await;
        bench.fake.world().kill = None;
        if bench.fake.world().writes > 0 {
            return bench;
        }
    }
    panic!("a run writes before it merges");
}

fn held(bench: &Bench, lead: LeadId, field: &str) -> Value {
    bench.fake.world().leads[&lead].value(field).cloned().unwrap_or_default()
}

fn change(bench: &Bench, lead: LeadId, field: &str, value: Value) {
    bench.fake.world().leads.get_mut(&lead).expect("the lead").set(field, value);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_says_after_a_write_that_marketo_refused_is_not_taken_back() {
    for whole in [false, true] {
        let bench = Bench::new([
            lead(1, "a@example.com"),
            lead(2, "a@example.com").with("doNotCall", true).with("phone", "7"),
        ]);
        if whole {
            bench.fake.world().write_fates = vec![Fate::Refused("1003")];
        } else {
            bench.fake.world().skips.insert(1, "1003");
        }
        assert_eq!(only(&bench.run().await.report).0, Outcome::Failed);
        assert_eq!(bench.ledger().unfinished_writes().unwrap(), [], "nothing was written");

        // What the plan would have written, and now a person did.
        bench.fake.world().skips.insert(1, "1003");
        change(&bench, 1, "doNotCall", json!(true));
        change(&bench, 1, "phone", json!("7"));
        bench.run().await;
        assert_eq!(held(&bench, 1, "doNotCall"), json!(true), "law 5");
        assert_eq!(held(&bench, 1, "phone"), json!("7"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_is_never_taken_back_and_its_group_is_not_tried_again_for_it() {
    let bench = Bench::new([
        lead(1, "a@example.com"),
        lead(2, "a@example.com")
            .with("unsubscribed", true)
            .with("unsubscribedReason", "post")
            .with("phone", "7"),
    ]);
    bench.fake.world().merge_fates = vec![Fate::Refused("1077")];
    let (outcome, reason) = only(&bench.run().await.report);
    assert_eq!(outcome, Outcome::Failed);
    assert!(reason.contains("`unsubscribed` keeps the opt-out"), "{reason}");
    assert_eq!(held(&bench, 1, "unsubscribed"), json!(true), "law 5 outranks law 2");
    assert_eq!(held(&bench, 1, "unsubscribedReason"), json!("post"), "an opt-out keeps its reason");
    assert_eq!(held(&bench, 1, "phone"), Value::Null, "law 2");
    assert_eq!(bench.ledger().unfinished_writes().unwrap(), []);

    let (outcome, reason) = only(&bench.run().await.report);
    assert_eq!((outcome, bench.fake.world().merges.len()), (Outcome::Skipped, 1), "{reason}");
    assert!(reason.contains("1077 no"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_finds_nothing_to_give_back_is_the_last_one() {
    let bench = killed_after_the_write(|| pair().to_vec(), None).await;
    assert_eq!(held(&bench, 1, "phone"), json!("7"));
    change(&bench, 1, "phone", json!("by hand"));
    // Leads 1 and 2 share nothing any more, so that no later write takes the place of this one.
    change(&bench, 2, "email", json!("b@example.com"));
    let resumed = bench.run().await.resumed;
    assert_eq!((bench.ledger().unfinished_writes().unwrap(), resumed.given_back), (vec![], 0));
    let [kept] = resumed.kept.as_slice() else { panic!("{resumed:?}") };
    assert!(
        kept.contains("lead 1")
            && kept.contains("is \"by hand\", which this program did not write"),
        "{kept}"
    );
    assert_eq!(held(&bench, 1, "phone"), json!("by hand"), "a person's value is named, and stays");
    let named: Vec<_> =
        resumed.findings.iter().map(|(_, finding)| finding.field.as_str()).collect();
    assert_eq!(named, ["phone"]);
    change(&bench, 1, "phone", json!("7"));
    change(&bench, 1, "unsubscribed", json!(true));
    bench.run().await;
    assert_eq!(
        (held(&bench, 1, "phone"), held(&bench, 1, "unsubscribed")),
        (json!("7"), json!(true))
    );
    assert_eq!(
        bench.ledger().open_findings().unwrap(),
        [],
        "somebody has decided on a value since"
    );
}

#[tokio::test(start_paused = true)]
async fn a_look_that_may_lag_behind_the_write_does_not_end_it() {
    let long_after = || "2026-11-24T12:10:00Z".parse().expect("a time");
    for is_over in [false, true] {
        let bench =
            killed_after_the_write(|| vec![lead(1, "a@example.com"), pair()[1].clone()], None)
                .await;
        let written = bench.fake.world().leads[&1].clone();
        change(&bench, 2, "email", json!("b@example.com"));
        // What a read shows that lags.
        bench.fake.world().leads.insert(1, lead(1, "a@example.com"));
        let now = if is_over { long_after } else { bench.settings().now };
        let mut ledger = bench.ledger();
        let settings = Settings { now, ..bench.settings() };
        let mut merge = Merge::new(&bench.fake, &mut ledger, settings).await.unwrap();
        merge.settle_open(&mut ()).await.unwrap();
        drop(ledger);
        assert_eq!(bench.ledger().unfinished_writes().unwrap().is_empty(), is_over);
        bench.fake.world().leads.insert(1, written);
        let given_back = bench.run().await.resumed.given_back;
        assert_eq!(
            (given_back, held(&bench, 1, "phone") == Value::Null),
            (usize::from(!is_over), !is_over)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_whose_giver_is_gone_stays_since_nobody_else_has_it() {
    let three = || {
        vec![
            lead(1, "a@example.com"),
            lead(2, "a@example.com").with("phone", "7").with("score", 2),
            lead(3, "a@example.com").with("title", "Dr").with("score", 3),
        ]
    };
    let bench = killed_after_the_write(three, Some("score")).await;
    assert_eq!(held(&bench, 1, "score"), json!(5));
    {
        // Somebody merges lead 2 into lead 1 by hand; lead 3 has become another person.
        let mut world = bench.fake.world();
        world.leads.remove(&2);
        world.leads.get_mut(&3).unwrap().set("email", json!("b@example.com"));
    }
    let resumed = bench.run().await.resumed;
    assert_eq!((held(&bench, 1, "phone"), held(&bench, 1, "score")), (json!("7"), json!(5)));
    assert_eq!(held(&bench, 1, "title"), Value::Null, "lead 3 still has it");
    assert!(resumed.kept[0].contains("`phone` stays \"7\", since lead 2"), "{:?}", resumed.kept);
    assert_eq!(resumed.findings, [], "nor does a finding have it taken away later");

    change(&bench, 3, "email", json!("a@example.com"));
    assert_eq!(only(&bench.run().await.report).0, Outcome::Merged);
    assert_eq!((bench.ids(), held(&bench, 1, "score")), (vec![1], json!(5)), "lead 3 counts once");
}

#[tokio::test(start_paused = true)]
async fn a_value_that_could_not_be_set_back_stays_once_its_giver_is_gone() {
    let bench = killed_after_the_write(|| pair().to_vec(), None).await;
    change(&bench, 2, "email", json!("b@example.com"));
    bench.fake.world().blocked.insert("phone".to_owned());
    let resumed = bench.run().await.resumed;
    assert_eq!(resumed.findings.len(), 1, "{resumed:?}");
    bench.fake.world().blocked.clear();
    bench.fake.world().leads.remove(&2);
    let resumed = bench.run().await.resumed;
    assert_eq!((held(&bench, 1, "phone"), resumed.findings), (json!("7"), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_could_not_be_set_back_stays_once_a_person_has_acknowledged_it() {
    let bench = killed_after_the_write(|| pair().to_vec(), None).await;
    change(&bench, 2, "email", json!("b@example.com"));
    bench.fake.world().blocked.insert("phone".to_owned());
    let (id, _) = bench.run().await.resumed.findings[0];
    acknowledge(&mut bench.ledger(), id, "it is right", "2026-11-24T12:00:00Z").unwrap();
    let writes = bench.fake.world().writes;
    assert_eq!(bench.run().await.resumed.findings, []);
    assert_eq!(
        (bench.fake.world().writes, bench.ledger().unfinished_writes().unwrap()),
        (writes, vec![])
    );
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_one_read_leaves_out_is_not_gone() {
    let bench = killed_after_the_write(|| pair().to_vec(), None).await;
    change(&bench, 2, "email", json!("b@example.com"));
    bench.fake.world().hides.insert(2);
    bench.run().await;
    assert_eq!(held(&bench, 1, "phone"), Value::Null, "law 2");
}

#[tokio::test(start_paused = true)]
async fn a_sum_that_could_not_be_given_back_is_not_added_up_again() {
    for blocked in [false, true] {
        let scores = || {
            [(1, 2), (2, 3)]
                .map(|(id, score)| lead(id, "a@example.com").with("score", score))
                .to_vec()
        };
        let bench = killed_after_the_write(scores, Some("score")).await;
        assert_eq!(held(&bench, 1, "score"), json!(5));
        if blocked {
            bench.fake.world().blocked.insert("score".to_owned());
        } else {
            bench.fake.world().skips.insert(1, "1003");
        }
        let Ran { resumed, .. } = bench.run().await;
        assert_eq!(resumed.given_back, 0);
        assert!(
            resumed.kept[0].contains("`score` was 2, is 5, and could not be set back"),
            "{:?}",
            resumed.kept
        );
        assert_eq!(resumed.findings.len(), 1, "{:?}", resumed.findings);
        bench.fake.world().blocked.clear();
        bench.fake.world().skips.clear();
        // A refusal is remembered until something changes.
        if bench.ids().len() > 1 {
            change(&bench, 2, "title", json!("Dr"));
            assert_eq!(only(&bench.run().await.report).0, Outcome::Merged);
        }
        assert_eq!((bench.ids(), held(&bench, 1, "score")), (vec![1], json!(5)), "{blocked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spell_of_refusals_stops_the_run_after_few_calls_and_is_not_remembered() {
    for code in ["610", "612", "HTTP 404"] {
        let bench = thirty_groups();
        bench.fake.world().write_fates = vec![Fate::Refused(code); 1000];
        let Ran { report, .. } = bench.run().await;
        assert!(matches!(report.stopped, Some(Stopped::Errors(_))), "{code}: {:?}", report.stopped);
        assert_eq!(bench.fake.world().merges.len(), 0);
        assert!(bench.fake.world().writes < 40, "{code}: {} writes", bench.fake.world().writes);
        assert!(bench.ledger().refusals().unwrap().is_empty(), "{code}");

        bench.fake.world().write_fates.clear();
        let Ran { report, .. } = bench.run().await;
        assert_eq!(report.count(Outcome::Merged), 30, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_once_costs_no_group() {
    let bench = thirty_groups();
    bench.fake.world().write_fates = vec![Fate::Refused("610")];
    let Ran { report, .. } = bench.run().await;
    assert_eq!((report.count(Outcome::Merged), bench.fake.world().writes), (30, 3));
}

#[tokio::test(start_paused = true)]
async fn only_a_refusal_that_is_the_records_own_is_remembered_and_stops_nothing() {
    for (code, is_own) in [("1003", true), ("1008", true), ("1006", false), ("1004", true)] {
        let bench = thirty_groups();
        bench.fake.world().skips = (0..20).map(|n| (2 * n + 1, code)).collect();
        let Ran { report, .. } = bench.run().await;
        assert_eq!(report.stopped.is_none(), is_own, "{code}: {:?}", report.stopped);
        let remembered = if is_own && code != "1004" { 20 } else { 0 };
        assert_eq!(bench.ledger().refusals().unwrap().len(), remembered, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_lags_twice_behind_the_write_costs_no_merge() {
    let bench = Bench::new(pair());
    bench.fake.world().lag = 2;
    let (outcome, reason) = only(&bench.run().await.report);
    assert_eq!(outcome, Outcome::Merged, "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_one_read_leaves_out_is_asked_for_again_before_its_rows_are() {
    let bench = Bench::new(pair().map(|lead| lead.with("title", format!("t{}", "x"))));
    change(&bench, 2, "title", json!("Paris"));
    let plan = bench.plan().await;
    {
        let mut world = bench.fake.world();
        world.linked_by = Some("title".to_owned());
        world.linked = ["Paris".to_owned()].into();
        world.hides.insert(2);
    }
    let (outcome, reason) = only(&bench.carry_out(plan).await);
    assert_eq!((outcome, bench.ids()), (Outcome::Skipped, vec![1, 2]), "{reason}");
}

/// Two looks may be answered from two copies: one that shows the values before a write is no proof
/// that they are there, though an earlier one has shown the write.
#[tokio::test(start_paused = true)]
async fn a_look_that_lags_after_a_refused_merge_does_not_leave_the_written_values() {
    // The first look is the one that finds all leads there; two are for what was written.
    for lag in 0..=3 {
        let mut bench =
            Bench::new([(1, 1), (2, 2)].map(|(id, n)| lead(id, "a@example.com").with("score", n)));
        bench.policy.fields.0.insert("score".into(), FieldRule::Sum);
        {
            let mut world = bench.fake.world();
            world.merge_fates = vec![Fate::Refused("712"); 2];
            world.lag_after_refusal = lag;
        }
        let (outcome, reason) = only(&bench.run().await.report);
        assert_eq!((outcome, bench.fake.world().writes > 0), (Outcome::Failed, true), "{reason}");
        let is_sure = !reason.contains("the next run looks again");
        assert_eq!(is_sure, lag < 3, "{lag}: {reason}");
        let score = |bench: &Bench| bench.fake.world().leads[&1].value("score").cloned();
        assert_eq!(score(&bench), Some(json!(if is_sure { 1 } else { 3 })), "{lag}: {reason}");
        bench.fake.world().lag_after_refusal = 0;
        bench.run().await;
        assert_eq!(score(&bench), Some(json!(1)), "{lag}: the next run gives back what stayed");
    }
}
