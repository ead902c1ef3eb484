//! What programs keep of their members: backed up, and written again by `restore`.

use std::collections::BTreeMap;

use mkto_sandbox::{LeadView, Options};
use serde_json::{Map, Value, json};

use super::history::offline;
use crate::support::merging::{fill_cache, merge, open_ledger};
use crate::support::{Instance, quick};

fn options(knobs: &[&str]) -> Options {
    let mut options = quick();
    for knob in ["merge_ms=0", "activity_delay_ms=0"].iter().chain(knobs) {
        options.set_knob(knob).unwrap();
    }
    options
}

fn fields(value: Value) -> Map<String, Value> {
    let Value::Object(fields) = value else { panic!("{value}") };
    fields
}

/// Two records of one person in one program, each with an answer of its own; one of them in
/// another.
fn guests(options: Options) -> Instance {
    let instance = Instance::start(options);
    for day in [1, 2] {
        let created = format!("2026-01-0{day}T00:00:00Z");
        let lead = json!({"email": "ada@example.com", "firstName": "Ada", "createdAt": created});
        instance.sandbox.put_lead(&lead);
    }
    let steps = ["Invited", "Registered", "Attended"];
    instance.sandbox.put_program(7, "Dinner", &steps, &[(1, "Invited"), (2, "Registered")]);
    instance.sandbox.put_program(8, "Webinar", &steps, &[(2, "Attended")]);
    let (one, two) = (json!({"mealChoice": "fish", "seats": 2}), json!({"mealChoice": "vegan"}));
    instance.sandbox.put_member_fields(7, 1, &fields(one));
    instance.sandbox.put_member_fields(7, 2, &fields(two));
    let other = json!({"webinarUrl": "https://example.com/2", "acquiredBy": true, "seats": 1});
    instance.sandbox.put_member_fields(8, 2, &fields(other));
    fill_cache(&instance);
    instance
}

fn living(instance: &Instance) -> BTreeMap<u64, LeadView> {
    instance.sandbox.leads().into_iter().map(|view| (view.id, view)).collect()
}

#[test]
fn what_programs_keep_of_a_member_comes_back_on_both_records() {
    // Whichever membership the merge keeps, and whether statuses are lowered again.
    for (knob, lower) in [
        ("merge_status=winner", true),
        ("merge_status=winner", false),
        ("merge_status=higher", true),
        ("merge_status=higher", false),
    ] {
        let instance = guests(options(&[knob]));
        let before = living(&instance);
        merge(&instance, &["--confirm"]).expect_code(0);
        let mut flags = vec!["restore", "--id", "2", "--json"];
        if lower {
            flags.push("--lower-status");
        }
        let dry = instance.run(&flags).expect_code(0).json();
        let programs = &dry["restored"][0]["programs"];
        assert_eq!(programs[0]["member_fields"], json!({"mealChoice": "vegan"}), "{dry}");
        let done = instance.run([&flags[..], &["--confirm"]].concat());
        let done = done.expect_code(0).json();
        let one = &done["restored"][0];
        let after = living(&instance);
        let new = &after[&one["new_id"].as_u64().unwrap()];
        assert_eq!(new.member_fields, before[&2].member_fields, "{knob} {lower}: {done}");
        let of_dinner = |view: &LeadView| view.member_fields.get(&7).cloned();
        assert_eq!(of_dinner(&after[&1]), of_dinner(&before[&1]), "{knob} {lower}: {done}");
        let told = one["not_restored"].to_string();
        assert!(!told.contains("fields of program members"), "{told}");
        let again = instance.run([&flags[..], &["--confirm"]].concat()).expect_code(0).json();
        assert_eq!(again["restored"][0]["status"], "skipped", "{again}");
    }
}

#[test]
fn a_backup_without_them_says_so_before_and_after() {
    let instance = guests(options(&[]));
    merge(&instance, &["--confirm"]).expect_code(0);
    without_member_fields(&instance);
    for confirm in [false, true] {
        let mut flags = vec!["restore", "--id", "2", "--json"];
        if confirm {
            flags.push("--confirm");
        }
        let one = instance.run(&flags).expect_code(0).json()["restored"][0].clone();
        let told = one["not_restored"].to_string();
        assert!(told.contains("fields of program members"), "{one}");
        assert!(one["programs"][0].get("member_fields").is_none(), "{one}");
    }
}

