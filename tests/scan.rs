//! `mkto-audit scan`: every lead once, whatever interrupts it.

use std::process::{Child, Stdio};
use std::time::Duration;

use mkto_audit::ledger::Ledger;
use mkto_sandbox::Fault;
use serde_json::{Value, json};

use crate::assert_picture;
use crate::support::signal::{self, Signal};
use crate::support::wait::{self, until};
use crate::support::{Instance, Run, needs, quick};

mod estimate;

/// Every lead of the report's groups, which is what a scan is for.
fn groups(instance: &Instance) -> Value {
    instance.run(["report", "--json"]).expect_code(0).json()["group"].clone()
}

fn seeded(leads: u32) -> Instance {
    let mut options = quick();
    options.leads = leads;
    options.duplicates = 0.2;
    Instance::start(options)
}

fn spawn(instance: &Instance, arguments: &[&str]) -> Child {
    instance.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn reads(instance: &Instance) -> u64 {
    instance.sandbox.calls().get("GET /rest/v1/leads").copied().unwrap_or(0)
}

#[test]
fn every_lead_of_the_instance_is_in_the_cache_and_a_rescan_says_what_changed() {
    let instance = seeded(2_000);
    let scan = instance.run(["scan", "--json"]).expect_code(0).json();
    assert_eq!(scan["schema"], "mkto-audit/scan/1");
    assert_eq!(scan["leads"].as_u64(), Some(instance.sandbox.leads_living() as u64));
    assert_eq!(
        (&scan["new"], &scan["complete"], &scan["strategy"]),
        (&scan["leads"], &json!(true), &json!("pages"))
    );

    let known = instance.sandbox.leads();
    instance.sandbox.change_lead(known[0].id, &json!({"lastName": "Changed"}));
    instance.sandbox.delete_lead(known[1].id);
    instance.sandbox.put_lead(&json!({"email": "new@example.com"}));
    let scan = instance.run(["scan", "--full", "--json"]).expect_code(0).json();
    assert_eq!(
        [&scan["new"], &scan["changed"], &scan["removed"]],
        [&json!(1), &json!(1), &json!(1)]
    );
}

#[test]
fn what_a_person_sees() {
    let instance = seeded(500);
    let run = instance.run(["scan"]).expect_code(0);
    assert_picture!("scan", redactions(&instance), run.picture());
}

/// What a scan says differs by the time that it takes.
fn redactions(instance: &Instance) -> Vec<(String, &'static str)> {
    let mut redactions = instance.redactions();
    redactions.push((r"in (under a second|[\d,]+ (s|min))".to_owned(), "in [TIME]"));
    redactions.push((r"[\d,]+ calls?".to_owned(), "[N] calls"));
    redactions.push((r"\d+ (s|min)\n".to_owned(), "[TIME]\n"));
    redactions
}

#[test]
fn killed_at_any_moment_it_goes_on_and_ends_as_if_nothing_had_happened() {
    let instance = seeded(3_000);
    instance.run(["scan"]).expect_code(0);
    let whole = groups(&instance);
    for reads_before in [1, 4, 9] {
        std::fs::remove_dir_all(instance.path(".cache")).unwrap();
        let already = reads(&instance);
        let mut child = spawn(&instance, &["scan"]);
        until("its reads, or its end", || {
            reads(&instance) >= already + reads_before || child.try_wait().unwrap().is_some()
        });
        child.kill().unwrap();
        wait::end_of(&mut child);
        instance.run(["scan"]).expect_code(0);
        assert_eq!(groups(&instance), whole);
    }
}

#[test]
fn ctrl_c_stops_it_with_4_and_the_same_command_goes_on() {
    let mut options = quick();
    options.leads = 3_000;
    options.answer_delay = Duration::from_millis(100);
    let instance = Instance::start(options);
    let child = spawn(&instance, &["scan", "--json"]);
    until("three reads", || reads(&instance) >= 3);
    signal::send(child.id(), Signal::INT);
    let run = Run::from(wait::output_of(child)).expect_code(4);
    assert_eq!(run.json()["complete"], false);
    assert!(
        run.stderr.contains("stopping; a call that is writing is brought to its end first"),
        "{}",
        run.stderr
    );
    let scan = instance.run(["scan", "--json"]).expect_code(0).json();
    assert_eq!(scan["leads"].as_u64(), Some(instance.sandbox.leads_living() as u64));
}

#[test]
fn a_daily_quota_that_ends_in_mid_run_stops_it_with_4_and_what_was_read_is_kept() {
    let mut options = quick();
    options.leads = 3_000;
    options.daily_quota = 24;
    let instance = Instance::start(options);
    let run = instance.run(["scan", "--json"]).expect_code(4);
    assert!(run.stderr.contains("607"), "{}", run.stderr);
    assert!(run.json()["leads"].as_u64().unwrap() > 0, "{}", run.picture());
    assert_eq!(run.json()["complete"], false);
    let report = instance.run(["report"]).expect_code(4);
    assert!(
        report.stdout.starts_with("Not known yet: the scan stopped at "),
        "{}",
        report.picture()
    );
}

#[test]
fn every_fault_is_outlasted() {
    let whole = seeded(900);
    whole.run(["scan"]).expect_code(0);
    let whole = groups(&whole);
    for fault in Fault::names() {
        let mut options = quick();
        options.leads = 900;
        options.duplicates = 0.2;
        options.set_knob("clock_speed=600").unwrap();
        options.set_fault(&format!("{fault}=0.2")).unwrap();
        let instance = Instance::start(options);
        Run::of(instance.command(["scan"]).env("MKTO_AUDIT_CLOCK_SPEED", "600")).expect_code(0);
        assert_eq!(groups(&instance), whole, "{fault}");
    }
}

#[test]
fn the_cache_of_another_instance_is_refused_and_two_scans_at_once_are_one() {
    let (one, other) = (seeded(50), seeded(50));
    let db = one.path("shared.db");
    let db = db.to_str().unwrap();
    one.run(["scan", "--db", db]).expect_code(0);
    let run = other.run(["scan", "--db", db]).expect_code(2);
    assert!(run.stderr.contains("belongs to"), "{}", run.stderr);
    one.run(["report", "--db", db]).expect_code(0);

    let mut options = quick();
    options.leads = 300;
    let instance = Instance::start(options);
    // The first one has used its calls up and waits, however long the second takes.
    let mut first = instance.command(["scan"]);
    first.env("MKTO_AUDIT__LIMITS__CALLS", "3").env("MKTO_AUDIT__LIMITS__WINDOW", "1h");
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the calls of the first", || instance.sandbox.calls_made() >= 3);
    let second = instance.run(["scan"]).expect_code(1);
    assert!(second.stderr.contains("in use"), "{}", second.stderr);
    signal::send(first.id(), Signal::INT);
    assert_eq!(wait::end_of(&mut first).code(), Some(4));
    instance.run(["scan"]).expect_code(0);
}

fn denying(permissions: &[&str]) -> Instance {
    let mut options = quick();
    options.leads = 600;
    options.duplicates = 0.2;
    options.denied = permissions.iter().map(|permission| (*permission).to_owned()).collect();
    Instance::start(options)
}

#[test]
fn a_missing_permission_narrows_a_scan_and_does_not_stop_it() {
    let whole = denying(&[]);
    whole.run(["scan"]).expect_code(0);
    let keys = |instance: &Instance| -> Vec<Value> {
        groups(instance).as_array().unwrap().iter().map(|group| group["key"].clone()).collect()
    };
    let keys_of_all = keys(&whole);

    let no_log = denying(&["Read-Only Activity", "Read-Only Assets", "Read-Only Custom Object"]);
    let scan = no_log.run(["scan"]).expect_code(3);
    assert_picture!("scan_without_activity", redactions(&no_log), scan.picture());
    assert_eq!(keys(&no_log), keys_of_all);
    let report = no_log.run(["report", "--json"]).expect_code(0).json();
    assert_eq!((&report["complete"], &report["prevented"]), (&json!(true), &Value::Null));
    assert_eq!(
        report["activity_log"],
        json!({"read": "none", "leads_unread": null, "why": "permission"})
    );
    let again = no_log.run(["scan", "--json"]).expect_code(3);
    assert!(again.stderr.contains("scanning in full: the activity log"), "{}", again.picture());
    assert_eq!(again.json()["activity_log"]["why"], "permission");
    no_log.run(["scan", "--estimate"]).expect_code(0);

    for permissions in [&["Bulk Extract"][..], &["Read-Only Assets"]] {
        let no_bulk = denying(permissions);
        let bulk = Run::of(no_bulk.command(["scan"]).env("MKTO_AUDIT__SCAN__STRATEGY", "bulk"))
            .expect_code(0);
        assert!(bulk.stderr.contains("Reading by pages instead"), "{}", bulk.picture());
        assert_eq!(keys(&no_bulk), keys_of_all, "{permissions:?}");
    }
    denying(&["Read-Only Lead"]).run(["scan"]).expect_code(5);
}

#[test]
fn a_quick_look_leaves_the_causes_to_a_later_scan() {
    let instance = denying(&[]);
    let quick = instance.run(["scan", "--no-causes", "--json"]).expect_code(0);
    assert_eq!(
        quick.json()["activity_log"],
        json!({"read": "none", "leads_unread": null, "why": "not_asked"})
    );
    let report = instance.run(["report"]).expect_code(0);
    assert!(report.stdout.contains("--no-causes"), "{}", report.picture());
    instance.run(["scan"]).expect_code(0);
    let report = instance.run(["report", "--json"]).expect_code(0).json();
    assert_eq!(report["activity_log"]["read"], "all");
    assert!(report["prevented"].as_u64().is_some_and(|prevented| prevented > 0), "{report}");
}

#[test]
fn a_full_disk_is_told_as_one_and_nothing_is_half_done() {
    let instance = seeded(2_000);
    let disk = instance.path("small");
    std::fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=300k", "tmpfs", disk.to_str().unwrap()])
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        needs::missing("the right to mount a small disk", "run them as root");
        return;
    }
    let db = disk.join("cache.db");
    let run = instance.run(["scan", "--db", db.to_str().unwrap()]);
    let unmounted = std::process::Command::new("umount").arg(&disk).status().unwrap();
    assert!(unmounted.success());
    let run = run.expect_code(1);
    assert!(run.stderr.contains("is full"), "{}", run.stderr);
}

