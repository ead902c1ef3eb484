//! `mkto-audit restore` links rows of custom objects to the record that it makes anew.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use mkto_sandbox::{Fault, Meanwhile, ObjectSpec, Options};
use serde_json::{Value, json};

use crate::support::merging::{fill_cache, merge, open_ledger};
use crate::support::signal::{self, Signal};
use crate::support::{Instance, Run, quick, wait};

/// Ada as two records: 1 stays, and 2 has cars.
fn ada(knobs: &[&str]) -> Instance {
    let mut options: Options = quick();
    for knob in ["merge_ms=0", "activity_delay_ms=0", "loser_rows=stay"].iter().chain(knobs) {
        options.set_knob(knob).unwrap();
    }
    let instance = Instance::start(options);
    let one = json!({"email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace"});
    let mut two = one.clone();
    two["phone"] = json!("+1 555 010 7777");
    assert_eq!((instance.sandbox.put_lead(&one), instance.sandbox.put_lead(&two)), (1, 2));
    instance
}

/// Cars of both, by their `vin`: record 2 has B and C.
fn with_cars(instance: &Instance, keyed_by: &[&str]) -> BTreeMap<&'static str, String> {
    instance.sandbox.put_object(&ObjectSpec::linked("car_c", "leadId", "Id").keyed_by(keyed_by));
    let put = |lead: u64, vin: &'static str| (vin, put(instance, lead, vin));
    [put(1, "A"), put(2, "B"), put(2, "C")].into()
}

fn put(instance: &Instance, lead: u64, vin: &str) -> String {
    instance.sandbox.put_object_row("car_c", &json!({"leadId": lead, "vin": vin}))
}

fn merged(instance: &Instance) {
    fill_cache(instance);
    merge(instance, &["--confirm"]).expect_code(0);
    assert_eq!(instance.sandbox.merged_into(2), Some(1));
}

fn restore(instance: &Instance, flags: &[&str]) -> Run {
    instance.run([&["restore", "--id", "2"], flags].concat())
}

/// The lead of each row, by its `vin`.
fn leads_of(instance: &Instance) -> BTreeMap<String, u64> {
    let rows = instance.sandbox.object_rows("car_c");
    rows.iter()
        .map(|row| (row["vin"].as_str().unwrap().to_owned(), row["leadId"].as_u64().unwrap()))
        .collect()
}

fn on(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
    all.iter().map(|(vin, lead)| ((*vin).to_owned(), *lead)).collect()
}

fn why<'r>(one: &'r Value, what: &str) -> &'r str {
    let missing = one["not_restored"].as_array().unwrap();
    let found = missing.iter().find(|one| one["what"].as_str().unwrap().contains(what));
    found.unwrap_or_else(|| panic!("{what}: {one:#}"))["why"].as_str().unwrap()
}

fn links(instance: &Instance) -> u64 {
    let calls = instance.sandbox.calls();
    calls.get("POST /rest/v1/customobjects/car_c").copied().unwrap_or_default()
}

