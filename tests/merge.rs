//! `mkto-audit merge`, and the laws that it keeps, against the sandbox's own view of its leads.

use std::time::Duration;

use mkto_sandbox::{ObjectSpec, Options};
use serde_json::json;

use crate::assert_picture;
use crate::support::merging::{
    command, crowd, emails_are_unique, fill_cache, merge, nothing_is_lost, open_ledger,
};
use crate::support::wait::{self, until_async};
use crate::support::{Instance, Run, UNHURRIED, quick};

mod adverse;
mod at_once;
mod brakes;
mod consent;
mod counts;
mod doubt;
mod guarded;
mod killed;
mod late_rows;
mod left;
mod moved;
mod objects;
mod people;
mod plans;
mod rules;
mod stopped;
mod storm;

/// Every kind of fault that a call of a merge can meet.
const FAULTS: &[&str] = &[
    "502",
    "500",
    "cut_before",
    "cut_after",
    "lost_604",
    "lost_502",
    "604",
    "slow",
    "606",
    "615",
    "611",
    "601",
    "602",
    "html",
    "truncated",
    "partial_merge",
];

#[test]
fn without_confirm_nothing_is_changed_and_the_plan_can_be_carried_out_as_it_was_shown() {
    let instance = crowd(quick(), 3, false);
    let before = instance.sandbox.leads();
    let dry = merge(&instance, &["--json"]).expect_code(0).json();
    assert_eq!(
        (&dry["dry_run"], &dry["groups"], &dry["merged"]),
        (&json!(true), &json!(3), &json!(0))
    );
    assert_eq!(dry["group"][0]["outcome"], "would_merge");
    assert_eq!(instance.sandbox.leads(), before);

    let plan = dry["plan"].as_str().unwrap();
    let done = merge(&instance, &["--plan", plan, "--confirm", "--json"]).expect_code(0).json();
    assert_eq!(
        (&done["merged"], &done["plan"], &done["complete"]),
        (&json!(3), &json!(plan), &json!(true))
    );
    assert!(emails_are_unique(&instance));
    nothing_is_lost(&instance, &before);
}

#[test]
fn a_lead_whose_email_changed_between_plan_and_confirm_is_left_alone() {
    let instance = crowd(quick(), 2, false);
    let dry = merge(&instance, &["--json"]).expect_code(0).json();
    let changed = dry["group"][0]["losers"][0].as_u64().unwrap();
    instance.sandbox.change_lead(changed, &json!({"email": "else@example.com"}));
    let plan = dry["plan"].as_str().unwrap();
    let done = merge(&instance, &["--plan", plan, "--confirm", "--json"]).expect_code(3).json();
    assert_eq!((&done["merged"], &done["skipped"]), (&json!(1), &json!(1)));
    assert_eq!(instance.sandbox.lead(changed).unwrap().fields["email"], "else@example.com");
}

/// Starts a merge in which each call takes so many seconds of Marketo's, and gives it once the
/// first call has arrived.
fn in_its_first_merge(instance: &Instance) -> std::process::Child {
    let mut child = command(instance, &["--confirm", "--json"]);
    let child = child
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    instance.block_on(async {
        until_async("the first merge at Marketo", async || {
            instance.sandbox.calls().keys().any(|call| call.ends_with("/merge"))
        })
        .await;
    });
    child
}

fn merges_that_take(seconds: u32) -> Options {
    let mut options = quick();
    options.set_knob(&format!("merge_ms={}", seconds * 1000)).unwrap();
    options
}

#[test]
fn a_loser_that_becomes_somebody_else_while_its_group_is_half_merged_is_left_alone() {
    let instance = crowd(merges_that_take(90), 0, true);
    let dry = merge(&instance, &["--json"]).expect_code(0).json();
    let last = dry["group"][0]["losers"].as_array().unwrap().last().unwrap().as_u64().unwrap();
    let child = in_its_first_merge(&instance);
    instance.sandbox.change_lead(last, &json!({"email": "else@example.com"}));
    let run = Run::from(wait::output_of(child)).expect_code(3);
    assert_eq!(instance.sandbox.merged_into(last), None, "{}", run.picture());
    assert_eq!(instance.sandbox.lead(last).unwrap().fields["email"], "else@example.com");
    let group = &run.json()["group"][0];
    assert_eq!(group["outcome"], "failed");
    let reason = group["reason"].as_str().unwrap();
    assert!(reason.contains("25 of 59") && reason.contains("another key"), "{reason}");
}

