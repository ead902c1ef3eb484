//! `mkto-audit restore`.

use std::collections::{BTreeMap, BTreeSet};

use mkto_sandbox::{Fault, LeadView, Options};
use serde_json::{Value, json};

use super::history::offline;
use crate::support::caller::Caller;
use crate::support::merging::{BY_NATURE, fill_cache, merge, open_ledger};
use crate::support::{Instance, Run, UNHURRIED, quick, wait};

fn options(knobs: &[&str]) -> Options {
    let mut options = quick();
    for knob in ["merge_ms=0", "activity_delay_ms=0"].iter().chain(knobs) {
        options.set_knob(knob).unwrap();
    }
    options
}

/// Ada as two records that know different things of her, on lists and in programs.
fn ada(options: Options) -> Instance {
    let instance = Instance::start(options);
    let one = json!({
        "email": "ada@example.com", "firstName": "Ada", "title": "CTO", "leadScore": 5,
        "createdAt": "2026-01-01T00:00:00Z", "originalSourceType": "List import"
    });
    let two = json!({
        "email": "ada@example.com", "firstName": "Ada", "title": "Engineer", "phone": "+441",
        "city": "London", "leadScore": 9, "leadPartitionId": 1,
        "createdAt": "2026-02-01T00:00:00Z", "originalSourceType": "Web form fillout"
    });
    assert_eq!((instance.sandbox.put_lead(&one), instance.sandbox.put_lead(&two)), (1, 2));
    instance.sandbox.put_list(1, "Both", &[1, 2]);
    instance.sandbox.put_list(2, "Only the second", &[2]);
    let steps = ["Invited", "Registered", "Attended"];
    instance.sandbox.put_program(7, "Webinar", &steps, &[(1, "Invited"), (2, "Attended")]);
    instance.sandbox.put_program(8, "Trial", &steps, &[(2, "Registered")]);
    fill_cache(&instance);
    instance
}

fn restore(instance: &Instance, flags: &[&str]) -> Run {
    instance.run([&["restore"], flags].concat())
}

fn living(instance: &Instance) -> BTreeMap<u64, LeadView> {
    instance.sandbox.leads().into_iter().map(|view| (view.id, view)).collect()
}

/// The fields of two records that differ, but for those that differ by nature.
fn differing(a: &LeadView, b: &LeadView) -> Vec<String> {
    let names: BTreeSet<&String> = a.fields.keys().chain(b.fields.keys()).collect();
    let differ = names.into_iter().filter(|name| a.fields.get(*name) != b.fields.get(*name));
    differ.filter(|name| !BY_NATURE.contains(&name.as_str())).cloned().collect()
}

