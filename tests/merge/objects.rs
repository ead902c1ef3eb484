//! Rows of custom objects, over HTTP: they go with their lead, or their group is left alone.

use std::collections::BTreeMap;

use mkto_sandbox::{Fault, Meanwhile, ObjectSpec, Options};
use serde_json::{Value, json};

use crate::support::merging::{command, fill_cache, merge};
use crate::support::{Instance, Run, quick};

fn instance(knobs: &[&str]) -> Instance {
    let mut options: Options = quick();
    for knob in ["merge_ms=0", "activity_delay_ms=0"].iter().chain(knobs) {
        options.set_knob(knob).unwrap();
    }
    Instance::start(options)
}

fn pair(instance: &Instance, email: &str) -> [u64; 2] {
    let ada = json!({"email": email, "firstName": "Ada", "lastName": "Lovelace"});
    let winner = instance.sandbox.put_lead(&ada);
    let mut more = ada;
    more["phone"] = json!("+1 555 010 7777");
    [winner, instance.sandbox.put_lead(&more)]
}

/// Car by the lead's id, told apart by its `vin`.
fn cars(instance: &Instance) {
    instance.sandbox.put_object(&ObjectSpec::linked("car_c", "leadId", "Id").keyed_by(&["vin"]));
}

/// A row of `car_c` for each of these leads.
fn rows(instance: &Instance, leads: &[u64]) {
    for (place, lead) in leads.iter().enumerate() {
        let row = json!({"leadId": lead, "vin": format!("VIN{lead}-{place}"), "model": "T"});
        instance.sandbox.put_object_row("car_c", &row);
    }
}

/// The leads of an object's rows, by their GUIDs.
fn links(instance: &Instance, object: &str) -> BTreeMap<String, u64> {
    let rows = instance.sandbox.object_rows(object);
    rows.iter()
        .map(|row| {
            (row["marketoGUID"].as_str().unwrap().to_owned(), row["leadId"].as_u64().unwrap())
        })
        .collect()
}

fn group<'d>(document: &'d Value, key: &str) -> &'d Value {
    let groups = document["group"].as_array().unwrap();
    groups.iter().find(|group| group["key"] == key).unwrap_or_else(|| panic!("{key}: {document}"))
}

/// How often rows of this object were written.
fn writes(instance: &Instance) -> u64 {
    let calls = instance.sandbox.calls();
    let of_rows = calls.iter().filter(|(call, _)| call.starts_with("POST /rest/v1/customobjects"));
    of_rows.map(|(_, count)| count).sum()
}

#[test]
fn rows_are_shown_in_the_plan_moved_verified_and_certified() {
    let instance = instance(&[]);
    let [winner, loser] = pair(&instance, "a@example.com");
    cars(&instance);
    rows(&instance, &[winner, loser, loser, loser]);
    let before = links(&instance, "car_c");
    fill_cache(&instance);
    let plan = merge(&instance, &["--json"]).expect_code(0).json();
    let planned = group(&plan, "a@example.com");
    assert_eq!((&planned["rows"], &planned["risk"]), (&json!({"car_c": 3}), &json!("amber")));
    let told = merge(&instance, &[]).expect_code(0);
    assert!(told.stdout.contains("3 rows of car_c"), "{}", told.picture());
    assert_eq!(links(&instance, "car_c"), before, "nothing is moved without --confirm");

    let done = merge(&instance, &["--confirm", "--json"]).expect_code(0).json();
    assert_eq!(group(&done, "a@example.com")["rows"], json!({"car_c": 3}), "{done}");
    assert_eq!(instance.sandbox.merged_into(loser), Some(winner));
    let after = links(&instance, "car_c");
    assert_eq!(after.len(), 4, "{after:?}");
    assert!(after.values().all(|lead| *lead == winner), "{after:?}");
    let run = done["run"].to_string();
    let certificate = instance.run(["certificate", "show", &run, "--json"]).expect_code(0).json();
    assert_eq!(
        (&certificate["totals"]["rows_moved"], &certificate["totals"]["rows_verified"]),
        (&json!(3), &json!(3)),
        "{certificate}"
    );
    assert_eq!(
        certificate["group"][0]["rows"],
        json!([{"object": "car_c", "moved": 3, "verified": 3}])
    );
}

