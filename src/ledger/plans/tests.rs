//! Plans as rows: kept in order, once, and found by what a run knows of them.

use super::*;

fn draft(ledger: &mut Ledger, keys: &[(&str, u64)]) {
    ledger.begin_draft().unwrap();
    for (key, losers) in keys {
        let row = GroupRow {
            place: 0,
            key: (*key).to_owned(),
            risk: "green".to_owned(),
            cause: None,
            domain: Some("example.com".to_owned()),
            names: "ada".to_owned(),
            winner: *losers * 10,
            losers: *losers,
            dropped: 0,
            lost: 0,
        };
        let body = GroupBody { body: format!("{{\"of\":\"{key}\"}}"), leads: "[]".to_owned() };
        ledger.draft_group(&row, &body).unwrap();
    }
    ledger.draft_left("z@example.com", "[7,8]", "why").unwrap();
}

#[test]
fn a_plan_is_kept_in_order_under_its_digest_and_never_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(&folder.path().join("ledger.db"), "x").unwrap();
    draft(&mut ledger, &[("b@example.com", 1), ("c@example.com", 3), ("a@example.com", 1)]);
    let head = ledger.keep_draft("{}", Some("first"), "2026-11-29T01:00:00Z").unwrap();
    assert_eq!((head.digest.len(), &head.digest[..16]), (64, head.plan.as_str()));
    let mut keys = Vec::new();
    ledger.each_group(head.number, |row| keys.push((row.place, row.key))).unwrap();
    let expected = ["c@example.com", "a@example.com", "b@example.com"];
    assert_eq!(keys, (0..).zip(expected.map(str::to_owned)).collect::<Vec<_>>());
    let body = ledger.group_body(head.number, 1).unwrap().unwrap();
    assert_eq!(body.body, r#"{"of":"a@example.com"}"#);
    assert_eq!(ledger.left_from(head.number, 0, 9).unwrap()[0].reason, "why");
    assert_eq!(ledger.plan_head("first").unwrap().as_ref(), Some(&head));
    assert_eq!(ledger.plan_head(&head.plan).unwrap().as_ref(), Some(&head));
    assert!(ledger.is_intact(&head).unwrap());

    draft(&mut ledger, &[("b@example.com", 1)]);
    let again = ledger.keep_draft("{}", Some("first"), "2026-11-29T02:00:00Z");
    assert!(matches!(again, Err(Error::NameTaken { .. })), "{again:?}");
    let refused = ledger.db.execute("UPDATE plan_body SET leads = '[1]'", []).unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
    ledger
        .db
        .execute_batch("DROP TRIGGER plan_body_stays; UPDATE plan_body SET leads = '[1]'")
        .unwrap();
    assert!(!ledger.is_intact(&head).unwrap(), "a changed lead is noticed");
}

#[test]
fn a_run_finds_its_groups_as_it_took_them_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(&folder.path().join("ledger.db"), "x").unwrap();
    draft(&mut ledger, &[("a@example.com", 1), ("b@example.com", 2)]);
    let plan = ledger.keep_draft("{}", None, "2026-11-29T01:00:00Z").unwrap().plan;
    let of = |ledger: &Ledger, winner| ledger.groups_by_winner(&plan, &[winner]).unwrap();
    assert_eq!(of(&ledger, 20), [r#"{"of":"b@example.com"}"#]);
    let other = ("b@example.com".to_owned(), 21, "decided".to_owned());
    ledger.carry(&plan, &[other]).unwrap();
    assert_eq!(of(&ledger, 21), ["decided"]);
    assert_eq!(of(&ledger, 22), Vec::<String>::new());
}