fn not_restored(one: &Value) -> Vec<&str> {
    one["not_restored"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect()
}

#[test]
fn a_restored_person_is_as_before_but_for_what_the_table_names() {
    let instance = ada(options(&[]));
    let caller = Caller::new(&instance);
    let acquired = json!({"input": [{"leadId": 2, "acquiredBy": true}]});
    caller.post("/rest/v1/programs/8/members.json", &acquired);
    let before = living(&instance);
    merge(&instance, &["--confirm"]).expect_code(0);
    assert_ne!(differing(&before[&1], &instance.sandbox.lead(1).unwrap()), [""; 0], "merged");

    // First what would be done, and what would not come back. Nothing is changed.
    let calls = instance.sandbox.calls();
    let flags = ["--email", "Ada@example.com", "--lower-status", "--json"];
    let dry = restore(&instance, &flags).expect_code(0).json();
    let one = &dry["restored"][0];
    assert_eq!((&dry["dry_run"], &one["status"]), (&json!(true), &json!("would_restore")), "{dry}");
    assert!(one["new_id"].is_null(), "{one}");
    for what in [
        "id, createdAt, original source, registration and inferred fields",
        "activities",
        "rows of custom objects that did not go with it",
    ] {
        assert!(not_restored(one).contains(&what), "{what}: {one}");
    }
    let written = |calls: BTreeMap<String, u64>| -> u64 {
        let is_write = |name: &String| !name.starts_with("GET") && !name.contains("oauth");
        calls.iter().filter(|(name, _)| is_write(name)).map(|(_, count)| count).sum()
    };
    assert_eq!(written(instance.sandbox.calls()), written(calls), "a dry run writes nothing");

    let done = restore(&instance, &[&flags[..], &["--confirm"]].concat()).expect_code(0).json();
    let one = &done["restored"][0];
    assert_eq!((&one["status"], &done["complete"]), (&json!("restored"), &json!(true)), "{done}");
    let new = one["new_id"].as_u64().unwrap();
    let after = living(&instance);
    assert_eq!(after.len(), 2);

    // The lost record, field by field.
    assert_eq!(differing(&before[&2], &after[&new]), [""; 0], "{done}");
    assert_eq!(
        (&after[&new].lists, &after[&new].programs),
        (&before[&2].lists, &before[&2].programs)
    );
    assert_eq!(after[&new].successes, before[&2].successes);
    let member = caller.get(&format!("/rest/v1/leads/{new}/programMembership.json"));
    assert_eq!(member["result"][1]["acquiredBy"], true, "{member}");
    // And the one that took it.
    assert_eq!(differing(&before[&1], &after[&1]), [""; 0], "{done}");
    assert_eq!((&after[&1].lists, &after[&1].programs), (&before[&1].lists, &before[&1].programs));
    // What is gone for good is what the table says.
    assert_ne!(after[&new].fields["createdAt"], before[&2].fields["createdAt"]);
    assert_ne!(after[&new].fields["originalSourceType"], before[&2].fields["originalSourceType"]);

    // It is told afterwards, and not done twice.
    let again = restore(&instance, &["--id", "2", "--confirm", "--json"]).expect_code(0).json();
    assert_eq!(
        (&again["restored"][0]["status"], &again["restored"][0]["new_id"]),
        (&json!("skipped"), &json!(new))
    );
    assert_eq!(living(&instance).len(), 2);
    let map = offline(&instance, &["map", "resolve", "2", "--json"]).expect_code(0).json();
    assert_eq!(map["resolved"][0]["survivor_id"], new);
    let history = offline(&instance, &["history", "--json"]).expect_code(0).json();
    assert_eq!(
        (&history["run"][1]["kind"], &history["run"][1]["restored"]),
        (&json!("restore"), &json!(1))
    );
}

#[test]
fn what_costs_something_is_done_on_request_alone_and_named_otherwise() {
    let instance = ada(options(&[]));
    let before = living(&instance);
    merge(&instance, &["--confirm"]).expect_code(0);
    let merged = living(&instance);
    let done = restore(&instance, &["--run", "1", "--confirm", "--json"]).expect_code(0).json();
    let one = &done["restored"][0];
    assert_eq!(one["status"], "restored", "{done}");
    let winner = instance.sandbox.lead(1).unwrap();
    assert_eq!(winner.programs, merged[&1].programs, "the programs stay");
    assert_eq!(winner.lists, before[&1].lists, "the list that it got is left");
    for program in ["\"Webinar\"", "\"Trial\""] {
        let what = format!("program {program} of record 1");
        assert!(not_restored(one).contains(&what.as_str()), "{one}");
    }
    let text = restore(&instance, &["--run", "1"]).expect_code(0);
    assert!(text.stderr.contains("nothing was changed"), "{}", text.picture());
}

#[test]
fn an_opt_out_and_what_others_wrote_since_are_never_taken_back() {
    let instance = ada(options(&[]));
    instance.sandbox.change_lead(2, &json!({"doNotCall": true, "doNotCallReason": "asked"}));
    fill_cache(&instance);
    merge(&instance, &["--confirm"]).expect_code(0);
    instance.sandbox.change_lead(1, &json!({"city": "Paris"}));
    let done = restore(&instance, &["--id", "2", "--confirm", "--json"]).expect_code(0).json();
    let one = &done["restored"][0];
    let (winner, new) = (instance.sandbox.lead(1).unwrap(), one["new_id"].as_u64().unwrap());
    assert_eq!(winner.fields["doNotCall"], true, "{done}");
    assert_eq!(winner.fields["city"], "Paris", "somebody wrote it since");
    assert!(winner.fields.get("phone").is_none(), "what the merge gave is given back: {winner:?}");
    assert!(not_restored(one).contains(&"`doNotCall` of record 1"), "{one}");
    assert_eq!(instance.sandbox.lead(new).unwrap().fields["doNotCall"], true);
}

#[test]
fn a_lead_whose_answer_is_lost_is_looked_for_and_never_made_twice() {
    for fault in [Fault::CutAfter, Fault::CutBefore] {
        let instance = ada(options(&[]));
        merge(&instance, &["--confirm"]).expect_code(0);
        instance.sandbox.fail_next("POST /rest/v1/leads", fault);
        let first = restore(&instance, &["--id", "2", "--confirm", "--json"]);
        let one = first.json()["restored"][0].clone();
        if one["status"] == "failed" {
            // It never arrived: nothing was made, and the same command makes it.
            assert_eq!(living(&instance).len(), 1, "{fault:?} {one}");
            restore(&instance, &["--id", "2", "--confirm"]).expect_code(0);
        } else {
            assert_eq!(one["status"], "restored", "{fault:?} {one}");
        }
        assert_eq!(living(&instance).len(), 2, "{fault:?}");
        let how = how_makings_ended(&instance);
        match fault {
            Fault::CutAfter => assert_eq!(how, ["a look found it"]),
            _ => assert!(how[0].contains("no look found it"), "{how:?}"),
        }
    }
}

/// How it became known what came of each call that was to make a record.
#[expect(clippy::disallowed_methods, reason = "a hand on the file, past the ledger")]
fn how_makings_ended(instance: &Instance) -> Vec<String> {
    let db = rusqlite::Connection::open(open_ledger(instance).path()).unwrap();
    let mut query = db.prepare("SELECT how FROM making_end ORDER BY making").unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn a_kill_at_any_call_never_makes_two_and_the_same_command_ends_it() {
    // The calls of a restore, one after the other: killed while each is under way.
    for nth in [1, 2, 3, 4, 5, 6, 8] {
        let instance = ada(options(&[]));
        let before = living(&instance);
        merge(&instance, &["--confirm"]).expect_code(0);
        let already = writes(&instance);
        let mut command = instance.command(["restore", "--id", "2", "--lower-status", "--confirm"]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        // It may end before: then it is killed when nothing is left to do.
        wait::until("so many writes", || {
            writes(&instance) - already >= nth || child.try_wait().unwrap().is_some()
        });
        child.kill().unwrap();
        wait::end_of(&mut child);
        for _ in 0..3 {
            let run = restore(&instance, &["--id", "2", "--lower-status", "--confirm"]);
            if run.code == Some(0) {
                break;
            }
        }
        let after = living(&instance);
        assert_eq!(after.len(), 2, "killed at call {nth}: {:?}", after.keys());
        let new = after.values().find(|view| view.id != 1).unwrap();
        assert_eq!(differing(&before[&2], new), [""; 0], "killed at call {nth}");
        assert_eq!((&new.lists, &new.programs), (&before[&2].lists, &before[&2].programs), "{nth}");
        assert_eq!(differing(&before[&1], &after[&1]), [""; 0], "killed at call {nth}");
        let open = open_ledger(&instance).open_makings().unwrap();
        assert!(open.is_empty(), "killed at call {nth}: {open:?}");
    }
}

/// Calls so far that write.
fn writes(instance: &Instance) -> u64 {
    let calls = instance.sandbox.calls();
    let writes = calls.iter().filter(|(name, _)| {
        (name.starts_with("POST") || name.starts_with("DELETE")) && !name.contains("oauth")
    });
    writes.map(|(_, count)| count).sum()
}

#[test]
fn what_marketo_does_not_take_is_named_and_the_same_command_tries_again() {
    let instance = ada(options(&[]));
    merge(&instance, &["--confirm"]).expect_code(0);
    // Somebody takes the step out of the program, and puts it back.
    instance.sandbox.put_program(8, "Trial", &["Invited"], &[(1, "Invited")]);
    let run = restore(&instance, &["--id", "2", "--confirm", "--json"]).expect_code(3);
    let one = run.json()["restored"][0].clone();
    assert_eq!(one["status"], "partial", "{one}");
    let trial = one["not_restored"]
        .as_array()
        .unwrap()
        .iter()
        .find(|missing| missing["what"] == "program \"Trial\"");
    assert!(trial.unwrap()["why"].as_str().unwrap().contains("1025"), "{one}");
    instance.sandbox.put_program(
        8,
        "Trial",
        &["Invited", "Registered", "Attended"],
        &[(1, "Invited")],
    );
    let again = restore(&instance, &["--id", "2", "--confirm", "--json"]).expect_code(0).json();
    assert_eq!(
        (&again["restored"][0]["status"], &again["restored"][0]["new_id"]),
        (&json!("restored"), &one["new_id"])
    );
    assert_eq!(living(&instance).len(), 2);
}

#[test]
fn what_somebody_writes_after_a_restore_stays_however_often_it_is_repeated() {
    let instance = ada(options(&[]));
    merge(&instance, &["--confirm"]).expect_code(0);
    let done = restore(&instance, &["--id", "2", "--confirm", "--json"]).expect_code(0).json();
    let new = done["restored"][0]["new_id"].as_u64().unwrap();
    let run = done["run"].to_string();
    restore(&instance, &["--id", "2", "--confirm"]);
    instance.sandbox.change_lead(new, &json!({"city": "Paris"}));
    instance.sandbox.change_lead(1, &json!({"phone": "+442"}));
    for flags in [["--id", "2"], ["--run", "1"], ["--email", "ada@example.com"]] {
        let again = restore(&instance, &[&flags[..], &["--confirm", "--json"]].concat()).json();
        let one = &again["restored"][0];
        assert_eq!(one["status"], "skipped", "{flags:?} {again}");
        let why = one["reason"].as_str().unwrap();
        assert!(why.starts_with(&format!("run {run} restored it")), "{why}");
        assert_eq!(instance.sandbox.lead(new).unwrap().fields["city"], "Paris");
        assert_eq!(instance.sandbox.lead(1).unwrap().fields["phone"], "+442");
    }
}

#[test]
fn what_somebody_writes_between_two_tries_stays_and_is_named() {
    let instance = ada(options(&[]));
    merge(&instance, &["--confirm"]).expect_code(0);
    instance.sandbox.put_program(8, "Trial", &["Invited"], &[(1, "Invited")]);
    let run = restore(&instance, &["--id", "2", "--confirm", "--json"]).expect_code(3).json();
    let new = run["restored"][0]["new_id"].as_u64().unwrap();
    instance.sandbox.change_lead(new, &json!({"city": "Paris", "phone": null}));
    let steps = ["Invited", "Registered", "Attended"];
    instance.sandbox.put_program(8, "Trial", &steps, &[(1, "Invited")]);
    let again = restore(&instance, &["--id", "2", "--confirm", "--json"]).expect_code(0).json();
    let one = &again["restored"][0];
    assert!(not_restored(one).contains(&"`city`"), "{one}");
    let lead = instance.sandbox.lead(new).unwrap();
    assert_eq!((&lead.fields["city"], &lead.fields["phone"]), (&json!("Paris"), &json!("+441")));
}

#[test]
fn what_cannot_be_restored_is_refused_with_what_can() {
    let instance = ada(options(&[]));
    merge(&instance, &["--confirm"]).expect_code(0);
    let nobody = restore(&instance, &["--email", "eve@example.com"]).expect_code(2);
    assert!(nobody.stderr.contains("mkto-audit map"), "{}", nobody.picture());
    restore(&instance, &[]).expect_code(2);
    restore(&instance, &["--run", "9"]).expect_code(2);
}

#[test]
fn a_guarded_write_of_the_address_waits_until_the_record_is_there() {
    let instance = ada(options(&[]));
    merge(&instance, &["--confirm"]).expect_code(0);
    let people = instance.file("people.csv", "email,city\nada@example.com,Paris\n");
    let held = instance.sandbox.hold_writes();
    let already = writes(&instance);
    let patient = |mut command: std::process::Command| {
        command.env(UNHURRIED.0, UNHURRIED.1);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let restoring = patient(instance.command(["restore", "--id", "2", "--confirm", "--json"]));
    wait::until("the record being made", || writes(&instance) > already);
    // Whoever looks the address up now finds one record; under its lease there are two.
    let people = people.to_str().unwrap();
    let writing = patient(instance.command(["upsert", people, "--confirm", "--json"]));
    drop(held);
    let restored = Run::from(wait::output_of(restoring));
    assert_eq!(restored.json()["restored"][0]["status"], "restored", "{}", restored.picture());
    let written = Run::from(wait::output_of(writing)).json();
    assert_eq!(written["record"][0]["status"], "skipped", "{written}");
}