/// What the only record of a restore came to.
fn only(document: &Value) -> &Value {
    let all = document["restored"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{document:#}");
    &all[0]
}

#[test]
fn rows_that_went_with_a_record_come_back_to_the_new_one_and_nothing_else_moves() {
    let instance = ada(&[]);
    with_cars(&instance, &["vin"]);
    merged(&instance);
    // One that came late was moved, too; one that the other record got since is its own.
    put(&instance, 2, "LATE");
    merge(&instance, &["--look-after", "--confirm"]).expect_code(0);
    put(&instance, 1, "OWN");
    let all = ["A", "B", "C", "LATE", "OWN"].map(|vin| (vin, 1));
    assert_eq!(leads_of(&instance), on(&all));

    let before = links(&instance);
    let dry = restore(&instance, &["--json"]).expect_code(0);
    assert_eq!(only(&dry.json())["rows"], json!({"car_c": 3}), "{}", dry.picture());
    assert!(dry.stderr.contains("campaigns that listen to the object"), "{}", dry.picture());
    let told = restore(&instance, &[]).expect_code(0);
    assert!(told.stdout.contains("3 rows of car_c"), "{}", told.picture());
    assert_eq!((leads_of(&instance), links(&instance)), (on(&all), before), "nothing was changed");

    let done = restore(&instance, &["--confirm", "--json"]).expect_code(0).json();
    let one = only(&done);
    let new = one["new_id"].as_u64().unwrap();
    assert_eq!((&one["status"], &one["rows"]), (&json!("restored"), &json!({"car_c": 3})));
    let back = [("A", 1), ("B", new), ("C", new), ("LATE", new), ("OWN", 1)];
    assert_eq!((leads_of(&instance), links(&instance)), (on(&back), before + 1));
    // A row that comes for the old id now is the new record's.
    put(&instance, 2, "LATER");
    merge(&instance, &["--look-after", "--confirm"]).expect_code(0);
    assert_eq!(leads_of(&instance)["LATER"], new);
}

#[test]
fn rows_that_others_changed_moved_or_deleted_since_are_left_and_named() {
    let instance = ada(&[]);
    let guids = with_cars(&instance, &["vin"]);
    let stranger = instance.sandbox.put_lead(&json!({"email": "bob@example.com"}));
    put(&instance, 2, "D");
    put(&instance, 2, "E");
    merged(&instance);
    let rows = instance.sandbox.object_rows("car_c");
    let guid = |vin: &str| {
        let row = rows.iter().find(|row| row["vin"] == vin).unwrap();
        row["marketoGUID"].as_str().unwrap().to_owned()
    };
    let long_after: DateTime<Utc> = now() + TimeDelta::hours(1);
    instance.sandbox.change_row("car_c", &guids["B"], &json!({"model": "T"}), long_after);
    instance.sandbox.relink_row("car_c", &guids["C"], stranger);
    instance.sandbox.delete_row("car_c", 1, "vin", "D");

    let dry = restore(&instance, &["--json"]).expect_code(0).json();
    assert_eq!(only(&dry)["rows"], json!({"car_c": 1}), "{dry:#}");
    assert!(why(only(&dry), &guids["B"]).contains("changed it since the merge"));
    let done = restore(&instance, &["--confirm", "--json"]).expect_code(0).json();
    let one = only(&done);
    let new = one["new_id"].as_u64().unwrap();
    assert_eq!(leads_of(&instance), on(&[("A", 1), ("B", 1), ("C", stranger), ("E", new)]));
    assert!(why(one, &guids["B"]).contains("stays on record 1"), "{one:#}");
    assert!(why(one, &guids["C"]).contains(&format!("to record {stranger}")), "{one:#}");
    assert!(why(one, &guid("D")).contains("not there any more"), "{one:#}");
}

/// The time of this machine.
#[expect(clippy::disallowed_methods, reason = "the sandbox goes by it")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

#[test]
fn what_cannot_be_linked_any_more_is_refused_with_words() {
    let spec = || ObjectSpec::linked("car_c", "leadId", "Id").keyed_by(&["vin"]);
    for (spec, said) in [
        (spec().crm_managed(), "the CRM manages them"),
        (spec().fixed("leadId"), "cannot be changed"),
        (spec().refused("603", "Access denied"), "603"),
        (ObjectSpec::linked("car_c", "owner", "Id").keyed_by(&["vin"]), "no such custom object"),
    ] {
        let instance = ada(&[]);
        with_cars(&instance, &["vin"]);
        merged(&instance);
        let (before, sent) = (leads_of(&instance), links(&instance));
        instance.sandbox.put_object(&spec);
        let dry = restore(&instance, &["--json"]).expect_code(0).json();
        assert!(only(&dry).get("rows").is_none(), "{dry:#}");
        assert!(why(only(&dry), "2 rows of `car_c`").contains(said), "{said}: {dry:#}");
        restore(&instance, &["--confirm"]).expect_code(0);
        assert_eq!((leads_of(&instance), links(&instance)), (before, sent), "{said}");
    }
}

#[test]
fn a_bridge_comes_back_and_a_row_with_the_same_key_on_the_new_record_is_no_victim() {
    for knob in ["relink_collision=1005", "relink_collision=overwrite"] {
        let instance = ada(&[knob]);
        let spec = ObjectSpec::linked("car_c", "leadId", "Id").keyed_by(&["leadId", "vin"]);
        instance.sandbox.put_object(&spec.bridge_to("garage_c", "vin", "code"));
        let guids = [put(&instance, 2, "B"), put(&instance, 2, "C")];
        merged(&instance);
        // An integration gives the new record a row with the key of one, as soon as it is there.
        let same = Meanwhile::Run(Box::new(|screens| {
            drop(screens.put_row("car_c", &json!({"leadId": 3, "vin": "B"})));
        }));
        instance.sandbox.after_call("POST /rest/v1/leads.json", 1, same);
        let done = restore(&instance, &["--confirm", "--json"]).expect_code(0).json();
        let one = only(&done);
        assert_eq!((&one["new_id"], &one["rows"]), (&json!(3), &json!({"car_c": 1})), "{one:#}");
        assert!(why(one, &guids[0]).contains("the same key"), "{one:#}");
        let rows = instance.sandbox.object_rows("car_c");
        assert_eq!(rows.len(), 3, "{knob}: {rows:?}");
        assert_eq!(leads_of(&instance)["C"], 3);
    }
}

#[test]
fn a_row_that_marketo_refuses_makes_it_partial_and_the_same_command_goes_on() {
    let instance = ada(&[]);
    let guids = with_cars(&instance, &["vin"]);
    merged(&instance);
    instance.sandbox.refuse_row("car_c", &guids["B"], "1003", "Value is too long");
    let done = restore(&instance, &["--confirm", "--json"]).expect_code(3).json();
    let one = only(&done);
    assert_eq!((&one["status"], &one["rows"]), (&json!("partial"), &json!({"car_c": 1})));
    assert!(why(one, &guids["B"]).contains("1003 Value is too long"), "{one:#}");
    let new = one["new_id"].as_u64().unwrap();
    instance.sandbox.take_row("car_c", &guids["B"]);
    let done = restore(&instance, &["--confirm", "--json"]).expect_code(0).json();
    assert_eq!(only(&done)["rows"], json!({"car_c": 2}), "{done:#}");
    assert_eq!(leads_of(&instance), on(&[("A", 1), ("B", new), ("C", new)]));
}

#[test]
fn a_kill_at_the_call_or_a_lost_answer_is_looked_at_and_every_row_comes_back() {
    type Break = fn(&Instance, Arc<Mutex<Option<u32>>>);
    fn kill(id: Arc<Mutex<Option<u32>>>) -> Meanwhile {
        Meanwhile::Run(Box::new(move |_| {
            if let Some(id) = id.lock().unwrap().take() {
                signal::sent(id, Signal::KILL);
            }
        }))
    }
    const CALL: &str = "POST /rest/v1/customobjects/";
    let breaks: [Break; 4] = [
        |instance, id| instance.sandbox.before_call(CALL, 1, kill(id)),
        |instance, id| instance.sandbox.after_call(CALL, 1, kill(id)),
        |instance, _| {
            instance.sandbox.fail_next("POST /rest/v1/customobjects/{id}", Fault::CutAfter);
        },
        |instance, _| {
            instance.sandbox.fail_next("POST /rest/v1/customobjects/{id}", Fault::CutBefore);
        },
    ];
    for (place, broken) in breaks.into_iter().enumerate() {
        let instance = ada(&["clock_speed=200"]);
        with_cars(&instance, &["vin"]);
        merged(&instance);
        let mut command = instance.command(["restore", "--id", "2", "--confirm"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let id = Arc::new(Mutex::new(None));
        broken(&instance, Arc::clone(&id));
        let mut child = command.spawn().unwrap();
        *id.lock().unwrap() = Some(child.id());
        let code = wait::end_of(&mut child).code();
        *id.lock().unwrap() = None;
        assert_eq!(code.is_none(), place < 2, "{place}: {code:?}");
        let done = restore(&instance, &["--confirm", "--json"]).json();
        let new = only(&done)["new_id"].as_u64().unwrap();
        assert_eq!(leads_of(&instance), on(&[("A", 1), ("B", new), ("C", new)]), "{place}");
        assert_eq!(instance.sandbox.leads_living(), 2, "{place}");
        let ledger = open_ledger(&instance);
        assert!(ledger.open_calls().unwrap().is_empty(), "{place}");
    }
}