#[test]
fn what_cannot_move_keeps_its_group_red_and_says_which_how_many_and_why() {
    let by =
        |spec: ObjectSpec, row: fn(u64, u64) -> Vec<Value>, why: &'static str| (spec, row, why);
    let of_both = |winner: u64, loser: u64| {
        [winner, loser].map(|lead| json!({"leadId": lead, "course": "C1"})).to_vec()
    };
    let of_loser = |_: u64, loser: u64| vec![json!({"leadId": loser, "course": "C1", "vin": "1"})];
    let linked = || ObjectSpec::linked("car_c", "leadId", "Id");
    for (spec, row, why) in [
        by(linked().keyed_by(&["leadId", "course"]), of_both, "the same `course`"),
        by(
            linked().keyed_by(&["leadId", "course"]).bridge_to("course_c", "course", "code"),
            of_both,
            "bridge to course_c",
        ),
        by(linked().keyed_by(&["vin"]).crm_managed(), of_loser, "the CRM manages them"),
        by(linked().keyed_by(&["vin"]).fixed("leadId"), of_loser, "cannot be changed"),
    ] {
        let instance = instance(&[]);
        let [winner, loser] = pair(&instance, "a@example.com");
        pair(&instance, "b@example.com");
        instance.sandbox.put_object(&spec);
        for row in row(winner, loser) {
            instance.sandbox.put_object_row("car_c", &row);
        }
        let before = links(&instance, "car_c");
        fill_cache(&instance);
        let done = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
        let left = group(&done, "a@example.com");
        assert_eq!(left["outcome"], "skipped", "{why}: {done}");
        let reason = left["reason"].as_str().unwrap();
        assert!(reason.contains("1 row of the custom object"), "{reason}");
        assert!(reason.contains("`car_c`") && reason.contains(why), "{why}: {reason}");
        assert_eq!(group(&done, "b@example.com")["outcome"], "merged", "{done}");
        assert_eq!((links(&instance, "car_c"), writes(&instance)), (before, 0), "{why}");
    }
}

#[test]
fn a_bridge_moves_with_its_lead_where_nothing_collides() {
    let instance = instance(&[]);
    let [winner, loser] = pair(&instance, "a@example.com");
    let spec = ObjectSpec::linked("enrolment_c", "leadId", "Id")
        .keyed_by(&["leadId", "course"])
        .bridge_to("course_c", "course", "code");
    instance.sandbox.put_object(&spec);
    for (lead, course) in [(winner, "C1"), (loser, "C2")] {
        instance.sandbox.put_object_row("enrolment_c", &json!({"leadId": lead, "course": course}));
    }
    fill_cache(&instance);
    merge(&instance, &["--confirm"]).expect_code(0);
    let after = links(&instance, "enrolment_c");
    assert!(after.len() == 2 && after.values().all(|lead| *lead == winner), "{after:?}");
}

#[test]
fn rows_linked_by_email_are_unknown_whatever_a_merge_would_do_with_them() {
    for knob in ["value_rows=vanish", "value_rows=follow", "value_rows=stay_by_value"] {
        let instance = instance(&[knob]);
        pair(&instance, "a@example.com");
        instance.sandbox.put_object(&ObjectSpec::linked("visit_c", "email", "Email Address"));
        instance.sandbox.put_object_row("visit_c", &json!({"email": "a@example.com"}));
        fill_cache(&instance);
        let done = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
        let left = group(&done, "a@example.com");
        let reason = left["reason"].as_str().unwrap();
        assert_eq!(left["outcome"], "skipped", "{knob}: {done}");
        assert!(reason.contains("`visit_c` has 1 row"), "{reason}");
    }
}

#[test]
fn rows_of_a_refused_merge_are_linked_back() {
    let instance = instance(&[]);
    let [winner, loser] = pair(&instance, "a@example.com");
    cars(&instance);
    rows(&instance, &[winner, loser, loser]);
    let before = links(&instance, "car_c");
    instance.sandbox.refuse_merge(loser, "1078", "Merging leads failed: deleted in Salesforce");
    fill_cache(&instance);
    let done = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
    let failed = group(&done, "a@example.com");
    let reason = failed["reason"].as_str().unwrap();
    assert_eq!(failed["outcome"], "failed", "{done}");
    assert!(reason.contains(&format!("2 rows of car_c linked to lead {loser} again")), "{reason}");
    assert_eq!(links(&instance, "car_c"), before);
    assert_eq!(writes(&instance), 2, "moved, and linked back");
}

#[test]
fn a_row_that_marketo_skips_and_a_missing_permission_leave_the_group_alone() {
    for denied in [false, true] {
        let mut options = quick();
        options.set_knob("merge_ms=0").unwrap();
        if denied {
            options.denied.push("Read-Write Custom Object".to_owned());
        }
        let instance = Instance::start(options);
        let [_, loser] = pair(&instance, "a@example.com");
        cars(&instance);
        rows(&instance, &[loser, loser]);
        let before = links(&instance, "car_c");
        if !denied {
            let guid = before.keys().next().unwrap();
            instance.sandbox.refuse_row("car_c", guid, "1003", "Value is too long");
        }
        fill_cache(&instance);
        let done = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
        let reason = group(&done, "a@example.com")["reason"].as_str().unwrap().to_owned();
        let said = if denied { "Read-Write Custom Object" } else { "1003 Value is too long" };
        assert!(reason.contains(said) && reason.contains("nothing was merged"), "{reason}");
        assert_eq!(links(&instance, "car_c"), before, "{reason}");
        assert_eq!(instance.sandbox.leads_living(), 2);
    }
}

