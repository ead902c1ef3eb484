//! `mkto-audit certificate`: what a run did, and whether a file still says so.

use std::fs;

use serde_json::{Value, json};

use super::history::{offline, two_pairs};
use crate::support::merging::merge;

fn field<'a>(group: &'a Value, name: &str) -> &'a Value {
    group["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).unwrap()
}

#[test]
fn a_certificate_has_a_verdict_on_each_field_and_notices_a_changed_byte() {
    let instance = two_pairs();
    instance.sandbox.change_lead(1, &json!({"unsubscribed": true}));
    merge(&instance, &["--confirm", "--by", "Ada Lovelace"]).expect_code(0);
    let calls = instance.sandbox.calls();

    let certificate = offline(&instance, &["certificate", "show", "1", "--json"]);
    let certificate = certificate.expect_code(0).json();
    assert_eq!(certificate["by"], "Ada Lovelace");
    assert_eq!((&certificate["settled"], &certificate["complete"]), (&json!(true), &json!(true)));
    let totals = &certificate["totals"];
    assert_eq!((&totals["merged"], &totals["removed"]), (&json!(2), &json!(2)), "{totals}");
    assert_eq!((&totals["opt_outs"], &totals["opt_outs_lost"]), (&json!(1), &json!(0)));
    assert_eq!(totals["verdicts"]["lost"], 0);
    let ada = &certificate["group"][0];
    assert_eq!((&ada["key"], &ada["compared"]), (&json!("ada@example.com"), &json!(true)));
    let phone = field(ada, "phone");
    assert_eq!(
        (&phone["verdict"], &phone["after"], &phone["before"]),
        (&json!("filled"), &json!("+441"), &json!({"2": "+44 1"}))
    );
    let title = field(ada, "title");
    assert_eq!(
        (&title["verdict"], &title["before"]),
        (&json!("dropped"), &json!({"1": "CTO", "2": "Engineer"}))
    );
    assert_eq!(field(ada, "email")["verdict"], "kept");
    assert_eq!(field(ada, "unsubscribed")["consent"], true);

    for (flag, name) in [("--html", "run.html"), ("--json", "run.json"), ("--csv", "run.csv")] {
        let path = instance.path(name);
        let file = path.to_str().unwrap();
        offline(&instance, &["certificate", "show", "1", flag, file]).expect_code(0);
        offline(&instance, &["certificate", "verify", file]).expect_code(0);
        let whole = fs::read(&path).unwrap();
        // Every tenth byte or so, and the first and last ones.
        let step = (whole.len() / 10).max(1);
        for place in (0..whole.len()).step_by(step).chain([whole.len() - 2]) {
            let mut changed = whole.clone();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            fs::write(&path, &changed).unwrap();
            let said =
                offline(&instance, &["certificate", "verify", file, "--json"]).expect_code(1);
            assert_eq!(said.json()["valid"], false, "{name}, byte {place}");
        }
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        offline(&instance, &["certificate", "verify", file]).expect_code(1);
    }
    assert_eq!(instance.sandbox.calls(), calls, "Marketo is not asked");
}

#[test]
fn a_certificate_that_the_ledger_never_gave_is_none() {
    let (ours, theirs) = (two_pairs(), two_pairs());
    for instance in [&ours, &theirs] {
        merge(instance, &["--confirm"]).expect_code(0);
    }
    let path = theirs.path("run.json");
    let file = path.to_str().unwrap();
    offline(&theirs, &["certificate", "show", "1", "--json", file]).expect_code(0);
    let said = offline(&ours, &["certificate", "verify", file]).expect_code(1);
    assert!(said.stdout.contains("never gave out this seal"), "{}", said.picture());
}
