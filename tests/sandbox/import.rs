//! Bulk lead import in the sandbox: batches wait, run two at a time, and keep the rows that were
//! not taken.

use serde_json::{Value, json};

use crate::support::counts::leads_with;
use crate::support::wait::{self, until};
use crate::support::{Instance, quick, token};

/// Imports a file, with more parameters in the query, and gives the answer.
fn import(instance: &Instance, query: &str, file: &str) -> Value {
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"leads.csv\"\r\n\r\n{file}\r\n--x--\r\n"
    );
    let url = format!("{}/bulk/v1/leads.json?{query}", instance.sandbox.base_url());
    let call = wait::client()
        .post(url)
        .bearer_auth(token(instance))
        .header("content-type", "multipart/form-data; boundary=x")
        .body(body);
    instance.block_on(async { call.send().await.unwrap().json().await.unwrap() })
}

fn status(instance: &Instance, batch: u64) -> Value {
    let url = format!("{}/bulk/v1/leads/batch/{batch}.json", instance.sandbox.base_url());
    let call = wait::client().get(url).bearer_auth(token(instance));
    let answer: Value =
        instance.block_on(async { call.send().await.unwrap().json().await.unwrap() });
    answer["result"][0].clone()
}

#[test]
fn a_file_is_taken_row_by_row_and_of_several_leads_of_one_key_the_newest_is_written() {
    let instance = Instance::start(quick());
    let older = instance.sandbox.put_lead(&json!({"email": "twice@example.com"}));
    let newer = instance.sandbox.put_lead(&json!({"email": "twice@example.com"}));
    instance.sandbox.put_list(7, "Newsletter", &[]);
    let file = "email;title\ntwice@example.com;Dr\nnew@example.com;\nno address;Mr\n";
    let taken = import(&instance, "format=ssv&listId=7", file);
    let batch = taken["result"][0]["batchId"].as_u64().unwrap();
    assert_eq!(taken["result"][0]["status"], "Queued", "{taken}");
    assert_eq!(leads_with(&instance, "new@example.com"), 0, "nothing is written at once");
    until("the import to complete", || status(&instance, batch)["status"] == "Complete");
    let ended = status(&instance, batch);
    assert_eq!(
        (&ended["numOfLeadsProcessed"], &ended["numOfRowsFailed"]),
        (&json!(2), &json!(1)),
        "{ended}"
    );
    assert_eq!(leads_with(&instance, "new@example.com"), 1);
    let lead = |id| instance.sandbox.lead(id).unwrap();
    assert_eq!(lead(newer).fields["title"], "Dr");
    assert_eq!(lead(newer).lists, [7]);
    assert!(!lead(older).fields.contains_key("title"));
}

#[test]
fn more_than_ten_batches_at_once_and_what_is_no_import_are_refused() {
    let mut options = quick();
    options.set_knob("clock_speed=1").unwrap();
    let instance = Instance::start(options);
    let file = "email\nada@example.com\n";
    for (query, code) in [("", "1003"), ("format=xls", "1003"), ("format=csv&listId=404", "1013")] {
        assert_eq!(import(&instance, query, file)["errors"][0]["code"], code, "{query}");
    }
    for n in 0..10 {
        assert_eq!(import(&instance, "format=csv", file)["success"], true, "{n}");
    }
    assert_eq!(import(&instance, "format=csv", file)["errors"][0]["code"], "1016");
}
