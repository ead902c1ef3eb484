//! Sandboxes with knobs and faults set, and single calls to them.

use reqwest::Method;
use serde_json::{Value, json};

use super::caller::Caller;
use super::instance::{Instance, quick};

pub fn with(knobs: &[&str]) -> Instance {
    let mut options = quick();
    for knob in knobs.iter().chain(&["merge_ms=0", "activity_delay_ms=0"]) {
        options.set_knob(knob).unwrap();
    }
    Instance::start(options)
}

pub fn faulty(faults: &[&str]) -> Instance {
    let mut options = quick();
    options.set_knob("merge_ms=0").unwrap();
    for fault in faults {
        options.set_fault(fault).unwrap();
    }
    Instance::start(options)
}

pub fn put(instance: &Instance, fields: &Value) -> u64 {
    instance.sandbox.put_lead(fields)
}

/// Writes to a lead by id, and gives the row of the answer: `updated`, or the code of the reason.
pub fn write(caller: &Caller<'_>, id: u64, fields: &Value) -> String {
    let mut record = fields.clone();
    record["id"] = json!(id);
    let body = json!({"action": "updateOnly", "lookupField": "id", "input": [record]});
    let row = caller.post("/rest/v1/leads.json", &body)["result"][0].clone();
    row["reasons"][0]["code"].as_str().unwrap_or_else(|| row["status"].as_str().unwrap()).to_owned()
}

pub fn read(caller: &Caller<'_>, id: u64, field: &str) -> Value {
    let path = format!("/rest/v1/leads.json?filterType=id&filterValues={id}&fields={field}");
    caller.get(&path)["result"][0][field].clone()
}

pub fn ids(caller: &Caller<'_>, values: &[u64]) -> Vec<u64> {
    let values = values.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let page =
        caller.get(&format!("/rest/v1/leads.json?filterType=id&filterValues={values}&fields=id"));
    page["result"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

/// Merges, and gives `ok` or the code of the refusal.
pub fn merge(caller: &Caller<'_>, winner: u64, losers: &[u64]) -> String {
    let losers = losers.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let request = caller
        .request(Method::POST, &format!("/rest/v1/leads/{winner}/merge.json?leadIds={losers}"));
    let answer = caller.send(request.header("content-length", "0"));
    answer["errors"][0]["code"].as_str().unwrap_or("ok").to_owned()
}
