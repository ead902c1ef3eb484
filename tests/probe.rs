//! `mkto-audit probe`: what it measures, what it leaves behind, and what predictions make of it.

mod killed;
mod knobs;
mod predictions;

use mkto_sandbox::{LeadView, Options};
use serde_json::{Value, json};

use crate::support::{Instance, Run, quick};

/// A sandbox whose knobs stand so, with a stranger, a list and a program made for tests.
fn instance(knobs: &[&str]) -> Instance {
    let mut options: Options = quick();
    for knob in ["activity_delay_ms=2000"].iter().chain(knobs) {
        options.set_knob(knob).unwrap();
    }
    let instance = Instance::start(options);
    let stranger = json!({"email": "ada@example.com", "firstName": "Ada", "leadScore": 3,
        "createdAt": "2026-01-01T00:00:00Z"});
    let id = instance.sandbox.put_lead(&stranger);
    instance.sandbox.put_list(4, "For tests", &[id]);
    let steps = ["Invited", "Registered", "Attended"];
    instance.sandbox.put_program(7, "For tests", &steps, &[(id, "Registered")]);
    instance
}

const WHERE: [&str; 4] = ["--list", "4", "--program", "7:Invited,Attended"];

fn probe(instance: &Instance, flags: &[&str]) -> Run {
    instance.run([&["probe"], flags].concat())
}

/// Those that are no test people.
fn strangers(instance: &Instance) -> Vec<LeadView> {
    let is_stranger = |lead: &LeadView| {
        !lead.fields["email"].as_str().unwrap_or_default().contains("mkto-audit-probe-")
    };
    instance.sandbox.leads().into_iter().filter(is_stranger).collect()
}

fn found<'d>(document: &'d Value, question: &str) -> &'d Value {
    let answers = document["answer"].as_array().unwrap();
    let answer = answers.iter().find(|answer| answer["question"] == question);
    &answer.unwrap_or_else(|| panic!("no answer to {question}"))["found"]
}

#[test]
fn without_confirm_it_says_what_it_would_do_and_calls_nothing() {
    let instance = instance(&[]);
    let run = probe(&instance, &[]).expect_code(0);
    for words in ["made-up addresses", "mail cannot reach", "calls", "delete all of them", "--list"]
    {
        assert!(run.stdout.contains(words), "{words}: {}", run.picture());
    }
    assert!(run.stderr.contains("add --confirm"), "{}", run.picture());
    let dry = probe(&instance, &["--json"]).expect_code(0).json();
    assert_eq!((&dry["dry_run"], &dry["would"]["merges"]), (&json!(true), &json!(1)), "{dry}");
    assert_eq!(instance.sandbox.calls_made(), 0);
}

#[test]
fn a_domain_that_mail_could_reach_is_refused_before_anything_is_called() {
    let instance = instance(&[]);
    for domain in ["gmail.com", "example.de", "invalid"] {
        let run = probe(&instance, &["--confirm", "--domain", domain]).expect_code(2);
        assert!(run.stderr.contains("reserved for tests"), "{}", run.picture());
    }
    assert_eq!(instance.sandbox.calls_made(), 0);
}

#[test]
fn the_profile_is_shown_with_its_age_and_an_old_one_is_told() {
    let instance = instance(&[]);
    let nothing = probe(&instance, &["--show"]).expect_code(2);
    assert!(nothing.stderr.contains("ledger") || nothing.stderr.contains("nothing was measured"));
    let run = probe(&instance, &["--confirm", "--by", "Bo"]).expect_code(0);
    for words in ["measured today by Bo", "Adobe:", "here:", "so:", "not measured:", "cookies"] {
        assert!(run.stdout.contains(words), "{words}: {}", run.picture());
    }
    let shown = probe(&instance, &["--show", "--json"]).expect_code(0).json();
    assert_eq!((&shown["profile"]["probe"], &shown["profile"]["age_days"]), (&json!(1), &json!(0)));
    assert_eq!(found(&shown, "lists"), &Value::Null, "no list was named");
    crate::support::merging::fill_cache(&instance);
    let mut command = instance.command(["plan", "create"]);
    command.env("MKTO_AUDIT_DB", instance.path("cache.db"));
    command.env("MKTO_AUDIT__PROBE__MAX_AGE", "1ms");
    let run = Run::of(&mut command).expect_code(0);
    assert!(run.stderr.contains("measure again"), "{}", run.picture());
}
