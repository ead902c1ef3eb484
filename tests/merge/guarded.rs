//! Guarded writes to exactly the leads that are being merged (law 10): by id and by email, through
//! guards in both modes and by `upsert`, of several API users, begun while the merge is under way.
//!
//! Every acknowledged value must be on the survivor. Each writer of a group has a field of its own,
//! in which the leads differ from what it writes, so that a value which the merge dropped is not
//! hidden by a later one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use mkto_audit::ledger::Ledger;
use mkto_sandbox::{Meanwhile, Moment};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::merging::{command, fill_cache};
use crate::support::wait::{self, LONGEST};
use crate::support::{Guard, Instance, Leases, Mode, Run, quick};

const LEASES: &str = "MKTO_AUDIT__GUARD__LEASES";

/// One for each writer of a group. The rules keep the greatest value: what is written is greater
/// than what the leads held, so that no plan lawfully drops it.
const FIELDS: [&str; 6] =
    ["title", "department", "leadSource", "leadStatus", "rating", "doNotCallReason"];
const COPIES: usize = 3;

/// An acknowledged write.
struct Written {
    group: usize,
    field: &'static str,
    value: String,
}

/// Where a writer sends its record.
#[derive(Clone)]
struct Way {
    url: String,
    token: String,
}

fn weather(fault_rate: &str) -> Instance {
    let mut options = quick();
    // Of Marketo's time, half of what a merge may take: others have time to come in between.
    options.set_knob("merge_ms=90000").unwrap();
    if !fault_rate.is_empty() {
        for fault in ["cut_after", "lost_604", "lost_502", "late_merge"] {
            options.set_fault(&format!("{fault}={fault_rate}")).unwrap();
        }
    }
    Instance::start(options)
}

fn fill(instance: &Instance, groups: usize) -> Vec<Vec<u64>> {
    let one = |group: usize| {
        let mut fields = json!({"email": email(group), "firstName": "Ada"});
        for field in FIELDS {
            fields[field] = json!("a former value");
        }
        instance.sandbox.put_lead(&fields)
    };
    let ids = (0..groups).map(|group| (0..COPIES).map(|_| one(group)).collect()).collect();
    fill_cache(instance);
    ids
}

fn email(group: usize) -> String {
    format!("p{group}@example.com")
}

