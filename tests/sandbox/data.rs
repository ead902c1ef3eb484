//! The sandbox's data over HTTP: a seeded instance, its activities.

use std::collections::{BTreeMap, BTreeSet};

use mkto_sandbox::SeedCause;
use serde_json::{Value, json};

use crate::support::asking::{Ask, code, seeded};
use crate::support::caller::Caller;
use crate::support::sandboxes::{put, with};
use crate::support::{Instance, quick};

fn attribute<'a>(activity: &'a Value, name: &str) -> Option<&'a str> {
    let attributes = activity["attributes"].as_array()?;
    attributes.iter().find(|attribute| attribute["name"] == name)?["value"].as_str()
}

#[test]
fn a_filled_sandbox_has_the_leads_the_groups_and_the_truth_about_them() {
    let instance = seeded(600, 0.4);
    let leads = instance.sandbox.leads();
    assert_eq!(leads.len(), 600);
    let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for lead in &leads {
        let key = lead
            .fields
            .get("email")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim()
            .to_lowercase();
        by_key.entry(key).or_default().push(lead.id);
    }
    by_key.remove("");
    by_key.retain(|_, ids| ids.len() > 1);
    let labels = instance.sandbox.labels();
    let labelled: BTreeMap<String, Vec<u64>> =
        labels.iter().map(|label| (label.key.clone(), label.leads.clone())).collect();
    assert_eq!(by_key, labelled);
    assert!(
        leads.iter().any(|lead| !lead.lists.is_empty())
            && leads.iter().any(|lead| !lead.programs.is_empty())
    );
    assert!(leads.iter().any(|lead| lead.fields.contains_key("sfdcContactId")));
}

#[test]
fn the_same_seed_fills_two_sandboxes_alike() {
    let (one, other) = (seeded(200, 0.3), seeded(200, 0.3));
    assert_eq!(one.sandbox.leads(), other.sandbox.leads());
    assert_eq!(one.sandbox.labels(), other.sandbox.labels());
}

#[test]
fn new_leads_come_in_short_and_empty_pages_and_show_a_race_by_its_request_ids() {
    let instance = seeded(600, 0.4);
    let caller = Caller::new(&instance);
    let token = caller.token_since("2019-01-01");
    let (rows, sizes) = caller.pages("/rest/v1/activities.json?activityTypeIds=12", &token);
    assert!(sizes.iter().any(|size| (1..300).contains(size)), "{sizes:?}");
    let (_, merge_sizes) = caller.pages("/rest/v1/activities.json?activityTypeIds=32", &token);
    assert!(merge_sizes.contains(&0), "{merge_sizes:?}");

    let born: BTreeMap<u64, &Value> =
        rows.iter().map(|row| (row["primaryAttributeValueId"].as_u64().unwrap(), row)).collect();
    assert!(instance.sandbox.leads().iter().all(|lead| born.contains_key(&lead.id)));
    let recent = |id: &u64| born[id]["activityDate"].as_str().unwrap() > "2022";
    let races = instance.sandbox.labels().iter().filter(|label| label.cause == SeedCause::Race);
    let mut proven = 0;
    for race in races.filter(|race| race.leads.iter().all(recent)) {
        let first =
            race.leads.iter().map(|id| born[id]["activityDate"].as_str().unwrap()).min().unwrap();
        let first: chrono::DateTime<chrono::Utc> = first.parse().unwrap();
        for id in &race.leads {
            let Some(request_id) = attribute(born[id], "request id") else { continue };
            let arrived = i64::from_str_radix(request_id.split_once('#').unwrap().1, 16).unwrap();
            assert!(arrived < first.timestamp_millis());
            proven += 1;
        }
    }
    assert!(proven > 20, "{proven}");
}

#[test]
fn past_merges_show_on_the_survivor_with_the_losers_births() {
    let instance = seeded(600, 0.1);
    let caller = Caller::new(&instance);
    let token = caller.token_since("2019-01-01T00:00:00Z");
    let (rows, _) = caller.pages("/rest/v1/activities.json?activityTypeIds=12,32", &token);
    let living: BTreeSet<u64> = instance.sandbox.leads().iter().map(|lead| lead.id).collect();
    assert!(rows.iter().all(|row| living.contains(&row["leadId"].as_u64().unwrap())));
    let merge = rows.iter().find(|row| row["activityTypeId"] == 32).unwrap();
    let losers: Vec<u64> = serde_json::from_str(attribute(merge, "Merge IDs").unwrap()).unwrap();
    for loser in losers {
        let birth = rows
            .iter()
            .find(|row| row["activityTypeId"] == 12 && row["primaryAttributeValueId"] == loser);
        assert_eq!(birth.unwrap()["leadId"], merge["leadId"]);
        assert!(!living.contains(&loser));
    }
}

