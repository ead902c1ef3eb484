//! Findings that are open: what becomes of them when their record was merged once more, or is gone.

use super::*;
use crate::ledger::{Finding, FindingKind};
use crate::marketo::MergeRecord;

fn lost(field: &str, kind: FindingKind, wanted: Value, found: Value) -> Finding {
    Finding { key: "a@example.com".into(), lead: 1, field: field.into(), kind, wanted, found }
}

/// Lead 1 lost something and is gone; lead 5 is there.
fn with_open(finding: Finding, survivor: Lead) -> Bench {
    let bench = Bench::new([survivor]);
    let mut ledger = bench.ledger();
    ledger.save_plan("p1", "2026-11-24T11:00:00Z", "{}").unwrap();
    ledger.open_findings_with("p1", &[finding], "2026-11-24T11:00:00Z").unwrap();
    drop(ledger);
    bench
}

fn merged_by_somebody(bench: &Bench, loser: LeadId, winner: LeadId) {
    let record = MergeRecord {
        winner,
        then: None,
        losers: vec![loser],
        at: None,
        request_id: None,
        user: None,
        method: None,
        source: None,
        by_another_user: true,
    };
    bench.fake.world().recorded.push(record);
}

fn open(resumed: &Resumed) -> Vec<(LeadId, &str)> {
    resumed.findings.iter().map(|(_, finding)| (finding.lead, finding.field.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_put_right_on_the_record_into_which_its_own_was_merged() {
    let (no, blank) = (json!(true), Value::Null);
    for (finding, held, then, is_open) in [
        (
            lost("doNotCall", FindingKind::Consent, no.clone(), json!(false)),
            json!(false),
            no.clone(),
            false,
        ),
        (lost("doNotCall", FindingKind::Consent, no.clone(), json!(false)), no.clone(), no, false),
        (
            lost("phone", FindingKind::Value, json!("7"), blank.clone()),
            blank.clone(),
            json!("7"),
            false,
        ),
        (
            lost("phone", FindingKind::Value, json!("7"), blank.clone()),
            json!("7"),
            json!("7"),
            false,
        ),
        // A value of its own is no loss of this program's to put right, also where it is what was
        // found.
        (lost("phone", FindingKind::Value, json!("7"), blank), json!("8"), json!("8"), true),
        (lost("phone", FindingKind::Value, json!("7"), json!("8")), json!("8"), json!("8"), true),
        (
            lost("phone", FindingKind::NotSetBack, json!("7"), json!("8")),
            json!("8"),
            json!("8"),
            true,
        ),
        (
            lost("phone", FindingKind::NotSetBack, json!("7"), json!("8")),
            Value::Null,
            json!("7"),
            false,
        ),
        (
            lost("phone", FindingKind::NotSetBack, json!("7"), json!("8")),
            json!("7"),
            json!("7"),
            false,
        ),
        // There was no value before: it is one too many, and none is lost.
        (
            lost("phone", FindingKind::NotSetBack, Value::Null, json!("8")),
            json!("8"),
            json!("8"),
            false,
        ),
    ] {
        let field = finding.field.clone();
        let bench = with_open(finding, lead(5, "a@example.com").with(&field, held));
        // By way of a lead that is gone as well.
        merged_by_somebody(&bench, 1, 3);
        merged_by_somebody(&bench, 3, 5);
        let resumed = bench.run().await.resumed;
        let held = bench.fake.world().leads[&5].value(&field).cloned().unwrap_or_default();
        assert_eq!((held, open(&resumed).len()), (then, usize::from(is_open)), "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_log_does_not_tell_stays_open_until_a_person_says_why_it_may_be_closed() {
    let finding = lost("doNotCall", FindingKind::Consent, json!(true), json!(false));
    let bench = with_open(finding.clone(), lead(5, "a@example.com"));
    let resumed = bench.run().await.resumed;
    assert_eq!(open(&resumed), [(1, "doNotCall")]);
    let id = resumed.findings[0].0;

    let at = "2026-11-24T12:00:00Z";
    let closed = acknowledge(&mut bench.ledger(), id, "deleted on request", at).unwrap();
    assert_eq!(closed, finding);
    let again = acknowledge(&mut bench.ledger(), id, "twice", at).unwrap_err();
    assert!(matches!(again, Error::NoSuchFinding { .. }), "{again}");
    assert_eq!(open(&bench.run().await.resumed), []);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_one_read_leaves_out_is_not_looked_for_elsewhere() {
    let finding = lost("phone", FindingKind::Value, json!("7"), Value::Null);
    let bench = with_open(finding, lead(1, "a@example.com"));
    bench.fake.world().leads.insert(5, lead(5, "a@example.com"));
    merged_by_somebody(&bench, 1, 5);
    bench.fake.world().hides.insert(1);
    let mut ledger = bench.ledger();
    let mut merge = Merge::new(&bench.fake, &mut ledger, bench.settings()).await.unwrap();
    merge.settle_open(&mut ()).await.unwrap();
    let world = bench.fake.world();
    assert_eq!(
        (world.leads[&1].value("phone"), world.leads[&5].value("phone")),
        (Some(&json!("7")), None)
    );
}