#[test]
fn what_a_loser_holds_when_its_merge_leaves_is_in_the_ledger() {
    let instance = Instance::start(merges_that_take(90));
    let mut ids = Vec::new();
    for email in ["a@example.com", "b@example.com"] {
        for title in ["Countess", "Miss"] {
            ids.push(instance.sandbox.put_lead(&json!({"email": email, "title": title})));
        }
    }
    fill_cache(&instance);
    let loser = *ids.last().unwrap();
    let child = in_its_first_merge(&instance);
    // A value that is dropped, and that the plan does not name, would keep the group out.
    instance.sandbox.change_lead(loser, &json!({"title": "Countess"}));
    Run::from(wait::output_of(child)).expect_code(0);
    assert!(instance.sandbox.merged_into(loser).is_some());
    let ledger = open_ledger(&instance);
    let titles: Vec<_> = ledger
        .backups_of(loser)
        .unwrap()
        .iter()
        .map(|kept| kept.lead.fields["title"].clone())
        .collect();
    assert_eq!(titles.last(), Some(&json!("Countess")), "{titles:?}");
}

#[test]
fn a_group_of_sixty_and_many_small_ones_are_merged_with_nothing_lost() {
    let instance = crowd(quick(), 12, true);
    let before = instance.sandbox.leads();
    let done = merge(&instance, &["--confirm", "--json"]).expect_code(0).json();
    assert_eq!(done["merged"], 13, "{done}");
    assert!(emails_are_unique(&instance));
    nothing_is_lost(&instance, &before);
}

#[test]
fn every_fault_is_survived_with_nothing_lost() {
    // Each spends its time waiting for Marketo's time limits: side by side they take as long as the
    // slowest.
    std::thread::scope(|scope| {
        for fault in FAULTS {
            scope.spawn(move || survives(fault));
        }
    });
}

fn survives(fault: &str) {
    let mut options = quick();
    options.set_fault(&format!("{fault}=0.15")).unwrap();
    let instance = crowd(options, 8, false);
    let before = instance.sandbox.leads();
    for _ in 0..12 {
        let run = merge(&instance, &["--confirm", "--json"]);
        assert!(matches!(run.code, Some(0 | 1 | 3 | 4)), "{fault}: {}", run.picture());
        nothing_is_lost(&instance, &before);
        if emails_are_unique(&instance) {
            return;
        }
    }
    panic!("{fault}: groups are left after twelve runs");
}

