//! `mkto-audit upsert`: no duplicate, whatever the weather; every line has its result.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use mkto_sandbox::Fault;
use serde_json::{Value, json};

use crate::assert_picture;
use crate::support::wait::{self, until};
use crate::support::{Instance, Run, UNHURRIED, quick};

/// Emails that several living leads have.
fn duplicates(instance: &Instance) -> Vec<String> {
    let mut leads: BTreeMap<String, usize> = BTreeMap::new();
    for lead in instance.sandbox.leads() {
        let email =
            lead.fields.get("email").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        *leads.entry(email).or_default() += 1;
    }
    leads.into_iter().filter(|(_, count)| *count > 1).map(|(email, _)| email).collect()
}

/// Writes that arrived.
fn writes(instance: &Instance) -> u64 {
    instance.sandbox.calls().get("POST /rest/v1/leads").copied().unwrap_or(0)
}

fn people(count: usize) -> String {
    let rows: Vec<String> = (0..count).map(|n| format!("p{n}@example.com,First {n}")).collect();
    format!("email,firstName\n{}\n", rows.join("\n"))
}

#[test]
fn new_people_are_created_known_ones_updated_and_equal_ones_left_alone() {
    let instance = Instance::start(quick());
    instance.sandbox.put_lead(&json!({"email": "known@example.com", "firstName": "Ada"}));
    instance.sandbox.put_lead(&json!({"email": "equal@example.com", "firstName": "Alan"}));
    for _ in 0..2 {
        instance.sandbox.put_lead(&json!({"email": "twice@example.com"}));
    }
    let file = "email,firstName,title\n\
        new@example.com,Grace,\n\
        Known@Example.com,Augusta,\n\
        equal@example.com,Alan,\n\
        twice@example.com,Bob,\n\
        ,Nobody,\n\
        NEW@example.com,,Rear Admiral\n";
    let file = instance.file("people.csv", file);
    let run = instance.run(["upsert", file.to_str().unwrap(), "--confirm"]).expect_code(3);
    assert_picture!("upsert", instance.redactions(), run.picture());
    let created = instance
        .sandbox
        .leads()
        .into_iter()
        .find(|lead| lead.fields["email"] == "new@example.com")
        .unwrap();
    assert_eq!(
        (&created.fields["firstName"], &created.fields["title"]),
        (&json!("Grace"), &json!("Rear Admiral"))
    );
    assert_eq!(instance.sandbox.lead(1).unwrap().fields["firstName"], "Augusta");
    assert_eq!(instance.sandbox.lead(1).unwrap().fields["email"], "known@example.com");

    let again = instance
        .run(["upsert", file.to_str().unwrap(), "--confirm", "--json"])
        .expect_code(3)
        .json();
    let counts: Vec<u64> =
        ["records", "created", "updated", "unchanged", "coalesced", "skipped", "failed"]
            .iter()
            .map(|name| again[name].as_u64().unwrap())
            .collect();
    assert_eq!(counts, [6, 0, 0, 3, 1, 2, 0], "the second run finds everything in place");
    assert_eq!(again["schema"], "mkto-audit/upsert/1");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let instance = Instance::start(quick());
    let file = instance.file("people.csv", people(3));
    let run = instance
        .run(["upsert", file.to_str().unwrap(), "--dry-run", "--json"])
        .expect_code(0)
        .json();
    assert_eq!((run["would_create"].as_u64(), writes(&instance)), (Some(3), 0));
    assert!(instance.sandbox.leads().is_empty());
    let kept: Vec<String> = std::fs::read_dir(instance.path(".local/share/mkto-audit"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        kept.iter().all(|name| !name.contains("ledger")),
        "a dry run keeps no ledger: {kept:?}"
    );
}

#[test]
fn standard_input_is_taken_as_json_lines_and_null_clears() {
    let instance = Instance::start(quick());
    instance.sandbox.put_lead(&json!({"email": "ada@example.com", "title": "Miss"}));
    let mut child = instance
        .command(["upsert", "-", "--confirm", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"{\"email\": \"ada@example.com\", \"title\": null}\n")
        .unwrap();
    let run = Run::from(wait::output_of(child)).expect_code(0);
    assert_eq!(
        run.json()["record"],
        json!([{"line": 1, "key": "ada@example.com", "status": "updated", "id": 1, "reason": null}])
    );
    assert_eq!(instance.sandbox.lead(1).unwrap().fields.get("title"), None);
}

#[test]
fn thirty_five_calls_write_three_thousand_mixed_records_and_read_them_back() {
    let instance = Instance::start(quick());
    for n in 0..1_500 {
        instance.sandbox.put_lead(&json!({"email": format!("p{}@example.com", n * 2)}));
    }
    let file = instance.file("people.csv", people(3_000));
    // What counts is calls: however busy this machine is, no answer comes too late.
    let mut command = instance.command(["upsert", file.to_str().unwrap(), "--confirm", "--json"]);
    let run = Run::of(command.env(UNHURRIED.0, UNHURRIED.1)).expect_code(0).json();
    assert_eq!((run["created"].as_u64(), run["updated"].as_u64()), (Some(1_500), Some(1_500)));
    assert!(run["calls"].as_u64().unwrap() <= 35, "{} calls", run["calls"]);
    assert_eq!(duplicates(&instance), [""; 0]);
}

#[test]
fn no_fault_makes_a_duplicate_and_every_line_that_is_done_is_there() {
    // Several at once: most of a run's time is waiting.
    // What people do meanwhile is no fault of a call, and changes what there is.
    let of_calls = Fault::names().filter(|name| !name.starts_with("meddle_"));
    for faults in of_calls.collect::<Vec<_>>().chunks(6) {
        std::thread::scope(|scope| {
            for fault in faults {
                scope.spawn(|| upsert_in_spite_of(fault));
            }
        });
    }
}

fn upsert_in_spite_of(fault: &str) {
    let mut options = quick();
    options.set_fault(&format!("{fault}=0.3")).unwrap();
    let instance = Instance::start(options);
    let file = instance.file("people.csv", people(40));
    let run = instance.run(["upsert", file.to_str().unwrap(), "--confirm", "--json"]);
    assert_eq!(duplicates(&instance), [""; 0], "{fault}");
    let document = run.json();
    assert_eq!(document["record"].as_array().unwrap().len(), 40, "{fault}: {}", run.picture());
    for row in document["record"].as_array().unwrap() {
        if matches!(row["status"].as_str(), Some("created" | "updated" | "unchanged")) {
            let lead = instance.sandbox.lead(row["id"].as_u64().unwrap()).unwrap();
            let line = row["line"].as_u64().unwrap();
            assert_eq!(lead.fields["firstName"], format!("First {}", line - 2), "{fault}");
        }
    }
}

#[test]
fn an_answer_that_was_lost_is_settled_by_looking() {
    for fault in [
        Fault::Lost604,
        Fault::Lost502,
        Fault::CutAfter,
        Fault::Html,
        Fault::Truncated,
        Fault::CutBefore,
    ] {
        let instance = Instance::start(quick());
        instance.sandbox.fail_next("POST /rest/v1/leads", fault);
        let file = instance.file("people.csv", people(3));
        let run = instance
            .run(["upsert", file.to_str().unwrap(), "--confirm", "--json"])
            .expect_code(0)
            .json();
        assert_eq!(run["created"], 3, "{fault:?}");
        assert_eq!(instance.sandbox.leads().len(), 3, "{fault:?}");
        // What was done needs no second write; what was not needs one.
        let expected = if fault == Fault::CutBefore { 2 } else { 1 };
        assert_eq!(writes(&instance), expected, "{fault:?}");
    }
}

#[test]
fn a_run_that_was_killed_with_a_call_in_flight_is_outwaited_by_the_next() {
    let instance = Instance::start(quick());
    let held = instance.sandbox.hold_writes();
    let file = instance.file("people.csv", people(3));
    let mut child = instance
        .command(["upsert", file.to_str().unwrap(), "--confirm"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the write at Marketo", || writes(&instance) > 0);
    child.kill().unwrap();
    wait::end_of(&mut child);
    assert!(instance.sandbox.leads().is_empty(), "the call is still under way");
    drop(held);
    let run = instance
        .run(["upsert", file.to_str().unwrap(), "--confirm", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(run["unchanged"], 3, "the killed run's call had written them");
    assert_eq!(duplicates(&instance), [""; 0]);
}

#[test]
fn a_run_after_a_killed_one_waits_for_that_ones_keys_and_for_no_others() {
    let instance = Instance::start(quick());
    let held = instance.sandbox.hold_writes();
    // A call may take 15 seconds here: enough for a busy machine, and not too long to wait for.
    let speed = ("MKTO_AUDIT_CLOCK_SPEED", "6");
    let mut child = spawn_with(&instance, &people_of(&instance, "a.csv", 0..3), speed);
    while writes(&instance) == 0 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let next = spawn_with(&instance, &people_of(&instance, "b.csv", 0..6), speed);
    // The killed run's call is under way for as long as the sandbox holds it, and its leases with
    // it; those whom it does not write leave meanwhile.
    while writes(&instance) < 2 {
        std::thread::yield_now();
    }
    assert!(instance.sandbox.leads().is_empty(), "both calls are still under way");
    drop(held);
    let run = Run::from(next.wait_with_output().unwrap()).expect_code(0).json();
    let counts = (&run["created"], &run["unchanged"]);
    assert_eq!(counts, (&json!(3), &json!(3)), "the killed run's call had written three of them");
    assert_eq!(duplicates(&instance), [""; 0]);
}

#[test]
fn a_lost_answer_is_settled_by_an_early_look_long_before_its_call_must_be_over() {
    let instance = Instance::start(quick());
    instance.sandbox.fail_next("POST /rest/v1/leads", Fault::CutAfter);
    let file = instance.file("people.csv", people(3));
    let begun = tokio::time::Instant::now();
    // Marketo's time passes six times as fast: a call may take 15 seconds of the wall's, and is
    // looked for after less than one.
    let mut command = instance.command(["upsert", file.to_str().unwrap(), "--confirm", "--json"]);
    let run = Run::of(command.env("MKTO_AUDIT_CLOCK_SPEED", "6")).expect_code(0).json();
    assert_eq!((&run["created"], writes(&instance)), (&json!(3), 1));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn one_bad_line_fails_alone_even_among_lines_of_the_same_person() {
    let instance = Instance::start(quick());
    let file = "email,numberOfEmployees\na@example.com,7\na@example.com,many\nb@example.com,8\n";
    let file = instance.file("people.csv", file);
    let run = instance
        .run(["upsert", file.to_str().unwrap(), "--confirm", "--json"])
        .expect_code(3)
        .json();
    let statuses: Vec<&str> = run["record"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["created", "failed", "created"]);
    assert!(run["record"][1]["reason"].as_str().unwrap().contains("1003"));
    assert_eq!(instance.sandbox.leads().len(), 2);
}

#[test]
fn a_quota_that_ends_in_mid_run_stops_it_and_every_line_is_accounted_for() {
    let mut options = quick();
    options.daily_quota = 4;
    let instance = Instance::start(options);
    let file = instance.file("people.csv", people(1_000));
    let run =
        instance.run(["upsert", file.to_str().unwrap(), "--confirm", "--json"]).expect_code(4);
    let document = run.json();
    assert_eq!(document["record"].as_array().unwrap().len(), 1_000);
    let created = document["created"].as_u64().unwrap();
    assert_eq!(created, instance.sandbox.leads().len() as u64);
    assert_eq!(created + document["skipped"].as_u64().unwrap(), 1_000);
}

/// A run that is under way, for which no answer comes too late.
fn spawn(instance: &Instance, file: &std::path::Path) -> std::process::Child {
    spawn_with(instance, file, UNHURRIED)
}

fn spawn_with(
    instance: &Instance,
    file: &std::path::Path,
    variable: (&str, &str),
) -> std::process::Child {
    instance
        .command(["upsert", file.to_str().unwrap(), "--confirm", "--json"])
        .envs([variable])
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn people_of(
    instance: &Instance,
    name: &str,
    numbers: std::ops::Range<usize>,
) -> std::path::PathBuf {
    let rows: Vec<String> = numbers.map(|n| format!("p{n}@example.com,First {n}")).collect();
    instance.file(name, format!("email,firstName\n{}\n", rows.join("\n")))
}

#[test]
fn two_runs_at_once_on_files_that_overlap_write_everybody_once() {
    let instance = Instance::start(quick());
    let files = [people_of(&instance, "a.csv", 0..400), people_of(&instance, "b.csv", 200..600)];
    let runs = files.each_ref().map(|file| spawn(&instance, file));
    let documents =
        runs.map(|run| Run::from(run.wait_with_output().unwrap()).expect_code(0).json());
    let created: u64 = documents.iter().map(|run| run["created"].as_u64().unwrap()).sum();
    assert_eq!(created, 600, "{documents:?}");
    assert_eq!(instance.sandbox.leads().len(), 600);
    assert_eq!(duplicates(&instance), [""; 0]);
}

#[test]
fn a_run_beside_another_one_waits_for_the_keys_that_both_write_and_for_no_others() {
    let instance = Instance::start(quick());
    let held = instance.sandbox.hold_writes();
    let first = spawn(&instance, &people_of(&instance, "a.csv", 0..3));
    while writes(&instance) == 0 {
        std::thread::yield_now();
    }
    let second = spawn(&instance, &people_of(&instance, "b.csv", 2..5));
    // Those whom the first one does not write leave, and are held by the sandbox like the first.
    while writes(&instance) < 2 {
        std::thread::yield_now();
    }
    drop(held);
    let documents =
        [first, second].map(|run| Run::from(run.wait_with_output().unwrap()).expect_code(0).json());
    assert_eq!((&documents[0]["created"], &documents[1]["created"]), (&json!(3), &json!(2)));
    assert_eq!(documents[1]["unchanged"], 1);
    assert_eq!(duplicates(&instance), [""; 0]);
}

/// The ledger of an instance, as the version before wrote it, with a call that it left open.
fn ledger_of_an_older_version(path: &std::path::Path, instance: &str) {
    let migrations = [
        include_str!("../src/ledger/0001_ledger.sql"),
        include_str!("../src/ledger/0002_upsert.sql"),
        include_str!("../src/ledger/0003_proof.sql"),
        include_str!("../src/ledger/0004_runs.sql"),
        include_str!("../src/ledger/0005_history.sql"),
        include_str!("../src/ledger/0006_write_end.sql"),
    ];
    let db = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::default()).unwrap();
    db.execute_batch(&migrations.concat()).unwrap();
    db.pragma_update(None, "application_id", 0x6d6b_614c).unwrap();
    db.pragma_update(None, "user_version", 6).unwrap();
    db.execute("INSERT INTO meta (instance) VALUES (?1)", [instance]).unwrap();
    db.execute("INSERT INTO upsert_call (sent_at) VALUES ('2026-01-01T00:00:00Z')", []).unwrap();
}

#[test]
fn a_call_that_an_older_version_left_open_is_outwaited_before_anything_is_looked_up() {
    let instance = Instance::start(quick());
    let file = people_of(&instance, "a.csv", 0..3);
    instance.run(["upsert", file.to_str().unwrap(), "--confirm"]).expect_code(0);
    let folder = instance.path(".local/share/mkto-audit");
    let ledger = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().ends_with(".ledger.db"))
        .unwrap();
    std::fs::remove_file(&ledger).unwrap();
    let name = instance.run(["scan", "--json"]).expect_code(0).json()["instance"].clone();
    std::fs::remove_file(&ledger).ok();
    ledger_of_an_older_version(&ledger, name.as_str().unwrap());
    let begun = tokio::time::Instant::now();
    let run = instance
        .run(["upsert", file.to_str().unwrap(), "--confirm", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(run["unchanged"], 3);
    // A hundred and ten seconds of Marketo's time, which passes sixty times as fast here.
    assert!(begun.elapsed() >= Duration::from_millis(1_800), "{:?}", begun.elapsed());
}

#[test]
fn what_is_wrong_with_a_call_is_said_before_anything_is_sent() {
    let instance = Instance::start(quick());
    let mut pictures = Vec::new();
    for (name, content, arguments) in [
        ("missing.csv", None, vec![]),
        ("empty.csv", Some(""), vec![]),
        ("nocolumn.csv", Some("firstName\nAda\n"), vec![]),
        ("typo.csv", Some("email,fristName\na@example.com,Ada\n"), vec![]),
        ("ragged.csv", Some("email,firstName\na@example.com\n"), vec![]),
        ("bad.jsonl", Some("{\"email\": \"a@example.com\"}\n{oops\n"), vec![]),
        ("field.csv", Some("phone\n1\n"), vec!["--lookup-field", "phone"]),
        (
            "other.csv",
            Some("externalPersonId,email\n1,a@example.com\n"),
            vec!["--lookup-field", "externalPersonId"],
        ),
    ] {
        if let Some(content) = content {
            instance.file(name, content);
        }
        let run =
            instance.run([vec!["upsert", name, "--confirm"], arguments].concat()).expect_code(2);
        pictures.push(format!("{name}\n{}", run.picture()));
    }
    assert_eq!(writes(&instance), 0);
    assert_picture!("upsert_errors", instance.redactions(), pictures.join("\n"));
}

#[test]
fn a_value_that_marketo_answers_to_have_written_and_did_not_take_is_told_of_its_line() {
    let mut options = quick();
    options.set_knob("blocked_fields=title").unwrap();
    let instance = Instance::start(options);
    let id = instance.sandbox.put_lead(&json!({"email": "ada@example.com", "title": "Miss"}));
    let text = "email,title\nada@example.com,Countess\nbob@example.com,Doctor\n";
    let file = instance.file("people.csv", text);
    let run = instance
        .run(["upsert", file.to_str().unwrap(), "--confirm", "--json"])
        .expect_code(3)
        .json();
    assert_eq!((run["failed"].as_u64(), run["created"].as_u64()), (Some(1), Some(1)), "{run}");
    let line = &run["record"][0];
    assert_eq!((&line["status"], &line["id"]), (&json!("failed"), &json!(id)));
    let reason = line["reason"].as_str().unwrap();
    for words in ["answered `updated`", "`title` should be \"Countess\" and is \"Miss\""] {
        assert!(reason.contains(words), "{reason}");
    }
}
