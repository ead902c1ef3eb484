//! What a refresh promises: after any history the cache is that of a full scan of the same
//! instance.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use mkto_sandbox::{Options, Sandbox};
use proptest::prelude::*;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::{Ended, PageScan, Watch, activity_log, fields_to_read, scan_pages};
use super::{Refresh, Start, how_to_start, refresh};
use crate::cache::{Cache, RefreshTotals, Row};
use crate::dedupe::KeySpec;
use crate::marketo::{Client, ClientOptions, ReadLeads, Schema};

/// The instance's present; tests stand where the command line does.
#[expect(clippy::disallowed_methods, reason = "the sandbox's clock is the machine's")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

struct Quiet;

impl Watch for Quiet {
    fn at(&self, _: u64, _: Option<u64>) {}
}

/// A sandbox, a client, and a cache of it.
struct Place {
    sandbox: Sandbox,
    client: Client,
    schema: Schema,
    fields: Vec<String>,
    folder: tempfile::TempDir,
    margin: TimeDelta,
}

impl Place {
    async fn start(leads: u32, activity_delay_ms: u32, margin: TimeDelta) -> Self {
        let mut options = Options {
            leads,
            duplicates: 0.2,
            rate_limit: 1_000_000,
            concurrency: 1_000,
            daily_quota: 10_000_000,
            ..Options::default()
        };
        for knob in [format!("activity_delay_ms={activity_delay_ms}"), "merge_ms=0".to_owned()] {
            options.set_knob(&knob).unwrap();
        }
        let sandbox =
            Sandbox::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), options).unwrap();
        let base = sandbox.base_url();
        let options = ClientOptions::new(base.parse().unwrap())
            .credentials(sandbox.client_id(), sandbox.client_secret())
            .rate(1_000_000, Duration::from_secs(20))
            .concurrency(8)
            .a_day(1_000_000, 1_000_000);
        let client = Client::new(options).unwrap();
        let schema = client.describe().await.unwrap();
        let fields = fields_to_read(&["leadScore".to_owned()], &schema).unwrap();
        Self { sandbox, client, schema, fields, folder: tempfile::tempdir().unwrap(), margin }
    }

    fn open(&self, name: &str) -> Cache {
        Cache::open(&self.folder.path().join(name), "sandbox.example.com").unwrap()
    }

    async fn scan_in_full(&self, cache: &mut Cache) {
        let key = KeySpec::default();
        let stop = CancellationToken::new();
        let log = activity_log(&self.client).await.unwrap();
        let fields = &self.fields;
        let scan = PageScan { fields, key: &key, highest: None, log, concurrency: 4, now, stop };
        assert!(matches!(
            scan_pages(&self.client, cache, &scan, &Quiet).await,
            Ok(Ended::Complete(_))
        ));
    }

    async fn refresh(&self, cache: &mut Cache) -> RefreshTotals {
        let key = KeySpec::default();
        let start = how_to_start(&cache.summary().unwrap(), &self.fields, now(), self.margin);
        let Start::Refresh(since) = start else { panic!("{start:?}") };
        let stop = CancellationToken::new();
        let (fields, schema) = (&self.fields, &self.schema);
        let asked = Refresh { fields, schema, key: &key, since, concurrency: 4, now, stop };
        match refresh(&self.client, cache, &asked, &Quiet).await.unwrap() {
            Ended::Complete(totals) => totals,
            Ended::Interrupted => panic!("nobody stopped it"),
        }
    }

    async fn post(&self, path: &str, body: &str) {
        let token: serde_json::Value = reqwest::Client::new()
            .post(format!("{}/identity/oauth/token", self.sandbox.base_url()))
            .form(&[
                ("grant_type", "client_credentials"),
                ("client_id", self.sandbox.client_id()),
                ("client_secret", self.sandbox.client_secret()),
            ])
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let answer: serde_json::Value = reqwest::Client::new()
            .post(format!("{}{path}", self.sandbox.base_url()))
            .bearer_auth(token["access_token"].as_str().unwrap())
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(answer["success"], true, "{answer}");
    }

    /// The id of the living lead at this place, counted around.
    fn living(&self, place: usize) -> u64 {
        let leads = self.sandbox.leads();
        leads[place % leads.len()].id
    }
}