/// Writes a record until it is acknowledged; false where its lead is gone.
fn write(way: &Way, body: &Value) -> bool {
    let client = wait::blocking_client();
    let begun = Instant::now();
    while begun.elapsed() < LONGEST / 2 {
        let call = client.post(format!("{}/rest/v1/leads.json", way.url)).bearer_auth(&way.token);
        let answer = call.json(body).send().and_then(reqwest::blocking::Response::json::<Value>);
        let row = answer.map(|answer| answer["result"][0].clone()).unwrap_or_default();
        match row["status"].as_str() {
            Some("updated" | "created") => return true,
            _ if row["reasons"][0]["code"] == "1004" => return false,
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    panic!("never acknowledged: {body}");
}

fn upsert(instance: &Instance, group: usize, field: &str, value: &str, leases: Leases<'_>) {
    let people = format!("email,{field}\n{},{value}\n", email(group));
    let file = instance.file(&format!("people-{group}.csv"), people);
    let begun = Instant::now();
    while begun.elapsed() < LONGEST / 2 {
        let mut command = instance.command(["upsert", file.to_str().unwrap(), "--confirm"]);
        let run = Run::of(command.env(LEASES, leases.to_string()));
        assert!(
            !run.stderr.contains("in use"),
            "a merge that runs is no reason: {}",
            run.picture()
        );
        if run.code == Some(0) {
            return;
        }
        // While the email has several leads it writes to none of them.
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("never written: {field} of group {group}");
}

/// All that is written to a group while its merge runs; gives what was acknowledged.
fn write_all(
    instance: &Instance,
    ways: &[Way; 2],
    group: usize,
    ids: &[u64],
    leases: Leases<'_>,
) -> Vec<Written> {
    let value = |field: &str| format!("written to {field} of group {group}");
    let (own, others) = FIELDS.split_at(COPIES);
    std::thread::scope(|scope| {
        let by_id = ids.iter().zip(own).enumerate().map(|(place, (id, field))| {
            let way = ways[(group + place) % 2].clone();
            let body = json!({"action": "updateOnly", "lookupField": "id", "input": [{"id": id, *field: value(field)}]});
            scope.spawn(move || write(&way, &body).then_some(*field))
        });
        let mut writers: Vec<_> = by_id.collect();
        for (way, field) in ways.iter().cloned().zip(others) {
            let body = json!({"input": [{"email": email(group), *field: value(field)}]});
            writers.push(scope.spawn(move || write(&way, &body).then_some(*field)));
        }
        let last = others[2];
        writers.push(scope.spawn(move || {
            upsert(instance, group, last, &value(last), leases);
            Some(last)
        }));
        let acknowledged = writers.into_iter().filter_map(|writer| writer.join().unwrap());
        acknowledged.map(|field| Written { group, field, value: value(field) }).collect()
    })
}

fn merge_once(instance: &Instance) -> Run {
    let mut command = command(instance, &["--confirm", "--json", "--limit", "6"]);
    for field in FIELDS {
        command.env(format!("MKTO_AUDIT__FIELDS__{field}"), "max");
    }
    let run = Run::of(command.env(LEASES, Leases::Sqlite.to_string()));
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.picture());
    run
}

/// Merges all groups while each of them is written to; gives the acknowledged values that are not
/// on their survivors, and of how many.
fn lost(instance: &Instance, groups: usize, leases: Leases<'_>) -> (Vec<String>, usize) {
    let ids = fill(instance, groups);
    let guards = [Mode::Strict, Mode::Serialize]
        .map(|mode| Guard::builder(instance).leases(leases).mode(mode).start());
    let ways = [0, 1].map(|place: usize| Way {
        url: guards[place].url(),
        token: guards[place].token_of(&format!("user{place}")),
    });
    let (merging, begun) = mpsc::channel();
    for (group, leads) in ids.iter().enumerate() {
        for lead in leads {
            let merging = merging.clone();
            let tell = move |_: &mkto_sandbox::Screens<'_>| merging.send(group).unwrap_or_default();
            let call = format!("/leads/{lead}/merge");
            instance.sandbox.at_moment(&call, 1, Moment::Before, Meanwhile::Run(Box::new(tell)));
        }
    }
    let done = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let (done, ways, ids) = (&done, &ways, &ids);
        let writers = scope.spawn(move || {
            let mut writers = BTreeMap::new();
            while !done.load(Ordering::Relaxed) {
                let Ok(group) = begun.recv_timeout(Duration::from_millis(20)) else { continue };
                writers.entry(group).or_insert_with(|| {
                    scope.spawn(move || write_all(instance, ways, group, &ids[group], leases))
                });
            }
            writers.into_values().flat_map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        let mut runs = Vec::new();
        while instance.sandbox.leads().len() > groups {
            assert!(runs.len() < 60, "{}", runs.last().map(Run::picture).unwrap_or_default());
            runs.push(merge_once(instance));
        }
        done.store(true, Ordering::Relaxed);
        writers.join().unwrap()
    });
    // What was answered as lost may still be under way.
    std::thread::sleep(Duration::from_secs(3));
    let leads = instance.sandbox.leads();
    assert_eq!(leads.len(), groups, "no duplicates");
    let lost = written.iter().filter(|write| {
        let of_group = |lead: &&mkto_sandbox::LeadView| lead.fields["email"] == email(write.group);
        let survivor = leads.iter().find(of_group).unwrap();
        survivor.fields[write.field] != json!(write.value)
    });
    (lost.map(|write| write.value.clone()).collect(), written.len())
}

#[track_caller]
fn nothing_is_lost(groups: usize, fault_rate: &str, leases: Leases<'_>) {
    let instance = weather(fault_rate);
    let (lost, written) = lost(&instance, groups, leases);
    assert_eq!(lost, Vec::<String>::new(), "of {written} acknowledged values");
    // The three by email at least, and never that to a lead which went.
    assert!(written >= 3 * groups, "{written} acknowledged values");
    let name = instance.sandbox.base_url().trim_start_matches("http://").to_owned();
    let file = format!(".local/share/mkto-audit/{}.ledger.db", name.replace(':', "_"));
    let ledger = Ledger::open(&instance.path(&file), &name).unwrap();
    assert!(ledger.open_findings().unwrap().is_empty(), "a run of merge tells of a loss");
}

#[test]
fn what_a_guard_acknowledges_while_a_merge_runs_is_on_the_survivor() {
    nothing_is_lost(4, "", Leases::Sqlite);
}

#[test]
fn so_it_is_where_answers_are_lost() {
    nothing_is_lost(3, "0.05", Leases::Sqlite);
}

/// What the leases are for: a guard that keeps them to itself writes to leads that are about to go.
#[test]
fn a_guard_that_a_merge_knows_nothing_of_loses_what_it_acknowledged() {
    let instance = weather("");
    let (lost, _) = lost(&instance, 3, Leases::Memory);
    assert!(!lost.is_empty(), "nobody wrote while a merge ran");
}

#[test]
#[ignore = "takes minutes; run it by name with --ignored"]
fn sixty_groups_are_merged_under_three_hundred_and_sixty_guarded_writes() {
    nothing_is_lost(60, "0.03", Leases::Sqlite);
}
