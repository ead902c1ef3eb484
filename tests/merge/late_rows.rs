//! Rows of custom objects that come to a loser after the last look at its rows, over HTTP: they are
//! moved once the merge is settled, or named.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use mkto_sandbox::{Fault, Meanwhile, ObjectSpec, Options};
use serde_json::{Value, json};

use crate::support::merging::{command, fill_cache, merge};
use crate::support::signal::{self, Signal};
use crate::support::{Instance, Run, quick, wait};

/// Adobe says that a merge carries no row of a loser over: the row stays under the loser's id.
fn instance(knobs: &[&str]) -> Instance {
    let mut options: Options = quick();
    for knob in ["merge_ms=0", "activity_delay_ms=0", "loser_rows=stay"].iter().chain(knobs) {
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

fn cars(instance: &Instance, keyed_by: &[&str]) {
    instance.sandbox.put_object(&ObjectSpec::linked("car_c", "leadId", "Id").keyed_by(keyed_by));
}

fn row(lead: u64, vin: &str) -> Value {
    json!({"leadId": lead, "vin": vin})
}

/// An integration that writes a row for a lead while the merge runs.
fn written_while_it_merges(instance: &Instance, lead: u64, vin: &str) {
    let late = row(lead, vin);
    let put = Meanwhile::Run(Box::new(move |screens| drop(screens.put_row("car_c", &late))));
    instance.sandbox.at_call("/merge.json", 1, put);
}

/// The lead of each row, by its `vin`.
fn leads_of(instance: &Instance) -> Vec<(String, u64)> {
    let rows = instance.sandbox.object_rows("car_c");
    let mut all: Vec<(String, u64)> = rows
        .iter()
        .map(|row| (row["vin"].as_str().unwrap().to_owned(), row["leadId"].as_u64().unwrap()))
        .collect();
    all.sort();
    all
}

fn on(all: &[(&str, u64)]) -> Vec<(String, u64)> {
    all.iter().map(|(vin, lead)| ((*vin).to_owned(), *lead)).collect()
}

fn certificate(instance: &Instance, run: &Value) -> Value {
    instance.run(["certificate", "show", &run.to_string(), "--json"]).expect_code(0).json()
}

fn look_after(instance: &Instance) -> Run {
    merge(instance, &["--look-after", "--confirm", "--json"])
}

#[test]
fn a_row_that_is_written_while_the_merge_runs_is_moved_and_told() {
    let instance = instance(&[]);
    let [winner, loser] = pair(&instance, "a@example.com");
    cars(&instance, &["vin"]);
    instance.sandbox.put_object_row("car_c", &row(loser, "BEFORE"));
    written_while_it_merges(&instance, loser, "LATE");
    fill_cache(&instance);
    let ran = merge(&instance, &["--confirm", "--json"]).expect_code(0);
    let done = ran.json();
    assert_eq!(instance.sandbox.merged_into(loser), Some(winner));
    assert_eq!(leads_of(&instance), on(&[("BEFORE", winner), ("LATE", winner)]));
    let moved = &done["late_rows"]["moved"];
    assert_eq!((moved.as_array().unwrap().len(), &moved[0]["from"]), (1, &json!(loser)), "{done}");
    assert!(ran.stderr.contains("1 row of car_c"), "{}", ran.picture());
    let certificate = certificate(&instance, &done["run"]);
    let late = &certificate["afterwards"]["late_rows"];
    assert_eq!((&late["moved"], &late["left"]), (&json!(1), &json!(0)), "{certificate:#}");
    let of_group = &certificate["afterwards"]["group"][0]["late_rows"];
    assert_eq!(of_group["moved"][0]["to"], json!(winner));
    let page = instance.path("run.html");
    let page = page.to_str().unwrap();
    let run = done["run"].to_string();
    instance.run(["certificate", "show", &run, "--html", page]).expect_code(0);
    instance.run(["certificate", "verify", page]).expect_code(0);
    assert!(std::fs::read_to_string(page).unwrap().contains("Came late: a row of car_c"));
}

#[test]
fn where_nothing_came_a_look_costs_a_call_an_object_and_nothing_is_told() {
    let instance = instance(&[]);
    for n in 0..6 {
        pair(&instance, &format!("p{n}@example.com"));
    }
    cars(&instance, &["vin"]);
    fill_cache(&instance);
    let done = merge(&instance, &["--confirm", "--json"]).expect_code(0).json();
    assert!(done.get("late_rows").is_none(), "{done}");
    let asked = |instance: &Instance| {
        let calls = instance.sandbox.calls();
        calls.get("GET /rest/v1/customobjects/car_c").copied().unwrap_or_default()
    };
    let before = asked(&instance);
    let again = look_after(&instance).expect_code(0).json();
    assert!(again.get("late_rows").is_none(), "{again}");
    assert_eq!(asked(&instance) - before, 1, "{:?}", instance.sandbox.calls());
}

#[test]
fn a_row_that_comes_after_the_run_is_moved_by_a_look_afterwards_and_once() {
    let instance = instance(&[]);
    let [winner, loser] = pair(&instance, "a@example.com");
    cars(&instance, &["vin"]);
    let mine = instance.sandbox.put_object_row("car_c", &row(loser, "MINE"));
    fill_cache(&instance);
    let done = merge(&instance, &["--confirm", "--json"]).expect_code(0).json();
    assert_eq!(leads_of(&instance), on(&[("MINE", winner)]));
    // The Data Ingestion API wrote one after the merge, and an integration upserted the moved one
    // with the link that it knows.
    instance.sandbox.put_object_row("car_c", &row(loser, "HOUR LATER"));
    instance.sandbox.relink_row("car_c", &mine, loser);
    let run = done["run"].to_string();
    let asked = instance.run(["certificate", "show", &run, "--look"]).expect_code(0);
    assert!(asked.stderr.contains("linked to 1 merged record of this run"), "{}", asked.picture());
    assert_eq!(leads_of(&instance).iter().filter(|(_, lead)| *lead == loser).count(), 2);
    let looked = look_after(&instance).expect_code(0).json();
    assert_eq!(looked["late_rows"]["moved"].as_array().unwrap().len(), 2, "{looked}");
    assert_eq!(leads_of(&instance), on(&[("HOUR LATER", winner), ("MINE", winner)]));
    let again = look_after(&instance).expect_code(0).json();
    assert!(again.get("late_rows").is_none(), "{again}");
    let certificate = certificate(&instance, &done["run"]);
    assert_eq!(certificate["afterwards"]["late_rows"]["moved"], 2, "{certificate:#}");
}

#[test]
fn rows_follow_to_the_record_that_lives_now() {
    let instance = instance(&[]);
    let [winner, loser] = pair(&instance, "a@example.com");
    cars(&instance, &["vin"]);
    fill_cache(&instance);
    merge(&instance, &["--confirm"]).expect_code(0);
    let first = instance.sandbox.put_lead(&json!({"email": "a@example.com", "firstName": "Ada",
        "lastName": "Lovelace", "createdAt": "2019-01-02T03:04:05Z"}));
    fill_cache(&instance);
    merge(&instance, &["--confirm"]).expect_code(0);
    let lives = instance.sandbox.merged_into(winner).unwrap_or(winner);
    assert!([first, winner].contains(&lives));
    instance.sandbox.put_object_row("car_c", &row(loser, "LATE"));
    look_after(&instance).expect_code(0);
    assert_eq!(leads_of(&instance), on(&[("LATE", lives)]));
}

#[test]
fn what_cannot_move_is_named_wherever_the_run_is_told_and_nothing_is_overwritten() {
    for knob in ["relink_collision=1005", "relink_collision=overwrite"] {
        let instance = instance(&[knob]);
        let [winner, loser] = pair(&instance, "a@example.com");
        cars(&instance, &["leadId", "vin"]);
        instance.sandbox.put_object_row("car_c", &row(winner, "SAME"));
        written_while_it_merges(&instance, loser, "SAME");
        fill_cache(&instance);
        let ran = merge(&instance, &["--confirm", "--json"]).expect_code(3);
        let done = ran.json();
        assert_eq!(done["group"][0]["outcome"], "merged", "{done}");
        let left = &done["late_rows"]["left"][0];
        assert_eq!((&left["lead"], &left["count"]), (&json!(loser), &json!(1)), "{done}");
        assert!(left["why"].as_str().unwrap().contains("the same `vin`"), "{left}");
        assert!(ran.stderr.contains("LEFT BEHIND: 1 row of `car_c`"), "{}", ran.picture());
        assert_eq!(leads_of(&instance).len(), 2, "{knob}: nothing takes the other's place");
        let certificate = certificate(&instance, &done["run"]);
        assert_eq!(certificate["afterwards"]["late_rows"]["left"], 1, "{certificate:#}");
        // Somebody has deleted one: the next look says that nothing is left.
        instance.sandbox.delete_row("car_c", winner, "vin", "SAME");
        look_after(&instance).expect_code(0);
        assert_eq!(leads_of(&instance), on(&[("SAME", winner)]));
        let certificate = self::certificate(&instance, &done["run"]);
        let late = &certificate["afterwards"]["late_rows"];
        assert_eq!((&late["moved"], &late["left"]), (&json!(1), &json!(0)), "{certificate:#}");
    }
}

#[test]
fn a_fixed_link_a_refusal_and_a_missing_permission_leave_the_row_and_say_why() {
    for (denied, fixed, said) in [
        (false, true, "cannot be changed"),
        (false, false, "1003 Value is too long"),
        (true, false, "Read-Write Custom Object"),
    ] {
        let mut options = quick();
        for knob in ["merge_ms=0", "loser_rows=stay"] {
            options.set_knob(knob).unwrap();
        }
        if denied {
            options.denied.push("Read-Write Custom Object".to_owned());
        }
        let instance = Instance::start(options);
        let [_, loser] = pair(&instance, "a@example.com");
        let spec = ObjectSpec::linked("car_c", "leadId", "Id").keyed_by(&["vin"]);
        instance.sandbox.put_object(&if fixed { spec.fixed("leadId") } else { spec });
        fill_cache(&instance);
        merge(&instance, &["--confirm"]).expect_code(0);
        let guid = instance.sandbox.put_object_row("car_c", &row(loser, "LATE"));
        if !denied && !fixed {
            instance.sandbox.refuse_row("car_c", &guid, "1003", "Value is too long");
        }
        let looked = look_after(&instance).expect_code(3).json();
        let why = looked["late_rows"]["left"][0]["why"].as_str().unwrap();
        assert!(why.contains(said), "{why}");
        assert_eq!(leads_of(&instance), on(&[("LATE", loser)]));
    }
}

#[test]
fn rows_that_a_person_left_behind_are_not_told_as_late() {
    let instance = instance(&[]);
    let [winner, loser] = pair(&instance, "a@example.com");
    let fixed = ObjectSpec::linked("car_c", "leadId", "Id").keyed_by(&["vin"]).fixed("leadId");
    instance.sandbox.put_object(&fixed);
    instance.sandbox.put_object_row("car_c", &row(loser, "KNOWN"));
    instance.run(["scan"]).expect_code(0);
    instance.run(["plan", "create", "--name", "all"]).expect_code(0);
    instance
        .run(["plan", "decide", "all", "--email", "a@example.com", "--merge", "--by", "Bo"])
        .expect_code(0);
    instance.run(["plan", "approve", "all", "--by", "Cy"]).expect_code(0);
    let ran = instance.run(["merge", "--plan", "all", "--confirm", "--json"]).expect_code(0);
    assert_eq!(instance.sandbox.merged_into(loser), Some(winner));
    assert!(ran.json().get("late_rows").is_none(), "{}", ran.picture());
    instance.sandbox.put_object_row("car_c", &row(loser, "LATE"));
    let looked = instance.run(["merge", "--look-after", "--confirm", "--json"]);
    let looked = looked.expect_code(3).json();
    assert_eq!(looked["late_rows"]["left"][0]["count"], 1, "{looked}");
}

#[test]
fn a_run_that_is_killed_at_the_call_for_a_late_row_leaves_it_to_the_next() {
    for after in [false, true] {
        let instance = instance(&["clock_speed=200"]);
        let [winner, loser] = pair(&instance, "a@example.com");
        cars(&instance, &["vin"]);
        written_while_it_merges(&instance, loser, "LATE");
        fill_cache(&instance);
        let mut child = command(&instance, &["--confirm"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let id = Arc::new(Mutex::new(Some(child.id())));
        let of_kill = Arc::clone(&id);
        let kill = Meanwhile::Run(Box::new(move |_| {
            if let Some(id) = of_kill.lock().unwrap().take() {
                signal::sent(id, Signal::KILL);
            }
        }));
        let call = "POST /rest/v1/customobjects/";
        if after {
            instance.sandbox.after_call(call, 1, kill);
        } else {
            instance.sandbox.before_call(call, 1, kill);
        }
        assert_eq!(wait::end_of(&mut child).code(), None, "it was killed");
        *id.lock().unwrap() = None;
        assert_eq!(instance.sandbox.merged_into(loser), Some(winner));
        look_after(&instance).expect_code(0);
        assert_eq!(leads_of(&instance), on(&[("LATE", winner)]), "{after}");
    }
}

#[test]
fn a_lost_answer_is_looked_at_before_anything_else() {
    for fault in [Fault::CutAfter, Fault::CutBefore, Fault::TimedOut] {
        let instance = instance(&["clock_speed=200"]);
        let [winner, loser] = pair(&instance, "a@example.com");
        cars(&instance, &["vin"]);
        written_while_it_merges(&instance, loser, "LATE");
        instance.sandbox.fail_next("POST /rest/v1/customobjects/{id}", fault);
        fill_cache(&instance);
        let done = merge(&instance, &["--confirm", "--json"]).json();
        assert_eq!(leads_of(&instance), on(&[("LATE", winner)]), "{fault:?}: {done}");
        look_after(&instance).expect_code(0);
        assert_eq!(leads_of(&instance), on(&[("LATE", winner)]), "{fault:?}: {done}");
    }
}
