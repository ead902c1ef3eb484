//! `mkto-audit upsert`: no duplicate, whatever the weather; every line has its result.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use mkto_sandbox::Fault;
use serde_json::json;

use crate::assert_picture;
use crate::support::counts::{duplicates, writes};
use crate::support::upserting::people;
use crate::support::wait;
use crate::support::{Instance, Run, UNHURRIED, quick};

mod leases;
mod runs;

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

/// More lines of one person than are handed over together, and more lines than a run has under way
/// at once.
#[test]
fn lines_of_one_person_are_written_in_their_order_however_many_there_are() {
    let instance = Instance::start(quick());
    let mut lines = "email,firstName\n".to_owned();
    for n in 0..950 {
        writeln!(lines, "many@example.com,First {n}").unwrap();
    }
    for n in 0..3_050 {
        writeln!(lines, "p{n}@example.com,Once").unwrap();
    }
    let file = instance.file("people.csv", lines);
    let mut command = instance.command(["upsert", file.to_str().unwrap(), "--confirm", "--json"]);
    command.env(UNHURRIED.0, UNHURRIED.1).env("MKTO_AUDIT__LIMITS__CONCURRENCY", "1");
    let run = Run::of(&mut command).expect_code(0).json();
    let [created, updated, coalesced] =
        ["created", "updated", "coalesced"].map(|status| run[status].as_u64().unwrap());
    assert_eq!((created, updated + coalesced), (3_051, 949));
    let leads = instance.sandbox.leads();
    assert_eq!(leads.len(), 3_051);
    let many = leads.iter().find(|lead| lead.fields["email"] == "many@example.com").unwrap();
    assert_eq!(many.fields["firstName"], "First 949");
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