#[test]
fn activities_of_live_calls_show_after_the_delay_and_the_last_token_finds_them() {
    let mut options = quick();
    options.set_knob("activity_delay_ms=60000000").unwrap();
    let late = Instance::start(options);
    let caller = Caller::new(&late);
    let token = caller.token_since("2019-01-01");
    let upsert = json!({"input": [{"email": "a@example.com"}]});
    assert_eq!(caller.post("/rest/v1/leads.json", &upsert)["result"][0]["status"], "created");
    assert!(
        caller.pages("/rest/v1/activities.json?activityTypeIds=12", &token).0.is_empty(),
        "not visible yet"
    );

    let mut options = quick();
    options.set_knob("activity_delay_ms=0").unwrap();
    let instance = Instance::start(options);
    let caller = Caller::new(&instance);
    let token = caller.token_since("2019-01-01");
    let id = caller.post("/rest/v1/leads.json", &upsert)["result"][0]["id"].clone();
    let (rows, _) = caller.pages("/rest/v1/activities.json?activityTypeIds=12", &token);
    assert_eq!(rows[0]["leadId"], id);
    assert_eq!(attribute(&rows[0], "api method name"), Some("syncLead"));
    let changed = json!({"lookupField": "id", "action": "updateOnly", "input": [{"id": id, "email": "b@example.com"}]});
    assert_eq!(caller.post("/rest/v1/leads.json", &changed)["result"][0]["status"], "updated");
    let (rows, _) = caller.pages("/rest/v1/activities/leadchanges.json?fields=email", &token);
    let change = rows.iter().find(|row| row["activityTypeId"] == 13).unwrap();
    assert_eq!(change["fields"][0]["oldValue"], "a@example.com");
    assert_eq!(change["fields"][0]["newValue"], "b@example.com");
    caller.post("/rest/v1/leads/delete.json", &json!({"input": [{"id": id}]}));
    let (rows, _) = caller.pages("/rest/v1/activities/deletedleads.json?batchSize=300", &token);
    assert_eq!(rows[0]["leadId"], id);
    let (rows, _) = caller.pages("/rest/v1/activities.json?activityTypeIds=12", &token);
    assert!(rows.is_empty(), "what a deleted lead did is gone with it");
}

#[test]
fn calls_for_activities_are_refused_as_documented() {
    let instance = seeded(20, 0.0);
    let caller = Caller::new(&instance);
    let token = caller.token_since("2019-01-01");
    let many = (1..=31).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    for (path, expected) in [
        ("/rest/v1/activities/pagingtoken.json".to_owned(), "1002"),
        ("/rest/v1/activities/pagingtoken.json?sinceDatetime=yesterday".to_owned(), "704"),
        (format!("/rest/v1/activities.json?nextPageToken={token}"), "1002"),
        ("/rest/v1/activities.json?activityTypeIds=12".to_owned(), "1002"),
        (
            "/rest/v1/activities.json?activityTypeIds=12&nextPageToken=GIYDAOBNGEYS2===="
                .to_owned(),
            "1003",
        ),
        (format!("/rest/v1/activities.json?activityTypeIds=37&nextPageToken={token}"), "1003"),
        (
            format!(
                "/rest/v1/activities.json?activityTypeIds=12&leadIds={many}&nextPageToken={token}"
            ),
            "1003",
        ),
        (format!("/rest/v1/activities.json?activityTypeIds={many}&nextPageToken={token}"), "1003"),
        (format!("/rest/v1/activities/leadchanges.json?nextPageToken={token}"), "1002"),
        (
            format!("/rest/v1/activities/leadchanges.json?fields=nonsense&nextPageToken={token}"),
            "1006",
        ),
    ] {
        assert_eq!(code(&caller.get(&path)), expected, "{path}");
    }
    let types = caller.get("/rest/v1/activities/types.json");
    let new_lead = types["result"]
        .as_array()
        .unwrap()
        .iter()
        .find(|known| known["name"] == "New Lead")
        .unwrap();
    assert_eq!(new_lead["id"], 12);
    assert!(
        new_lead["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|attribute| attribute["name"] == "Request Id")
    );
}

#[test]
fn a_members_fields_are_written_and_a_member_is_taken_out_and_starts_anew() {
    let instance = with(&[]);
    let lead = put(&instance, &json!({"email": "ada@example.com"}));
    instance.sandbox.put_program(7, "Webinar", &["Invited", "Attended"], &[(lead, "Attended")]);
    let caller = Caller::new(&instance);
    let post = |path: &str, body: &Value| {
        let row = caller.post(path, body)["result"][0].clone();
        row["reasons"][0]["code"]
            .as_str()
            .unwrap_or_else(|| row["status"].as_str().unwrap())
            .to_owned()
    };
    let member = |caller: &Caller<'_>| {
        caller.get(&format!("/rest/v1/leads/{lead}/programMembership.json"))["result"][0].clone()
    };
    let path = "/rest/v1/programs/7/members.json";
    let with_field = |name: &str| json!({"input": [{"leadId": lead, name: true}]});
    assert_eq!(post(path, &with_field("acquiredBy")), "updated");
    assert_eq!(post(path, &with_field("nothing")), "1006");
    assert_eq!(post(path, &json!({"input": [{"leadId": 99, "acquiredBy": true}]})), "1013");
    assert_eq!(member(&caller)["acquiredBy"], true);

    // A status only rises, but for a member that was taken out.
    let status = json!({"statusName": "Invited", "input": [{"leadId": lead}]});
    assert_eq!(post("/rest/v1/programs/7/members/status.json", &status), "1037");
    let body = json!({"input": [{"leadId": lead}]});
    assert_eq!(post("/rest/v1/programs/7/members/delete.json", &body), "deleted");
    assert_eq!(post("/rest/v1/programs/7/members/delete.json", &body), "1037");
    assert_eq!(post("/rest/v1/programs/7/members/status.json", &status), "updated");
    let anew = member(&caller);
    assert_eq!(
        (&anew["progressionStatus"], &anew["reachedSuccess"], &anew["acquiredBy"]),
        (&json!("Invited"), &json!(false), &json!(false)),
        "dates, success and acquisition are the price"
    );
}