#[test]
fn a_file_from_the_screens_is_read_without_credentials_and_its_columns_are_told() {
    let home = tempfile::tempdir().unwrap();
    let file = "Id,Email Address,First Name,Favourite Colour\n\
        1,Ada@example.com,Ada,red\n2,ada@example.com,Ada,blue\n3,,Nobody,\n4,,Nobody,\n";
    std::fs::write(home.path().join("leads.csv"), file).unwrap();
    let run = |arguments: &[&str]| Run::of(&mut crate::support::binary(home.path(), arguments));
    let mut redactions = vec![(r"in (under a second|\d+ s)".to_owned(), "in [TIME]")];
    redactions.push((home.path().display().to_string(), "[FOLDER]"));
    let scan = run(&["scan", "--file", "leads.csv"]).expect_code(0);
    assert_picture!("scan_file", redactions, scan.picture());
    let report = run(&["report", "--json"]).expect_code(0).json();
    assert_eq!(
        (&report["groups"], &report["group"][0]["key"]),
        (&json!(1), &json!("ada@example.com"))
    );

    std::fs::write(
        home.path().join("broken.csv"),
        "Id,Email Address\n1,a@example.com\nx,b@example.com\n",
    )
    .unwrap();
    let broken = run(&["scan", "--file", "broken.csv"]).expect_code(2);
    assert!(broken.stderr.contains("broken.csv line 3: `x` is no id"), "{}", broken.stderr);
    let report = run(&["report", "--json"]).expect_code(0).json();
    assert_eq!(report["leads"], 4, "the cache is what it was before");
    run(&["scan", "--file", "missing.csv"]).expect_code(2);
}