#[test]
fn a_lost_answer_is_settled_by_looking_and_no_row_is_lost_or_sent_twice() {
    for fault in [
        Fault::CutAfter,
        Fault::CutBefore,
        Fault::Lost604,
        Fault::Lost502,
        Fault::TimedOut,
        Fault::BadGateway,
        Fault::Html,
        Fault::Truncated,
    ] {
        let mut options = quick();
        for knob in ["merge_ms=0", "clock_speed=200"] {
            options.set_knob(knob).unwrap();
        }
        let instance = Instance::start(options);
        let [winner, loser] = pair(&instance, "a@example.com");
        cars(&instance);
        rows(&instance, &[winner, loser, loser]);
        fill_cache(&instance);
        instance.sandbox.fail_next("POST /rest/v1/customobjects/{id}", fault);
        merge(&instance, &["--confirm", "--json"]);
        let after = links(&instance, "car_c");
        assert_eq!(after.len(), 3, "{fault:?}: {after:?}");
        if instance.sandbox.merged_into(loser).is_none() {
            // It did not reach Marketo: the next run does it.
            fill_cache(&instance);
            merge(&instance, &["--confirm"]).expect_code(0);
        }
        let after = links(&instance, "car_c");
        assert!(
            after.len() == 3 && after.values().all(|lead| *lead == winner),
            "{fault:?} {after:?}"
        );
        assert_eq!(instance.sandbox.merged_into(loser), Some(winner), "{fault:?}");
    }
}

#[test]
fn a_row_that_comes_while_others_are_moved_goes_along() {
    let instance = instance(&[]);
    let [winner, loser] = pair(&instance, "a@example.com");
    cars(&instance);
    rows(&instance, &[loser]);
    let late = json!({"leadId": loser, "vin": "LATE"});
    let put = Meanwhile::Run(Box::new(move |screens| drop(screens.put_row("car_c", &late))));
    instance.sandbox.after_call("POST /rest/v1/customobjects/", 1, put);
    fill_cache(&instance);
    merge(&instance, &["--confirm"]).expect_code(0);
    let after = links(&instance, "car_c");
    assert!(after.len() == 2 && after.values().all(|lead| *lead == winner), "{after:?}");
}

#[test]
fn the_setting_leaves_every_row_where_it_is() {
    let instance = instance(&[]);
    let [_, loser] = pair(&instance, "a@example.com");
    cars(&instance);
    rows(&instance, &[loser]);
    fill_cache(&instance);
    let mut leaving = command(&instance, &["--confirm", "--json"]);
    leaving.env("MKTO_AUDIT__MERGE__CUSTOM_OBJECTS", "leave");
    let done = Run::of(&mut leaving).expect_code(3).json();
    let reason = group(&done, "a@example.com")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("merge.custom_objects"), "{reason}");
    assert_eq!(writes(&instance), 0);
}

#[test]
fn a_person_who_merges_all_the_same_leaves_only_those_behind_that_cannot_move() {
    let instance = instance(&["loser_rows=stay"]);
    let [winner, loser] = pair(&instance, "a@example.com");
    cars(&instance);
    rows(&instance, &[loser]);
    let fixed = ObjectSpec::linked("stamp_c", "leadId", "Id").keyed_by(&["no"]).fixed("leadId");
    instance.sandbox.put_object(&fixed);
    instance.sandbox.put_object_row("stamp_c", &json!({"leadId": loser, "no": "1"}));
    instance.run(["scan"]).expect_code(0);
    let created = instance.run(["plan", "create", "--name", "all", "--json"]).expect_code(0).json();
    assert_eq!(created["group"][0]["risk"], "red", "{created}");
    instance
        .run(["plan", "decide", "all", "--email", "a@example.com", "--merge", "--by", "Bo"])
        .expect_code(0);
    instance.run(["plan", "approve", "all", "--by", "Cy"]).expect_code(0);
    instance.run(["merge", "--plan", "all", "--confirm"]).expect_code(0);
    assert_eq!(instance.sandbox.merged_into(loser), Some(winner));
    assert!(links(&instance, "car_c").values().all(|lead| *lead == winner));
    assert!(links(&instance, "stamp_c").values().all(|lead| *lead == loser), "it was left behind");
}
