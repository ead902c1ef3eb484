//! `mkto-audit map`.

use serde_json::{Value, json};

use super::history::{offline, two_pairs};
use crate::support::merging::{fill_cache, merge};
use crate::support::{Instance, quick};

fn rows(map: &Value) -> Vec<(u64, u64, u64, String)> {
    let row = |row: &Value| {
        let id = |name: &str| row[name].as_u64().unwrap();
        let by = row["by"].as_str().unwrap_or_default().to_owned();
        (id("loser_id"), id("winner_id"), id("survivor_id"), by)
    };
    map["merge"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_chain_of_merges_leads_to_the_record_that_lives_now() {
    let instance = two_pairs();
    merge(&instance, &["--confirm", "--by", "ada", "--email", "ada@example.com"]).expect_code(0);
    // Ada turns out to be Bob: what stayed of her goes into him.
    instance.sandbox.change_lead(1, &json!({"email": "bob@example.com"}));
    // A Salesforce contact is kept, whoever is older.
    instance.sandbox.change_lead(3, &json!({"sfdcContactId": "0031"}));
    fill_cache(&instance);
    merge(&instance, &["--confirm", "--by", "bob", "--email", "bob@example.com"]).expect_code(0);

    let map = offline(&instance, &["map", "--json"]).expect_code(0).json();
    let rows = rows(&map);
    assert_eq!(
        rows,
        [(2, 1, 3, "ada".into()), (1, 3, 3, "bob".into()), (4, 3, 3, "bob".into())],
        "{map}"
    );
    for row in map["merge"].as_array().unwrap() {
        assert!(row["request_id"].is_string() && row["merged_at"].is_string(), "{row}");
        assert!(
            row["loser_created_at"].is_string() && row["winner_created_at"].is_string(),
            "{row}"
        );
    }
    let resolved =
        offline(&instance, &["map", "resolve", "2", "1", "77", "--json"]).expect_code(0).json();
    assert_eq!(
        resolved["resolved"],
        json!([
            {"id": 2, "survivor_id": 3, "merged": true},
            {"id": 1, "survivor_id": 3, "merged": true},
            {"id": 77, "survivor_id": 77, "merged": false}
        ])
    );
}

#[test]
fn the_csv_has_the_columns_of_the_contract_and_fivetrans_on_request() {
    let instance = two_pairs();
    merge(&instance, &["--confirm", "--by", "=cmd()", "--email", "ada@example.com"]).expect_code(0);
    let csv = offline(&instance, &["map", "--csv"]).expect_code(0).stdout;
    let mut lines = csv.split("\r\n");
    assert_eq!(
        lines.next(),
        Some(
            "loser_id,winner_id,survivor_id,loser_created_at,winner_created_at,merged_at,by,run,request_id"
        )
    );
    let row = lines.next().unwrap();
    assert!(row.starts_with("2,1,1,") && row.contains(",'=cmd(),1,"), "{row}");
    let fivetran = offline(&instance, &["map", "--csv", "--fivetran"]).expect_code(0).stdout;
    assert_eq!(fivetran, "merged_lead,into_lead\r\n2,1\r\n");
    let file = instance.path("map.csv");
    offline(&instance, &["map", "--csv", file.to_str().unwrap()]).expect_code(0);
    assert_eq!(std::fs::read_to_string(file).unwrap(), csv);
    offline(&instance, &["map", "--fivetran"]).expect_code(2);
}

#[test]
fn merges_of_others_come_from_marketos_log_and_are_marked() {
    let mut options = quick();
    for knob in ["activity_delay_ms=0", "merge_ms=0"] {
        options.set_knob(knob).unwrap();
    }
    let instance = Instance::start(options);
    for email in ["ada@example.com", "ada@example.com", "eve@example.com", "eve@example.com"] {
        instance.sandbox.put_lead(&json!({"email": email}));
    }
    fill_cache(&instance);
    merge(&instance, &["--confirm", "--by", "ada", "--email", "ada@example.com"]).expect_code(0);
    let caller = crate::support::caller::Caller::new(&instance);
    assert_eq!(crate::support::sandboxes::merge(&caller, 3, &[4]), "ok");

    let ours = offline(&instance, &["map", "--json"]).expect_code(0).json();
    assert_eq!(rows(&ours), [(2, 1, 1, "ada".to_owned())]);
    let mut all = instance.command(["map", "--since", "2026-01-01", "--json"]);
    let all = crate::support::Run::of(all.env("MKTO_AUDIT_DB", instance.path("cache.db")))
        .expect_code(0)
        .json();
    let mut found = rows(&all);
    found.sort();
    assert_eq!(found, [(2, 1, 1, "ada".to_owned()), (4, 3, 3, "others".to_owned())], "{all}");
    assert_eq!(all["others_since"], "2026-01-01");
}