/// Every row, without the one field that moves without a trace in the log.
fn rows(cache: &Cache) -> Vec<Row> {
    let mut rows = cache.rows().unwrap();
    for row in &mut rows {
        row.lead.fields.remove("updatedAt");
    }
    rows
}

#[derive(Debug, Clone)]
enum Step {
    Create,
    CreateByApi,
    Change(usize, &'static str),
    ChangeByApi(usize),
    OptOut(usize),
    Delete(usize),
    DeleteByApi(usize),
    DeleteInCrm(usize),
    Merge(usize, usize),
    Join(usize),
    Move(usize),
    Refresh,
    Scan,
}

/// The members as [`rows`] has leads, and the keys with their sizes.
fn members(cache: &Cache) -> (Vec<Row>, Vec<(i64, String)>) {
    let (mut rows, keys) = cache.members().unwrap();
    for row in &mut rows {
        row.lead.fields.remove("updatedAt");
    }
    (rows, keys)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let field = prop::sample::select(vec!["email", "firstName", "lastName", "company"]);
    let step = prop_oneof![
        2 => Just(Step::Create),
        1 => Just(Step::CreateByApi),
        3 => (any::<usize>(), field).prop_map(|(place, field)| Step::Change(place, field)),
        2 => any::<usize>().prop_map(Step::ChangeByApi),
        1 => any::<usize>().prop_map(Step::OptOut),
        1 => any::<usize>().prop_map(Step::Delete),
        1 => any::<usize>().prop_map(Step::DeleteByApi),
        1 => any::<usize>().prop_map(Step::DeleteInCrm),
        3 => (any::<usize>(), any::<usize>()).prop_map(|(winner, loser)| Step::Merge(winner, loser)),
        1 => any::<usize>().prop_map(Step::Join),
        1 => any::<usize>().prop_map(Step::Move),
        2 => Just(Step::Refresh),
        1 => Just(Step::Scan),
    ];
    prop::collection::vec(step, 1..14)
}

/// Takes a step. A lead that took in others since the last scan is not deleted: the log then tells
/// of neither, which is the limit that the module names, and has a test of its own.
async fn take(
    place: &Place,
    cache: &mut Cache,
    took_in: &mut BTreeSet<u64>,
    number: usize,
    step: &Step,
) {
    let email = format!("step{number}@example.com");
    match step {
        Step::Create => drop(place.sandbox.put_lead(&json!({"email": email}))),
        Step::CreateByApi => {
            let body = json!({"action": "createDuplicate", "input": [{"email": email, "unsubscribed": true}]});
            place.post("/rest/v1/leads.json", &body.to_string()).await;
        }
        Step::Change(at, field) => {
            place.sandbox.change_lead(place.living(*at), &json!({*field: email}));
        }
        Step::ChangeByApi(at) => {
            let record =
                json!({"id": place.living(*at), "leadScore": number + 1_000, "doNotCall": true});
            let body = json!({"action": "updateOnly", "lookupField": "id", "input": [record]});
            place.post("/rest/v1/leads.json", &body.to_string()).await;
        }
        Step::OptOut(at) => {
            let record = json!({"id": place.living(*at), "unsubscribed": true});
            let body = json!({"action": "updateOnly", "lookupField": "id", "input": [record]});
            place.post("/rest/v1/leads.json", &body.to_string()).await;
        }
        Step::Delete(at) | Step::DeleteByApi(at) | Step::DeleteInCrm(at)
            if took_in.contains(&place.living(*at)) => {}
        Step::Delete(at) => place.sandbox.delete_lead(place.living(*at)),
        Step::DeleteByApi(at) => {
            let body = json!({"input": [{"id": place.living(*at)}]});
            place.post("/rest/v1/leads/delete.json", &body.to_string()).await;
        }
        Step::DeleteInCrm(at) => place.sandbox.delete_lead_in_crm(place.living(*at)),
        Step::Merge(winner, loser) => {
            let (winner, loser) = (place.living(*winner), place.living(*loser));
            let partition = |id| place.sandbox.lead(id).unwrap().fields["leadPartitionId"].clone();
            if winner != loser && partition(winner) == partition(loser) {
                let path = format!("/rest/v1/leads/{winner}/merge.json?leadIds={loser}");
                place.post(&path, "").await;
                // The CRM's precedence may have let the other one stay.
                took_in.extend([winner, loser]);
            }
        }
        Step::Join(at) => place.sandbox.join_visitor(place.living(*at)),
        Step::Move(at) => {
            let body = json!({"input": [{"id": place.living(*at), "partitionName": "Europe"}]});
            place.post("/rest/v1/leads/partitions.json", &body.to_string()).await;
        }
        Step::Refresh => {
            place.refresh(cache).await;
            took_in.clear();
        }
        Step::Scan => {
            place.scan_in_full(cache).await;
            took_in.clear();
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn after_any_history_the_cache_is_that_of_a_full_scan(steps in steps()) {
        runtime().block_on(async {
            let place = Place::start(60, 0, TimeDelta::seconds(2)).await;
            let mut cache = place.open("refreshed.db");
            place.scan_in_full(&mut cache).await;
            let mut took_in = BTreeSet::new();
            for (number, step) in steps.iter().enumerate() {
                take(&place, &mut cache, &mut took_in, number, step).await;
            }
            place.refresh(&mut cache).await;
            let mut fresh = place.open("fresh.db");
            place.scan_in_full(&mut fresh).await;
            assert!(rows(&cache) == rows(&fresh), "the cache differs from a full scan");
            let (refreshed, full) = (members(&cache), members(&fresh));
            assert!(refreshed == full, "the members differ from a full scan's");
        });
    }
}

#[test]
fn a_duplicate_that_was_merged_into_one_that_was_deleted_is_noticed_by_their_key() {
    runtime().block_on(async {
        let place = Place::start(60, 0, TimeDelta::seconds(2)).await;
        let pair = [0, 1].map(|_| place.sandbox.put_lead(&json!({"email": "ada@example.com"})));
        let mut cache = place.open("refreshed.db");
        place.scan_in_full(&mut cache).await;
        place.post(&format!("/rest/v1/leads/{}/merge.json?leadIds={}", pair[0], pair[1]), "").await;
        place.sandbox.delete_lead_in_crm(pair[0]);
        assert_eq!(place.refresh(&mut cache).await.scan.removed, 2);
        assert!(pair.iter().all(|id| cache.lead(*id).unwrap().is_none()));
    });
}

#[test]
fn what_is_not_visible_yet_is_noticed_by_the_next_refresh() {
    runtime().block_on(async {
        let place = Place::start(60, 1_500, TimeDelta::minutes(5)).await;
        let mut cache = place.open("refreshed.db");
        place.scan_in_full(&mut cache).await;
        place.sandbox.delete_lead(place.living(3));
        let late = place.refresh(&mut cache).await;
        assert_eq!(late.scan.removed, 0, "the deletion cannot be seen yet");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while place.refresh(&mut cache).await.scan.removed == 0 {
            assert!(tokio::time::Instant::now() < deadline, "the deletion was lost");
        }
    });
}

#[test]
fn a_thousandth_changed_costs_under_a_hundredth_of_the_calls_of_a_full_scan() {
    runtime().block_on(async {
        let place = Place::start(100_000, 0, TimeDelta::days(1)).await;
        let mut cache = place.open("refreshed.db");
        let calls = || place.sandbox.calls_made();
        let before = calls();
        place.scan_in_full(&mut cache).await;
        let full = calls() - before;
        for lead in place.sandbox.leads().iter().step_by(1_000) {
            place.sandbox.change_lead(lead.id, &json!({"lastName": "Changed"}));
        }
        let before = calls();
        let found = place.refresh(&mut cache).await;
        let refreshed = calls() - before;
        assert_eq!(found.scan.changed, 100);
        // Types, a token, three streams, one read, two runs beyond: eight calls, whatever the size.
        assert_eq!(refreshed, 8);
        assert!(full > 300, "{full}");
    });
}