#[test]
fn a_membership_that_was_ended_and_not_made_anew_is_made_by_the_same_command() {
    let instance = guests(options(&["merge_status=higher"]));
    let before = living(&instance);
    merge(&instance, &["--confirm"]).expect_code(0);
    // The former status is gone for a while: Marketo takes it back out, and not in again.
    instance.sandbox.put_program(7, "Dinner", &["Registered", "Attended"], &[(1, "Registered")]);
    let flags = ["restore", "--id", "2", "--lower-status", "--confirm", "--json"];
    let first = instance.run(flags).expect_code(3).json();
    assert_eq!(first["restored"][0]["status"], "partial", "{first}");
    let new = first["restored"][0]["new_id"].as_u64().unwrap();
    assert!(!living(&instance)[&1].programs.contains_key(&7), "it is out of the program");
    let steps = ["Invited", "Registered", "Attended"];
    instance.sandbox.put_program(7, "Dinner", &steps, &[(new, "Registered")]);
    let again = instance.run(flags).expect_code(0).json();
    assert_eq!(again["restored"][0]["status"], "restored", "{again}");
    let after = living(&instance);
    assert_eq!(after[&1].programs, before[&1].programs, "{again}");
    assert_eq!(after[&1].member_fields, before[&1].member_fields, "{again}");
}

#[test]
fn a_status_is_not_lowered_where_that_would_delete_fields_that_are_in_no_backup() {
    for is_old in [true, false] {
        let instance = guests(options(&["merge_status=higher"]));
        merge(&instance, &["--confirm"]).expect_code(0);
        if is_old {
            without_member_fields(&instance);
        } else {
            let since = json!({"mealChoice": "none, thank you"});
            instance.sandbox.put_member_fields(7, 1, &fields(since));
        }
        let merged = living(&instance);
        let flags = ["restore", "--id", "2", "--lower-status", "--confirm", "--json"];
        let done = instance.run(flags).expect_code(0).json();
        let told = done["restored"][0]["not_restored"].to_string();
        assert!(told.contains("would delete"), "{done}");
        let after = living(&instance);
        assert_eq!(after[&1].programs.get(&7), merged[&1].programs.get(&7), "{done}");
        let meal = |view: &LeadView| view.member_fields[&7]["mealChoice"].clone();
        assert_eq!(meal(&after[&1]), meal(&merged[&1]), "{done}");
    }
}

/// Makes the backups what an older version took.
#[expect(clippy::disallowed_methods, reason = "a hand on the file, past the ledger")]
fn without_member_fields(instance: &Instance) {
    let db = rusqlite::Connection::open(open_ledger(instance).path()).unwrap();
    db.execute_batch("DROP TRIGGER backup_stays").unwrap();
    let mut query = db.prepare("SELECT seq, programs FROM backup").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>().unwrap();
    for (seq, programs) in rows {
        let mut programs: Vec<Map<String, Value>> = serde_json::from_str(&programs).unwrap();
        for program in &mut programs {
            assert!(program.remove("memberFields").is_some(), "{program:?}");
        }
        let programs = serde_json::to_string(&programs).unwrap();
        let set = "UPDATE backup SET programs = ?2 WHERE seq = ?1";
        db.execute(set, rusqlite::params![seq, programs]).unwrap();
    }
}

#[test]
fn they_stand_in_a_backup_and_a_rehearsal_brings_them_back() {
    let instance = guests(options(&[]));
    merge(&instance, &["--confirm"]).expect_code(0);
    let shown = offline(&instance, &["backup", "show", "2", "--json"]).expect_code(0).json();
    let programs = &shown["backup"].as_array().unwrap().last().unwrap()["programs"];
    assert_eq!(programs[1]["memberFields"]["webinarUrl"], "https://example.com/2", "{shown}");
    let verified = offline(&instance, &["backup", "verify", "--rehearse", "--json"]);
    let verified = verified.expect_code(0).json();
    assert_eq!(verified["rehearsal"]["differences"], json!([]), "{verified}");
    assert_eq!(verified["rehearsal"]["rehearsed"], 1, "{verified}");
}

#[test]
fn records_in_no_program_cost_no_call_for_them() {
    let instance = Instance::start(options(&[]));
    for _ in 0..2 {
        instance.sandbox.put_lead(&json!({"email": "ada@example.com", "firstName": "Ada"}));
    }
    fill_cache(&instance);
    merge(&instance, &["--confirm"]).expect_code(0);
    let calls = instance.sandbox.calls();
    assert!(calls.keys().all(|call| !call.contains("/members")), "{calls:?}");
}
