//! What a merge lost or was refused, as the ledger remembers it.

use std::collections::BTreeMap;

use serde_json::json;

use super::{AT, File, with_plan};
use crate::ledger::{Finding, FindingKind, Refusal};

#[test]
fn a_loss_is_open_until_somebody_saw_it_right_and_is_kept_once() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    let lost = Finding {
        key: "a@example.com".into(),
        lead: 1,
        field: "unsubscribed".into(),
        kind: FindingKind::Consent,
        wanted: json!(true),
        found: json!(false),
    };
    ledger.open_findings_with("p1", &[lost.clone(), lost.clone()], AT).unwrap();
    ledger.open_findings_with("p1", std::slice::from_ref(&lost), AT).unwrap();
    let open = ledger.open_findings().unwrap();
    assert_eq!(
        open.iter().map(|(_, plan, kept)| (plan.as_str(), kept)).collect::<Vec<_>>(),
        [("p1", &lost)]
    );
    let id = open[0].0;
    drop(ledger);
    let mut ledger = file.open();
    assert_eq!(ledger.open_findings().unwrap().len(), 1, "not forgotten");
    ledger.close_finding(id, "seen right", AT).unwrap();
    assert_eq!(ledger.open_findings().unwrap(), []);
    ledger.open_findings_with("p1", &[lost], AT).unwrap();
    assert_eq!(ledger.open_findings().unwrap().len(), 1, "it can be lost again");
}

#[test]
fn a_value_that_a_merge_lost_is_kept_beside_the_same_one_that_could_not_be_set_back() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    let of_kind = |kind| Finding {
        key: "a@example.com".into(),
        lead: 1,
        field: "phone".into(),
        kind,
        wanted: json!("7"),
        found: json!("8"),
    };
    let both = [FindingKind::NotSetBack, FindingKind::Value].map(of_kind);
    for _ in 0..2 {
        ledger.open_findings_with("p1", &both, AT).unwrap();
        let open: Vec<Finding> =
            ledger.open_findings().unwrap().into_iter().map(|(_, _, finding)| finding).collect();
        assert_eq!(open, both);
    }
}

#[test]
fn the_last_refusal_of_a_group_and_the_fields_that_are_not_taken_are_remembered() {
    let file = File::new();
    let mut ledger = with_plan(&file);
    let refusal = |code: &str| Refusal {
        key: "a@example.com".into(),
        digest: "d".into(),
        code: code.into(),
        message: "no".into(),
        request_id: Some("1#2".into()),
        at: AT.into(),
    };
    ledger.remember_refusal("p1", &refusal("712")).unwrap();
    ledger.remember_refusal("p1", &refusal("1077")).unwrap();
    assert_eq!(
        ledger.refusals().unwrap(),
        BTreeMap::from([("a@example.com".to_owned(), refusal("1077"))])
    );
    ledger.remember_not_taken("leadSource", 1, AT).unwrap();
    assert_eq!(ledger.not_taken_since(AT).unwrap().into_iter().collect::<Vec<_>>(), ["leadSource"]);
    assert!(ledger.not_taken_since("2026-11-25T00:00:00Z").unwrap().is_empty());
}
