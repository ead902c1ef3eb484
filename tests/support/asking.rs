//! What is asked for more than once of the activity log and of exports of a sandbox.

use mkto_sandbox::Options;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::caller::Caller;
use super::instance::{Instance, quick};

pub const EXPORTS: &str = "/bulk/v1/leads/export";

/// What is asked for more than once of the activity log and of exports.
pub trait Ask {
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

pub fn seeded(leads: u32, duplicates: f64) -> Instance {
    let mut options = Options { leads, duplicates, seed: 11, ..quick() };
    options.set_knob("clock_speed=2000").unwrap();
    Instance::start(options)
}

pub fn code(answer: &Value) -> &str {
    answer["errors"][0]["code"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

pub fn november() -> Value {
    json!({"createdAt": {"startAt": "2025-10-05T00:00:00Z", "endAt": "2025-11-04T23:59:59Z"}})
}