#[test]
fn a_merge_that_is_killed_at_random_moments_loses_nothing() {
    let instance = crowd(quick(), 60, true);
    let before = instance.sandbox.leads();
    let mut kills = 0;
    for moment in 0..50_u64 {
        let mut child = command(&instance, &["--confirm"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // The moments are spread over a whole run, in an order that no phase of it can hide from.
        let wait = Duration::from_millis(20 + (moment * 37) % 400);
        let ended = instance.block_on(async {
            tokio::time::sleep(wait).await;
            child.try_wait().unwrap()
        });
        if ended.is_none() {
            kills += 1;
            child.kill().unwrap();
            wait::end_of(&mut child);
        }
        nothing_is_lost(&instance, &before);
    }
    let last = merge(&instance, &["--confirm", "--json"]);
    assert!(matches!(last.code, Some(0)), "{}", last.picture());
    assert!(emails_are_unique(&instance));
    nothing_is_lost(&instance, &before);
    assert!(kills >= 25, "only {kills} runs were killed before they ended");
}

#[test]
fn a_second_merge_is_kept_out_while_one_runs() {
    let instance = crowd(quick(), 2, false);
    let held = open_ledger(&instance);
    let run = merge(&instance, &["--confirm"]).expect_code(1);
    assert!(run.stderr.contains("another merge or upsert is running"), "{}", run.picture());
    drop(held);
    merge(&instance, &["--confirm"]).expect_code(0);
}

#[test]
fn a_thousand_groups_that_are_all_written_to_cost_at_most_1250_calls() {
    let mut options = quick();
    // By the clock on the wall no look becomes too old only because this machine is busy.
    for knob in ["merge_ms=0", "clock_speed=1"] {
        options.set_knob(knob).unwrap();
    }
    let instance = crowd(options, 1000, false);
    let mut command = command(&instance, &["--confirm", "--json"]);
    command.env("MKTO_AUDIT__MERGE__MAX_GROUPS", "1000").env(UNHURRIED.0, UNHURRIED.1);
    let done = Run::of(&mut command).expect_code(0).json();
    assert_eq!(done["merged"], 1000);
    assert!(done["group"].as_array().unwrap().iter().all(|group| group["fields"] != json!([])));
    assert!(done["calls"].as_u64().unwrap() <= 1250, "{:?}", instance.sandbox.calls());
    assert!(emails_are_unique(&instance));
}

#[test]
fn forty_groups_whose_merges_take_two_seconds_each_cost_at_most_64_calls() {
    let mut options = quick();
    for knob in ["merge_ms=2000", "clock_speed=5"] {
        options.set_knob(knob).unwrap();
    }
    let instance = crowd(options, 40, false);
    let mut command = command(&instance, &["--confirm", "--json"]);
    let done = Run::of(command.env("MKTO_AUDIT_CLOCK_SPEED", "5")).expect_code(0).json();
    assert_eq!(done["merged"], 40);
    // What a run costs once, however many groups it has.
    let calls = instance.sandbox.calls();
    let once: u64 = ["lists", "programs", "customobjects", "describe2", "activities", "token"]
        .iter()
        .flat_map(|part| {
            calls.iter().filter(move |(call, _)| call.contains(part)).map(|(_, count)| *count)
        })
        .sum();
    assert!(done["calls"].as_u64().unwrap() - once <= 64, "{calls:?}");
}

#[test]
fn a_contact_of_the_crm_survives_and_several_crm_records_are_left_alone() {
    let instance = Instance::start(quick());
    let plain = instance.sandbox.put_lead(&json!({"email": "a@example.com"}));
    let contact =
        instance.sandbox.put_lead(&json!({"email": "a@example.com", "sfdcContactId": "0031"}));
    for id in ["00Q1", "00Q2"] {
        instance.sandbox.put_lead(&json!({"email": "b@example.com", "sfdcLeadId": id}));
    }
    fill_cache(&instance);
    let done = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
    assert_eq!((&done["merged"], &done["skipped"]), (&json!(1), &json!(1)), "{done}");
    assert_eq!(instance.sandbox.merged_into(plain), Some(contact));
    assert!(done["group"][1]["reason"].as_str().unwrap().contains("--merge-in-crm"), "{done}");

    // The flag has the group in the plan, and a person decides about it.
    let left = merge(&instance, &["--confirm", "--merge-in-crm", "--json"]).expect_code(3).json();
    let id = left["plan"].as_str().unwrap();
    instance
        .run(["plan", "decide", id, "--email", "b@example.com", "--merge", "--by", "Bo"])
        .expect_code(0);
    instance.run(["plan", "approve", id, "--by", "Cy"]).expect_code(0);
    let done = merge(&instance, &["--plan", id, "--confirm", "--json"]).expect_code(0).json();
    assert_eq!(done["merged"], 1, "{done}");
    assert!(emails_are_unique(&instance));
}

#[test]
fn rows_of_a_custom_object_keep_a_group_out() {
    let instance = crowd(quick(), 1, false);
    let loser = instance.sandbox.leads()[1].id;
    let spec = ObjectSpec::linked("car_c", "leadId", "Id").fixed("leadId");
    instance.sandbox.put_object(&spec);
    instance.sandbox.put_custom_object("car_c", loser);
    let done = merge(&instance, &["--confirm", "--json"]).expect_code(3).json();
    assert_eq!(done["skipped"], 1);
    assert!(instance.sandbox.lead(loser).is_some());
}

#[test]
fn a_quota_that_ends_in_mid_run_stops_it_and_the_same_command_goes_on() {
    let instance = crowd(quick(), 12, false);
    let before = instance.sandbox.leads();
    let mut first = command(&instance, &["--confirm", "--json"]);
    let stopped = Run::of(first.env("MKTO_AUDIT__LIMITS__DAILY_CALLS", "20")).expect_code(4);
    assert_eq!(stopped.json()["complete"], false, "{}", stopped.picture());
    nothing_is_lost(&instance, &before);
    merge(&instance, &["--confirm"]).expect_code(0);
    assert!(emails_are_unique(&instance));
    nothing_is_lost(&instance, &before);
}

#[test]
fn what_is_shown_before_and_after_reads_well() {
    let instance = Instance::start(quick());
    for (email, more) in [
        ("ada@example.com", json!({"firstName": "Ada"})),
        ("ada@example.com", json!({"phone": "+44 1", "unsubscribed": true})),
        ("info@example.com", json!({"firstName": "Grace"})),
        ("info@example.com", json!({"firstName": "Alan"})),
    ] {
        let mut fields = more;
        fields["email"] = json!(email);
        fields["createdAt"] = json!("2026-01-02T03:04:05Z");
        instance.sandbox.put_lead(&fields);
    }
    fill_cache(&instance);
    let mut redactions = instance.redactions();
    redactions.push((r"--plan [0-9a-f]+".to_owned(), "--plan [PLAN]"));
    assert_picture!("merge_dry_run", redactions.clone(), merge(&instance, &[]).picture());
    assert_picture!("merge_confirmed", redactions, merge(&instance, &["--confirm"]).picture());
}

#[test]
fn a_plan_that_is_not_there_and_flags_that_contradict_a_plan_are_refused() {
    let instance = crowd(quick(), 1, false);
    let run = merge(&instance, &["--plan", "0123", "--confirm"]).expect_code(2);
    assert!(run.stderr.contains("no plan 0123"), "{}", run.picture());
    merge(&instance, &["--plan", "0123", "--limit", "3"]).expect_code(2);
    let elsewhere =
        Run::of(instance.command(["merge"]).env("MKTO_AUDIT_DB", instance.path("none.db")))
            .expect_code(2);
    assert!(elsewhere.stderr.contains("mkto-audit scan"), "{}", elsewhere.picture());
}