#[test]
fn a_field_that_the_instance_does_not_have_is_refused_before_anything_is_read() {
    let instance = Instance::start(quick());
    let run = Run::of(instance.command(["scan"]).env("MKTO_AUDIT__SCAN__FIELDS", "leadScor"))
        .expect_code(2);
    assert!(
        run.stderr.contains("no lead field `leadScor`; did you mean `leadScore`?"),
        "{}",
        run.stderr
    );
    assert_eq!(reads(&instance), 0);
}

#[test]
fn a_key_that_is_changed_and_changed_back_during_a_scan_loses_no_group() {
    let mut options = quick();
    options.leads = 2_000;
    options.duplicates = 0.3;
    options.answer_delay = Duration::from_millis(30);
    let instance = Instance::start(options);
    instance.run(["scan"]).expect_code(0);
    let whole = groups(&instance);
    std::fs::remove_dir_all(instance.path(".cache")).unwrap();
    let already = reads(&instance);
    let mut child = spawn(&instance, &["scan"]);
    until("eight reads more", || reads(&instance) >= already + 8);
    child.kill().unwrap();
    wait::end_of(&mut child);
    let report =
        Run::of(instance.command(["report", "--json"]).env("MKTO_AUDIT__MATCH__KEY", "lastName"));
    assert!(report.expect_code(4).json()["leads"].as_u64().unwrap() > 0);
    instance.run(["scan"]).expect_code(0);
    assert_eq!(groups(&instance), whole);
    let unread = Run::of(instance.command(["report"]).env("MKTO_AUDIT__MATCH__KEY", "region"))
        .expect_code(2);
    assert!(unread.stderr.contains("no lead in the cache has a value"), "{}", unread.stderr);
}

