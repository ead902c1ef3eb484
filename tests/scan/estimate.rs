//! What `scan --estimate` says, against what a scan then takes.

use mkto_sandbox::Options;
use serde_json::Value;

use crate::support::{Instance, quick};

/// So much beside the range may the calls be, in hundredths: leads that are born meanwhile, calls
/// that were begun beyond the last page.
const MARGIN: u64 = 10;

#[track_caller]
fn holds(range: &Value, calls: &Value, what: &str) {
    let number =
        |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{what}: {range} {calls}"));
    let (from, to, calls) = (number(&range["from"]), number(&range["to"]), number(calls));
    assert!(
        calls * 100 >= from * (100 - MARGIN),
        "{what}: {calls} calls, and {from} to {to} were estimated"
    );
    assert!(
        calls * 100 <= to * (100 + MARGIN),
        "{what}: {calls} calls, and {from} to {to} were estimated"
    );
    assert!(to <= 2 * from + 20, "{what}: {from} to {to} says nothing");
}

#[test]
fn the_estimate_counts_every_call_that_the_scan_takes() {
    let instance = Instance::start(Options { leads: 500, duplicates: 0.1, seed: 7, ..quick() });
    let estimate = || instance.run(["scan", "--estimate", "--json"]).expect_code(0).json();
    let scan =
        |flags: &[&str]| instance.run([&["scan", "--json"], flags].concat()).expect_code(0).json();
    let first = estimate();
    assert!(first["refresh"].is_null(), "{first}");
    holds(&first["full"], &scan(&[])["calls"], "the first scan");
    let again = estimate();
    assert_eq!(again["history"]["to"], 0, "all is known: {again}");
    holds(&again["refresh"], &scan(&[])["calls"], "a refresh");
    holds(&again["full"], &scan(&["--full"])["calls"], "a full scan, when all is known");
}
