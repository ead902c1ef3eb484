//! The sandbox's data over HTTP: a seeded instance, its activities, its bulk extract.

use std::collections::{BTreeMap, BTreeSet};

use mkto_sandbox::{Fault, Options, SeedCause};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::caller::Caller;
use crate::support::{Instance, quick};

const EXPORTS: &str = "/bulk/v1/leads/export";

/// What is asked for more than once of the activity log and of exports.
trait Ask {
    fn token_since(&self, since: &str) -> String;
    fn pages(&self, path: &str, token: &str) -> (Vec<Value>, Vec<usize>);
    fn create(&self, filter: &Value) -> Value;
    fn export(&self, filter: &Value) -> Value;
    fn file(&self, job: &Value, range: Option<&str>) -> (StatusCode, Option<String>, Vec<u8>);
}

impl Ask for Caller<'_> {
    fn token_since(&self, since: &str) -> String {
        let answer =
            self.get(&format!("/rest/v1/activities/pagingtoken.json?sinceDatetime={since}"));
        answer["nextPageToken"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Every row of an activity endpoint, and the number of rows of each page.
    fn pages(&self, path: &str, token: &str) -> (Vec<Value>, Vec<usize>) {
        let (mut rows, mut sizes, mut token) = (Vec::new(), Vec::new(), token.to_owned());
        for _ in 0..10_000 {
            let answer = self.get(&format!("{path}&nextPageToken={token}"));
            assert_eq!(answer["success"], true, "{answer}");
            let page = answer.get("result").and_then(Value::as_array).cloned().unwrap_or_default();
            sizes.push(page.len());
            rows.extend(page);
            answer["nextPageToken"].as_str().unwrap().clone_into(&mut token);
            if answer["moreResult"] == false {
                return (rows, sizes);
            }
        }
        panic!("the activity log has no end");
    }

    fn create(&self, filter: &Value) -> Value {
        self.post(
            &format!("{EXPORTS}/create.json"),
            &json!({"fields": ["id", "email", "lastName"], "filter": filter}),
        )
    }

    /// Creates and enqueues a job, and looks until it is completed.
    fn export(&self, filter: &Value) -> Value {
        let created = self.create(filter);
        let id = created["result"][0]["exportId"]
            .as_str()
            .unwrap_or_else(|| panic!("{created}"))
            .to_owned();
        let queued = self.post(&format!("{EXPORTS}/{id}/enqueue.json"), &json!({}));
        assert_eq!(queued["result"][0]["status"], "Queued", "{queued}");
        for _ in 0..10_000 {
            let status = self.get(&format!("{EXPORTS}/{id}/status.json"))["result"][0].clone();
            match status["status"].as_str() {
                Some("Completed") => return status,
                Some("Queued" | "Processing") => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("the export has not ended after ten thousand looks");
    }

    fn file(&self, job: &Value, range: Option<&str>) -> (StatusCode, Option<String>, Vec<u8>) {
        let path = format!("{EXPORTS}/{}/file.json", job["exportId"].as_str().unwrap());
        let mut request = self.request(Method::GET, &path);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        self.instance.block_on(async {
            let answer = request.send().await.unwrap();
            let content_range = answer
                .headers()
                .get("content-range")
                .map(|range| range.to_str().unwrap().to_owned());
            (answer.status(), content_range, answer.bytes().await.unwrap().to_vec())
        })
    }
}

fn seeded(leads: u32, duplicates: f64) -> Instance {
    let mut options = Options { leads, duplicates, seed: 11, ..quick() };
    options.set_knob("clock_speed=2000").unwrap();
    Instance::start(options)
}

fn attribute<'a>(activity: &'a Value, name: &str) -> Option<&'a str> {
    let attributes = activity["attributes"].as_array()?;
    attributes.iter().find(|attribute| attribute["name"] == name)?["value"].as_str()
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["code"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

fn november() -> Value {
    json!({"createdAt": {"startAt": "2025-10-05T00:00:00Z", "endAt": "2025-11-04T23:59:59Z"}})
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
fn an_export_has_the_leads_of_its_window_and_fits_its_checksum() {
    let instance = seeded(1_500, 0.2);
    let caller = Caller::new(&instance);
    let job = caller.export(&november());
    let (status, _, bytes) = caller.file(&job, None);
    assert_eq!(status, StatusCode::OK);
    assert_eq!(job["fileSize"], bytes.len());
    let digest = Sha256::digest(&bytes);
    let digest = digest.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    assert_eq!(job["fileChecksum"], digest);

    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    assert_eq!(reader.headers().unwrap(), vec!["id", "email", "lastName"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(job["numberOfRecords"], rows.len());
    let ids: BTreeSet<u64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    let in_window = |lead: &&mkto_sandbox::LeadView| {
        let born = lead.fields["createdAt"].as_str().unwrap();
        ("2025-10-05T00:00:00Z"..="2025-11-04T23:59:59Z").contains(&born)
    };
    let expected: BTreeSet<u64> =
        instance.sandbox.leads().iter().filter(in_window).map(|lead| lead.id).collect();
    assert!(!expected.is_empty());
    assert_eq!(ids, expected);
}

#[test]
fn empty_values_of_an_export_are_the_word_null() {
    let instance = Instance::start(Options { seed: 3, ..fast() });
    let id = instance.sandbox.put_lead(&json!({"createdAt": "2026-01-05T00:00:00Z"}));
    let null = instance
        .sandbox
        .put_lead(&json!({"lastName": "Null", "createdAt": "2026-01-06T00:00:00Z"}));
    let caller = Caller::new(&instance);
    let window =
        json!({"createdAt": {"startAt": "2026-01-05T00:00:00Z", "endAt": "2026-01-06T00:00:00Z"}});
    let job = caller.export(&window);
    let text = String::from_utf8(caller.file(&job, None).2).unwrap();
    let lines: BTreeSet<&str> = text.lines().collect();
    let expected = [format!("{id},null,null"), format!("{null},null,Null")];
    assert!(expected.iter().all(|line| lines.contains(line.as_str())), "{text}");
}

#[test]
fn a_file_can_be_had_in_parts() {
    let instance = seeded(1_500, 0.0);
    let caller = Caller::new(&instance);
    let job = caller.export(&november());
    let (_, _, whole) = caller.file(&job, None);
    let half = whole.len() / 2;
    let (status, range, first) = caller.file(&job, Some(&format!("bytes=0-{}", half - 1)));
    assert_eq!(status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(range, Some(format!("bytes 0-{}/{}", half - 1, whole.len())));
    let (_, _, rest) = caller.file(&job, Some(&format!("bytes={half}-")));
    assert_eq!([first, rest].concat(), whole);
    let (status, range, _) = caller.file(&job, Some(&format!("bytes={}-", whole.len())));
    assert_eq!(
        (status, range),
        (StatusCode::RANGE_NOT_SATISFIABLE, Some(format!("bytes */{}", whole.len())))
    );
}

#[test]
fn a_file_that_is_not_there_is_a_plain_404() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    let created = caller.create(&november())["result"][0].clone();
    assert_eq!(created["status"], "Created");
    let (status, _, body) = caller.file(&created, None);
    assert_eq!((status, body), (StatusCode::NOT_FOUND, b"Not Found".to_vec()));
    let unknown = json!({"exportId": "3fadb012-0000-0000-0000-000000000000"});
    assert_eq!(caller.file(&unknown, None).0, StatusCode::NOT_FOUND);
}

#[test]
fn faults_of_files_halve_them_or_change_their_bytes() {
    let instance = seeded(1_500, 0.0);
    let caller = Caller::new(&instance);
    let job = caller.export(&november());
    let (_, _, whole) = caller.file(&job, None);
    let file = format!("GET {EXPORTS}/{{id}}/file");
    instance.sandbox.fail_next(&file, Fault::BadChecksum);
    let (_, _, changed) = caller.file(&job, None);
    assert_eq!(changed.len(), whole.len());
    assert_ne!(changed, whole);
    instance.sandbox.fail_next(&file, Fault::HalfFile);
    let path = format!("{EXPORTS}/{}/file.json", job["exportId"].as_str().unwrap());
    let half = instance.block_on(async {
        let answer = caller.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.content_length(), Some(whole.len() as u64));
        answer.bytes().await
    });
    assert!(half.is_err(), "the line is cut before the announced length");
}

#[test]
fn orders_that_marketo_does_not_take_are_refused() {
    let instance = Instance::start(Options { daily_export: 1, ..fast() });
    instance.sandbox.put_lead(&json!({"createdAt": "2025-10-06T00:00:00Z"}));
    let caller = Caller::new(&instance);
    let window = |start: &str, end: &str| json!({"createdAt": {"startAt": start, "endAt": end}});
    let updated =
        json!({"updatedAt": {"startAt": "2026-01-01T00:00:00Z", "endAt": "2026-01-01T00:00:01Z"}});
    assert_eq!(
        code(&caller.create(&window("2026-01-01T00:00:00Z", "2026-02-01T00:00:01Z"))),
        "1003"
    );
    assert_eq!(
        code(&caller.create(&window("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00Z"))),
        "1003"
    );
    assert_eq!(code(&caller.create(&json!({}))), "1003");
    assert_eq!(code(&caller.create(&updated)), "1035");
    assert_eq!(code(&caller.create(&json!({"staticListName": "none"}))), "1013");

    let cancelled =
        caller.create(&november())["result"][0]["exportId"].as_str().unwrap().to_owned();
    let answer = caller.post(&format!("{EXPORTS}/{cancelled}/cancel.json"), &json!({}));
    assert_eq!(answer["result"][0]["status"], "Cancelled");
    let job = caller.export(&november());
    let listed = caller.get(&format!("{EXPORTS}.json?status=Completed"));
    assert_eq!(listed["result"][0]["exportId"], job["exportId"]);
    let refusal = caller.create(&november());
    assert_eq!(code(&refusal), "1029");
    assert_eq!(refusal["errors"][0]["message"], "Export daily quota exceeded");
    let again = caller
        .post(&format!("{EXPORTS}/{}/enqueue.json", job["exportId"].as_str().unwrap()), &json!({}));
    assert_eq!(again["errors"][0]["message"], "Job already queued");
}

fn fast() -> Options {
    let mut options = quick();
    options.set_knob("clock_speed=2000").unwrap();
    options
}