#[test]
fn a_page_of_leads_without_a_result_is_asked_for_again() {
    let instance = seeded(700);
    let of_cache =
        || instance.run(["report", "--json"]).expect_code(0).json()["leads"].as_u64().unwrap();
    let living = || u64::try_from(instance.sandbox.leads_living()).unwrap();
    (0..2).for_each(|_| instance.sandbox.fail_next("GET /rest/v1/leads", Fault::NoResult));
    instance.run(["scan", "--full"]).expect_code(0);
    assert_eq!(of_cache(), living());
    // So it is where only what has changed is read.
    instance.sandbox.put_lead(&json!({"email": "new@example.com"}));
    instance.sandbox.fail_next("GET /rest/v1/leads", Fault::NoResult);
    instance.run(["scan"]).expect_code(0);
    assert_eq!(of_cache(), living());
}

#[test]
fn each_complete_scan_is_in_the_history_also_when_the_ledger_was_in_use() {
    let instance = seeded(300);
    let name = instance.run(["scan", "--json"]).expect_code(0).json()["instance"]
        .as_str()
        .unwrap()
        .to_owned();
    let report = instance.run(["report", "--json"]).expect_code(0).json();
    let file = format!(".local/share/mkto-audit/{}.ledger.db", name.replace(':', "_"));
    let ledger = || Ledger::open(&instance.path(&file), &name).unwrap();
    let held = ledger();
    let past = held.past_scans(&name).unwrap();
    assert_eq!(past.len(), 1, "{past:?}");
    let told = (past[0].records, past[0].groups, past[0].excess, past[0].mergeable);
    let expected = ["/leads", "/groups", "/excess", "/mergeable/excess"];
    let expected = expected.map(|place| report.pointer(place).unwrap().as_u64().unwrap());
    assert_eq!(<[u64; 4]>::from(told), expected);
    assert_eq!(
        past[0].by_cause["race"].excess,
        report["by_cause"]["race"]["excess"].as_u64().unwrap()
    );
    let by_user = past[0].by_user.as_ref().unwrap().values();
    assert_eq!(by_user.map(|totals| totals.excess).sum::<u64>(), past[0].excess);

    // Another process has the ledger; what is found meanwhile waits.
    instance.sandbox.put_lead(&json!({"email": "twin@example.com"}));
    instance.run(["scan", "--full"]).expect_code(0);
    assert_eq!(held.past_scans(&name).unwrap().len(), 1);
    drop(held);
    instance.run(["merge"]).expect_code(0);
    let past = ledger().past_scans(&name).unwrap();
    assert_eq!(past.len(), 2, "{past:?}");
    assert_eq!(past[1].records, past[0].records + 1);

    // A file without a name may be of any instance, and a scan that stops has nothing to tell.
    let file = instance.file("leads.csv", "id,email\n1,ada@example.com\n2,ada@example.com\n");
    let named = ["scan", "--file", file.to_str().unwrap(), "--as", "acme"];
    let told = instance.run(named).expect_code(0);
    assert!(
        told.stderr.contains("1 extra record in 1 group of duplicates: 1 can be merged now"),
        "{}",
        told.picture()
    );
    instance.run(["merge"]).expect_code(0);
    assert_eq!(ledger().past_scans(&name).unwrap().len(), 2, "each is appended once");
}
